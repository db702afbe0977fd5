"""Retention by class: snapshots, blobs and observations, each by age and size, from time to time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Protocol, Self

from stream.errors import SeestreamError
from stream.sinks.removed import Removed

log = logging.getLogger(__name__)


class Expiring(Protocol):
    """A folder that clears itself by its own limits; blocking."""

    def expire(self, now: datetime) -> Removed: ...


class ExpiringStore(Protocol):
    """A store whose rows end."""

    async def expire(self, before: datetime) -> int:
        """Delete what was stored before that time; the number deleted."""
        ...

    async def trim(self, max_bytes: int) -> int:
        """Delete the longest-stored rows until the store is no larger; the number deleted."""
        ...


class Retention:
    """Clears folders and store every `every_s` seconds while the context is open. What fails is logged, and tried again
    the next time: a full disk must not end the process that could have cleared it."""

    def __init__(
        self,
        folders: dict[str, Expiring],
        store: ExpiringStore | None = None,
        *,
        observations_max_age_s: float | None = None,
        observations_max_bytes: int | None = None,
        every_s: float = 300.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`folders` by class name, such as `{"snapshots": …, "blobs": …}`."""
        self._folders, self._store = folders, store
        self._max_age_s, self._max_bytes = observations_max_age_s, observations_max_bytes
        self._every_s, self._clock, self._sleep = every_s, clock, sleep
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="retention")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def once(self) -> dict[str, Removed]:
        """One pass; what was removed, by class. A class that fails is logged and left out."""
        now = self._clock()
        removed: dict[str, Removed] = {}
        for name, folder in self._folders.items():
            try:
                removed[name] = await asyncio.to_thread(folder.expire, now)
            except SeestreamError as error:
                log.warning("retention: %s", error)
        if self._store is not None:
            try:
                removed["observations"] = await self._expire(self._store, now)
            except SeestreamError as error:
                log.warning("retention: %s", error)
        for name, what in removed.items():
            if what.count:
                log.info("retention: removed %d %s, %.1f MB", what.count, name, what.size_bytes / 1e6)
        return removed

    async def _expire(self, store: ExpiringStore, now: datetime) -> Removed:
        count = 0
        if self._max_age_s is not None:
            count += await store.expire(now - timedelta(seconds=self._max_age_s))
        if self._max_bytes is not None:
            count += await store.trim(self._max_bytes)
        return Removed(count)

    async def _run(self) -> None:
        while True:
            await self.once()
            await self._sleep(self._every_s)
