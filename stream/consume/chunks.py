"""What was fetched and is waiting to be handed to the pipeline. Bounded by the bytes in flight."""

from __future__ import annotations

import asyncio
from collections import deque

from stream.consume.duty import Duty
from stream.types import Delivery


class Chunks:
    """A queue that can be emptied when partitions are revoked, and ended with or without an error."""

    def __init__(self) -> None:
        self._waiting: deque[list[tuple[Duty, list[Delivery]]]] = deque()
        self._ready = asyncio.Event()
        self._ended = False
        self._error: BaseException | None = None

    def put(self, chunk: list[tuple[Duty, list[Delivery]]]) -> None:
        """Deliveries of one chunk, each with its duty."""
        self._waiting.append(chunk)
        self._ready.set()

    def drop(self) -> list[Duty]:
        """Take back everything that was not handed out."""
        duties = [duty for chunk in self._waiting for duty, _ in chunk]
        self._waiting.clear()
        return duties

    def end(self, error: BaseException | None = None) -> None:
        """No more chunks; `error` is raised to whoever takes next. The first end counts."""
        if not self._ended:
            self._ended, self._error = True, error
        self._ready.set()

    async def take(self) -> list[Delivery] | None:
        """The next chunk, or None at the end. Raises: what `end` was given."""
        while not self._waiting:
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            self._ready.clear()
            await self._ready.wait()
        return [delivery for _, deliveries in self._waiting.popleft() for delivery in deliveries]
