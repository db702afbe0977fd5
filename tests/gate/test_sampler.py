"""Sampling under load: a hundred cameras and a device that is too slow, on a clock of the test's own (bench/sampling.py)."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from bench.sampling import FLOOR_FPS, MAX_AGE_S, START, Nothing, OnlyAge, Simulation
from stream.errors import Misconfigured
from stream.gate import Load, Sampler
from stream.types import Admission, Reason

MOTION = Admission(True, Reason.MOTION)
SECONDS = 240


@pytest.fixture(scope="module")
def overload() -> Simulation:
    """250 admissions a second for a device that does 20."""
    return Simulation(Sampler(MAX_AGE_S, FLOOR_FPS, {"7": 4.0}), moving={3: 0.01}).run(SECONDS)


def test_no_camera_falls_below_its_floor(overload: Simulation) -> None:
    assert overload.line(SECONDS)["least_of_floor"] >= 0.95


def test_the_age_of_looks_stays_below_the_limit(overload: Simulation) -> None:
    assert np.percentile(overload.ages, 99) <= MAX_AGE_S


def test_the_device_is_kept_busy(overload: Simulation) -> None:
    assert overload.line(SECONDS)["device_busy"] >= 0.85


def test_the_rate_settles_instead_of_oscillating(overload: Simulation) -> None:
    assert overload.line(SECONDS)["swing"] <= 0.1


@pytest.mark.parametrize("follows_nothing", [OnlyAge, Nothing])
def test_without_a_sampler_that_follows_the_load_none_of_this_holds(follows_nothing: type[Sampler]) -> None:
    simulation = Simulation(follows_nothing(MAX_AGE_S, FLOOR_FPS), moving={3: 0.01}).run(SECONDS)
    assert np.percentile(simulation.ages, 99) > MAX_AGE_S
    assert simulation.line(SECONDS)["swing"] is None
    if follows_nothing is OnlyAge:
        assert simulation.line(SECONDS)["least_of_floor"] < 0.5


def test_priority_gets_more_and_equals_get_the_same(overload: Simulation) -> None:
    usual = sorted(overload.looks[c] for c in range(100) if c not in (3, 7))
    assert overload.looks[7] > 1.5 * usual[len(usual) // 2]
    assert usual[0] >= 0.6 * usual[-1]


@pytest.mark.parametrize(("service_s", "cameras"), [(0.02, 3), (0.002, 100)])
def test_nothing_is_limited_while_the_device_has_time(service_s: float, cameras: int) -> None:
    simulation = Simulation(Sampler(MAX_AGE_S), cameras=cameras, service_s=service_s).run(60)
    assert simulation.totals == []
    assert simulation.sampler.idle
    assert simulation.sampler.rate("0") is None
    assert sum(simulation.looks.values()) >= 0.9 * sum(simulation.wanted.values())


def test_uploads_that_fill_the_device_take_nothing_from_cameras_that_it_can_serve() -> None:
    moving = {camera: 0.2 if camera < 2 else 0.0 for camera in range(100)}
    simulation = Simulation(Sampler(MAX_AGE_S), uploads=True, moving=moving).run(SECONDS)
    assert simulation.line(SECONDS)["device_busy"] > 0.95
    assert sum(simulation.looks.values()) >= 0.98 * sum(simulation.wanted.values())


def test_a_very_slow_device_is_not_given_more_than_it_can_do_within_the_age_limit() -> None:
    simulation = Simulation(Sampler(MAX_AGE_S), cameras=6, service_s=1.5).run(SECONDS)
    assert np.percentile(simulation.ages, 99) <= MAX_AGE_S
    assert simulation.line(SECONDS)["least_of_floor"] >= 0.9


def test_where_not_even_the_floors_fit_nobody_is_left_out() -> None:
    simulation = Simulation(Sampler(MAX_AGE_S), service_s=0.5).run(SECONDS)  # 2 looks a second, the floors ask for 10
    assert np.percentile(simulation.ages, 99) <= MAX_AGE_S
    assert min(simulation.looks.get(camera, 0) for camera in range(100)) >= 2


def test_the_limit_is_lifted_when_the_load_is_gone() -> None:
    sampler = Simulation(Sampler(MAX_AGE_S)).run(60).sampler
    assert sampler.total is not None
    for second in range(61, 120):
        sampler.observe(Load(START + timedelta(seconds=second), 0, 0.0, 0.0))
    assert sampler.total is None
    assert sampler.wants("0", MOTION, START + timedelta(seconds=121))


def test_looks_that_never_end_do_not_close_the_door_for_ever() -> None:
    sampler = Sampler(MAX_AGE_S)
    while sampler.wants("a", MOTION, START):
        pass
    for second in range(1, 4):  # nothing is under way, and none of them was ever told to have ended
        sampler.observe(Load(START + timedelta(seconds=2 * second), 0, 0.0, 0.0, lag_records=0, ended=0))
    assert sampler.wants("a", MOTION, START + timedelta(seconds=7))


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
