"""From a scene to its picture."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from stream.capture.scenery.background import draw_background
from stream.capture.scenery.canvas import Canvas, Image
from stream.capture.scenery.objects import Scene
from stream.capture.scenery.plates import draw_plate
from stream.capture.scenery.sprites import draw_object

_NIGHT_TINT = np.array([0.92, 0.96, 1.12])
_NOISE_SEED = 7
_SLACK = 256
"""How far the window onto the noise table can move: one normal value per pixel and picture would cost 20 ms."""


def render(scene: Scene, scale: float = 1.0, background: Image | None = None) -> Image:
    """The scene as (H, W, 3) uint8 RGB with H = W = 192 * scale.

    `background` is the picture of `draw_background` for the same scene and scale, when it is known already; it is not
    changed.
    """
    if background is None:
        background = draw_background(scene.background_seed, scene.place, scene.night, scene.horizon, scale)
    image = background.copy()
    canvas = Canvas(image, scale)
    for thing in scene.objects:
        draw_object(canvas, thing)
    cv2.LUT(image, _brightness(scene.dim, scene.night), image)
    for plate in scene.plates:
        draw_plate(canvas, plate, scene.dim)
    _add_noise(image, scene.noise_seed, scene.noise)
    return image


@lru_cache(maxsize=16)
def _brightness(dim: float, night: bool) -> npt.NDArray[np.uint8]:
    """Lookup table (1, 256, 3) of a brightness, bluish at night."""
    factors = dim * (_NIGHT_TINT if night else np.ones(3))
    levels = np.arange(256)[:, None] * factors
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)[None]


def _add_noise(image: Image, seed: int, sigma: float) -> None:
    """Sensor noise in place: grey noise for each pixel, and colour noise .4 times as strong for each 2x2 pixels."""
    height, width = image.shape[:2]
    a, b = np.random.default_rng(seed).integers(0, _SLACK // 2, 2) * 2
    table = _noise_table(max(height, width) + _SLACK, round(sigma * 2) / 2)
    np.clip(image + table[a : a + height, b : b + width], 0, 255, out=image, casting="unsafe")


@lru_cache(maxsize=24)
def _noise_table(side: int, sigma: float) -> npt.NDArray[np.int16]:
    rng = np.random.default_rng(_NOISE_SEED)
    grey = rng.normal(0, 1, (side, side, 1)).astype(np.float32)
    color = rng.normal(0, 0.4, (side // 2 + 1, side // 2 + 1, 3)).astype(np.float32)
    color = color.repeat(2, 0).repeat(2, 1)[:side, :side]
    return np.round((grey + color) * sigma).astype(np.int16)
