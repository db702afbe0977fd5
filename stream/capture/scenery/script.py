"""What happens in front of the drawn driveway camera: one day and night of 240 seconds, again and again."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from stream.capture.scenery.objects import Box, Plate, SceneObject, new_object, visible_share
from stream.capture.scenery.palette import BASE_SIZE_PX, COLORS, REAR_SIZE_PX, depth_scale
from stream.capture.scenery.scene import car_plate

PERIOD_S = 240.0
HORIZON = 75.0
NIGHT_S = (150.0, 232.0)
"""Start and end of the night within a period."""
_FADE_S = 2.0
_DAY_DIM, _NIGHT_DIM = 0.97, 0.45

_NEAREST = 1.3
"""Things that come in from below the picture do not grow any further than this."""
_STEPS_HZ = 1.6

Keyframe = tuple[float, float, float]
"""Second of the period, middle of the thing, its lower edge (scene pixels)."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One thing that is there from its first to its last keyframe, and moves in straight lines between them."""

    label: str
    path: tuple[Keyframe, ...]
    view: str = "side"
    first_color: str | None = None
    """Its colour in the first period; otherwise any."""


_OUT = 45.0
"""Far enough outside the picture that nothing of the widest thing shows."""
_LEFT, _RIGHT = -_OUT, 192.0 + _OUT

ACTORS: tuple[Actor, ...] = (
    Actor("car", ((3, _LEFT, 112), (8, _RIGHT, 112)), first_color="red"),
    Actor("person", ((12, _RIGHT, 150), (24, _LEFT, 150))),
    Actor("dog", ((32, _LEFT, 168), (39, _RIGHT, 168))),
    Actor("person", ((46, _RIGHT, 152), (53, 150, 152), (55, 150, 152), (61, _RIGHT, 152))),
    Actor("package", ((53.5, 120, 156), (128, 120, 156))),
    Actor("bicycle", ((68, _RIGHT, 118), (74, _LEFT, 118))),
    Actor("car", ((84, 52, 290), (90, 52, 145), (112, 52, 145), (117, 52, 290)), view="rear"),
    Actor("cat", ((97, _RIGHT, 165), (101, 166, 165), (106, 166, 165), (110, _RIGHT, 165))),
    Actor("person", ((121, _LEFT, 152), (127, 88, 152), (129, 88, 152), (134, _LEFT, 152))),
    Actor("car", ((140, _RIGHT, 112), (146, _LEFT, 112))),
    Actor("person", ((158, _LEFT, 148), (172, _RIGHT, 148))),
    Actor("cat", ((184, _RIGHT, 170), (192, _LEFT, 170))),
    Actor("car", ((196, _LEFT, 114), (202, _RIGHT, 114))),
    Actor("person", ((206, _RIGHT, 146), (218, _LEFT, 146))),
    Actor("dog", ((208, _RIGHT, 172), (220, _LEFT, 172))),
)


def cast(seed: int, seconds: float) -> tuple[list[SceneObject], list[Plate]]:
    """The things in the scene at that time (seconds from the start), the farthest first, and their plates."""
    period, within = divmod(seconds, PERIOD_S)
    things, plates = [], []
    for index, actor in enumerate(ACTORS):
        if not actor.path[0][0] <= within <= actor.path[-1][0]:
            continue
        thing = _thing(seed, int(period), index, within)
        if visible_share(thing.box) == 0:
            continue
        things.append(thing)
        if actor.view == "rear":
            # A fresh generator each time: the same plate in every frame.
            rng = np.random.default_rng((seed, int(period), index, 1))
            plate = car_plate(rng, thing.box, is_night(within), center_jitter=0.0)
            plates += [plate] if plate else []
    return sorted(things, key=lambda thing: thing.box[3]), plates


def is_night(seconds: float) -> bool:
    """Whether the picture counts as one at night."""
    start, end = NIGHT_S
    return start + _FADE_S / 2 <= seconds % PERIOD_S < end + _FADE_S / 2


def brightness(seconds: float) -> float:
    """The scene's `dim` at that time: it falls and rises within two seconds."""
    start, end = NIGHT_S
    times = (start, start + _FADE_S, end, end + _FADE_S)
    return float(np.interp(seconds % PERIOD_S, times, (_DAY_DIM, _NIGHT_DIM, _NIGHT_DIM, _DAY_DIM)))


def _thing(seed: int, period: int, index: int, within: float) -> SceneObject:
    actor = ACTORS[index]
    x, bottom = _position(actor, within)
    ahead = _position(actor, within + 0.05)
    moving = math.dist((x, bottom), ahead) > 1e-3
    stride = math.sin(2 * math.pi * _STEPS_HZ * within) if moving and actor.label != "package" else 0.3
    base = REAR_SIZE_PX if actor.view == "rear" else BASE_SIZE_PX[actor.label]
    size = min(_NEAREST, depth_scale(bottom, HORIZON))
    box: Box = (x - base[0] * size / 2, bottom - base[1] * size, x + base[0] * size / 2, bottom)
    flip = ahead[0] < x if moving else False
    return replace(_appearance(seed, period, index), box=box, flip=flip, phase=stride)


def _position(actor: Actor, within: float) -> tuple[float, float]:
    times, middles, bottoms = zip(*actor.path, strict=True)
    return float(np.interp(within, times, middles)), float(np.interp(within, times, bottoms))


@lru_cache(maxsize=256)
def _appearance(seed: int, period: int, index: int) -> SceneObject:
    actor = ACTORS[index]
    thing = new_object(np.random.default_rng((seed, period, index)), actor.label, (0, 0, 1, 1), actor.view)
    if period == 0 and actor.first_color:
        return replace(thing, color=actor.first_color, rgb=COLORS[actor.first_color])
    return thing
