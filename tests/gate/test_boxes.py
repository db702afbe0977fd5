"""Boxes: what is joined, what is cut, and what is left out because nothing is there any more."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.gate import MotionGate
from stream.gate.shown import Shown
from stream.gate.split import joined, tightened
from tests.gate.scenes import WIDTH, frames, run


def test_head_and_legs_of_one_person_are_one_box() -> None:
    head, legs = Shown((10, 10, 18, 18), True, 1.0, 0.0), Shown((9, 24, 19, 40), False, 5.0, 2.0)
    assert joined([head, legs]) == [Shown((9, 10, 19, 40), True, 5.0, 2.0)]  # it goes as the larger part does


def test_two_cars_behind_each_other_stay_two() -> None:
    cars = [Shown((10, 10, 40, 34), True), Shown((12, 40, 44, 66), True)]
    assert sorted(joined(cars)) == sorted(cars)


def test_in_a_dense_scene_nothing_is_joined() -> None:
    pieces = [Shown((10 * i, 10, 10 * i + 8, 18), True) for i in range(5)] + [
        Shown((10 * i, 22, 10 * i + 8, 40), True) for i in range(5)
    ]
    assert joined(pieces) == pieces


def test_two_that_touch_at_a_corner_are_cut_apart() -> None:
    weak: NDArray[np.uint8] = np.zeros((100, 100), np.uint8)
    weak[10:40, 10:40] = 255
    weak[40:70, 40:70] = 255
    cut = tightened(weak, [(10, 10, 70, 70)], 0.7)
    assert len(cut) == 2
    assert sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in cut) < 0.6 * 60 * 60


def test_where_cars_passed_no_box_is_left() -> None:
    def road(image: NDArray[np.float32], index: int) -> None:
        for lane, (y, speed) in enumerate(((60, 4), (100, 6))):
            x = (speed * index + 90 * lane) % (WIDTH + 300) - 60
            cv2.rectangle(image, (x, y), (x + 50, y + 22), 225.0 if lane else 30.0, -1)

    said = run(MotionGate(), frames(260, road))
    assert sum(bool(one.boxes) for one in said[151:]) > 80
    for index, one in enumerate(said):
        places = [(speed * index + 90 * lane) % (WIDTH + 300) - 60 for lane, speed in enumerate((4, 6))]
        if index > 150:
            assert all(any(box.x1 < x + 75 and x - 25 < box.x2 for x in places) for box in one.boxes)
