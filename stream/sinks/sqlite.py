"""The embedded store: one SQLite file with full text (FTS5) and vectors (sqlite-vec's distance functions).

One thread writes and one reads, each with a connection of its own; write-ahead logging lets searches run beside writes,
in this process and in others. Vectors lie in plain tables: compared by their signs first and exactly after that they
are faster here than in a vec0 table (50,000 x 768: 15 ms against 65 ms), and filters are plain conditions.
"""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Concatenate, Literal, ParamSpec, Self, TypeVar

import apsw

from stream.sinks import sqlite_file, sqlite_rows, sqlite_search
from stream.types import Alert, Hit, Observation, Query

P = ParamSpec("P")
T = TypeVar("T")

_EVER = (1 << 63) - 1
_CHUNK = 500  # rows removed in one transaction, so that writes get their turn in between


class SqliteStore:
    """A `types.Store` in one file. Use it as an async context manager; it owns its threads and connections.

    Alerts are not kept: they are on their topic. What was written survives a power cut when `write` returns.
    """

    def __init__(
        self,
        path: Path,
        *,
        readonly: bool = False,
        vectors: bool = True,
        precision: Literal["int8", "float32"] = "int8",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`readonly` opens an existing store beside its writer. `vectors` False keeps none. `precision` is for the
        vectors of models that the store has not met yet."""
        self.path = path
        self._readonly = readonly
        self._kind: str | None = precision if vectors else None
        self._clock = clock
        self._writing: _Desk | None = None
        self._reading: _Desk | None = None

    async def __aenter__(self) -> Self:
        """Raises: Misconfigured (damaged, of another program, of a newer version, no permission), StoreUnavailable."""
        try:
            if not self._readonly:
                self._writing = await _Desk.open(self.path, "store-writer", sqlite_file.open_writer)
            self._reading = await _Desk.open(self.path, "store-reader", sqlite_file.open_reader)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def write(self, observations: Sequence[Observation], alerts: Sequence[Alert]) -> None:
        """All of them in one transaction, replaced where the id is there already. Raises: StoreUnavailable,
        Misconfigured."""
        if observations:
            await self._writer.run(_write, list(observations), sqlite_rows.micros(self._clock()), self._kind)

    async def search(self, query: Query) -> list[Hit]:
        """Text over captions, labels, text read and transcripts fused with the best of each observation's vectors.

        Raises: StoreUnavailable; Misconfigured, when the query's vector has another length than its model's;
        ValueError, when it names no model.
        """
        return await self._reader.run(_read, sqlite_search.search, query)

    async def get(self, observation_id: str) -> Observation | None:
        """With its vectors. Raises: StoreUnavailable."""
        return await self._reader.run(_read, sqlite_rows.get, observation_id)

    async def recent(self, source: str | None = None, limit: int = 20) -> list[Observation]:
        """Newest first by capture time, without vectors. Raises: StoreUnavailable."""
        return await self._reader.run(_read, sqlite_search.recent, source, limit)

    async def purge(self, before: datetime) -> int:
        """Delete what was captured before that time; the number deleted. Raises: StoreUnavailable."""
        return await self._delete_all("captured_at < ?", sqlite_rows.micros(before))

    async def expire(self, before: datetime) -> int:
        """Delete what was stored before that time: retention must not take an archive that was filled in today."""
        return await self._delete_all("stored_at < ?", sqlite_rows.micros(before))

    async def trim(self, max_bytes: int) -> int:
        """Delete the longest-stored until the file's content is no larger; the number deleted."""
        deleted = 0
        while count := await self._writer.run(_trim_some, max_bytes):
            deleted += count
        return deleted

    async def _delete_all(self, condition: str, value: int) -> int:
        deleted = 0
        while count := await self._writer.run(_delete_some, condition, value):
            deleted += count
        return deleted

    @property
    def _writer(self) -> _Desk:
        if self._writing is None:
            raise RuntimeError(f"the store {self.path} is not open for writing: use `async with SqliteStore(path)`")
        return self._writing

    @property
    def _reader(self) -> _Desk:
        if self._reading is None:
            raise RuntimeError(f"the store {self.path} is not open: use `async with SqliteStore(path)`")
        return self._reading

    async def _close(self) -> None:
        for desk in (self._reading, self._writing):
            if desk is not None:
                await desk.close()
        self._reading = self._writing = None


class _Desk:
    """One thread and its connection; jobs wait in line."""

    def __init__(self, path: Path, thread: ThreadPoolExecutor, connection: apsw.Connection) -> None:
        self._path, self._thread, self._connection = path, thread, connection

    @classmethod
    async def open(cls, path: Path, name: str, connect: Callable[[Path], apsw.Connection]) -> _Desk:
        thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        try:
            connection = await asyncio.get_running_loop().run_in_executor(thread, connect, path)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(path, thread, connection)

    async def run(self, job: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The job's result. A cancelled caller does not stop it: what was begun is finished."""
        work = functools.partial(self._translated, job, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _translated(self, job: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with sqlite_file.translated(self._path):
            return job(self._connection, *args, **kwargs)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=True)


def _write(connection: apsw.Connection, observations: list[Observation], stored_at: int, kind: str | None) -> None:
    with sqlite_file.transaction(connection):
        sqlite_rows.put(connection, observations, stored_at, kind)


def _read(
    connection: apsw.Connection, job: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """One snapshot of the file for all statements of the job."""
    with sqlite_file.transaction(connection, "DEFERRED"):
        return job(connection, *args, **kwargs)


def _delete_some(connection: apsw.Connection, condition: str, value: int, limit: int = _CHUNK) -> int:
    with sqlite_file.transaction(connection):
        found = connection.execute(
            f"SELECT row FROM observations WHERE {condition} ORDER BY stored_at, row LIMIT ?", (value, limit)
        )
        rows = [row for (row,) in found]
        if rows:
            sqlite_rows.delete(connection, rows)
    connection.execute("PRAGMA incremental_vacuum(2000)").fetchall()  # pages back to the file system, a few at a time
    return len(rows)


def _trim_some(connection: apsw.Connection, max_bytes: int) -> int:
    """Delete the share of the rows by which the content is too large, at most a chunk; 0 when it fits."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").get for name in ("page_count", "freelist_count", "page_size")
    )
    used = (pages - free) * size
    if used <= max_bytes:
        return 0
    rows = connection.execute("SELECT count(*) FROM observations").get
    share = math.ceil(rows * (used - max_bytes) / used)
    return _delete_some(connection, "stored_at <= ?", _EVER, min(_CHUNK, share))
