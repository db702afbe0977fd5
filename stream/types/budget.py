"""Bytes that may be under way at once: memory is bounded by size, not by count."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Hold:
    """Bytes that one caller has of a budget."""

    def __init__(self, budget: Budget, size_bytes: int) -> None:
        self._budget, self.size_bytes = budget, size_bytes

    def shrink(self, size_bytes: int) -> None:
        """Give back what is over `size_bytes`; never takes more."""
        if size_bytes < self.size_bytes:
            self._budget.give(self.size_bytes - size_bytes)
            self.size_bytes = size_bytes


class Budget:
    """First come, first served: what is large is not overtaken for ever. What is larger than all of it passes alone.

    For one event loop.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max, self.used_bytes = max_bytes, 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size_bytes: int) -> AsyncIterator[Hold]:
        """Waits until there is room; gives back at the end what the hold still has."""
        await self.take(size_bytes)
        held = Hold(self, size_bytes)
        try:
            yield held
        finally:
            self.give(held.size_bytes)

    async def take(self, size_bytes: int) -> None:
        """Waits until there is room."""
        if self.take_now(size_bytes):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(size_bytes)  # the room was given in the same moment
            else:
                self._wake()  # past this one, which is cancelled
            raise

    def take_now(self, size_bytes: int) -> bool:
        """Takes it if there is room and nobody waits; whether it did."""
        free = not self._waiting and self._fits(size_bytes)
        if free:
            self.used_bytes += size_bytes
        return free

    def give(self, size_bytes: int) -> None:
        """Gives back what was taken, all or a part of it."""
        self.used_bytes -= size_bytes
        self._wake()

    def _wake(self) -> None:
        while self._waiting and (self._waiting[0][1].cancelled() or self._fits(self._waiting[0][0])):
            size_bytes, turn = self._waiting.popleft()
            if not turn.cancelled():
                self.used_bytes += size_bytes
                turn.set_result(None)

    def _fits(self, size_bytes: int) -> bool:
        return self.used_bytes == 0 or self.used_bytes + size_bytes <= self._max
