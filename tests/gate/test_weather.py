"""Weather, light, insects and those who are hard to see, on small seeded scenes."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stream.gate import MotionGate
from stream.gate.background import Background
from stream.gate.settings import DEFAULT
from stream.types import Box, Reason
from tests.gate.scenes import HEIGHT, WIDTH, frames, person, run, wall
from tests.gate.test_motion import covered

Image = NDArray[np.float32]
Paint = Callable[[Image, int], object]


def snow(seed: int = 5) -> Paint:
    """55 flakes that fall and drift."""
    random = np.random.default_rng(seed)
    x, y, speed = random.uniform(0, WIDTH, 55), random.uniform(0, HEIGHT, 55), random.uniform(2, 7, 55)

    def fall(image: Image, index: int) -> None:
        y[:] = (y + speed) % HEIGHT
        x[:] = (x + random.normal(0.5, 0.8, 55)) % WIDTH
        for flake_x, flake_y in zip(x.tolist(), y.tolist(), strict=True):
            cv2.circle(image, (int(flake_x), int(flake_y)), 1, 225.0, -1)

    return fall


def test_snow_admits_nothing_and_who_walks_in_it_is_boxed() -> None:
    fall = snow()

    def paint(image: Image, index: int) -> None:
        if index >= 100:
            person(image, -14 + 2 * (index - 100), 100)
        fall(image, index)

    said = run(MotionGate(), frames(230, paint))
    assert not any(s.admitted for s in said[40:100])
    hits = [covered(said[i], Box(2 * i - 214, 100, 2 * i - 200, 140)) >= 0.5 for i in range(115, 230)]
    assert sum(hits) >= 0.95 * len(hits)


def test_an_insect_before_the_lens_admits_nothing_and_leaves_no_trace_in_the_background() -> None:
    def fly(image: Image, index: int) -> None:
        if 60 <= index < 66:
            glow = np.zeros_like(image)
            cv2.circle(glow, (60 + 16 * (index - 60), 60 + 4 * (index % 3)), 12, 120.0, -1)
            image += cv2.GaussianBlur(glow, (0, 0), 6)

    gate = MotionGate()
    pictures = list(frames(80, fly))
    said = run(gate, pictures[:60])
    before = gate._detector.back.seen.copy()
    said += run(gate, pictures[60:], start=60)
    assert not any(s.admitted for s in said[3:])
    assert int(cv2.absdiff(before, gate._detector.back.seen).max()) <= 4


def test_a_cloud_s_shadow_and_headlights_admit_nothing() -> None:
    columns = np.arange(WIDTH, dtype=np.float32)

    def cloud(image: Image, index: int) -> None:
        if index >= 30:
            edge = (columns - 2 * (index - 30)) / 25
            image *= 1 - 0.3 / (1 + np.exp(np.clip(edge, -30, 30)))
        if index >= 220:
            person(image, 2 * (index - 220) - 14, 100)

    said = run(MotionGate(), frames(260, cloud))
    assert not any(s.admitted for s in said[3:220])
    assert sum(s.reason is Reason.MOTION for s in said[220:]) > 30  # and who walks in is seen

    def sweep(image: Image, index: int) -> None:
        step = (index - 40) % 60
        if index >= 40 and step < 30:
            patch = np.zeros_like(image)
            cv2.ellipse(patch, (14 * step - 60, 110), (45, 25), 0, 0, 360, 1.0, -1)
            image += cv2.GaussianBlur(patch, (0, 0), 14) * (0.35 * image + 15)

    said = run(MotionGate(), frames(200, sweep))
    assert sum(s.admitted for s in said[3:]) <= 2


def test_a_time_stamp_alone_admits_nothing() -> None:
    def stamp(image: Image, index: int) -> None:
        panel = np.zeros((12, 90), np.uint8)
        cv2.putText(
            panel, f"12:{index // 600:02d}:{index // 10 % 60:02d}", (2, 10), cv2.FONT_HERSHEY_PLAIN, 0.8, 255.0, 1
        )
        image[4:16, 4:94] = panel
        if index >= 250:
            person(image, 2 * (index - 250), 100)

    said = run(MotionGate(), frames(290, stamp))
    assert not any(s.admitted for s in said[3:250])
    assert sum(s.reason is Reason.MOTION for s in said[250:]) > 30


@pytest.mark.parametrize(
    ("speed", "width", "height"), [(0.15, 12, 34), (0.7, 4, 9)], ids=["creeps along", "is far away"]
)
def test_who_is_slow_or_far_is_boxed_all_the_way(speed: float, width: int, height: int) -> None:
    def paint(image: Image, index: int) -> None:
        if index >= 30:
            left = 120 + speed * (index - 30)
            left_px = round(left)
            image[90 : 90 + height, left_px : left_px + width] = 25.0
            image[90 : 90 + height // 4, left_px : left_px + width] = 210.0

    said = run(MotionGate(), frames(180, paint))
    hits = [
        covered(said[i], Box(120 + speed * (i - 30), 90, 120 + speed * (i - 30) + width, 90 + height)) >= 0.5
        for i in range(40, 180)
    ]
    assert sum(hits) >= 0.97 * len(hits)
    assert any(s.reason is Reason.MOTION for s in said[30:40])


def test_who_passes_a_wall_of_his_own_shade_stays_boxed() -> None:
    base = np.full((HEIGHT, WIDTH), 120, np.float32)
    base[:, 150:166] = 34

    def paint(image: Image, index: int) -> None:
        if index >= 30:
            left = 2 * (index - 30)
            image[80:112, left : left + 10] = 30.0
            image[112:120, left : left + 10] = 220.0  # bright shoes

    said = run(MotionGate(), frames(140, paint, base=base))
    hits = [covered(said[i], Box(2 * i - 60, 80, 2 * i - 50, 120)) >= 0.5 for i in range(45, 140)]
    assert sum(hits) >= 0.97 * len(hits)


def test_two_vans_are_no_change_of_light() -> None:
    ground = frames_of(wall())
    known = Background(ground, DEFAULT, 8)
    lit = cv2.add(ground, 30)
    assert known.relight(lit, 1.0)
    known = Background(ground, DEFAULT, 8)
    vans = cv2.add(ground, 1)
    vans[20:80, 10:130] = cv2.add(ground[20:80, 10:130], 8)
    vans[90:150, 180:300] = 250 - ground[90:150, 180:300]
    assert not known.relight(vans, 0.2)


def frames_of(image: Image) -> NDArray[np.uint8]:
    return np.clip(image, 0, 255).astype(np.uint8)


def test_lanes_in_opposite_directions_are_not_learnt_as_leaves() -> None:
    def places(index: int) -> list[tuple[int, int, float]]:
        return [
            ((4 * index + 70 * i) % 420 - 50, 70, 220.0) if lane else (370 - (4 * index + 84 * i) % 420, 86, 35.0)
            for lane in (0, 1)
            for i in range(4)
        ]

    def traffic(image: Image, index: int) -> None:
        for x, y, shade in places(index):
            cv2.rectangle(image, (x, y), (x + 29, y + 11), shade, -1)

    said = run(MotionGate(), frames(220, traffic))
    hits = [
        covered(said[i], Box(x, y, x + 30, y + 12)) >= 0.5
        for i in range(120, 220)
        for x, y, _ in places(i)
        if 0 <= x <= WIDTH - 30
    ]
    assert sum(hits) >= 0.97 * len(hits)
