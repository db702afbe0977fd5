"""Cuts in films are found where they are, and light, flashes and motion are not cuts."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.gate import CutDetector
from tests.gate.scenes import frames, noisy, person, wall


def cuts(pictures: list[NDArray[np.uint8]], fps: float = 25.0) -> list[int]:
    detector = CutDetector()
    return [i for i, luma in enumerate(pictures) if detector.update(luma, i / fps)]


def test_the_first_picture_begins_a_scene() -> None:
    assert cuts(list(frames(50))) == [0]


def test_cuts_are_found_where_they_are() -> None:
    film = [luma for seed in (1, 2, 3) for luma in frames(40, seed=seed)]
    assert cuts(film) == [0, 40, 80]


def test_someone_walking_through_is_no_cut() -> None:
    assert cuts(list(frames(80, lambda image, i: person(image, 4 * i - 20)))) == [0]


@pytest.mark.parametrize("gain", [0.5, 1.6])
def test_a_lamp_is_no_cut(gain: float) -> None:
    def lamp(image: NDArray[np.float32], index: int) -> None:
        if index >= 30:
            image *= gain

    assert cuts(list(frames(60, lamp))) == [0]


def test_a_pan_is_no_cut() -> None:
    base = wall(4, (180, 900))
    random = np.random.default_rng(1)
    assert cuts([noisy(base[:, 5 * i : 5 * i + 320], random) for i in range(100)]) == [0]


def test_a_dissolve_is_one_scene_when_it_is_over() -> None:
    one, two = wall(1), wall(9) * 0.7 + 60
    random = np.random.default_rng(2)
    film = [noisy(one + (two - one) * np.float32(np.clip((i - 40) / 30, 0, 1)), random) for i in range(120)]
    found = cuts(film)
    assert found[0] == 0 and len(found) == 2 and 50 <= found[1] <= 90


def test_a_turned_picture_begins_a_scene() -> None:
    film = [*frames(20), *(np.rot90(luma).copy() for luma in frames(20))]
    assert cuts(film) == [0, 20]
