"""A hand-over of one place from a thread to the event loop: whoever is slow gets the newest."""

from __future__ import annotations

import asyncio
import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """One slot. `put` and `close` may be called from any thread, `take` on the loop that made the object."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._lock = threading.Lock()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> bool:
        """Leave an item; True when an older one had not been taken and is lost."""
        with self._lock:
            lost, self._item = self._item is not None, item
            closed = self._closed
        if not closed:
            self._wake()
        return lost

    def close(self) -> None:
        """Nothing more will be put; an item that lies there can still be taken."""
        with self._lock:
            self._closed = True
        self._wake()

    async def take(self) -> T | None:
        """The newest item, as soon as there is one; None once it is closed and empty."""
        while True:
            with self._lock:
                item, self._item = self._item, None
                if item is not None or self._closed:
                    return item
                self._ready.clear()
            await self._ready.wait()

    def _wake(self) -> None:
        # A camera's thread may outlive the loop by the seconds that a library call takes to time out.
        if not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(self._ready.set)
            except RuntimeError:
                return
