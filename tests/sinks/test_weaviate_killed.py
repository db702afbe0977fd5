"""A Weaviate that is killed in the middle of batches: what is repeated and what was acknowledged is found afterwards."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest
from weaviate.classes.query import Filter

import stream.sinks.weaviate as module
from stream.errors import StoreUnavailable
from stream.sinks import WeaviateStore
from stream.sinks import weaviate_rows as rows
from stream.sinks import weaviate_schema as schema
from stream.types import Observation, Query, Vector
from tests.services.weaviate import Weaviate
from tests.sinks.conftest import Clock, drop_collections, new_weaviate_store
from tests.sinks.made import BOX, MODEL, START, observation, vector

pytestmark = pytest.mark.weaviate

BATCH = 48
OTHER = "other@1"
ROUNDS = 6
TRANSCRIPT = " ".join(f"word{n}" for n in range(1000))  # more than the server's log buffers: it is kept early


def batch(first: int, *, vectors: bool) -> list[Observation]:
    values = np.random.default_rng(first).normal(size=32).astype(np.float32)
    seen = (Vector(MODEL, values), Vector(MODEL, values, BOX)) if vectors else ()
    return [observation(first + n, vectors=seen, transcript=TRANSCRIPT) for n in range(BATCH)]


def new_store(weaviate: Weaviate) -> WeaviateStore:
    return WeaviateStore(weaviate.url, grpc_port=weaviate.grpc_port, timeout_s=60.0, settle_s=0.1)


class Server:
    """A Weaviate of its own and what its objects by id say, which needs no index."""

    def __init__(self, weaviate: Weaviate, store: WeaviateStore, http: httpx.AsyncClient) -> None:
        self.weaviate, self.store, self._http = weaviate, store, http

    def another_store(self) -> WeaviateStore:
        return new_store(self.weaviate)

    async def kept(self, batch: list[Observation]) -> int:
        """How many of its first eight are there."""
        place = schema.place("Observation", rows.model_of(batch[0]), 0)
        answers = [await self._http.get(f"/v1/objects/{place.frames}/{seen.id}") for seen in batch[:8]]
        return sum(answer.status_code == 200 for answer in answers)

    async def write_and_kill(self, batch: list[Observation]) -> bool:
        """Begin to write it and kill when a part has arrived; whether it was interrupted and a part of it was kept."""
        write = asyncio.ensure_future(self.store.write(batch, []))
        while not write.done() and await self.kept(batch) < 4:
            pass
        self.weaviate.kill()
        [end] = await asyncio.gather(write, return_exceptions=True)
        assert end is None or isinstance(end, StoreUnavailable), end
        await asyncio.to_thread(self.weaviate.start)
        return end is not None and await self.kept(batch) > 0


@asynccontextmanager
async def server() -> AsyncIterator[Server]:
    weaviate = Weaviate()
    await asyncio.to_thread(weaviate.start)
    try:
        async with (
            new_store(weaviate) as store,
            httpx.AsyncClient(base_url=weaviate.url, timeout=60.0) as http,
        ):
            yield Server(weaviate, store, http)
    finally:
        await asyncio.to_thread(weaviate.close)


async def not_found(store: WeaviateStore, wanted: list[Observation]) -> dict[str, int]:
    """How many of them which way of looking does not find, where there are any."""
    ids = {seen.id for seen in wanted}
    missing = {"id": sum([await store.get(one) is None for one in ids])}
    ways = {"text": Query(text="word7"), "filters": Query(source="garage", since=START)}
    if wanted[0].vectors:
        values = wanted[0].vectors[0]
        ways["vector"] = Query(vector=values.values, model=values.model)
        async with store._link.client() as client:
            place = store._ensured[values.model]
            by_owner = Filter.by_property("observation").contains_any(list(ids))
            regions = await client.collections.use(place.regions).query.near_vector(
                values.values.tolist(), target_vector="image", filters=by_owner, limit=1_000
            )
        if any(len(seen.vectors) > 1 for seen in wanted):
            missing["regions"] = len(ids - {str(region.properties["observation"]) for region in regions.objects})
    for way, query in ways.items():
        hits = await store.search(dataclasses.replace(query, limit=1_000))
        missing[way] = len(ids - {hit.observation.id for hit in hits})
    return {way: count for way, count in missing.items() if count}


async def test_what_was_interrupted_and_repeated_is_found_and_what_was_acknowledged_too() -> None:
    async with server() as at:
        store = at.store
        await store.write([observation(0, vectors=(vector(0), vector(1, box=BOX))), observation(1)], [])  # collections
        open_kinds, number = [True, False], 0
        while open_kinds:
            number += 1
            # Of a model whose collection nothing else writes to: nobody else's write makes it durable.
            seen = vector(3, model=OTHER)
            acknowledged = [observation(number * 10_000 + n, transcript="word7", vectors=(seen,)) for n in range(8)]
            await store.write(acknowledged, [])
            one = batch(number * 1_000, vectors=open_kinds[0])
            interrupted = await at.write_and_kill(one)
            assert await not_found(store, acknowledged) == {}
            async with at.another_store() as anew:  # as after a restart of the process too: it knows of no failure
                await (anew if number % 2 else store).write(one, [])
            assert await not_found(store, one) == {}
            if interrupted:
                open_kinds.pop(0)
            assert number < ROUNDS, "the server was never killed in the middle of a batch"


async def test_what_is_repeated_is_looked_for_before_it_is_acknowledged(
    weaviate: Weaviate, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with new_weaviate_store(weaviate, clock, settle_s=0.0) as store:
        await store.write([observation(0, vectors=(vector(0),)), observation(1)], [])
        several = [observation(2, vectors=(vector(2), vector(3, box=BOX))), observation(3)]

        async def lost(*_: object) -> None:
            """As if a request that was given up had undone it afterwards."""

        async def refused(*_: object) -> None:
            raise StoreUnavailable("not now")

        for answer, told in ((refused, "not now"), (lost, "does not find 1 of 1")):
            with monkeypatch.context() as patch:
                patch.setattr(module, "insert", answer)
                for one in several:
                    with pytest.raises(StoreUnavailable, match=told):
                        await store.write([one], [])
        await store.write(several, [])
        assert {seen.id for seen in await store.recent()} == {observation(n).id for n in range(4)}
        await drop_collections(store)


async def test_after_a_failure_the_writes_that_follow_are_looked_for_too(
    weaviate: Weaviate, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with new_weaviate_store(weaviate, clock, settle_s=0.0) as store:
        await store.write([observation(0, vectors=(vector(0),))], [])
        store._wary_until = 0.0  # as a minute later

        async def lost(*_: object) -> None:
            """As a server that was killed after it had acknowledged."""

        async def refused(*_: object) -> None:
            raise StoreUnavailable("not now")

        first, second = observation(1, vectors=(vector(1),)), observation(2, vectors=(vector(2),))
        with monkeypatch.context() as patch:
            patch.setattr(module, "insert", refused)
            with pytest.raises(StoreUnavailable, match="not now"):
                await store.write([first], [])
        await store.write([first], [])
        with monkeypatch.context() as patch:
            patch.setattr(module, "insert", lost)
            with pytest.raises(StoreUnavailable, match="does not find 1 of 1"):
                await store.write([second], [])
        await store.write([second], [])
        assert len(await store.recent()) == 3
        await drop_collections(store)
