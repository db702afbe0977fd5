"""Bad input and moves between workers: the gate goes on, and what it knows travels with it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stream.errors import BadMedia
from stream.gate import MotionGate
from stream.types import Reason
from tests.gate.scenes import HEIGHT, WIDTH, frame, frames, run
from tests.gate.test_motion import walks


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 2), (3, 7), (17, 16), (2448, 3264)])
def test_any_size_of_picture_is_judged(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    gate = MotionGate()
    said = [gate.admit(frame(random.integers(0, 255, shape).astype(np.uint8), i)) for i in range(6)]
    assert said[0].reason is Reason.FIRST
    for word in said:
        assert all(0 <= b.x1 < b.x2 <= shape[1] and 0 <= b.y1 < b.y2 <= shape[0] for b in word.boxes)


@pytest.mark.parametrize("level", [0, 127, 255])
def test_pictures_of_one_colour_are_still(level: int) -> None:
    gate = MotionGate()
    said = [gate.admit(frame(np.full((HEIGHT, WIDTH), level, np.uint8), i)) for i in range(30)]
    assert [s.reason for s in said[3:]] == [Reason.STILL] * 27


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24))) | arrays(np.uint8, (20, 30)), max_size=8
    ),
    st.lists(st.floats(-1e9, 1e9), min_size=8, max_size=8),
)
def test_no_pictures_and_no_clock_break_it(pictures: list[np.ndarray], times: list[float]) -> None:
    gate = MotionGate()
    for luma, at_s in zip(pictures, times, strict=False):
        motion = gate.detect(luma, at_s)
        assert 0 <= motion.score <= 1
        assert len(motion.boxes) == len(motion.moving)


@pytest.mark.parametrize(
    "luma", [np.zeros((0, 5), np.uint8), np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32)]
)
def test_what_is_no_plane_of_bytes_is_refused(luma: np.ndarray) -> None:
    with pytest.raises(BadMedia, match="uint8"):
        MotionGate().detect(luma, 0.0)


def test_a_turned_camera_warms_up_again() -> None:
    gate = MotionGate()
    run(gate, frames(40))
    said = [gate.admit(frame(np.rot90(luma).copy(), 40 + i)) for i, luma in enumerate(frames(30, seed=2))]
    assert [s.reason for s in said[:3]] == [Reason.FIRST, Reason.WARM_UP, Reason.WARM_UP]
    assert not any(s.admitted for s in said[3:])


def test_a_strided_view_is_read_like_a_copy() -> None:
    wide = [np.pad(luma, ((0, 0), (0, 40))) for luma in frames(60, walks)]
    views = [gate_input[:, :WIDTH] for gate_input in wide]
    assert run(MotionGate(), views) == run(MotionGate(), frames(60, walks))


def test_repeated_and_late_frames_are_judged_but_not_learnt() -> None:
    pictures = list(frames(80, walks))
    gate, plain = MotionGate(), MotionGate()
    said = []
    for index, luma in enumerate(pictures):
        said.append(gate.admit(frame(luma, index)))
        if index > 10 and index % 5 == 0:
            gate.admit(frame(luma, index))
            gate.admit(frame(pictures[index - 3], index - 3))
    expected = run(plain, pictures)
    agree = sum(a.admitted == b.admitted for a, b in zip(said, expected, strict=True))
    assert agree >= 77


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0, 1e8])
def test_a_clock_that_jumps_changes_nothing(jump_s: float) -> None:
    gate = MotionGate()
    said = [
        gate.admit(frame(luma, i, at_s=i / 10 + (jump_s if i >= 20 else 0.0)))
        for i, luma in enumerate(frames(90, walks))
    ]
    assert not any(s.admitted for s in said[3:30])
    assert all(s.admitted for s in said[40:90])


def test_time_stamps_of_films_may_go_back() -> None:
    gate = MotionGate()
    said = [
        gate.admit(frame(luma, i, pts_s=(i - 4 if i % 5 == 4 else i) / 25)) for i, luma in enumerate(frames(90, walks))
    ]
    assert all(s.admitted for s in said[40:90])


def test_state_travels_and_the_next_worker_warms_up_in_three_frames() -> None:
    before = MotionGate()
    run(before, frames(60))
    state = before.state()
    assert 0 < len(state) < 40_000
    after = MotionGate()
    assert after.restore(state)
    said = run(after, frames(60, seed=1), start=61)
    assert [s.reason for s in said[:3]] == [Reason.WARM_UP] * 3
    assert all(s.admitted for s in said[:3])
    assert not any(s.admitted or s.boxes for s in said[3:])


def test_a_taken_over_camera_sees_who_is_there() -> None:
    before = MotionGate()
    run(before, frames(60))
    after = MotionGate()
    after.restore(before.state())
    said = run(after, list(frames(120, walks))[60:], start=60)
    assert all(s.boxes for s in said[3:])


def test_state_survives_a_second_journey() -> None:
    first = MotionGate()
    run(first, frames(40))
    second = MotionGate()
    assert second.restore(first.state())
    third = MotionGate()
    assert third.restore(second.state())


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "version", "garbage"])
def test_state_that_cannot_be_read_starts_anew(damage: str) -> None:
    gate = MotionGate()
    run(gate, frames(10))
    state = gate.state()
    flipped = bytearray(state)
    flipped[-5] ^= 0xFF
    broken = {
        "empty": b"",
        "cut": state[:-7],
        "flipped": bytes(flipped),
        "version": state[:2] + b"\xfe" + state[3:],
        "garbage": bytes(range(256)) * 3,
    }[damage]
    fresh = MotionGate()
    assert not fresh.restore(broken)
    assert fresh.admit(frame(next(frames(1)), 0)).reason is Reason.FIRST


def test_state_of_another_picture_size_warms_up() -> None:
    gate = MotionGate()
    run(gate, frames(10))
    other = MotionGate()
    other.restore(gate.state())
    assert other.admit(frame(np.zeros((90, 160), np.uint8), 0)).reason is Reason.FIRST


def test_a_gate_that_saw_nothing_has_no_state() -> None:
    assert MotionGate().state() == b""


def test_a_thousand_sources_fit_in_one_worker() -> None:
    tracemalloc.start()
    gates = [MotionGate() for _ in range(10)]
    for gate in gates:
        run(gate, frames(12, walks))
    held = tracemalloc.get_traced_memory()[0] / len(gates)
    tracemalloc.stop()
    assert held < 3_000_000
