"""What only the embedded store promises: one file, several processes, clear words when something is wrong with it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import apsw
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stream.errors import Misconfigured, StoreUnavailable
from stream.sinks import SqliteStore, sqlite_file, sqlite_rows, sqlite_search
from stream.types import Query, Vector
from tests.sinks.made import BOX, MODEL, START, axis, observation, vector


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore(tmp_path / "deeper" / "store.db") as opened:
        yield opened


def killed_writer(path: Path) -> list[int]:
    """Numbers of the observations that a process saw acknowledged before SIGKILL took it."""
    program = f"""
import asyncio
from pathlib import Path
from stream.sinks import SqliteStore
from tests.sinks.made import observation, vector
async def main():
    async with SqliteStore(Path({str(path)!r})) as store:
        for n in range(1000):
            await store.write([observation(n, vectors=(vector(n % 32),))], [])
            print(n, flush=True)
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        told = [int(process.stdout.readline()) for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout]
    process.wait()
    return told


async def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    told = await asyncio.to_thread(killed_writer, tmp_path / "store.db")
    async with SqliteStore(tmp_path / "store.db") as store:
        seen = {row.id for row in await store.recent(limit=2000)}
        assert {observation(n).id for n in told} <= seen
        assert len(await store.search(Query(vector=axis(3), model=MODEL, limit=2000))) == len(seen)


