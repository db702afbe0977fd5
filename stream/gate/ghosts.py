"""What is no object: the hole that one left which stood there when the background was learnt, and shadows."""

from __future__ import annotations

import cv2
import numpy as np

from stream.gate.picture import Plane

_SQUARE = np.ones((3, 3), np.uint8)
_DARKENS = (0.5, 0.93)  # a shadow leaves this share of the light ...
_EVEN = 0.07  # ... evenly: standard deviation of that share
_FLAT = 1.5  # shadows on the ground are at least this many times as wide as high
_SHARPER = 0.75  # an object's rim is at least this sharp in the picture, compared with the background


def left_behind(picture: Plane, background: Plane, weak: Plane, rect: tuple[int, int, int, int]) -> bool:
    """True when the rim of the blob is an edge in the background rather than in the picture: the object has left."""
    rows, columns = weak.shape
    part = (
        slice(max(0, rect[1] - 2), min(rows, rect[3] + 2)),
        slice(max(0, rect[0] - 2), min(columns, rect[2] + 2)),
    )
    blob = weak[part]
    rim = cv2.subtract(cv2.dilate(blob, _SQUARE), cv2.erode(blob, _SQUARE))
    return _slope(picture[part], rim) < _SHARPER * _slope(background[part], rim)


def _slope(picture: Plane, rim: np.ndarray) -> float:  # type: ignore[type-arg]
    across = cv2.convertScaleAbs(cv2.Sobel(picture, cv2.CV_16S, 1, 0))
    down = cv2.convertScaleAbs(cv2.Sobel(picture, cv2.CV_16S, 0, 1))
    return float(cv2.mean(cv2.max(across, down), rim)[0])


def shadows(picture: Plane, background: Plane, weak: Plane, rects: list[tuple[int, int, int, int]]) -> list[bool]:
    """For each box whether it holds nothing but the shadow of another one, or of something that is about to come in.

    A shadow darkens evenly, so that the ground's texture goes on in it; something dark has a texture of its own. Only
    flat boxes beside a larger one or at the picture's border are tried: a dark car on a plain road must stay.
    """
    found = [False] * len(rects)
    for index, rect in enumerate(rects):
        x1, y1, x2, y2 = rect
        flat = (x2 - x1) / (y2 - y1)
        if flat < _FLAT:
            continue
        if not (flat > 2 * _FLAT and _at_border(rect, weak)) and not any(_beside(rect, r) for r in rects):
            continue
        part = (slice(y1, y2), slice(x1, x2))
        share = cv2.divide(picture[part], background[part], dtype=cv2.CV_32F)
        mean, spread = cv2.meanStdDev(share, mask=weak[part])
        found[index] = bool(_DARKENS[0] < mean[0, 0] < _DARKENS[1] and spread[0, 0] < _EVEN)
    return found


def _at_border(rect: tuple[int, int, int, int], weak: Plane) -> bool:
    return rect[0] <= 1 or rect[2] >= weak.shape[1] - 1


def _beside(rect: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    """Whether the flat box lies at the foot of `other`, which is higher."""
    return (
        other[3] - other[1] > 2 * (rect[3] - rect[1])
        and rect[3] > other[3] - 0.3 * (other[3] - other[1])
        and rect[0] - 6 < other[2]
        and other[0] - 6 < rect[2]
        and rect[1] - 6 < other[3]
        and other[1] - 6 < rect[3]
    )
