"""Who is next: live and upload traffic share the models by weight, and memory by bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar

from stream.types import Traffic

WEIGHTS: Mapping[Traffic, int] = {Traffic.LIVE: 4, Traffic.UPLOAD: 1}
"""Shares while both wait: uploads get a fifth at least, so a back-fill neither starves nor delays the cameras much."""


class _Queued(Protocol):
    @property
    def traffic(self) -> Traffic: ...


T = TypeVar("T", bound=_Queued)


class Lanes(Generic[T]):
    """First in, first out within a lane; smooth weighted round robin (as nginx does it) between lanes that have work.

    Not safe between threads: its owner locks.
    """

    def __init__(self, weights: Mapping[Traffic, int] = WEIGHTS) -> None:
        self._weights = dict(weights)
        self._lanes: dict[Traffic, deque[T]] = {traffic: deque() for traffic in Traffic}
        self._credit = dict.fromkeys(Traffic, 0)

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def put(self, item: T) -> None:
        self._lanes[item.traffic].append(item)

    def put_back(self, item: T) -> None:
        """To the front of its lane: it was taken and could not be served."""
        self._lanes[item.traffic].appendleft(item)

    def heads(self) -> list[T]:
        """The oldest of each lane."""
        return [lane[0] for lane in self._lanes.values() if lane]

    def take(self, fits: Callable[[T], bool] = lambda item: True) -> T | None:
        """The next whose lane's turn it is, among the lanes whose oldest fits."""
        open_ = [traffic for traffic, lane in self._lanes.items() if lane and fits(lane[0])]
        if not open_:
            return None
        for traffic in open_:
            self._credit[traffic] += self._weights[traffic]
        chosen = max(open_, key=lambda traffic: self._credit[traffic])
        self._credit[chosen] -= sum(self._weights[traffic] for traffic in open_)
        item = self._lanes[chosen].popleft()
        if not self._lanes[chosen]:
            self._credit[chosen] = 0
        return item

    def drain(self) -> list[T]:
        """Everything, oldest first in each lane; the lanes are empty after it."""
        items = [item for lane in self._lanes.values() for item in lane]
        for lane in self._lanes.values():
            lane.clear()
        return items


class Hold:
    """Bytes that one caller has of a budget."""

    def __init__(self, budget: Budget, size_bytes: int) -> None:
        self._budget, self.size_bytes = budget, size_bytes

    def shrink(self, size_bytes: int) -> None:
        """Give back what is over `size_bytes`; never takes more."""
        if size_bytes < self.size_bytes:
            self._budget.release(self.size_bytes - size_bytes)
            self.size_bytes = size_bytes


class Budget:
    """Bounds bytes, first come first served. What is larger than all of it passes alone. For one event loop."""

    def __init__(self, max_bytes: int) -> None:
        self._max, self.used_bytes = max_bytes, 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size_bytes: int) -> AsyncIterator[Hold]:
        """Waits until there is room."""
        await self._enter(size_bytes)
        held = Hold(self, size_bytes)
        try:
            yield held
        finally:
            self.release(held.size_bytes)

    async def _enter(self, size_bytes: int) -> None:
        if not self._waiting and self._room(size_bytes):
            self.used_bytes += size_bytes
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(size_bytes)  # the room was given in the same moment
            else:
                self._wake()  # past this one, which is cancelled
            raise

    def release(self, size_bytes: int) -> None:
        self.used_bytes -= size_bytes
        self._wake()

    def _wake(self) -> None:
        while self._waiting and (self._waiting[0][1].cancelled() or self._room(self._waiting[0][0])):
            size_bytes, turn = self._waiting.popleft()
            if not turn.cancelled():
                self.used_bytes += size_bytes
                turn.set_result(None)

    def _room(self, size_bytes: int) -> bool:
        return self.used_bytes == 0 or self.used_bytes + size_bytes <= self._max
