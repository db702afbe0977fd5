"""Arithmetic on pixel planes that pictures and films share: the small luma picture, and turning upright."""

from __future__ import annotations

import cv2
import numpy as np

from stream.types import Pixels

LUMA_PX = 180
"""The small luma picture keeps at least this many pixels on its short side: a motion gate on 180 px sees .98 of all
objects, on 90 px .87 (own measurement on drawn scenes), and the cost doubles with each step up."""


def halvings(short_side: int, at_least: int) -> int:
    """How often a picture can be halved so that its short side keeps `at_least` pixels."""
    steps = 0
    while (short_side + 1) // 2 >= max(1, at_least):
        short_side = (short_side + 1) // 2
        steps += 1
        if short_side == 1:
            break
    return steps


def shrink(luma: Pixels, at_least: int) -> Pixels:
    """Halve a (H, W) picture as often as its short side keeps `at_least` px. Sizes round up, as JPEG's scaling does.

    Halving by area has a fast exact path in OpenCV: two steps cost a seventh of one step of 4 (bench/decode.py).
    """
    for _ in range(halvings(min(luma.shape), at_least)):
        height, width = luma.shape
        half = cv2.resize(luma, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
        luma = np.asarray(half, dtype=np.uint8)
    return np.ascontiguousarray(luma)


_UPRIGHT = {  # Exif orientation -> (transpose first, then cv2.flip's code)
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """A (H, W) or (H, W, 3) picture turned as its Exif orientation (1 to 8) asks, C-contiguous."""
    if orientation not in _UPRIGHT:
        return np.ascontiguousarray(pixels)
    transpose, flip = _UPRIGHT[orientation]
    if transpose:
        pixels = np.asarray(cv2.transpose(pixels), dtype=np.uint8)
    if flip is not None:
        pixels = np.asarray(cv2.flip(pixels, flip), dtype=np.uint8)
    return np.ascontiguousarray(pixels)
