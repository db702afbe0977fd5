"""What the store holds of what was sent: by id, by vector and in all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from weaviate.classes.query import Filter

from stream.sinks import SqliteStore, WeaviateStore
from stream.types import Observation, Vector
from tests.faults.stage import Stage

_CHUNK = 200


class Found(NamedTuple):
    """Of the ids that were asked for."""

    missing: set[str]  # not there by their id
    hidden: set[str]  # there, but in no vector index, so that a search does not find them
    count: int  # observations in the store in all


async def look_up(stage: Stage, wanted: Sequence[str]) -> Found:
    """Look for each of them."""
    async with _store(stage) as store:
        limit = asyncio.Semaphore(16)

        async def get(identity: str) -> Observation | None:
            async with limit:
                return await store.get(identity)  # type: ignore[no-any-return]

        got = dict(zip(wanted, await asyncio.gather(*(get(identity) for identity in wanted)), strict=True))
        there = {identity: observation for identity, observation in got.items() if observation is not None}
        vectors = {identity: seen.vectors[0] for identity, seen in there.items() if seen.vectors}
        hidden = set(there) - set(vectors)  # the suite's models give every picture one
        if not isinstance(store, SqliteStore):
            hidden |= await _hidden(store, vectors)
        return Found(set(got) - set(there), hidden, await _count(store))


def _store(stage: Stage) -> Any:
    if stage.weaviate is None:
        return SqliteStore(stage.folder / "store.db")
    return WeaviateStore(stage.weaviate.url, grpc_port=stage.weaviate.grpc_port, name=stage.collection)


async def _hidden(store: Any, vectors: dict[str, Vector]) -> set[str]:
    """Those that the nearest-neighbour search does not know, asked for by their ids."""

    async def job(client: Any) -> set[str]:
        places, ids, found = await store._known(client), sorted(vectors), set()
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            any_of_them = vectors[chunk[0]]
            query = client.collections.use(places[any_of_them.model].frames).query
            answer = await query.near_vector(
                any_of_them.values.tolist(), filters=Filter.by_id().contains_any(chunk), limit=_CHUNK
            )
            found |= {str(one.uuid) for one in answer.objects}
        return set(ids) - found

    hidden: set[str] = await store._call(job)
    return hidden


async def _count(store: Any) -> int:
    """Observations in the store, asked of the store itself."""
    if isinstance(store, SqliteStore):
        return len(await store.recent(limit=10_000))

    async def job(client: Any) -> int:
        places = (await store._known(client)).values()
        totals = [await client.collections.use(place.frames).aggregate.over_all(total_count=True) for place in places]
        return sum(total.total_count or 0 for total in totals)

    count: int = await store._call(job)
    return count
