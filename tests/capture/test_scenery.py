"""Drawn scenes: the same seed gives the same picture, and the truth is what was drawn."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.capture.scenery import (
    CLASS_COLORS,
    COLORS,
    MODES,
    SIZE_PX,
    DrivewayCamera,
    Scene,
    caption,
    make_scene,
    render,
)
from stream.capture.scenery.background import draw_background
from stream.capture.scenery.objects import MIN_VISIBLE, new_object, quad_box, visible_share
from stream.capture.scenery.plates import ALPHABET, MIN_PLATE_PX
from stream.capture.scenery.script import NIGHT_S, PERIOD_S

SEEDS = st.integers(0, 2**32 - 1)


def empty(place: str = "lawn", night: bool = False) -> Scene:
    return Scene(place, night, 70.0, 5, 6, 0.45 if night else 1.0, 2.0)


def with_objects(*wanted: tuple[str, str, float]) -> Scene:
    """(label, color, left edge) each, 30 pixels wide."""
    rng = np.random.default_rng(1)
    things = []
    for label, color, left in wanted:
        thing = new_object(rng, label, (left, 100.0, left + 30, 150.0))
        things.append(replace(thing, color=color, rgb=COLORS[color], flip=False))
    return replace(empty(), objects=tuple(things))


@pytest.mark.parametrize("mode", MODES)
def test_same_seed_same_picture(mode: str) -> None:
    first, second = (render(make_scene(np.random.default_rng(7), mode)) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == (SIZE_PX, SIZE_PX, 3)
    assert first.dtype == np.uint8
    assert not np.array_equal(first, render(make_scene(np.random.default_rng(8), mode)))


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from(MODES))
def test_truth_lies_inside_the_picture(seed: int, mode: str) -> None:
    scene = make_scene(np.random.default_rng(seed), mode)
    lefts = [box[0] for _, _, box in scene.truth()]
    assert lefts == sorted(lefts)
    for label, color, (x1, y1, x2, y2) in scene.truth():
        assert color in CLASS_COLORS[label]
        assert 0 <= x1 < x2 <= SIZE_PX
        assert 0 <= y1 < y2 <= SIZE_PX


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from(["plate", "close"]))
def test_plates_can_be_read(seed: int, mode: str) -> None:
    scene = make_scene(np.random.default_rng(seed), mode)
    (plate,) = scene.plates
    assert plate.height >= MIN_PLATE_PX
    assert 3 <= len(plate.text) <= 4
    assert set(plate.text) <= set(ALPHABET)
    assert visible_share(quad_box(plate.quad)) == 1.0


def test_every_object_changes_the_picture_inside_its_box() -> None:
    for label, colors in CLASS_COLORS.items():
        scene = with_objects((label, colors[0], 80.0))
        changed = (render(scene) != render(empty())).any(axis=2)
        ((_, _, (x1, y1, x2, y2)),) = scene.truth()
        inside = changed[int(y1) : int(y2), int(x1) : int(x2)]
        assert inside.mean() > 0.25, label
        changed[int(y1) - 2 : int(y2) + 4, int(x1) - 2 : int(x2) + 3] = False
        assert not changed.any(), label


def test_object_takes_its_colour() -> None:
    for color in CLASS_COLORS["package"]:
        scene = replace(with_objects(("package", color, 80.0)), noise=0.0)
        front = render(scene)[125:145, 83:90].reshape(-1, 3).mean(axis=0)
        assert np.abs(front - COLORS[color]).max() < 12


def test_objects_cut_off_by_the_edge_count_from_a_third_on() -> None:
    for left, counts in ((-30 * (1 - MIN_VISIBLE) + 1, True), (-30 * (1 - MIN_VISIBLE) - 1, False)):
        scene = with_objects(("dog", "brown", left))
        assert len(scene.truth()) == counts
        assert (render(scene) != render(empty())).any()


def test_night_is_darker_and_plates_stay_bright() -> None:
    scene = make_scene(np.random.default_rng(3), "close")
    (plate,) = scene.plates
    plate = replace(plate, style=0, lit=0.9)
    scene = replace(scene, night=True, dim=0.4, noise=0.0, plates=(plate,))
    picture = render(scene)
    x1, y1, x2, y2 = (int(v) for v in quad_box(plate.quad))
    assert picture[y1:y2, x1:x2].max() > 200
    assert np.median(picture) < 110
    assert picture.mean() < render(replace(scene, night=False, dim=1.0)).mean() * 0.6


def test_larger_picture_shows_the_same() -> None:
    scene = make_scene(np.random.default_rng(11), "plate")
    large = render(replace(scene, noise=0.0), 2.0).astype(np.float32)
    shrunk = large.reshape(SIZE_PX, 2, SIZE_PX, 2, 3).mean(axis=(1, 3))
    assert large.shape == (2 * SIZE_PX, 2 * SIZE_PX, 3)
    assert np.abs(shrunk - render(replace(scene, noise=0.0))).mean() < 4


def test_background_is_given_or_drawn() -> None:
    scene = make_scene(np.random.default_rng(4), "normal")
    background = draw_background(scene.background_seed, scene.place, scene.night, scene.horizon)
    before = background.copy()
    assert np.array_equal(render(scene, background=background), render(scene))
    assert np.array_equal(background, before)


def test_captions() -> None:
    assert caption(empty()) == "nothing on the lawn during the day"
    assert caption(empty("street", night=True)) == "nothing on the street at night"
    assert caption(with_objects(("cat", "orange", 20))) == "an orange cat on the lawn during the day"
    three = with_objects(("car", "red", 120), ("person", "blue", 60), ("dog", "brown", 10))
    assert caption(three) == "a brown dog, a person in blue and a red car on the lawn during the day"


def test_camera_repeats_itself_for_the_same_seed_only() -> None:
    first, again, other = DrivewayCamera(5), DrivewayCamera(5), DrivewayCamera(6)
    assert np.array_equal(first.at(100.0).rgb, again.at(100.0).rgb)
    assert not np.array_equal(first.at(100.0).rgb, other.at(100.0).rgb)
    for frame, at in zip(islice(first, 3), (0.0, 0.2, 0.4), strict=False):
        assert frame.pts_s == at
        assert np.array_equal(frame.rgb, again.at(at).rgb)


def test_camera_tells_a_story() -> None:
    camera = DrivewayCamera(9, size_px=192)
    frames = [camera.at(second / 2) for second in range(int(2 * PERIOD_S))]
    early = {(label, color) for frame in frames[:20] for label, color, _ in frame.truth}
    assert ("car", "red") in early
    assert {label for frame in frames for label, _, _ in frame.truth} == set(CLASS_COLORS)
    assert any(len(frame.plates) == 1 and len(frame.plates[0]) >= 3 for frame in frames)
    assert sum(not frame.truth for frame in frames) > len(frames) / 5
    by_day, by_night = frames[int(2 * NIGHT_S[0]) - 4], frames[int(2 * NIGHT_S[0]) + 8]
    assert by_day.caption.endswith("during the day")
    assert by_night.caption.endswith("at night")
    assert by_night.rgb.mean() < 0.6 * by_day.rgb.mean()
    assert camera.at(PERIOD_S + 5).caption.endswith("during the day")


def test_camera_truth_is_in_its_own_pixels() -> None:
    small, large = DrivewayCamera(9, size_px=192).at(5.0), DrivewayCamera(9, size_px=576).at(5.0)
    ((label, color, box),) = large.truth
    assert (label, color) == ("car", "red")
    assert np.allclose(np.array(box), 3 * np.array(small.truth[0][2]))
    assert large.rgb.shape == (576, 576, 3)
    x1, y1, x2, y2 = (int(v) for v in box)
    body = large.rgb[y1 + 3 * (y2 - y1) // 5 : y1 + 7 * (y2 - y1) // 10, x1 + 50 : x2 - 50].reshape(-1, 3).mean(axis=0)
    assert body[0] > 2 * body[1]


def test_camera_moves_smoothly_and_only_noise_moves_in_between() -> None:
    camera = DrivewayCamera(2, size_px=192)
    centers = [
        (box[0] + box[2]) / 2
        for index in range(20, 35)
        for label, _, box in camera.at(index / 5).truth
        if label == "car" and box[0] > 1 and box[2] < 191
    ]
    steps = np.diff(centers)
    assert len(steps) > 5
    assert np.ptp(steps) < 0.5
    still = [camera.at(28 + index / 5).rgb.astype(int) for index in range(4)]
    assert all(0 < np.abs(a - b).max() < 60 for a, b in pairwise(still))
    assert np.abs(np.mean(still[:2], axis=0) - np.mean(still[2:], axis=0)).mean() < 8


@pytest.mark.parametrize("bad", [{"place": "roof"}, {"size_px": 100}, {"fps": 0.0}])
def test_camera_says_what_is_wrong(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(bad.values())))):
        DrivewayCamera(1, **bad)  # type: ignore[arg-type]
