"""Who walks in snow: flakes are no part of him, and he is none of them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.gate import MotionGate
from stream.gate.clutter import Clutter
from stream.gate.settings import DEFAULT
from stream.types import Box
from tests.gate.scenes import HEIGHT, WIDTH, frames, person, run
from tests.gate.test_motion import covered

Image = NDArray[np.float32]


def test_flakes_that_touch_someone_do_not_hide_or_widen_him() -> None:
    random = np.random.default_rng(7)
    x, y, speed = random.uniform(0, WIDTH, 260), random.uniform(0, HEIGHT, 260), random.uniform(3, 8, 260)

    def paint(image: Image, index: int) -> None:
        if index >= 100:
            person(image, -10 + 1.5 * (index - 100), 100, 10, 28, 70)
        y[:] = (y + speed) % HEIGHT
        x[:] = (x + random.normal(0.5, 0.8, 260)) % WIDTH
        for flake_x, flake_y in zip(x.tolist(), y.tolist(), strict=True):
            cv2.circle(image, (int(flake_x), int(flake_y)), 1, 225.0, -1)

    said = run(MotionGate(), frames(290, paint))
    truths = {i: Box(1.5 * i - 160, 100, 1.5 * i - 150, 128) for i in range(115, 290)}
    hits = [covered(said[i], box) >= 0.5 for i, box in truths.items()]
    assert sum(hits) >= 0.98 * len(hits)
    area = sum(box.area for i in truths for box in said[i].boxes)
    assert area <= 1.8 * sum(box.area for box in truths.values())


def test_one_who_passes_does_not_raise_what_is_asked_of_the_next() -> None:
    clutter = Clutter((HEIGHT, WIDTH), DEFAULT)
    flakes = [(6, (x, y, x + 2, y + 3)) for x in range(10, WIDTH, 30) for y in range(10, HEIGHT, 30)]
    for _ in range(60):
        clutter.learn([*flakes, (110, (150, 60, 160, 90))], [])
    busy, least = clutter.at(155, 75)
    assert busy and 15 <= least <= 110
    places = clutter.places()
    assert places is not None and places.shape == (HEIGHT, WIDTH) and places.min() == 255
