"""How often the gate looks, and what it says in between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.gate import GateSettings, MotionGate
from stream.gate.carry import Carry
from stream.gate.picture import Reducer
from stream.gate.state import pack
from stream.types import Box, Reason
from tests.gate.scenes import HEIGHT, WIDTH, frame, frames, person
from tests.gate.test_motion import covered, walks

Image = NDArray[np.float32]
PICTURE = np.zeros((HEIGHT, WIDTH), np.uint8)


@pytest.mark.parametrize("size", [(720, 1280), (1080, 1920), (2160, 3840), (270, 480), (360, 640)])
def test_every_picture_is_reduced_to_the_same_number_of_pixels(size: tuple[int, int]) -> None:
    assert Reducer(57_600)(np.zeros(size, np.uint8)).shape == (180, 320)


def test_small_pictures_stay_and_large_ones_keep_their_levels() -> None:
    reduce = Reducer(57_600)
    assert reduce(np.zeros((190, 320), np.uint8)).shape == (190, 320)
    slope = np.tile(np.linspace(0, 255, 1280).astype(np.uint8), (720, 1))
    assert np.abs(reduce(slope)[90].astype(int) - np.linspace(0, 255, 320).astype(int)).max() <= 2


def test_at_thirty_frames_a_second_boxes_follow_between_looks() -> None:
    gate = MotionGate()
    said = []
    for index, luma in enumerate(frames(240, lambda image, i: walks(image, i // 2 + 15))):
        said.append(gate.admit(frame(luma, index, at_s=index / 30)))
    for index in range(120, 240):
        x = -14 + 2 * (index // 2 - 15)
        assert said[index].reason is Reason.MOTION
        assert covered(said[index], Box(x, 80, x + 14, 120)) >= 0.7


@pytest.mark.parametrize(
    "walk",
    [lambda image, i: person(image, 150, 2 * (i - 20)), lambda image, i: person(image, 2 * (i - 20), 80)],
    ids=["below", "right"],
)
def test_who_leaves_the_picture_between_looks_is_judged_by_the_zones_as_without(
    walk: Callable[[Image, int], None],
) -> None:
    everywhere = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    said = []
    for zones in ((), (everywhere,)):
        gate = MotionGate(GateSettings(zones=zones))
        said.append([gate.admit(frame(p, i, at_s=i / 30)) for i, p in enumerate(frames(260, walk))])
    assert said[0] == said[1]
    assert sum(one.reason is Reason.MOTION for one in said[0]) > 60


def test_a_scene_in_which_nothing_moves_is_looked_at_in_every_picture() -> None:
    gate = MotionGate()
    for index, luma in enumerate(frames(60)):
        gate.admit(frame(luma, index, at_s=index / 30))
    before = pack(gate._detector)
    gate.admit(frame(np.full((HEIGHT, WIDTH), 20, np.uint8), 61, at_s=61 / 30))
    assert pack(gate._detector) != before


def test_what_was_followed_is_carried_on_while_something_differs_there() -> None:
    carry, weak = Carry(), PICTURE.copy()
    for step in range(8):
        carry.complete([((40 + 2 * step, 50, 52 + 2 * step, 90), True)], weak)
    weak[80:90, 50:75] = 255  # only the feet
    feet = ((57, 80, 67, 90), True)
    assert carry.complete([feet], weak) == [((56, 50, 68, 90), True)]
    assert carry.ahead(1.0) == [((58, 50, 70, 90), True)]
    weak[:] = 0
    assert carry.complete([], weak) == []


def test_what_was_seen_but_once_is_not_carried_on() -> None:
    carry, weak = Carry(), np.full_like(PICTURE, 255)
    carry.complete([((40, 50, 52, 90), True)], weak)
    assert carry.complete([], weak) == []


def test_nothing_is_carried_on_for_long_or_out_of_the_picture() -> None:
    carry, weak = Carry(), np.full_like(PICTURE, 255)
    for step in range(8):
        carry.complete([((40 + 4 * step, 50, 52 + 4 * step, 90), True)], weak)
    assert sum(bool(carry.complete([], weak)) for _ in range(40)) == 8
    carry = Carry()
    for step in range(8):
        carry.complete([((280 + 4 * step, 50, 292 + 4 * step, 90), True)], weak)
    carried = [rect for _ in range(8) for rect, _ in carry.complete([], weak)]
    assert carried and all(0 <= x1 < x2 <= WIDTH for x1, _, x2, _ in carried)
