"""What can be in a drawn scene: classes, colours, places, and the sizes that they have in the picture."""

from __future__ import annotations

import numpy as np

RGB = tuple[float, float, float]

SIZE_PX = 192
"""Side of the square in which scenes are laid out; every coordinate of a scene is in these pixels."""

CLASSES = ("person", "car", "dog", "cat", "bicycle", "package")
PLACES = ("driveway", "lawn", "street", "porch")

COLORS: dict[str, RGB] = {
    "red": (205, 35, 35),
    "blue": (40, 70, 215),
    "green": (35, 150, 55),
    "yellow": (240, 205, 40),
    "white": (240, 240, 238),
    "black": (28, 28, 32),
    "brown": (132, 82, 45),
    "orange": (240, 130, 30),
    "gray": (128, 130, 136),
}

CLASS_COLORS: dict[str, tuple[str, ...]] = {
    "person": ("red", "blue", "green", "yellow", "white", "black", "orange"),
    "car": ("red", "blue", "green", "yellow", "white", "black", "gray"),
    "dog": ("brown", "black", "white", "orange"),
    "cat": ("black", "white", "orange", "gray"),
    "bicycle": ("red", "blue", "green", "black", "yellow"),
    "package": ("brown", "white", "blue"),
}

BASE_SIZE_PX: dict[str, tuple[float, float]] = {
    "person": (27, 72),
    "car": (80, 41),
    "dog": (42, 34),
    "cat": (33, 33),
    "bicycle": (56, 38),
    "package": (31, 28),
}
"""Width and height in the middle of the picture's depth."""

REAR_SIZE_PX = (78.0, 66.0)
"""The same for a car seen from behind."""

SKINS: tuple[RGB, ...] = ((230, 190, 160), (150, 100, 70), (90, 60, 45))
HAIRS: tuple[RGB, ...] = ((40, 30, 25), (120, 80, 40), (200, 180, 120))
TROUSERS: tuple[RGB, ...] = ((50, 55, 80), (70, 70, 70), (110, 100, 85))
GLASS: RGB = (150, 185, 205)


def jitter(rng: np.random.Generator, color: RGB, amount: float = 14.0) -> RGB:
    """The colour with each channel moved by at most `amount`, clipped to 0..255."""
    r, g, b = (float(min(255.0, max(0.0, v + rng.uniform(-amount, amount)))) for v in color)
    return r, g, b


def shade(color: RGB, factor: float) -> RGB:
    """The colour made darker (factor below 1) or lighter, clipped to 0..255."""
    r, g, b = (float(min(255.0, max(0.0, v * factor))) for v in color)
    return r, g, b


def depth_scale(bottom: float, horizon: float) -> float:
    """How large a thing that stands at `bottom` looks, relative to BASE_SIZE_PX: .68 at the horizon, 1.3 in front."""
    return 0.68 + 0.62 * (bottom - horizon) / (SIZE_PX - horizon)
