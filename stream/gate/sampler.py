"""Sampling that follows the load: how much of what moves is looked at, and whose turn it is.

The device's capacity is measured (looks finished over the share of time it was busy), the total rate follows it with a
proportional term on the queue's age: a queue is an integrator, so this settles without oscillation. The total is divided
by weighted max-min fairness over a floor that every camera keeps. What the device could not do within the age limit is
not begun: on a slow device it is this that bounds the age, and it comes before the floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stream.errors import Misconfigured
from stream.types import Admission, Reason

_USES = 0.92  # of the measured capacity; the rest absorbs bursts
_FOLLOWS = 0.5  # how strongly the total rate answers to the queue's age
_TARGET = 0.2  # age of the queue that is aimed at, share of the age limit
_FREE = 0.6  # occupancy below which nothing needs to be limited
_URGENT = frozenset({Reason.FIRST, Reason.SCENE, Reason.SETTLED, Reason.FORCED})
_FORGET_S = 600.0
_BURST = 2.0  # looks that a camera may save up
_START = 8  # looks that may wait before anything is known of the device; four times as many whenever it had time
_DEPTH = 0.4  # looks that may wait: what the device does in this share of the age limit
_LEAST_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured over one interval. Counts are since the interval before."""

    at: datetime
    looked: int  # frames that the models finished, of all traffic: uploads keep the device busy too
    occupancy: float  # share of the interval that the device was busy, 0 to 1
    queue_age_s: float  # how long the frame now at its turn has waited
    lag_records: int = 0  # in the log and not committed: what is under way counts too
    consumed: int = 0  # records fetched
    ended: int | None = None  # live looks that ended; None: all that were wanted


@dataclass(slots=True)
class _Camera:
    tokens: float
    at: datetime  # tokens are counted up to here
    rate: float  # looks a second it may have now
    wanted: int = 0  # admissions since the last interval
    demand: float = 0.0  # admissions a second, smoothed


