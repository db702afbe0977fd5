"""The gate's behaviour on small seeded scenes: what is let through, why, and where it says that something is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stream.errors import Misconfigured
from stream.gate import GateSettings, MotionGate
from stream.types import Admission, Box, Reason
from tests.gate.scenes import HEIGHT, WIDTH, frame, frames, person, run, wall

Image = NDArray[np.float32]


def walks(image: Image, index: int) -> None:
    """Enters at the left at frame 30, 2 px a frame."""
    if index >= 30:
        person(image, -14 + 2 * (index - 30))


def stops(image: Image, index: int) -> None:
    """Walks in and stands from frame 60 on."""
    if index >= 30:
        person(image, -14 + 3 * (min(index, 60) - 30))


def covered(said: Admission, truth: Box) -> float:
    grid = np.zeros((HEIGHT, WIDTH), bool)
    for box in said.boxes:
        grid[int(box.y1) : int(np.ceil(box.y2)), int(box.x1) : int(np.ceil(box.x2))] = True
    return float(grid[int(truth.y1) : int(truth.y2), int(truth.x1) : int(truth.x2)].mean())


def test_starts_with_first_then_warm_up_then_is_quiet() -> None:
    said = run(MotionGate(), frames(60))
    assert [s.reason for s in said[:3]] == [Reason.FIRST, Reason.WARM_UP, Reason.WARM_UP]
    assert not any(s.admitted or s.boxes for s in said[3:])


@pytest.mark.parametrize(("level", "sigma"), [(12.0, 3.0), (12.0, 6.0), (128.0, 4.0)])
def test_noise_is_no_motion(level: float, sigma: float) -> None:
    said = run(MotionGate(), frames(120, sigma=sigma, base=np.full((HEIGHT, WIDTH), level, np.float32)))
    assert not any(s.admitted for s in said[3:])


def test_a_walker_is_admitted_at_once_and_boxed_tightly() -> None:
    said = run(MotionGate(), frames(120, walks))
    first = next(i for i, s in enumerate(said) if i > 5 and s.admitted)
    assert 30 <= first <= 36
    for index in range(45, 120):
        assert said[index].reason is Reason.MOTION
        x = -14 + 2 * (index - 30)
        truth = Box(x, 80, x + 14, 120)
        assert covered(said[index], truth) >= 0.7
        assert sum(box.area for box in said[index].boxes) <= 2.2 * truth.area
        assert 0 < said[index].score < 0.2


def test_boxes_are_in_source_pixels() -> None:
    small = run(MotionGate(), frames(80, walks))[-1]
    large = run(MotionGate(), frames(80, walks), scale=4)[-1]
    assert [tuple(v * 4 for v in box) for box in small.boxes] == [tuple(box) for box in large.boxes]


def test_a_large_picture_gives_the_same_place_as_a_small_one() -> None:
    gate = MotionGate()
    said = [
        gate.admit(frame(cv2.resize(luma, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST), i))
        for i, luma in enumerate(frames(70, walks))
    ]
    box = max(said[-1].boxes, key=lambda b: b.area)
    assert box.iou(Box(4 * 64, 320, 4 * 78, 480)) > 0.5


def test_who_stops_is_looked_at_once_more_and_stays_known() -> None:
    said = run(MotionGate(), frames(200, stops))
    settled = [i for i, s in enumerate(said) if s.reason is Reason.SETTLED]
    assert len(settled) == 1 and 61 <= settled[0] <= 90
    after = said[settled[0] + 1 :]
    assert not any(s.admitted for s in after)
    assert all(covered(s, Box(76, 80, 90, 120)) >= 0.5 for s in after)


def test_what_stands_longer_than_hold_s_belongs_to_the_scene() -> None:
    said = run(MotionGate(GateSettings(hold_s=4.0)), frames(200, stops))
    assert not any(s.boxes for s in said[150:])


def test_who_was_there_from_the_start_and_leaves_leaves_no_ghost() -> None:
    def leaves(image: Image, index: int) -> None:
        person(image, 100 + 3 * max(0, index - 20))

    said = run(MotionGate(), frames(120, leaves))
    assert any(s.reason is Reason.MOTION for s in said[20:40])
    assert not any(s.boxes for s in said[-15:])


def test_a_lamp_admits_nothing() -> None:
    def lamp(image: Image, index: int) -> None:
        if index >= 40:
            image *= 1.3
            image += 15

    said = run(MotionGate(), frames(100, lamp))
    assert sum(s.admitted for s in said[3:]) <= 1
    assert any(s.reason is Reason.LIGHT for s in said)
    assert not any(s.admitted or s.boxes for s in said[48:])


def test_an_infrared_switch_is_one_scene_then_quiet() -> None:
    other = wall(77) * 0.6 + 40

    def switch(image: Image, index: int) -> None:
        if index >= 40:
            image[:] = other * (1.0 if index > 44 else (0.2, 1.8, 1.4, 1.2, 1.1)[index - 40])

    said = run(MotionGate(), frames(90, switch))
    assert [s.reason for s in said if s.admitted][3:] == [Reason.SCENE]
    assert not any(s.admitted for s in said[42:])


def test_the_gate_sees_again_after_a_scene_change() -> None:
    other = wall(77)

    def switch(image: Image, index: int) -> None:
        if index >= 10:
            image[:] = other
        walks(image, index)

    assert any(s.reason is Reason.MOTION for s in run(MotionGate(), frames(60, switch))[32:])


def test_rain_and_a_time_stamp_admit_nothing() -> None:
    random = np.random.default_rng(3)

    def wet(image: Image, index: int) -> None:
        for x, y in random.integers(0, [WIDTH, HEIGHT], (20, 2)).tolist():
            cv2.line(image, (x, y), (x + 1, y + 7), float(image[y, x]) + 25, 1)
        stamp = np.zeros((12, 90), np.uint8)
        cv2.putText(stamp, f"12:00:{index // 10:02d}", (2, 10), cv2.FONT_HERSHEY_PLAIN, 0.8, 255.0, 1)
        image[4:16, 4:94] = stamp

    said = run(MotionGate(), frames(200, wet))
    assert not any(s.admitted for s in said[60:])


def test_leaves_are_learnt_and_a_walker_beside_them_is_not() -> None:
    def sway(image: Image, index: int) -> None:
        for leaf in range(25):
            x = 20 + 11 * (leaf % 5) + 3 * np.sin(index * 0.7 + leaf)
            y = 20 + 11 * (leaf // 5) + 2 * np.cos(index * 0.9 + leaf)
            cv2.circle(image, (round(x), round(y)), 4, 60.0 + 7 * leaf, -1)
        if index >= 150:
            person(image, WIDTH - 2 * (index - 150))

    said = run(MotionGate(), frames(260, sway))
    assert sum(s.admitted for s in said[60:150]) <= 3
    assert sum(s.admitted for s in said[158:240]) >= 78


def test_a_shaking_camera_admits_little() -> None:
    random = np.random.default_rng(9)
    base = wall(1, (HEIGHT + 4, WIDTH + 4))

    def shake(image: Image, index: int) -> None:
        y, x = random.integers(0, 2, 2)
        image[:] = base[y : y + HEIGHT, x : x + WIDTH]

    said = run(MotionGate(), frames(120, shake))
    assert sum(s.admitted for s in said[30:]) <= 5


def test_masks_hide_and_zones_choose() -> None:
    lower = ((0.0, 0.4), (1.0, 0.4), (1.0, 1.0), (0.0, 1.0))
    upper = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.3), (0.0, 0.3))
    assert not any(s.admitted for s in run(MotionGate(GateSettings(masks=(lower,))), frames(90, walks))[3:])
    assert not any(s.admitted for s in run(MotionGate(GateSettings(zones=(upper,))), frames(90, walks))[3:])
    assert any(s.admitted for s in run(MotionGate(GateSettings(zones=(lower,))), frames(90, walks))[3:])
    assert any(s.admitted for s in run(MotionGate(GateSettings(masks=(upper,))), frames(90, walks))[3:])


def test_sizes_out_of_bounds_do_not_count() -> None:
    share = 14 * 40 / (WIDTH * HEIGHT)
    assert not any(s.admitted for s in run(MotionGate(GateSettings(min_size=3 * share)), frames(90, walks))[3:])
    assert not any(s.admitted for s in run(MotionGate(GateSettings(max_size=share / 10)), frames(90, walks))[50:])


def test_the_heartbeat_looks_when_nothing_happens() -> None:
    said = run(MotionGate(GateSettings(interval_s=2.0)), frames(100))
    beats = [i for i, s in enumerate(said) if s.reason is Reason.INTERVAL]
    assert len(beats) == 4 and set(np.diff(beats)) == {20}


def test_forced_frames_and_no_gate_admit_everything() -> None:
    said = run(MotionGate(GateSettings(every_frame=True)), frames(10))
    assert all(s.admitted for s in said) and said[-1].reason is Reason.FORCED
    gate = MotionGate()
    run(gate, frames(10))
    wanted = frame(next(frames(1)), 10)
    wanted.cut = True
    assert gate.admit(wanted).reason is Reason.FORCED


@pytest.mark.parametrize(
    "settings",
    [
        {"zones": (((0.0, 0.0), (1.0, 1.0)),)},
        {"masks": (((0.0, 0.0), (1.5, 0.0), (1.0, 1.0)),)},
        {"min_size": 0.5, "max_size": 0.1},
        {"interval_s": -1.0},
        {"hold_s": 0.0},
        {"threshold": 0},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(Misconfigured):
        GateSettings(**settings)  # type: ignore[arg-type]
