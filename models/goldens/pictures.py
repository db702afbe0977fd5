"""Pictures drawn from a seed: shapes on a gradient with a little noise, so that every resampling filter has
something to do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw


def picture(seed: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB."""
    rng = np.random.default_rng(seed)
    across = np.linspace(0, 1, width)[None, :, None]
    down = np.linspace(0, 1, height)[:, None, None]
    corners = rng.integers(30, 220, (3, 3))
    ground = corners[0] + (corners[1] - corners[0]) * across + (corners[2] - corners[0]) * down
    canvas = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for _ in range(6):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        reach_x, reach_y = int(rng.integers(1, width // 2 + 2)), int(rng.integers(1, height // 2 + 2))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        shape = draw.rectangle if rng.random() < 0.5 else draw.ellipse
        shape((x, y, x + reach_x, y + reach_y), fill=colour)
    noisy = np.asarray(canvas).astype(np.int64) + rng.integers(-6, 7, (height, width, 1))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def inputs() -> dict[str, Image.Image]:
    """One picture of every kind that arrives: sizes, shapes and colour modes, by file name."""
    rgb = {name: Image.fromarray(picture(*size)) for name, size in _SIZES.items()}
    wide = rgb["wide.png"]
    alpha = Image.fromarray(picture(21, wide.width, wide.height)[:, :, 0])
    clear = wide.copy()
    clear.putalpha(alpha)
    return {
        **rgb,
        "rgba.png": clear,
        "grey.png": rgb["tall.png"].convert("L"),
        "grey-alpha.png": rgb["small.png"].convert("LA"),
        "palette.png": rgb["small.png"].quantize(64, dither=Image.Dither.NONE),
        "bilevel.png": rgb["square.png"].convert("1", dither=Image.Dither.NONE),
    }


_SIZES = {
    "wide.png": (11, 160, 90),
    "tall.png": (12, 60, 130),
    "square.png": (13, 128, 128),
    "small.png": (14, 17, 23),
    "line.png": (15, 50, 1),
    "pixel.png": (16, 1, 1),
    "camera.png": (17, 320, 180),
}
"""Seed, width and height."""
