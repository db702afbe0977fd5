"""Sampling that follows the load, simulated: a hundred cameras and a device that is far too slow for them.

    python -m bench sampling [--seconds 600] [--cameras 100]        one JSON line for each way of sampling and each case

What the product does, on a clock of its own: cameras write to a log; the intake reads it while the bytes in flight allow
it, sheds what is too old and asks the sampler about what moves; the device takes its time for each look, with jitter.
The sampler is told of the load as `stream/app/load.py` measures it: every two seconds, from averages of what has begun.
Beside the product's sampler run two that follow nothing: one that only sheds what is too old, and one that looks at all.
"""

from __future__ import annotations

import argparse
import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from stream.gate import Load, Sampler
from stream.types import Admission, Reason

START = datetime(2026, 1, 1, tzinfo=UTC)
MAX_AGE_S = 10.0
FLOOR_FPS = 0.1
_MOTION = Admission(True, Reason.MOTION)


class OnlyAge(Sampler):
    """Sheds what is too old and follows nothing."""

    def wants(self, source: str, admission: Admission, now: datetime) -> bool:
        return True

    def observe(self, load: Load) -> None:
        """Nothing follows."""


class Nothing(OnlyAge):
    """Looks at everything, however old."""

    def too_old(self, captured_at: datetime, now: datetime) -> bool:
        return False


@dataclass
class Simulation:
    """Cameras that see motion with a probability in each frame, a log, a bounded queue, one device."""

    sampler: Sampler
    cameras: int = 100
    fps: float = 5.0
    service_s: float = 0.05  # on average; a look takes half to twice as long
    in_flight: int = 90  # frames: the default of 256 MB holds as many of 720p
    uploads: bool = False  # take whatever time of the device is left
    interval_s: float = 2.0
    moving: dict[int, float] = field(default_factory=dict)  # camera -> probability, .5 where it is not named
    wanted: dict[int, int] = field(default_factory=dict)
    looks: dict[int, int] = field(default_factory=dict)
    ages: list[float] = field(default_factory=list)  # from capture to answer
    totals: list[float] = field(default_factory=list)  # what the sampler shares out, at each interval with a limit
    busy_s: float = 0.0

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(5)
        self._log: deque[tuple[float, int, bool]] = deque()  # captured, camera, moves
        self._queue: deque[tuple[float, float, int]] = deque()  # captured, arrived, camera
        self._free_at = 0.0
        self._begin()

    def run(self, seconds: float) -> Simulation:
        ticks = max(1, round(self.interval_s * self.fps))
        for tick in range(int(seconds * self.fps)):
            now_s = tick / self.fps
            for camera in range(self.cameras):
                moves = bool(self._random.random() < self.moving.get(camera, 0.5))
                self.wanted[camera] = self.wanted.get(camera, 0) + moves
                self._log.append((now_s, camera, moves))
            self._work(now_s, now_s + 1 / self.fps)
            if tick % ticks == 0:
                self._measure(now_s)
        return self

    def _begin(self) -> None:
        """An interval begins."""
        self._looked = self._consumed = self._ended = 0
        self._waits_s = self._compute_s = 0.0

    def _work(self, now_s: float, until_s: float) -> None:
        """What the intake and the device do in one tick."""
        while True:
            self._take_in(max(now_s, min(self._free_at, until_s)))
            if not self._queue or max(self._free_at, self._queue[0][1]) >= until_s:
                break
            captured, arrived, camera = self._queue.popleft()
            started = max(self._free_at, arrived)
            self._look(started)
            self._waits_s += started - arrived
            self._ended += 1
            self.looks[camera] = self.looks.get(camera, 0) + 1
            self.ages.append(self._free_at - captured)
        while self.uploads and max(self._free_at, now_s) < until_s:
            self._look(max(self._free_at, now_s))

    def _look(self, started: float) -> None:
        took = self.service_s * float(self._random.uniform(0.5, 1.5))
        self._free_at = started + took
        self._compute_s += took
        self._looked += 1

    def _take_in(self, now_s: float) -> None:
        now = START + timedelta(seconds=now_s)
        while self._log and len(self._queue) < self.in_flight:
            captured, camera, moves = self._log.popleft()
            self._consumed += 1
            if self.sampler.too_old(START + timedelta(seconds=captured), now):
                continue
            if moves and self.sampler.wants(str(camera), _MOTION, now):
                self._queue.append((captured, now_s, camera))

    def _measure(self, now_s: float) -> None:
        self.sampler.observe(
            Load(
                START + timedelta(seconds=now_s),
                self._looked,
                min(1.0, self._compute_s / self.interval_s),
                self._waits_s / self._ended if self._ended else 0.0,
                len(self._log) + len(self._queue),
                self._consumed,
                self._ended,
            )
        )
        self.busy_s += self._compute_s
        if self.sampler.total is not None:
            self.totals.append(self.sampler.total)
        self._begin()

    def line(self, seconds: float) -> dict[str, Any]:
        """The figures. Swing is the standard deviation of the shared rate in the second half, as a share of its mean."""
        late = np.array(self.totals[len(self.totals) // 2 :])
        floor = FLOOR_FPS * seconds
        owing = [camera for camera, count in self.wanted.items() if count >= floor]
        return {
            "looks": sum(self.looks.values()),
            "device_busy": round(self.busy_s / seconds, 3),
            "least_of_floor": round(min(self.looks.get(camera, 0) for camera in owing) / floor, 3),
            "age_p50_s": round(float(np.percentile(self.ages, 50)), 2),
            "age_p99_s": round(float(np.percentile(self.ages, 99)), 2),
            "swing": round(float(late.std() / late.mean()), 3) if len(late) else None,
        }


CASES: dict[str, dict[str, Any]] = {
    "12 times too much": {},
    "two cameras move, uploads fill the device": {
        "uploads": True,
        "moving": {camera: 0.2 if camera < 2 else 0.0 for camera in range(1000)},
    },
    "6 cameras, a look takes 1.5 s": {"service_s": 1.5, "cameras": 6},
    "a device with time to spare": {"service_s": 0.002},
    "100 cameras, a look takes 0.5 s": {"service_s": 0.5},
}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench sampling", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="simulated time")
    parser.add_argument("--cameras", type=int, default=100)
    args = parser.parse_args(argv)
    for case, options in CASES.items():
        for kind in (Sampler, OnlyAge, Nothing):
            simulation = Simulation(kind(MAX_AGE_S, FLOOR_FPS), **{"cameras": args.cameras, **options})
            figures = simulation.run(args.seconds).line(args.seconds)
            print(json.dumps({"bench": "sampling", "case": case, "sampler": kind.__name__, **figures}), flush=True)
    return 0