async def test_another_process_reads_beside_the_writer(store: SqliteStore) -> None:
    await store.write([observation(n, vectors=(vector(n),)) for n in range(3)], [])
    program = f"""
import asyncio, json
from pathlib import Path
from stream.sinks import SqliteStore
from stream.types import Query
async def main():
    async with SqliteStore(Path({str(store.path)!r}), readonly=True) as store:
        print(json.dumps([hit.observation.id for hit in await store.search(Query(text="red car"))]))
asyncio.run(main())
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set(json.loads(done.stdout)) == {observation(n).id for n in range(3)}


async def test_a_reader_sees_what_is_written_later_also_of_a_new_model(store: SqliteStore) -> None:
    await store.write([observation(0, vectors=(vector(0),))], [])
    async with SqliteStore(store.path, readonly=True) as reader:
        await store.write([observation(1, vectors=(vector(1, model="new@1"),))], [])
        (hit,) = await reader.search(Query(vector=axis(1), model="new@1"))
        assert hit.observation.id == observation(1).id
        with pytest.raises(RuntimeError, match="not open for writing"):
            await reader.write([observation(2)], [])


async def test_a_store_that_is_not_there_yet(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"no store at .* yet"):
        async with SqliteStore(tmp_path / "store.db", readonly=True):
            pass
    assert not (tmp_path / "store.db").exists()


@pytest.mark.parametrize("content", [b"this is not a database" * 100, b"SQLite format 3\0" + bytes(4080)])
async def test_a_damaged_file_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(content)
    with pytest.raises(Misconfigured, match=r"damaged or no store .*\.recover"):
        async with SqliteStore(path):
            pass
    assert path.read_bytes() == content


async def test_pages_that_were_overwritten_are_found_when_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteStore(path) as store:
        await store.write([observation(n) for n in range(200)], [])
    path.write_bytes(path.read_bytes()[:8192].ljust(path.stat().st_size, b"\xa5"))
    with pytest.raises(Misconfigured, match="damaged"):
        async with SqliteStore(path) as store:
            await store.recent(limit=200)


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(Misconfigured, match="another program"):
        async with SqliteStore(path):
            pass
    assert path.read_bytes() == before


async def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path, store: SqliteStore) -> None:
    await store._writer.run(lambda connection: connection.pragma("user_version", 999))
    for readonly in (False, True):
        with pytest.raises(Misconfigured, match="newer seestream"):
            async with SqliteStore(store.path, readonly=readonly):
                pass


async def test_an_older_store_is_migrated_with_its_rows(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.write([observation(vectors=(vector(0),))], [])
    step = "ALTER TABLE observations ADD COLUMN rating INTEGER NOT NULL DEFAULT 3;"
    monkeypatch.setattr(sqlite_file, "MIGRATIONS", (*sqlite_file.MIGRATIONS, step))
    with pytest.raises(Misconfigured, match="start once with this version"):
        async with SqliteStore(store.path, readonly=True):
            pass
    async with SqliteStore(store.path) as newer:
        (hit,) = await newer.search(Query(text="car"))
        assert hit.observation.id == observation().id
        rating = await newer._reader.run(lambda c: c.execute("SELECT rating FROM observations").get)
        assert rating == 3


async def test_a_migration_that_fails_changes_nothing(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = ("CREATE TABLE half (x);", "THIS IS NOT SQL;")
    monkeypatch.setattr(sqlite_file, "MIGRATIONS", (*sqlite_file.MIGRATIONS, *steps))
    with pytest.raises(apsw.SQLError):
        async with SqliteStore(store.path):
            pass
    left = await store._reader.run(lambda c: c.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").get)
    assert left == 0


async def test_a_locked_store_is_unavailable_and_then_writes(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store._writer.run(lambda connection: connection.set_busy_timeout(1))
    other = apsw.Connection(str(store.path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked by another process"):
        await store.write([observation()], [])
    assert await store.recent() == []
    other.execute("ROLLBACK")
    other.close()
    await store.write([observation()], [])
    assert len(await store.recent()) == 1


async def test_a_full_disk_is_unavailable_and_leaves_no_half_batch(store: SqliteStore) -> None:
    await store.write([observation(0)], [])
    used = await store._writer.run(lambda connection: connection.pragma("page_count"))
    await store._writer.run(lambda connection: connection.pragma("max_page_count", used + 4))
    batch = [observation(n, vectors=(vector(n % 32),)) for n in range(1, 100)]
    with pytest.raises(StoreUnavailable, match=r"disk of the store .* is full: make room"):
        await store.write(batch, [])
    assert len(await store.recent(limit=200)) == 1
    await store._writer.run(lambda connection: connection.pragma("max_page_count", 1 << 30))
    await store.write(batch, [])
    assert len(await store.recent(limit=200)) == 100


async def test_a_path_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "store.db", tmp_path):
        with pytest.raises(Misconfigured, match="cannot"):
            async with SqliteStore(path):
                pass


async def test_trim_takes_the_longest_stored_and_shrinks_the_file(tmp_path: Path) -> None:
    now = START
    async with SqliteStore(tmp_path / "store.db", clock=lambda: now) as store:
        for n in range(20):
            now = START + timedelta(hours=n)
            await store.write([observation(20 * n + k, transcript="x" * 5_000) for k in range(20)], [])
        before = (tmp_path / "store.db").stat().st_size
        await store._writer.run(lambda c: c.pragma("wal_checkpoint"))
        deleted = await store.trim(1_000_000)
        await store._writer.run(lambda c: c.pragma("wal_checkpoint"))
        assert 0 < deleted < 400
        assert [row.id for row in await store.recent(limit=500)] == [
            observation(n).id for n in range(399, deleted - 1, -1)
        ]
        assert (tmp_path / "store.db").stat().st_size < max(before, 1_500_000)
        assert await store.trim(1_000_000) == 0


async def test_float_vectors_come_back_exactly(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=48).astype(np.float32)
    values /= np.linalg.norm(values)
    async with SqliteStore(tmp_path / "store.db", precision="float32") as store:
        await store.write([observation(vectors=(Vector(MODEL, values),))], [])
        found = await store.get(observation().id)
        assert found is not None
        np.testing.assert_allclose(found.vectors[0].values, values, rtol=1e-6)
        (hit,) = await store.search(Query(vector=values, model=MODEL))
        assert hit.observation.id == observation().id


async def test_a_store_may_be_told_to_keep_no_vectors(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db", vectors=False) as store:
        await store.write([observation(vectors=(vector(0),))], [])
        assert await store.search(Query(vector=axis(0), model=MODEL)) == []
        assert len(await store.search(Query(text="car"))) == 1


async def test_signs_find_the_nearest_among_many(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 clustered vectors, only 150 of them compared exactly: nearly all of the true nearest are found."""
    monkeypatch.setattr(sqlite_search, "CANDIDATES", 150)
    random = np.random.default_rng(3)
    centres = random.normal(size=(40, 256))
    points = centres[random.integers(0, 40, 2000)] + 0.7 * random.normal(size=(2000, 256))
    points = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    await store.write([observation(n, vectors=(Vector(MODEL, points[n]),)) for n in range(2000)], [])
    number = {observation(n).id: n for n in range(2000)}
    found = true = 0
    for wanted in points[::200]:
        hits = await store.search(Query(vector=wanted, model=MODEL, limit=10))
        nearest = set(np.argsort(-(points @ wanted))[:10].tolist())
        found += len(nearest & {number[hit.observation.id] for hit in hits})
        true += 10
    assert found >= 0.95 * true


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=70))
@example([1.1754943508222875e-38])  # the smallest: 127 over it is no float32
def test_int8_keeps_the_direction(values: list[float]) -> None:
    given_ = np.asarray(values, dtype=np.float32)
    norm = float(np.linalg.norm(given_))
    back = sqlite_rows.unpacked(sqlite_rows.packed(given_, "int8"), "int8")
    if norm > 1e-6:
        assert float(back @ (given_ / norm)) > 0.999
        assert abs(float(np.linalg.norm(back)) - 1) < 1e-5
    else:
        assert back.shape == given_.shape


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    opened = sqlite_file.open_writer(tmp_path / "store.db")
    yield opened
    opened.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=40))
def test_any_caption_is_kept_and_any_query_text_is_answered(connection: apsw.Connection, text: str) -> None:
    with sqlite_file.transaction(connection):  # the same row again and again: each example replaces the last one
        sqlite_rows.put(connection, [observation(caption=text, vectors=(vector(0, box=BOX),))], 0, "int8")
    assert len(sqlite_search.search(connection, Query(text=text))) <= 1
    (row,) = sqlite_search.recent(connection, None, 5)
    assert row.caption == text
