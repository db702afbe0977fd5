"""What is no object: the hole that one left which stood there when the background was learnt, and shadows."""

from __future__ import annotations

import cv2
import numpy as np

from stream.gate.picture import Plane, Rect

_SQUARE = np.ones((3, 3), np.uint8)
_DARKENS = (0.5, 0.93)  # a shadow leaves this share of the light ...
_EVEN = 0.07  # ... evenly: standard deviation of that share
_SLOPE = 0.38  # a gradient above this share of the mean change is an edge ...
_SHARP = 0.08  # ... and a shadow has fewer of them than this share of its pixels
_FLAT = 1.5  # shadows on the ground are at least this many times as wide as high
_ENTERS = 3.0  # ... or as this at the picture's side, where a part of them may be outside
_ALIKE = 0.5  # sides that are apart by less than this share of width and height: the same thing
_SHARPER = 0.75  # an object's rim is at least this sharp in the picture, compared with the background


def left_behind(picture: Plane, background: Plane, weak: Plane, rect: Rect) -> bool:
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
    across, down = cv2.spatialGradient(picture)
    return float(cv2.mean(cv2.max(cv2.convertScaleAbs(across), cv2.convertScaleAbs(down)), rim)[0])


def shadows(picture: Plane, background: Plane, weak: Plane, rects: list[Rect], known: list[Rect]) -> list[bool]:
    """For each box whether it holds nothing but the shadow of another one, or of something that is about to come in.

    A shadow darkens evenly, so that the ground's texture goes on in it; something dark has a texture of its own. Only
    flat boxes beside a larger one or at the picture's border are tried: a dark car on a plain road must stay. Boxes like
    one of the `known`, which have been followed for some time, are none: a smooth roof may look like a shadow in a frame.
    """
    return [
        dark and _is_shadow(picture, background, weak, rect)
        for rect, dark in zip(rects, _may_be(rects, known, weak.shape[1]), strict=True)
    ]


def _may_be(rects: list[Rect], known: list[Rect], columns: int) -> list[bool]:
    """Which boxes have the shape and the place of a shadow."""
    if not any(_is_flat(rect, columns) for rect in rects):
        return [False] * len(rects)
    box = np.array(rects, np.float32)
    x1, y1, x2, y2 = box.T
    high = y2 - y1
    flat = (x2 - x1) / high
    border = (x1 <= 1) | (x2 >= columns - 1)
    may = np.array([_is_flat(rect, columns) for rect in rects])
    alone = (flat > _ENTERS) & border
    reach = np.maximum(6, high)
    beside = (
        (high[None] > 1.5 * high[:, None])
        & (y2[:, None] > (y2 - 0.3 * high)[None])
        & (x1[:, None] - reach[None] < x2[None])
        & ((x1 - reach)[None] < x2[:, None])
        & (y1[:, None] - 6 < y2[None])
        & (y1[None] - 6 < y2[:, None])
    )
    may &= alone | beside.any(axis=1)
    if known and may.any():
        old = np.array(known, np.float32)
        apart = np.abs(box[:, None, :] - old[None]).sum(axis=-1)  # of all four sides
        may &= (apart > _ALIKE * (high + x2 - x1)[:, None]).all(axis=1)
    return [bool(each) for each in may]


def _is_flat(rect: Rect, columns: int) -> bool:
    x1, y1, x2, y2 = rect
    flat = _ENTERS if x1 <= 1 or x2 >= columns - 1 else _FLAT
    return x2 - x1 >= flat * (y2 - y1)


def evenly_lit(picture: Plane, background: Plane, weak: Plane, rect: Rect) -> bool:
    """Whether a blob is the background but for a factor: a shadow that was learnt and has gone, or one that stays."""
    x1, y1, x2, y2 = rect
    part = (slice(y1, y2), slice(x1, x2))
    mean, spread = cv2.meanStdDev(cv2.divide(picture[part], background[part], dtype=cv2.CV_32F), mask=weak[part])
    level = float(mean[0, 0])
    return bool(_DARKENS[0] < level < 1 / _DARKENS[0] and spread[0, 0] < _EVEN * max(1.0, level))


def _is_shadow(picture: Plane, background: Plane, weak: Plane, rect: Rect) -> bool:
    x1, y1, x2, y2 = rect
    part = (slice(y1, y2), slice(x1, x2))
    share = cv2.divide(picture[part], background[part], dtype=cv2.CV_32F)
    mean, spread = cv2.meanStdDev(share, mask=weak[part])
    level, even = float(mean[0, 0]), bool(spread[0, 0] < _EVEN * max(1.0, mean[0, 0]))
    if _DARKENS[0] < level < _DARKENS[1]:
        return even or _smooth(share, weak[part], 1 - level)
    # the background has a shadow here that has gone
    return _DARKENS[0] < 1 / max(level, 1e-3) < _DARKENS[1] and even


def _smooth(share: np.ndarray, inside: Plane, change: float) -> bool:  # type: ignore[type-arg]
    """Whether the share of light that is left has hardly an edge of its own: shadows fade out."""
    slope = cv2.max(np.abs(cv2.Sobel(share, cv2.CV_32F, 1, 0)), np.abs(cv2.Sobel(share, cv2.CV_32F, 0, 1)))
    sharp = cv2.bitwise_and(cv2.compare(slope, 8 * _SLOPE * change, cv2.CMP_GT), inside)
    return cv2.countNonZero(sharp) < _SHARP * cv2.countNonZero(inside)
