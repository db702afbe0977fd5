"""Time in capture: a camera's stream clock mapped to wall time, a rate limit, and waits between attempts.

All three are plain arithmetic on times that the caller passes in.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

_TOO_FAR_S = 10.0
"""A stream clock that disagrees by more has jumped (a camera restarted or set it); less is a late network."""
_FOLLOW = 0.001
"""How fast a later clock is followed, in seconds a second: quartz drifts by 0.0001, a network queue by far more."""
_TICK = timedelta(microseconds=1)


class StreamClock:
    """Maps stream time to wall time: frames arrive late by a varying delay, so the smallest one seen is the truest.

    One object a connection's camera; it survives reconnects and never goes backwards.
    """

    def __init__(self) -> None:
        self._offset_s: float | None = None  # arrival - pts of the least delayed frame, as seconds since the epoch
        self._pts_s = 0.0
        self._last: datetime | None = None

    def restart(self) -> None:
        """A new connection: its stream time has nothing to do with the old one's."""
        self._offset_s = None

    def captured_at(self, pts_s: float | None, arrived_at: datetime) -> datetime:
        """When a frame was captured: always after the last one, and unless time stood still not after `arrived_at`."""
        moment = arrived_at
        if pts_s is not None:
            self._follow(arrived_at.timestamp() - pts_s, pts_s)
            moment = min(arrived_at, datetime.fromtimestamp((self._offset_s or 0.0) + pts_s, arrived_at.tzinfo))
        if self._last is not None and moment <= self._last:
            moment = self._last + _TICK
        self._last = moment
        return moment

    def _follow(self, offset_s: float, pts_s: float) -> None:
        passed_s, self._pts_s = pts_s - self._pts_s, pts_s
        known_s = self._offset_s
        if known_s is None or passed_s < 0 or offset_s < known_s or offset_s - known_s > _TOO_FAR_S:
            self._offset_s = offset_s
        else:
            self._offset_s = known_s + min(offset_s - known_s, _FOLLOW * passed_s)


class Rate:
    """Thins a stream to `fps`, evenly: the average is right even where the source's rate is no multiple of it."""

    def __init__(self, fps: float) -> None:
        self._step_s = 1 / fps
        self._due_s: float | None = None

    def take(self, at_s: float) -> bool:
        """Whether the frame at this time is one to keep. After a gap or a jump back the count starts anew."""
        if self._due_s is None or abs(at_s - self._due_s) > 2 * self._step_s:
            self._due_s = at_s
        if at_s < self._due_s - 1e-3:  # stream times are rounded to milliseconds
            return False
        self._due_s += self._step_s
        return True


class Backoff:
    """Waits between attempts: doubling, with jitter, so that cameras do not all come back in the same moment."""

    def __init__(self, first_s: float = 0.5, most_s: float = 30.0, chance: Callable[[], float] = random.random) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._chance = chance
        self._attempt = 0

    def next_s(self) -> float:
        """Seconds to wait now: between half and all of the current step."""
        step_s: float = min(self._most_s, self._first_s * 2 ** min(self._attempt, 30))
        self._attempt += 1
        return step_s * (0.5 + 0.5 * self._chance())

    def reset(self) -> None:
        """It worked: the next wait is short again."""
        self._attempt = 0
