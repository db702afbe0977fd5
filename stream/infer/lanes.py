"""Who is next: live and upload traffic share the models by weight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
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
