"""Sampling under load: a hundred cameras and a device that is too slow, on a clock of the test's own."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from stream.errors import Misconfigured
from stream.gate import Load, Sampler
from stream.types import Admission, Reason

START = datetime(2026, 1, 1, tzinfo=UTC)
MOTION = Admission(True, Reason.MOTION)


@dataclass
class Simulation:
    """Cameras that see motion with a probability in each frame, one queue, one device with a fixed service time."""

    sampler: Sampler
    cameras: int = 100
    fps: float = 5.0
    service_s: float = 0.05
    moving: dict[int, float] = field(default_factory=dict)
    looks: dict[int, int] = field(default_factory=dict)
    ages: list[float] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)
    queues: list[float] = field(default_factory=list)

    def run(self, seconds: int) -> None:
        random = np.random.default_rng(5)
        queue: deque[tuple[float, int]] = deque()
        free_at = busy = 0.0
        looked = 0
        for tick in range(int(seconds * self.fps)):
            now_s = tick / self.fps
            now = START + timedelta(seconds=now_s)
            for camera in range(self.cameras):
                moves = random.random() < self.moving.get(camera, 0.5)
                if moves and self.sampler.wants(str(camera), MOTION, now):
                    queue.append((now_s, camera))
            while queue and max(free_at, queue[0][0]) + self.service_s <= now_s:
                captured, camera = queue.popleft()
                free_at = max(free_at, captured) + self.service_s
                busy += self.service_s
                looked += 1
                self.ages.append(free_at - captured)
                self.looks[camera] = self.looks.get(camera, 0) + 1
            if tick % int(self.fps) == 0 and tick:
                waits = now_s - queue[0][0] if queue else 0.0
                self.sampler.observe(Load(now, looked, min(1.0, busy), waits))
                busy, looked = 0.0, 0
                self.queues.append(waits)
                if self.sampler.total is not None:
                    self.totals.append(self.sampler.total)


@pytest.fixture(scope="module")
def overload() -> Simulation:
    """250 admissions a second for a device that does 20."""
    simulation = Simulation(Sampler(10.0, 0.1, {"7": 4.0}), moving={3: 0.01})
    simulation.run(240)
    return simulation


def test_no_camera_falls_below_its_floor(overload: Simulation) -> None:
    floor = 0.1 * 240
    assert min(overload.looks[c] for c in range(100) if c != 3) >= 0.9 * floor


def test_the_age_of_looks_stays_below_the_limit(overload: Simulation) -> None:
    assert np.percentile(overload.ages, 99) <= 10.0


def test_the_device_is_kept_busy(overload: Simulation) -> None:
    assert sum(overload.looks.values()) >= 0.8 * 20 * 240


def test_the_rate_settles_instead_of_oscillating(overload: Simulation) -> None:
    late = np.array(overload.totals[len(overload.totals) // 2 :])
    assert late.std() <= 0.1 * late.mean()
    assert np.std(overload.queues[len(overload.queues) // 2 :]) <= 1.0


def test_priority_gets_more_and_equals_get_the_same(overload: Simulation) -> None:
    usual = sorted(overload.looks[c] for c in range(100) if c not in (3, 7))
    assert overload.looks[7] > 1.5 * usual[len(usual) // 2]
    assert usual[0] >= 0.6 * usual[-1]


def test_nothing_is_limited_while_the_device_has_time() -> None:
    simulation = Simulation(Sampler(10.0), cameras=3, service_s=0.02)
    simulation.run(60)
    assert simulation.totals == []
    assert simulation.sampler.idle
    assert simulation.sampler.rate("0") is None


def test_the_limit_is_lifted_when_the_load_is_gone() -> None:
    simulation = Simulation(Sampler(10.0))
    simulation.run(60)
    sampler = simulation.sampler
    assert sampler.total is not None
    for second in range(61, 120):
        sampler.observe(Load(START + timedelta(seconds=second), 0, 0.0, 0.0))
    assert sampler.total is None
    assert sampler.wants("0", MOTION, START + timedelta(seconds=121))


def test_age_limit_counts_from_capture_and_forgives_clocks_ahead() -> None:
    sampler = Sampler(10.0)
    assert sampler.too_old(START, START + timedelta(seconds=10.1))
    assert not sampler.too_old(START, START + timedelta(seconds=10))
    assert not sampler.too_old(START + timedelta(hours=1), START)


def test_lag_in_the_log_lowers_the_rate() -> None:
    calm, behind = Sampler(10.0), Sampler(10.0)
    for sampler, lag in ((calm, 0), (behind, 5000)):
        for second in range(20):
            now = START + timedelta(seconds=second)
            for _ in range(40):
                sampler.wants("a", MOTION, now)
            sampler.observe(Load(now, 20, 0.99, 0.5, lag, 500))
    assert behind.total is not None and calm.total is not None
    assert behind.total < 0.7 * calm.total


def test_a_settled_object_is_looked_at_although_the_rate_is_used_up() -> None:
    sampler = Sampler(10.0, 0.01)
    for second in range(30):
        for source in ("a", "b"):
            for _ in range(50):
                sampler.wants(source, MOTION, START + timedelta(seconds=second))
        sampler.observe(Load(START + timedelta(seconds=second), 1, 1.0, 8.0))
    now = START + timedelta(seconds=31)
    while sampler.wants("a", MOTION, now):
        pass
    assert not sampler.wants("a", MOTION, now)
    assert sampler.wants("a", Admission(True, Reason.SETTLED), now)


@pytest.mark.parametrize("arguments", [(0.0,), (10.0, 0.0), (10.0, 0.1, {"a": 0.0})])
def test_nonsense_settings_are_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises(Misconfigured):
        Sampler(*arguments)  # type: ignore[arg-type]
