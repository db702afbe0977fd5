"""Tight boxes: a blob that is mostly empty is reported as the boxes of its parts."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.gate.picture import Plane, Rect
from stream.gate.shown import Shown

_LEAST = 300  # boxes smaller than this are tight enough, px^2 ...
_LARGE = 900  # ... and below this only what is mostly empty is cut: one person is not
_SAVES = 0.88  # a cut must leave less than this share of the area
_TRIES = 0.97  # ... a single one this, if further cuts follow
_FEW = 8  # boxes up to which stacked ones are joined
_UPRIGHT = 1.7  # ... and times that the whole is higher than wide: two cars one behind the other are not
_ROUNDS = 5
_SQUARE = np.ones((3, 3), np.uint8)
_GRID = 16  # blobs are cut on a grid of this many cells a side: all of a frame's blobs in one pass
_CELL = 40  # mean of a cell's pixels (0 or 255) from which it is filled


def tightened(weak: Plane, rects: list[Rect], fill: float) -> list[Rect]:
    """The boxes of the parts of each box, where straight cuts through empty space save area; in no order.

    Cuts are tried greedily some rounds deep and kept if all that comes below them pays: the first cut between two lanes
    of traffic saves nothing by itself.
    """
    nodes: list[_Node] = [_Node(rect) for rect in rects]
    loose = [node for node in nodes if _is_loose(weak, node.rect, fill)]
    if not loose:
        return rects
    solid = _solid(weak, [node.rect for node in loose])
    for _ in range(_ROUNDS):
        begin = len(nodes)
        grids = np.stack([_grid(solid, node.rect) for node in loose])
        for node, cut in zip(loose, _best_cuts(grids), strict=True):
            if cut is not None:
                node.parts = [_Node(part) for part in _parts(solid, node.rect, *cut)]
                nodes += node.parts
        loose = [node for node in nodes[begin:] if _is_loose(weak, node.rect, fill)]
        if not loose:
            break
    pieces: list[Rect] = []
    for root in nodes[: len(rects)]:
        pieces += root.leaves()[1]
    return pieces


@dataclass(slots=True)
class _Node:
    """A box and the boxes of its two sides."""

    rect: Rect
    parts: list[_Node] = field(default_factory=list)

    def leaves(self) -> tuple[int, list[Rect]]:
        """Area and boxes of the best division found."""
        own = (self.rect[2] - self.rect[0]) * (self.rect[3] - self.rect[1])
        if not self.parts:
            return own, [self.rect]
        below = [part.leaves() for part in self.parts]
        area = sum(found[0] for found in below)
        if area > _SAVES * own:
            return own, [self.rect]
        return area, [rect for found in below for rect in found[1]]


def _solid(weak: Plane, rects: list[Rect]) -> Plane:
    """Opened in these boxes, undefined elsewhere: a line of shadow does not hold two cars together."""
    left, top = max(0, min(r[0] for r in rects) - 2), max(0, min(r[1] for r in rects) - 2)
    part = (slice(top, max(r[3] for r in rects) + 2), slice(left, max(r[2] for r in rects) + 2))
    solid = np.empty_like(weak)
    solid[part] = cv2.morphologyEx(weak[part], cv2.MORPH_OPEN, _SQUARE)
    return solid


def _is_loose(weak: Plane, rect: Rect, fill: float) -> bool:
    x1, y1, x2, y2 = rect
    area = (x2 - x1) * (y2 - y1)
    if area < _LEAST or min(x2 - x1, y2 - y1) < 6:
        return False
    return cv2.countNonZero(weak[y1:y2, x1:x2]) <= (fill if area >= _LARGE else 0.7 * fill) * area


def _grid(weak: Plane, rect: Rect) -> NDArray[np.bool_]:
    x1, y1, x2, y2 = rect
    return cv2.resize(weak[y1:y2, x1:x2], (_GRID, _GRID), interpolation=cv2.INTER_AREA) > _CELL


def _best_cuts(grids: NDArray[np.bool_]) -> list[tuple[bool, int] | None]:
    """For each (16, 16) grid whether to cut down the columns, and before which row (or column); None: no cut pays."""
    both = np.stack([grids, grids.transpose(0, 2, 1)], axis=1)  # (n, 2, rows, columns)
    filled = both.any(axis=3)
    first = np.where(filled, both.argmax(axis=3), _GRID)
    last = np.where(filled, _GRID - both[..., ::-1].argmax(axis=3), 0)
    rows = np.arange(_GRID)
    top = np.where(filled, rows, _GRID)
    bottom = np.where(filled, rows + 1, 0)
    above = _extent(first, last, top, bottom)
    below = _extent(first[..., ::-1], last[..., ::-1], top[..., ::-1], bottom[..., ::-1])[..., ::-1]
    sums = (above[..., :-1] + below[..., 1:]).reshape(len(grids), -1)
    best = sums.argmin(axis=1)
    found: list[tuple[bool, int] | None] = []
    for index, place in enumerate(best.tolist()):
        pays = sums[index, place] < _TRIES * _GRID * _GRID
        found.append((place >= _GRID - 1, place % (_GRID - 1) + 1) if pays else None)
    return found


def _extent(
    first: NDArray[np.intp], last: NDArray[np.intp], top: NDArray[np.intp], bottom: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Area of the bounding box of the rows up to each row."""
    width = np.maximum.accumulate(last, axis=-1) - np.minimum.accumulate(first, axis=-1)
    height = np.maximum.accumulate(bottom, axis=-1) - np.minimum.accumulate(top, axis=-1)
    return np.maximum(width, 0) * np.maximum(height, 0)


