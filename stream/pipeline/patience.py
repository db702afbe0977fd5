"""How long a frame may be in the models' hands, with one timer for all of them."""

from __future__ import annotations

import asyncio

from stream.errors import DeviceFailed
from stream.types import Frame


class Patience:
    """Ends a task group with DeviceFailed when a frame has waited for longer than the limit."""

    def __init__(self, limit_s: float, group: asyncio.TaskGroup) -> None:
        self._limit_s = limit_s
        self._group = group
        self._loop = asyncio.get_running_loop()
        self._since: dict[int, float] = {}  # by frame; the oldest first
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, frame: Frame) -> None:
        """The frame is given to the models."""
        self._since[id(frame)] = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._limit_s, self._look)

    def end(self, frame: Frame) -> None:
        """They have answered."""
        del self._since[id(frame)]

    def _look(self) -> None:
        self._timer = None
        if not self._since:
            return
        left = next(iter(self._since.values())) + self._limit_s - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
            return
        giving_up = _give_up(f"the models did not answer for {self._limit_s:g} s")
        try:
            self._group.create_task(giving_up)
        except RuntimeError:  # the group is ending already
            giving_up.close()


async def _give_up(why: str) -> None:
    raise DeviceFailed(why)
