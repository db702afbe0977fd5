"""The records of a drawn scene and the truth that they hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.capture.scenery.palette import (
    CLASS_COLORS,
    COLORS,
    GLASS,
    HAIRS,
    RGB,
    SIZE_PX,
    SKINS,
    TROUSERS,
    jitter,
)

Box = tuple[float, float, float, float]
Quad = tuple[tuple[float, float], ...]

MIN_VISIBLE = 0.35
"""An object of which less than this share lies inside the picture is drawn but is not part of the truth."""


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One thing in a scene; `box` (xyxy, scene pixels) may reach over the picture's edge."""

    label: str
    color: str
    box: Box
    rgb: RGB
    view: str
    """"side", or "rear" for a car seen from behind."""
    flip: bool
    """It faces left."""
    phase: float
    """Position of the legs, -1..1."""
    skin: RGB
    hair: RGB
    trousers: RGB
    glass: RGB


@dataclass(frozen=True, slots=True)
class Plate:
    """A number plate: its text and its four corners, from the upper left clockwise, in scene pixels."""

    text: str
    quad: Quad
    height: float
    width: float
    style: int
    lit: float
    """Brightness at night; plates are retro-reflective, so it does not follow the scene's."""
    bold: float
    """Stroke width in character heights."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a picture is drawn from; the same scene always gives the same picture."""

    place: str
    night: bool
    horizon: float
    background_seed: int
    noise_seed: int
    dim: float
    """Brightness of everything but plates."""
    noise: float
    """Standard deviation of the sensor noise in grey levels."""
    objects: tuple[SceneObject, ...] = ()
    """From the farthest to the nearest."""
    plates: tuple[Plate, ...] = ()

    def visible(self) -> list[SceneObject]:
        """The objects that count as seen, from left to right by their visible box."""
        seen = [thing for thing in self.objects if visible_share(thing.box) >= MIN_VISIBLE]
        return sorted(seen, key=lambda thing: clip_box(thing.box)[0])

    def truth(self) -> list[tuple[str, str, Box]]:
        """(label, color, box clipped to the picture) of every visible object, from left to right."""
        return [(thing.label, thing.color, clip_box(thing.box)) for thing in self.visible()]

    def reading_order(self) -> list[Plate]:
        """The plates, by rows from the top and then from the left."""
        return sorted(self.plates, key=lambda plate: (plate.quad[0][1] // 24, plate.quad[0][0]))


def new_object(rng: np.random.Generator, label: str, box: Box, view: str = "side") -> SceneObject:
    """An object of the class with a random colour of the class, posture and details."""
    color = CLASS_COLORS[label][int(rng.integers(len(CLASS_COLORS[label])))]
    return SceneObject(
        label=label,
        color=color,
        box=box,
        rgb=jitter(rng, COLORS[color]),
        view=view,
        flip=bool(rng.random() < 0.5),
        phase=float(rng.uniform(-1, 1)),
        skin=jitter(rng, SKINS[int(rng.integers(len(SKINS)))]),
        hair=jitter(rng, HAIRS[int(rng.integers(len(HAIRS)))]),
        trousers=jitter(rng, TROUSERS[int(rng.integers(len(TROUSERS)))]),
        glass=jitter(rng, GLASS),
    )


def clip_box(box: Box) -> Box:
    """The part of the box inside the picture."""
    x1, y1, x2, y2 = (float(min(SIZE_PX, max(0.0, v))) for v in box)
    return x1, y1, x2, y2


def area(box: Box) -> float:
    """Area of the box, 0 when it is empty."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def visible_share(box: Box) -> float:
    """Share of the box that lies inside the picture, 0..1."""
    return area(clip_box(box)) / max(area(box), 1e-9)


def overlap(a: Box, b: Box) -> float:
    """Area that both boxes cover."""
    return area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def quad_box(quad: Quad) -> Box:
    """The smallest upright box around the corners."""
    xs, ys = [x for x, _ in quad], [y for _, y in quad]
    return min(xs), min(ys), max(xs), max(ys)