class Sampler:
    """Decides for each admitted live frame whether it is looked at now. Pure: the clock is passed in.

    Not shared between threads. Implements the pipeline's shedding: `too_old` and `wants`.
    """

    def __init__(self, max_age_s: float, floor_fps: float = 0.1, priorities: Mapping[str, float] | None = None) -> None:
        """`priorities` are weights by source, 1 where nothing is set.

        Raises:
            Misconfigured: an age, a floor or a priority that is not above 0.
        """
        if max_age_s <= 0 or floor_fps <= 0 or any(weight <= 0 for weight in (priorities or {}).values()):
            raise Misconfigured("sampling: max_age_s, floor_fps and every priority must be more than 0")
        self._max_age_s, self._floor = max_age_s, floor_fps
        self._priorities = dict(priorities or {})
        self._cameras: dict[str, _Camera] = {}
        self._capacity: float | None = None  # looks a second; None until it was measured
        self._at: datetime | None = None
        self._waiting = 0  # looks that were wanted and have not ended, as far as is known
        self._depth = float(_START)  # as many may wait
        self.total: float | None = None
        """Looks a second that are shared out now; None: no limit."""
        self.idle = True
        """Nothing waits and the device has time: shed frames may be back-filled."""

    def too_old(self, captured_at: datetime, now: datetime) -> bool:
        """Whether a live frame is past its age limit. One from the future (a camera's clock is ahead) is not."""
        return (now - captured_at).total_seconds() > self._max_age_s

    def wants(self, source: str, admission: Admission, now: datetime) -> bool:
        """Whether this frame is looked at; call it once for each frame that the gate admitted, in order.

        First, settled, scene and forced frames may take the camera's next look in advance.
        """
        camera = self._cameras.get(source)
        if camera is None:
            camera = self._cameras[source] = _Camera(1.0, now, self._floor)
        camera.wanted += 1
        if self.total is not None:
            passed = max(0.0, (now - camera.at).total_seconds())
            camera.tokens, camera.at = min(_BURST, camera.tokens + passed * camera.rate), max(now, camera.at)
        if self._waiting >= self._depth or (
            self.total is not None and camera.tokens < (0 if admission.reason in _URGENT else 1)
        ):
            return False
        self._waiting += 1
        camera.tokens -= self.total is not None
        return True

    def observe(self, load: Load) -> None:
        """Take the load of an interval (one to five seconds) into account."""
        passed = (load.at - self._at).total_seconds() if self._at else 0.0
        self._at = load.at
        if passed <= 0:
            return
        self._measure(load, passed)
        for name in [n for n, c in self._cameras.items() if (load.at - c.at).total_seconds() > _FORGET_S]:
            del self._cameras[name]
        for camera in self._cameras.values():
            camera.demand += min(1.0, passed / 5.0) * (camera.wanted / passed - camera.demand)
            camera.wanted = 0
            if self.total is None:
                camera.at = load.at
        if self.total is not None:
            self._share(self.total)

    def rate(self, source: str) -> float | None:
        """Looks a second that a source may have now; None: no limit."""
        if self.total is None:
            return None
        camera = self._cameras.get(source)
        return camera.rate if camera else self._floor

    def _measure(self, load: Load, passed: float) -> None:
        behind = load.lag_records * passed / load.consumed if load.consumed else 0.0
        age = max(load.queue_age_s, min(behind, self._max_age_s))
        target = _TARGET * self._max_age_s
        # A device with little to do makes smaller batches: what is found then is too low, and found anew under load.
        if load.looked and (load.occupancy > 0.3 or (load.occupancy > 0.02 and load.looked >= _LEAST_DEPTH)):
            found = load.looked / passed / min(1.0, load.occupancy)
            self._capacity = (
                found
                if self._capacity is None
                else self._capacity + min(0.3, 0.05 * load.looked) * (found - self._capacity)
            )
        self.idle = load.occupancy < _FREE and age < 0.25 * target
        self._bound(load)
        demand = sum(camera.demand for camera in self._cameras.values())
        if self._capacity is None or (self.idle and demand < _USES * self._capacity):
            self.total = None
            return
        if self.total is None and load.occupancy < 0.9 and age < target:
            return
        answer = _USES + _FOLLOWS * (1 - age / target) * (1 - _USES if age < target else 1)
        self.total = self._capacity * min(1.0, max(0.2, answer))

    def _bound(self, load: Load) -> None:
        """How many looks may wait for the device."""
        none = load.ended is None or load.lag_records == 0  # lag counts what is under way as well
        self._waiting = 0 if none else max(0, self._waiting - (load.ended or 0))
        if self._capacity is not None:
            self._depth = max(_LEAST_DEPTH, _DEPTH * self._max_age_s * self._capacity)
        elif self.idle:
            self._depth *= 4

    def _share(self, total: float) -> None:
        """Weighted max-min: floors first, then everybody's demand is filled in step with priority and activity."""
        open_ = dict(self._cameras)
        floor, fits = self._floor, _USES * (self._capacity or total)
        if floor * len(open_) > fits:  # the device cannot even do the floors: all have the same, nobody is left out
            floor = min(floor, total / len(open_))
        for camera in open_.values():
            camera.rate = floor
        left = total - floor * len(open_)
        while left > 1e-9 and open_:
            weights = {name: self._weight(name, camera) for name, camera in open_.items()}
            step = left / sum(weights.values())
            full = [n for n, c in open_.items() if c.demand * 1.1 - c.rate <= step * weights[n]]
            for name in full or list(open_):
                camera = open_.pop(name)
                gain = max(0.0, camera.demand * 1.1 - camera.rate) if full else step * weights[name]
                camera.rate += gain
                left -= gain
        # Nobody needs what is left: then nobody is held to the average of what it wanted.
        weights = {name: self._weight(name, camera) for name, camera in self._cameras.items()}
        for name, camera in self._cameras.items():
            camera.rate += max(0.0, left) * weights[name] / sum(weights.values())

    def _weight(self, name: str, camera: _Camera) -> float:
        active = camera.demand / (camera.demand + 1.0)  # 0 idle to 1 busy
        return self._priorities.get(name, 1.0) * (0.5 + active)
