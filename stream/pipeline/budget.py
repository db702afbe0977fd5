"""What bounds the frames that are under way: bytes, not counts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Budget:
    """Bytes that may be in the models' hands at once, first come first served: what is large is not overtaken for ever.

    An item larger than the whole budget passes alone. For one event loop.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size_bytes: int) -> AsyncIterator[None]:
        await self.take(size_bytes)
        try:
            yield
        finally:
            self.give(size_bytes)

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
            self._used += size_bytes
        return free

    def give(self, size_bytes: int) -> None:
        self._used -= size_bytes
        self._wake()

    def _wake(self) -> None:
        while self._waiting and (self._waiting[0][1].cancelled() or self._fits(self._waiting[0][0])):
            size_bytes, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._used += size_bytes
                turn.set_result(None)

    def _fits(self, size_bytes: int) -> bool:
        return self._used == 0 or self._used + size_bytes <= self._limit
