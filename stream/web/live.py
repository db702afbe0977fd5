"""What is seen now, for everybody who watches: a sink that keeps nothing and holds nobody up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence

from stream.types import Alert, Observation

Seen = Observation | Alert


class Live:
    """Hands each observation and alert to all watchers. Implements `types.Sink`; `write` never waits.

    A watcher that is slow loses its oldest entries instead of holding up the others. The latest `memory` entries are
    kept, so that a browser that comes back after a lost connection sees what it missed. For one event loop.
    """

    def __init__(self, *, queue: int = 64, memory: int = 64) -> None:
        self._queue = queue
        self._latest: deque[Seen] = deque(maxlen=memory)
        self._alerts: deque[Alert] = deque(maxlen=memory)
        self._watchers: set[_Watcher] = set()
        self._closed = False

    async def write(self, observations: Sequence[Observation], alerts: Sequence[Alert]) -> None:
        """As `tell`: there is nothing to wait for."""
        self.tell(observations, alerts)

    def tell(self, observations: Sequence[Observation], alerts: Sequence[Alert]) -> None:
        """Observations first, so that whoever follows an alert finds its observation. Redelivered ones are left out."""
        known = {entry.id for entry in self._latest}
        entries: list[Seen] = [*observations, *alerts]
        for entry in entries:
            if entry.id in known:
                continue
            self._latest.append(entry)
            if isinstance(entry, Alert):
                self._alerts.append(entry)
            for watcher in self._watchers:
                watcher.put(entry)

    def alerts(self) -> list[Alert]:
        """The latest alerts, newest first."""
        return list(reversed(self._alerts))

    @property
    def watchers(self) -> int:
        """How many watch now."""
        return len(self._watchers)

    async def watch(self, after: str | None = None) -> AsyncGenerator[Seen, None]:
        """Entries as they come, until `close`; first what followed the entry with the id `after`, if it is known."""
        watcher = _Watcher(self._queue, self._closed)
        ids = [entry.id for entry in self._latest]
        for entry in list(self._latest)[ids.index(after) + 1 :] if after in ids else ():
            watcher.put(entry)
        self._watchers.add(watcher)
        try:
            async for entry in watcher.entries():
                yield entry
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """Ends every watcher's stream: open ones would hold up the server's shutdown."""
        self._closed = True
        for watcher in self._watchers:
            watcher.close()


class _Watcher:
    """One browser's entries that it has not taken yet."""

    def __init__(self, limit: int, closed: bool) -> None:
        self._waiting: deque[Seen] = deque(maxlen=limit)
        self._wake = asyncio.Event()
        self._closed = closed

    def put(self, entry: Seen) -> None:
        self._waiting.append(entry)
        self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    async def entries(self) -> AsyncGenerator[Seen, None]:
        while True:
            while self._waiting and not self._closed:
                yield self._waiting.popleft()
            if self._closed:
                return
            self._wake.clear()
            await self._wake.wait()
