"""The part of a scene that does not move: sky, house, trees and ground."""

from __future__ import annotations

import cv2
import numpy as np

from stream.capture.scenery.canvas import Canvas, Image
from stream.capture.scenery.palette import RGB, SIZE_PX, jitter, shade

_WALLS: tuple[RGB, ...] = ((205, 190, 165), (175, 120, 100), (190, 200, 205), (150, 160, 150))


def draw_background(seed: int, place: str, night: bool, horizon: float, scale: float = 1.0) -> Image:
    """The empty scene by daylight (windows are lit at night), as (H, W, 3) uint8 RGB with H = W = 192 * scale."""
    rng = np.random.default_rng(seed)
    side = round(SIZE_PX * scale)
    sky = np.array([150.0, 190.0, 225.0]) * rng.uniform(0.85, 1.05) + rng.uniform(-25, 25, 3)
    ramp = np.linspace(0.85, 1.1, side)[:, None, None]
    image = np.ascontiguousarray(np.broadcast_to(np.clip(ramp * sky, 0, 255), (side, side, 3))).astype(np.uint8)
    canvas = Canvas(image, scale)
    _trees(canvas, rng, horizon)
    if place != "street" or rng.random() < 0.5:
        _house(canvas, rng, place, night, horizon)
    _ground(canvas, rng, place, horizon)
    coarse = (rng.normal(0, 7, (7, 7, 1)) + rng.normal(0, 3, (7, 7, 3))).astype(np.float32)
    blotches = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    blotched: Image = np.clip(image + blotches, 0, 255).astype(np.uint8)
    return blotched


def _trees(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    for _ in range(int(rng.integers(0, 3))):
        x, height = rng.uniform(0, SIZE_PX), rng.uniform(20, horizon)
        trunk = [(x - 3, horizon), (x - 3, horizon - height / 2), (x + 3, horizon - height / 2), (x + 3, horizon)]
        canvas.polygon(trunk, (95, 70, 45))
        canvas.ellipse((x, horizon - height * 0.6), (rng.uniform(8, 20), height * 0.4), jitter(rng, (60, 115, 55), 20))


def _house(canvas: Canvas, rng: np.random.Generator, place: str, night: bool, horizon: float) -> None:
    x, width, top = rng.uniform(-30, 90), rng.uniform(60, 120), horizon * rng.uniform(0.05, 0.4)
    wall, roof = jitter(rng, _WALLS[int(rng.integers(len(_WALLS)))], 18), jitter(rng, (120, 70, 60), 25)
    if place == "porch":  # the camera hangs on the house: its wall fills the back
        x, width, top = -5.0, SIZE_PX + 10.0, -5.0
    _rectangle(canvas, (x, top, x + width, horizon + 4), wall)
    if place != "porch":
        canvas.polygon([(x - 6, top), (x + width / 2, top - 22), (x + width + 6, top)], roof)
    for _ in range(int(rng.integers(1, 4))):
        left, lit, pane = x + width * rng.uniform(0.05, 0.8), rng.random() < 0.6, jitter(rng, (120, 150, 170), 20)
        window = (left, horizon * 0.5, left + 15, horizon * 0.5 + 16)
        _rectangle(canvas, window, (245, 225, 140) if night and lit else pane)
    left = x + width * rng.uniform(0.1, 0.8)
    _rectangle(canvas, (left, horizon - 28, left + 15, horizon + 3), jitter(rng, (110, 75, 55), 35))


def _ground(canvas: Canvas, rng: np.random.Generator, place: str, horizon: float) -> None:
    grass, road = jitter(rng, (95, 145, 70), 18), jitter(rng, (112, 112, 115))
    concrete, wood = jitter(rng, (180, 176, 168), 12), jitter(rng, (165, 130, 95))
    whole = (0.0, horizon, float(SIZE_PX), float(SIZE_PX))
    if place == "lawn":
        _rectangle(canvas, whole, grass)
    elif place == "street":
        _rectangle(canvas, whole, road)
        y = horizon + (SIZE_PX - horizon) * rng.uniform(0.35, 0.6)
        for dash in range(int(rng.integers(-20, 0)), SIZE_PX, 34):
            _rectangle(canvas, (dash, y, dash + 18, y + 3), (225, 225, 215))
        _rectangle(canvas, (0, horizon, SIZE_PX, horizon + 8), concrete)
    elif place == "driveway":
        _rectangle(canvas, whole, grass)
        x, left, right = rng.uniform(60, 130), rng.uniform(70, 110), rng.uniform(70, 110)
        strip = [(x - 25, horizon), (x + 25, horizon), (x + right, SIZE_PX), (x - left, SIZE_PX)]
        canvas.polygon(strip, concrete if rng.random() < 0.6 else shade(road, 1.1))
    else:
        _rectangle(canvas, whole, wood)
        for y in np.arange(horizon, SIZE_PX, rng.uniform(9, 14)):
            canvas.path([(0, float(y)), (SIZE_PX, float(y))], shade(wood, 0.8), 1)


def _rectangle(canvas: Canvas, box: tuple[float, float, float, float], color: RGB) -> None:
    x1, y1, x2, y2 = box
    canvas.polygon([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], color)
