"""Tight boxes: a blob that is mostly empty is reported as the boxes of its parts."""

from __future__ import annotations

import cv2
import numpy as np

from stream.gate.picture import Plane

Rect = tuple[int, int, int, int]

_LEAST = 200  # boxes smaller than this are tight enough, px^2
_SAVES = 0.8  # a cut must leave less than this share of the area
_DEPTH = 3


def tightened(weak: Plane, rect: Rect, fill: float, depth: int = _DEPTH) -> list[Rect]:
    """The box, or the boxes of its parts when one straight cut saves a fifth of its area (recursive)."""
    x1, y1, x2, y2 = rect
    area = (x2 - x1) * (y2 - y1)
    part = weak[y1:y2, x1:x2]
    if depth == 0 or area < _LEAST or cv2.countNonZero(part) > fill * area:
        return [rect]
    best = min(_cuts(part), key=lambda cut: cut[0], default=None)
    if best is None or best[0] > _SAVES * area:
        return [rect]
    pieces: list[Rect] = []
    for left, top, right, bottom in best[1:]:
        pieces += tightened(weak, (x1 + left, y1 + top, x1 + right, y1 + bottom), fill, depth - 1)
    return pieces


def _cuts(part: Plane) -> list[tuple[float, Rect, Rect]]:
    """The best cut across and the best one down: remaining area and the boxes of both sides."""
    found: list[tuple[float, Rect, Rect]] = []
    for across in (False, True):
        plane = part.T if across else part
        set_ = plane > 0
        if not set_.any(axis=1).all() and not set_.any():
            continue
        cut = _best_row(set_)
        if cut is None:
            continue
        area, first, second = cut
        if across:
            first, second = (first[1], first[0], first[3], first[2]), (second[1], second[0], second[3], second[2])
        found.append((area, first, second))
    return found


def _best_row(plane: np.ndarray) -> tuple[float, Rect, Rect] | None:  # type: ignore[type-arg]
    """Cut a boolean plane between two rows so that the bounding boxes of both sides are smallest together."""
    rows, columns = plane.shape
    if rows < 6:
        return None
    any_ = plane.any(axis=1)
    first = np.where(any_, plane.argmax(axis=1), columns)
    last = np.where(any_, columns - plane[:, ::-1].argmax(axis=1), 0)
    left_down, right_down = np.minimum.accumulate(first), np.maximum.accumulate(last)
    left_up, right_up = np.minimum.accumulate(first[::-1])[::-1], np.maximum.accumulate(last[::-1])[::-1]
    index = np.flatnonzero(any_)
    if len(index) < 2:
        return None
    top, bottom = int(index[0]), int(index[-1]) + 1
    at = np.arange(top + 2, bottom - 1)
    if not len(at):
        return None
    # the side above ends at its last filled row, the side below starts at its first
    end = np.maximum.accumulate(np.where(any_, np.arange(1, rows + 1), 0))[at - 1]
    begin = np.minimum.accumulate(np.where(any_, np.arange(rows), rows)[::-1])[::-1][at]
    area = (right_down[at - 1] - left_down[at - 1]) * (end - top) + (right_up[at] - left_up[at]) * (bottom - begin)
    best = int(np.argmin(area))
    cut = int(at[best])
    upper = (int(left_down[cut - 1]), top, int(right_down[cut - 1]), int(end[best]))
    lower = (int(left_up[cut]), int(begin[best]), int(right_up[cut]), bottom)
    return float(area[best]), upper, lower
