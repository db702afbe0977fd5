"""Stream time to wall time, rates and waits, on times that the tests make up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.capture.clocks import Backoff, Rate, StreamClock

START = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def seconds(moment: datetime) -> float:
    return (moment - START).total_seconds()


def test_late_frames_keep_their_capture_time() -> None:
    clock = StreamClock()
    delays = [0.1, 0.1, 0.4, 1.5, 0.5, 0.1]  # the network hiccups
    moments = [seconds(clock.captured_at(n / 5, at(n / 5 + delay))) for n, delay in enumerate(delays)]
    assert moments == pytest.approx([n / 5 + 0.1 for n in range(6)], abs=0.002)


def test_a_burst_at_the_start_is_set_right_by_its_last_frame() -> None:
    """Cameras send what they buffered since the last key frame at once."""
    clock = StreamClock()
    burst = [seconds(clock.captured_at(n / 10, at(2.0))) for n in range(20)]
    assert burst[-1] == pytest.approx(2.0, abs=0.001)
    assert seconds(clock.captured_at(2.5, at(3.0))) == pytest.approx(2.6, abs=0.002)


def test_frames_without_stream_time_take_their_arrival() -> None:
    clock = StreamClock()
    assert clock.captured_at(None, at(1.0)) == at(1.0)
    assert clock.captured_at(0.0, at(1.5)) == at(1.5)


def test_a_camera_clock_that_runs_slow_is_followed() -> None:
    clock = StreamClock()
    slow = 1 - 1e-4
    hour = [seconds(clock.captured_at(n * slow, at(n))) for n in range(3600)]
    assert hour[-1] == pytest.approx(3599, abs=0.01)


def test_a_camera_clock_that_jumps_is_believed_from_then_on() -> None:
    clock = StreamClock()
    clock.captured_at(100.0, at(1))
    for pts_s, arrival in ((3.0, 2), (500_000.0, 3), (-9.0, 4)):
        assert clock.captured_at(pts_s, at(arrival)) == at(arrival)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6) | st.none(), st.floats(0, 1e5)), max_size=30), st.booleans())
def test_capture_times_always_grow_and_are_never_in_the_future(
    frames: list[tuple[float | None, float]], reconnect: bool
) -> None:
    clock, last = StreamClock(), None
    for number, (pts_s, arrival) in enumerate(sorted(frames, key=lambda frame: frame[1])):
        if reconnect and number % 3 == 0:
            clock.restart()
        moment = clock.captured_at(pts_s, at(arrival))
        assert last is None or moment > last
        assert moment <= at(arrival) + timedelta(milliseconds=1)
        last = moment


@pytest.mark.parametrize("source_fps", [5, 7, 12.5, 15, 25, 30, 60])
def test_a_rate_is_kept_on_average(source_fps: float) -> None:
    rate = Rate(5)
    taken = [n / source_fps for n in range(int(60 * source_fps)) if rate.take(n / source_fps)]
    assert len(taken) == pytest.approx(300, abs=2)
    assert max(b - a for a, b in pairwise(taken)) <= 0.2 + 1 / source_fps + 1e-9


def test_a_slow_source_loses_nothing_and_gaps_are_not_made_up_for() -> None:
    rate = Rate(5)
    assert all(rate.take(n * 1.0) for n in range(10))
    assert [rate.take(100 + n / 50) for n in range(10)].count(True) == 1
    assert rate.take(0.0)  # a film that begins again


def test_waits_double_up_to_the_most_with_jitter() -> None:
    longest = Backoff(0.5, 30, chance=lambda: 1.0)
    assert [longest.next_s() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    shortest = Backoff(0.5, 30, chance=lambda: 0.0)
    assert [shortest.next_s() for _ in range(3)] == [0.25, 0.5, 1]
    shortest.reset()
    assert shortest.next_s() == 0.25


def test_waiting_for_years_does_not_overflow() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    assert [backoff.next_s() for _ in range(5000)][-1] == 30
