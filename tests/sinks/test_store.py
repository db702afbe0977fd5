"""The contract of `types.Store`, the same over the embedded store and a real Weaviate."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from datetime import timedelta

import numpy as np
import pytest

from stream.errors import Misconfigured
from stream.sinks import SqliteStore, WeaviateStore
from stream.types import Observation, Query, TextRead
from tests.sinks.conftest import Clock
from tests.sinks.made import BOX, DIMS, MODEL, START, Noted, axis, observation, vector

Stores = SqliteStore | WeaviateStore


async def ids(store: Stores, **query: object) -> list[str]:
    """Ids of the hits, best first."""
    return [hit.observation.id for hit in await store.search(Query(**query))]  # type: ignore[arg-type]


def without_vectors(one: Observation) -> Observation:
    return dataclasses.replace(one, vectors=())


async def test_what_was_written_comes_back_whole(store: Stores) -> None:
    written = observation(vectors=(vector(0, lean=5), vector(1, box=BOX)), transcript="Grüße, 世界", derived_from="x")
    await store.write([written], [])
    found = await store.get(written.id)
    assert found is not None
    assert without_vectors(found) == without_vectors(written)
    assert [(v.model, v.box) for v in found.vectors] == [(MODEL, None), (MODEL, BOX)]
    for got, given in zip(found.vectors, written.vectors, strict=True):
        assert got.values.dtype == np.float32
        assert float(got.values @ given.values) > 0.9999


async def test_the_pictures_digest_is_made_on_a_thread(store: Stores) -> None:
    digest = Noted(b"picture")
    one = observation()
    await store.write([dataclasses.replace(one, provenance=dataclasses.replace(one.provenance, sha256=digest))], [])
    assert digest.threads and threading.main_thread() not in digest.threads
    kept = await store.get(one.id)
    assert kept is not None and str(kept.provenance.sha256) == hashlib.sha256(b"picture").hexdigest()


async def test_an_unknown_id_is_none(store: Stores) -> None:
    assert await store.get(observation(7).id) is None
    await store.write([observation(1)], [])
    assert await store.get(observation(7).id) is None


async def test_an_empty_store_answers(store: Stores) -> None:
    await store.write([], [])
    assert await store.recent() == []
    assert await ids(store, text="car") == []
    assert await ids(store, vector=axis(0), model=MODEL) == []
    assert await store.purge(START) == 0


async def test_a_second_write_replaces(store: Stores) -> None:
    await store.write([observation(caption="a red car", vectors=(vector(0), vector(1, box=BOX)))], [])
    await store.write([observation(caption="a blue truck", vectors=(vector(2), vector(3, box=BOX)))], [])
    assert [seen.caption for seen in await store.recent()] == ["a blue truck"]
    assert await ids(store, text="red") == []
    assert await ids(store, text="truck") == [observation().id]
    found = await store.get(observation().id)
    assert found is not None
    assert [int(v.values.argmax()) for v in found.vectors] == [2, 3]


async def test_the_same_id_twice_in_one_write_is_one_row(store: Stores) -> None:
    await store.write([observation(caption="first"), observation(caption="second")], [])
    assert [seen.caption for seen in await store.recent()] == ["second"]


async def test_text_is_found_in_caption_labels_read_text_and_transcript(store: Stores) -> None:
    plain = {"caption": None, "objects": (), "text": ()}
    rows = [
        observation(0, **{**plain, "caption": "a zebra on the lawn"}),
        observation(1, **{**plain, "objects": (dataclasses.replace(observation().objects[0], label="giraffe"),)}),
        observation(2, **{**plain, "text": (TextRead("LION STREET", 0.9), TextRead("tiger", 0.9))}),
        observation(3, **{**plain, "transcript": "we heard an elephant"}),
    ]
    await store.write(rows, [])
    for word, row in zip(("zebra", "giraffe", "tiger", "elephant"), rows, strict=True):
        assert await ids(store, text=word) == [row.id]
    assert await ids(store, text="walrus") == []


async def test_more_and_rarer_words_rank_higher(store: Stores) -> None:
    rows = [
        observation(0, caption="a car and a tree", objects=()),
        observation(1, caption="a red car", objects=()),
        observation(2, caption="a green car", objects=()),
    ]
    await store.write(rows, [])
    found = await ids(store, text="a red car")
    assert found[0] == rows[1].id
    assert set(found) == {row.id for row in rows}


async def test_query_text_is_never_syntax(store: Stores) -> None:
    await store.write([observation(caption="nothing of it", objects=(), text=())], [])
    for text in ('"', "AND OR NOT", "car*", 'NEAR("a" "b", 3)', "caption:car", "-", "{}", "a'b;--", "ü", "\0", " "):
        assert await ids(store, text=text) == []


async def test_the_nearest_vector_comes_first(store: Stores) -> None:
    rows = [observation(n, vectors=(vector(n, lean=9),)) for n in range(8)]
    await store.write(rows, [])
    found = await ids(store, vector=axis(3, lean=4), model=MODEL)
    assert found[0] == rows[3].id
    assert found[1] == rows[4].id
    assert len(found) == 8


async def test_a_region_finds_what_the_whole_frame_misses(store: Stores) -> None:
    small = observation(1, vectors=(vector(0), vector(5, box=BOX)))
    await store.write([small, observation(2, vectors=(vector(1, lean=5),))], [])
    assert await ids(store, vector=axis(5), model=MODEL) == [small.id, observation(2).id]


async def test_a_region_that_was_not_found_again_does_not_answer(store: Stores) -> None:
    await store.write([observation(1, vectors=(vector(0), vector(5, box=BOX), vector(6, box=BOX)))], [])
    await store.write([observation(1, vectors=(vector(0), vector(5, box=BOX)))], [])
    await store.write([observation(2, vectors=(vector(1, lean=6),))], [])
    assert (await ids(store, vector=axis(6), model=MODEL))[0] == observation(2).id
    found = await store.get(observation(1).id)
    assert found is not None
    assert len(found.vectors) == 2


async def test_text_and_vector_together_beat_either_alone(store: Stores) -> None:
    both = observation(0, caption="a red car", vectors=(vector(0, lean=1),))
    await store.write(
        [
            observation(1, caption="a white wall", objects=(), vectors=(vector(0, lean=2),)),
            both,
            observation(2, caption="a red door", objects=(), vectors=(vector(7),)),
        ],
        [],
    )
    assert (await ids(store, text="red car", vector=axis(0), model=MODEL))[0] == both.id


async def test_filters_hold_for_every_kind_of_query(store: Stores) -> None:
    def row(number: int, source: str, label: str) -> Observation:
        seen = dataclasses.replace(observation().objects[0], label=label)
        return observation(number, source=source, objects=(seen,), vectors=(vector(number), vector(9, box=BOX)))

    rows = [row(0, "garage", "Car"), row(1, "Garage door", "car"), row(2, "garage", "dog"), row(3, "garage", "red car")]
    await store.write(rows, [])
    second = timedelta(seconds=1)
    for query in (
        {"text": "driveway"},
        {"vector": axis(9), "model": MODEL},
        {"text": "red", "vector": axis(9), "model": MODEL},
        {},
    ):
        assert set(await ids(store, **query, source="garage")) == {rows[n].id for n in (0, 2, 3)}
        assert set(await ids(store, **query, source="nowhere")) == set()
        assert set(await ids(store, **query, since=START + second)) == {rows[n].id for n in (1, 2, 3)}
        assert set(await ids(store, **query, until=START + 2 * second)) == {rows[n].id for n in (0, 1)}
        assert set(await ids(store, **query, label="CAR")) == {rows[n].id for n in (0, 1)}
        assert set(await ids(store, **query, label="car", source="garage", until=START + second)) == {rows[0].id}


async def test_no_more_than_the_limit(store: Stores) -> None:
    await store.write([observation(n, vectors=(vector(n),)) for n in range(6)], [])
    for query in ({"text": "car"}, {"vector": axis(1), "model": MODEL}, {}):
        assert len(await ids(store, **query, limit=4)) == 4
        assert await ids(store, **query, limit=0) == []


async def test_vectors_of_another_model_are_never_compared(store: Stores) -> None:
    old = observation(0, vectors=(vector(0),), caption="an old zebra")
    new = observation(1, vectors=(vector(0, model="other@1"),), caption="a new zebra")
    await store.write([old], [])
    await store.write([new], [])
    assert await ids(store, vector=axis(0), model=MODEL) == [old.id]
    assert await ids(store, vector=axis(0), model="other@1") == [new.id]
    assert await ids(store, vector=axis(0), model="third@1") == []
    assert set(await ids(store, text="zebra")) == {old.id, new.id}
    assert set(await ids(store, text="zebra", vector=axis(0), model="other@1")) == {old.id, new.id}
    assert [seen.id for seen in await store.recent()] == [new.id, old.id]
    assert await store.get(old.id) is not None


async def test_a_vector_without_its_model_is_a_mistake_of_the_caller(store: Stores) -> None:
    with pytest.raises(ValueError, match="model"):
        await store.search(Query(vector=axis(0)))


async def test_a_vector_of_another_length_says_so(store: Stores) -> None:
    await store.write([observation(vectors=(vector(0),))], [])
    with pytest.raises(Misconfigured, match="vectors of"):
        await store.search(Query(vector=axis(0, dims=DIMS * 2), model=MODEL))
    longer = dataclasses.replace(vector(0), values=axis(0, dims=DIMS * 2))
    with pytest.raises(Misconfigured, match="another name"):
        await store.write([observation(1, vectors=(longer,))], [])


async def test_observations_without_vectors_are_kept(store: Stores) -> None:
    await store.write([observation(0), observation(1, vectors=(vector(1),))], [])
    assert set(await ids(store, text="driveway")) == {observation(0).id, observation(1).id}
    assert await ids(store, vector=axis(1), model=MODEL) == [observation(1).id]


async def test_recent_is_newest_first_by_capture_time(store: Stores) -> None:
    rows = [observation(n, source="porch" if n % 2 else "garage", vectors=(vector(n),)) for n in (3, 0, 5, 1, 4, 2)]
    await store.write(rows, [])
    newest = await store.recent(limit=4)
    assert [seen.captured_at for seen in newest] == [START + timedelta(seconds=n) for n in (5, 4, 3, 2)]
    assert all(seen.vectors == () for seen in newest)
    assert [seen.id for seen in await store.recent("porch")] == [observation(n).id for n in (5, 3, 1)]


async def test_purge_takes_what_was_captured_before(store: Stores) -> None:
    rows = [observation(n, vectors=(vector(n), vector(n + 8, box=BOX))) for n in range(6)]
    await store.write(rows, [])
    assert await store.purge(START + timedelta(seconds=4)) == 4
    assert [seen.id for seen in await store.recent()] == [rows[5].id, rows[4].id]
    assert await store.get(rows[0].id) is None
    assert set(await ids(store, text="car")) == {rows[4].id, rows[5].id}
    assert set(await ids(store, vector=axis(8), model=MODEL)) == {rows[4].id, rows[5].id}
    assert await store.purge(START) == 0


async def test_expire_goes_by_when_it_was_stored(store: Stores, clock: Clock) -> None:
    archive = observation(0, captured_at=START - timedelta(days=3650))
    await store.write([observation(1)], [])
    clock.now += timedelta(hours=1)
    await store.write([archive], [])
    assert await store.expire(clock.now - timedelta(minutes=30)) == 1
    assert [seen.id for seen in await store.recent()] == [archive.id]


async def test_many_at_once_and_at_the_same_time(store: Stores) -> None:
    import asyncio

    rows = [observation(n, vectors=(vector(n % DIMS),)) for n in range(120)]
    await asyncio.gather(*(store.write(rows[n : n + 30], []) for n in range(0, 120, 30)))
    assert len(await store.recent(limit=500)) == 120