def _parts(weak: Plane, rect: Rect, down: bool, at: int) -> list[Rect]:
    """The boxes of what is set on both sides of a cut."""
    x1, y1, x2, y2 = rect
    if down:
        cut = x1 + round((x2 - x1) * at / _GRID)
        sides = [(x1, y1, cut, y2), (cut, y1, x2, y2)]
    else:
        cut = y1 + round((y2 - y1) * at / _GRID)
        sides = [(x1, y1, x2, cut), (x1, cut, x2, y2)]
    found = []
    for left, top, right, bottom in sides:
        x, y, width, height = cv2.boundingRect(weak[top:bottom, left:right])
        if width * height >= 4:
            found.append((left + x, top + y, left + x + width, top + y + height))
    return found


def joined(boxes: list[Shown]) -> list[Shown]:
    """Boxes above each other joined to one, where few are seen: a faint person is found as a head and a pair of legs.

    A joined box moves when one of its parts does, and as the larger one goes. In dense scenes nothing is joined.
    """
    if not 1 < len(boxes) <= _FEW:
        return boxes
    open_ = sorted(boxes, key=lambda item: item.rect[1])
    found: list[Shown] = []
    while open_:
        first = open_.pop(0)
        for index, other in enumerate(open_):
            if _stacked(first.rect, other.rect):
                open_[index] = _both(first, other)
                break
        else:
            found.append(first)
    return found


def _both(upper: Shown, lower: Shown) -> Shown:
    a, b = upper.rect, lower.rect
    larger = upper if (a[2] - a[0]) * (a[3] - a[1]) > (b[2] - b[0]) * (b[3] - b[1]) else lower
    rect = (min(a[0], b[0]), a[1], max(a[2], b[2]), max(a[3], b[3]))
    return Shown(rect, upper.moves or lower.moves, larger.vx, larger.vy)


def _stacked(upper: Rect, lower: Rect) -> bool:
    """Whether two boxes share most of their columns and the gap is below half of the higher one: parts of someone upright."""
    common = min(upper[2], lower[2]) - max(upper[0], lower[0])
    gap = lower[1] - upper[3]
    high = max(upper[3] - upper[1], lower[3] - lower[1])
    narrow, wide = sorted((upper[2] - upper[0], lower[2] - lower[0]))
    return (
        wide < 2 * narrow + 2
        and common > 0.6 * narrow
        and gap < 0.5 * high
        and wide < 1.2 * high
        and lower[3] - upper[1] > _UPRIGHT * wide
    )
