"""Random scenes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from stream.capture.scenery.objects import (
    Box,
    Plate,
    Scene,
    SceneObject,
    area,
    clip_box,
    new_object,
    overlap,
    quad_box,
    visible_share,
)
from stream.capture.scenery.palette import BASE_SIZE_PX, CLASSES, PLACES, REAR_SIZE_PX, SIZE_PX, depth_scale
from stream.capture.scenery.plates import MIN_PLATE_PX, new_plate, plate_ratio

MODES = ("normal", "plate", "close", "camera", "salad")
STANDARD_MIX = {"normal": 0.5, "plate": 0.28, "close": 0.1, "camera": 0.12}
"""Shares of the modes in the pictures that the bundled models are measured on."""

_COUNTS = (0.09, 0.27, 0.28, 0.22, 0.14)
"""Shares of scenes with 0 to 4 objects."""

_PLACE_TRIES = 12
_NIGHT_SHARE = 0.35


@dataclass(slots=True)
class _Draft:
    mode: str
    night: bool
    horizon: float
    objects: list[SceneObject] = field(default_factory=list)
    plates: list[Plate] = field(default_factory=list)

    def fits(self, box: Box) -> bool:
        """It hides at most a fifth of another object, and no plate."""
        seen = clip_box(box)
        for other in self.objects:
            theirs = clip_box(other.box)
            if overlap(seen, theirs) > 0.2 * min(area(seen), area(theirs)):
                return False
        return not any(overlap(seen, quad_box(plate.quad)) > 0 for plate in self.plates)


def make_scene(rng: np.random.Generator, mode: str = "normal") -> Scene:
    """A random scene.

    Modes: "normal" has 0 to 4 objects; in "plate" the first is a car from behind, near enough to read; in "close" that
    car fills the picture; in "camera" objects are cut off by the picture's edges; "salad" is for training only and has
    5 to 8 loose plates.
    """
    place, night = PLACES[int(rng.integers(len(PLACES)))], bool(rng.random() < _NIGHT_SHARE)
    draft = _Draft(mode, night, float(rng.uniform(0.3, 0.48) * SIZE_PX))
    background_seed, noise_seed = (int(v) for v in rng.integers(1 << 31, size=2))
    dim = float(rng.uniform(0.38, 0.5) if night else rng.uniform(0.8, 1.08))
    noise = float(rng.uniform(2, 7))
    for index in range(_object_count(rng, mode)):
        _place_object(rng, draft, first=index == 0 and mode in ("plate", "close"))
    if mode == "salad":
        _scatter_plates(rng, draft)
    objects = tuple(sorted(draft.objects, key=lambda thing: thing.box[3]))
    return Scene(place, night, draft.horizon, background_seed, noise_seed, dim, noise, objects, tuple(draft.plates))


def _object_count(rng: np.random.Generator, mode: str) -> int:
    count = int(rng.choice(len(_COUNTS), p=_COUNTS))
    if mode == "plate":
        return max(1, count)
    if mode == "close":
        return min(2, max(1, count))
    return min(2, count) if mode == "salad" else count


def _place_object(rng: np.random.Generator, draft: _Draft, first: bool) -> None:
    for _ in range(_PLACE_TRIES):
        label = "car" if first else CLASSES[int(rng.integers(len(CLASSES)))]
        rear = label == "car" and (first or bool(rng.random() < 0.4))
        box = _near_box(rng, draft) if first else _any_box(rng, draft, label, rear)
        if box is not None and draft.fits(box):
            break
    else:
        return
    thing = new_object(rng, label, box, "rear" if rear else "side")
    draft.objects.append(thing)
    if rear and not draft.plates:
        plate = car_plate(rng, box, draft.night)
        others = draft.objects[:-1]
        if plate and not any(overlap(quad_box(plate.quad), clip_box(other.box)) > 0 for other in others):
            draft.plates.append(plate)


def _near_box(rng: np.random.Generator, draft: _Draft) -> Box | None:
    width = rng.uniform(70, 118) if draft.mode == "plate" else rng.uniform(100, 165)
    height = width * REAR_SIZE_PX[1] / REAR_SIZE_PX[0] * rng.uniform(0.92, 1.08)
    highest = min(max(draft.horizon + 12, height + 3), SIZE_PX - 3)
    bottom = rng.uniform(highest, SIZE_PX - 2)
    left = rng.uniform(1, SIZE_PX - 1 - width)
    return float(left), float(bottom - height), float(left + width), float(bottom)


def _any_box(rng: np.random.Generator, draft: _Draft, label: str, rear: bool) -> Box | None:
    base = REAR_SIZE_PX if rear else BASE_SIZE_PX[label]
    bottom = rng.uniform(draft.horizon + 12, SIZE_PX - 2)
    size = depth_scale(bottom, draft.horizon) * rng.uniform(0.85, 1.18)
    width, height = base[0] * size * rng.uniform(0.9, 1.1), base[1] * size * rng.uniform(0.9, 1.1)
    if draft.mode == "camera" and rng.random() < 0.5:
        return _cut_box(rng, width, height, bottom)
    if width > SIZE_PX - 4 or bottom - height < 2:
        return None
    left = rng.uniform(1, SIZE_PX - 1 - width)
    return float(left), float(bottom - height), float(left + width), float(bottom)


def _cut_box(rng: np.random.Generator, width: float, height: float, bottom: float) -> Box | None:
    """A box over the left or right edge, or now and then over the lower one."""
    shown = rng.uniform(0.1, 1.0)
    if rng.random() < 0.2:
        left, bottom = rng.uniform(1, max(2.0, SIZE_PX - 1 - width)), SIZE_PX + (1 - shown) * height
    else:
        left = -(1 - shown) * width if rng.random() < 0.5 else SIZE_PX - shown * width
    return (float(left), float(bottom - height), float(left + width), float(bottom)) if bottom > height + 2 else None


def car_plate(rng: np.random.Generator, box: Box, night: bool, center_jitter: float = 0.03) -> Plate | None:
    """The plate of a car seen from behind; None when it would be too small to draw or leave the picture."""
    width, height = box[2] - box[0], box[3] - box[1]
    characters = int(rng.integers(3, 5))
    plate_height = min(rng.uniform(0.54, 0.64) * width / plate_ratio(4), 0.3 * height)
    if plate_height < MIN_PLATE_PX:
        return None
    x = (box[0] + box[2]) / 2 + rng.uniform(-center_jitter, center_jitter) * width
    plate = new_plate(rng, (float(x), box[1] + 0.65 * height), float(plate_height), characters, night)
    return plate if visible_share(quad_box(plate.quad)) == 1.0 else None


def _scatter_plates(rng: np.random.Generator, draft: _Draft) -> None:
    for _ in range(int(rng.integers(5, 9))):
        for _ in range(8):
            height = float(np.exp(rng.uniform(np.log(13.5), np.log(38))))
            characters = int(rng.integers(2, 6)) if height < 26 else int(rng.integers(3, 5))
            width = height * plate_ratio(characters) + 2
            center = rng.uniform(width / 2 + 1, SIZE_PX - width / 2 - 1), rng.uniform(height, SIZE_PX - height)
            plate = new_plate(rng, center, height, characters, draft.night, tilt=1.3)
            if not any(overlap(quad_box(plate.quad), quad_box(other.quad)) > 0 for other in draft.plates):
                draft.plates.append(plate)
                break
    draft.objects = [thing for thing in draft.objects if not _covered(thing, draft.plates)]


def _covered(thing: SceneObject, plates: list[Plate]) -> bool:
    return any(overlap(thing.box, quad_box(plate.quad)) > 0.15 * area(thing.box) for plate in plates)
