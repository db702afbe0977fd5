"""How often the gate looks, and what it says in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream.gate import GateSettings, Motion, MotionGate
from stream.gate.carry import Carry
from stream.gate.flow import Coherence
from stream.gate.pace import Look, Pace, lasts
from stream.gate.peek import Peek
from stream.gate.picture import Reducer
from stream.gate.shown import Shown
from stream.gate.state import pack
from stream.gate.tracks import Track, Tracks
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
        carry.complete([Shown((40 + 2 * step, 50, 52 + 2 * step, 90), True)], weak, step / 10)
    weak[80:90, 50:75] = 255  # only the feet
    feet = Shown((57, 80, 67, 90), True)
    (whole,) = carry.complete([feet], weak, 0.8)
    assert whole.rect == (56, 50, 68, 90) and carry.any
    assert whole.later(0.1) == (58, 50, 70, 90)
    weak[:] = 0
    assert carry.complete([], weak, 0.9) == [] and not carry.any


def test_what_was_seen_but_once_is_not_carried_on() -> None:
    carry, weak = Carry(), np.full_like(PICTURE, 255)
    carry.complete([Shown((40, 50, 52, 90), True)], weak, 0.0)
    assert carry.complete([], weak, 0.1) == []


def test_nothing_is_carried_on_for_long_or_out_of_the_picture() -> None:
    carry, weak = Carry(), np.full_like(PICTURE, 255)
    for step in range(8):
        carry.complete([Shown((40 + 4 * step, 50, 52 + 4 * step, 90), True)], weak, step / 10)
    assert sum(bool(carry.complete([], weak, 0.8 + step / 10)) for step in range(40)) == 8
    carry = Carry()
    for step in range(8):
        carry.complete([Shown((280 + 4 * step, 50, 292 + 4 * step, 90), True)], weak, step / 10)
    carried = [each.rect for step in range(8) for each in carry.complete([], weak, 0.8 + step / 10)]
    assert carried and all(0 <= x1 < x2 <= WIDTH for x1, _, x2, _ in carried)


def test_what_is_carried_on_goes_as_far_as_time_has_passed() -> None:
    carry, weak = Carry(), np.full_like(PICTURE, 255)
    at_s = 0.0
    for passed_s in (0.1, 0.3, 0.1, 0.2, 0.4, 0.1, 0.3):  # 20 px a second, however far looks are apart
        at_s += passed_s
        x = round(20 * at_s)
        carry.complete([Shown((x, 50, x + 12, 90), True)], weak, at_s)
    (carried,) = carry.complete([], weak, at_s + 0.5)
    assert abs(carried.rect[0] - 20 * (at_s + 0.5)) <= 2


def followed(moves: float = 10.0, strays: float = 0.0, side: int = 12, **more: Any) -> Track:
    x1, y1, x2, y2 = 40, 50, 40 + side, 50 + 2 * side
    place = {"x": 40.0, "y": 50.0, "from_x": 40.0, "from_y": 50.0, "born_s": 0.0, "last_frame": 0}
    settings = {"seen": 20, "moved": True, "goes_x": moves, "strays": strays} | more
    return Track((x1, y1, x2, y2), **place, **settings)  # type: ignore[arg-type]


def test_a_box_that_jumps_says_nothing_of_its_pace() -> None:
    tracks = Tracks()
    for look in range(10):
        (track,) = tracks.update([(30 + 2 * look, 50, 42 + 2 * look, 80)], look, look / 10)
    assert abs(track.goes_x - 20) < 1 and track.strays < 5
    (track,) = tracks.update([(48, 50, 120, 80)], 10, 1.0)  # merged with another one
    assert abs(track.goes_x - 20) < 1 and track.strays > 50
    assert lasts([track], 0.37) < 0.37


@pytest.mark.parametrize(("apart_s", "taken"), [(0.1, 10), (0.2, 20), (0.4, 10)])
def test_where_looks_are_rare_the_flow_is_taken_of_every_second_pair(apart_s: float, taken: int) -> None:
    flow, found = Coherence((HEIGHT, WIDTH)), 0
    for look in range(22):
        before = flow._taken_s
        flow.update(PICTURE, look * apart_s, apart_s)
        found += flow._taken_s > before
    assert abs(found - taken) <= 1


@given(st.lists(st.tuples(st.floats(-500, 500), st.floats(0, 500), st.integers(2, 200), st.booleans()), max_size=9))
def test_a_look_lasts_until_something_may_have_gone_too_far(told: list[tuple[float, float, int, bool]]) -> None:
    tracks = [followed(*each, settled=settled) for *each, settled in told]  # type: ignore[arg-type]
    found = lasts(tracks, 0.37)
    assert 0 <= found <= 0.37
    going = [each for each in told if not each[3]]
    assert bool(found) == bool(going)
    for moves, strays, side, _ in going:
        assert abs(moves) * found <= 8.01 and strays * found <= 1.01 + 0.81 * side


@pytest.mark.parametrize("doubt", [{"trembles": True}, {"moved": False, "seen": 2}])
def test_what_trembles_or_is_new_is_looked_at_again_at_once(doubt: dict[str, Any]) -> None:
    assert lasts([followed()], 0.37) == 0.37
    assert lasts([followed(), followed(**doubt)], 0.37) == 0.0


@given(st.integers(1, 12), st.floats(-300, 300), st.floats(0, 300), st.floats(-10, 100), st.booleans(), st.booleans())
def test_nothing_is_carried_on_longer_than_the_longest_look_lasts(
    count: int, moves: float, strays: float, passed_s: float, doubtful: bool, lost: bool
) -> None:
    pace = Pace((HEIGHT, WIDTH), (HEIGHT, WIDTH))
    look = Look(Motion(Reason.MOTION), [])
    pace.keep(look, [followed(moves, strays) for _ in range(count)], doubtful, lost)
    pace.looked(PICTURE, 1.0)
    carried = pace.carries(PICTURE, passed_s)
    assert carried is None or (carried is look and 0 < passed_s < (0.37 if count >= 5 else 0.17))
    assert doubtful or passed_s <= 0 or passed_s >= 0.085 or carried is look
    pace.forget()
    assert pace.carries(PICTURE, passed_s) is None


def looked_at(fps: float, paint: Callable[[Image, float], object], seconds: float = 7.0) -> list[float]:
    """The times of the pictures that were looked at, after the first 2 s; `paint` gets the time."""
    gate, found = MotionGate(), []
    for index, luma in enumerate(frames(round(seconds * fps), lambda image, i: paint(image, i / fps))):
        before = gate._detector.frames
        gate.admit(frame(luma, index, at_s=index / fps))
        if index / fps >= 2.0 and gate._detector.frames > before:
            found.append(index / fps)
    return found


@pytest.mark.parametrize("fps", [5, 10, 25, 60])
def test_one_who_walks_is_looked_at_five_times_a_second(fps: float) -> None:
    looks = np.diff([at_s for at_s in looked_at(fps, lambda image, at_s: person(image, 20 * at_s)) if at_s > 3])
    assert looks.max() <= 0.2 + 1e-6
    assert np.median(looks) >= 0.17


def test_at_a_picture_every_ten_seconds_each_is_looked_at() -> None:
    assert len(looked_at(0.1, lambda image, at_s: person(image, at_s), 300)) == 29


def test_a_crowd_is_looked_at_less_often_than_one_of_them() -> None:
    def crowd(image: Image, at_s: float) -> None:
        for one in range(7):
            person(image, 5 + 44 * one + 6 * at_s, 20 + 15 * one, width=10, height=28)

    looks = np.diff([at_s for at_s in looked_at(10, crowd) if at_s > 3])
    assert looks.max() <= 0.4 + 1e-6
    assert looks.mean() > 0.25


def test_what_is_fast_is_looked_at_in_every_tenth_of_a_second() -> None:
    def car(image: Image, at_s: float) -> None:
        left = round(120 * (at_s - 2.5)) - 60
        for part in range(6):  # windows, doors and wheels: a car is not of one shade
            image[80:110, max(0, left + 10 * part) : max(0, left + 10 * part + 10)] = 20 + 200 * (part % 2)

    looks = np.diff([at_s for at_s in looked_at(25, car, 5.0) if at_s > 3.2])
    assert looks.max() <= 0.12 + 1e-6


def test_one_that_is_lost_is_looked_for_at_once_where_few_are_followed() -> None:
    for count, lasts_s in ((2, 0.085), (6, 0.37)):
        pace = Pace((HEIGHT, WIDTH), (HEIGHT, WIDTH))
        pace.keep(Look(Motion(Reason.MOTION), []), [followed() for _ in range(count)], False, True)
        pace.looked(PICTURE, 1.0)
        assert pace.carries(PICTURE, lasts_s - 0.001)
        assert not pace.carries(PICTURE, lasts_s)


@pytest.mark.parametrize("late", range(5))
def test_something_new_beside_a_walker_is_looked_at_at_once(late: int) -> None:
    def two(image: Image, at_s: float) -> None:
        person(image, 20 * at_s)
        if at_s >= 4 + late / 25:
            person(image, 240, 40, width=8, height=24)

    assert any(abs(at_s - 4 - late / 25) < 1e-6 for at_s in looked_at(25, two, 5))


def test_a_glance_finds_what_differs_outside_of_what_is_followed() -> None:
    peek, track = Peek((HEIGHT, WIDTH), (720, 1280)), followed(side=20)
    assert peek.finds(np.zeros((720, 1280), np.uint8))  # nothing to compare with
    peek.keep(np.full((720, 1280), 90, np.uint8), [track], 0.2, 1.0)
    luma = np.full((720, 1280), 100, np.uint8)  # noise
    luma[4 * 50 : 4 * 90, 4 * 40 : 4 * 60] = 255  # itself
    assert not peek.finds(luma)
    luma[500:540, 900:916] = 150
    assert peek.finds(luma)
