"""Boxes that go on: what was followed for a while does not vanish in front of a wall of its own shade.

Someone grey passes something grey, and for some frames only his feet differ; a flake of snow or a leaf takes the blob of
a person for one of its own. What has been seen to move on is then reported where it must be by now, as long as something
differs there.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from stream.gate.picture import Plane, Rect, area
from stream.gate.shown import Shown

_MOST = 8  # boxes up to which they are followed: in a dense scene one hides the next
_SEEN = 5  # looks in which it was seen whole ...
_WENT = 6.0  # ... and px that it went, before it is carried on
_LONGEST = 8  # looks that it may be carried on
_WHOLE = 0.5  # share of where it must be that a box must hold to be the whole of it
_GROWS = 2.0  # times as large: that is not it alone
_INSIDE = 0.7  # share of a box that lies in one that is carried on: a part of it
_DIFFERS = 0.12  # least share of pixels that differ where it must be
_TRUST = 0.25  # weight of a new step


@dataclass(slots=True)
class _Known:
    """Something that was reported, and how it goes on. Reduced px, px a second."""

    x1: float
    y1: float
    x2: float
    y2: float
    vx: float = 0.0
    vy: float = 0.0
    seen: int = 1
    went: float = 0.0  # px along one way
    missing: int = 0  # looks

    def later(self, passed_s: float) -> Rect:
        dx, dy = self.vx * passed_s, self.vy * passed_s
        return round(self.x1 + dx), round(self.y1 + dy), round(self.x2 + dx), round(self.y2 + dy)

    def go(self, passed_s: float) -> None:
        """A look without a sight of the whole."""
        dx, dy = self.vx * passed_s, self.vy * passed_s
        self.x1, self.x2, self.y1, self.y2 = self.x1 + dx, self.x2 + dx, self.y1 + dy, self.y2 + dy
        self.missing += 1

    def see(self, rect: Rect, passed_s: float) -> None:
        """It is there."""
        dx, dy = (rect[0] + rect[2] - self.x1 - self.x2) / 2, (rect[1] + rect[3] - self.y1 - self.y2) / 2
        if not self.missing:  # else it was carried on, and there is no step to learn from
            trust = max(_TRUST, 1 / (self.seen + 1))
            self.vx, self.vy = self.vx + trust * (dx / passed_s - self.vx), self.vy + trust * (dy / passed_s - self.vy)
        self.x1, self.y1, self.x2, self.y2 = rect
        self.seen, self.missing = self.seen + 1, 0
        self.went += (abs(self.vx) + abs(self.vy)) * passed_s


class Carry:
    """One for each detector. `carried` are the boxes added in the last look, with their steps."""

    def __init__(self) -> None:
        self._known: list[_Known] = []
        self._carried: list[_Known] = []
        self._at_s = 0.0  # of the last look

    @property
    def any(self) -> bool:
        """Whether the last look left out something that must be there."""
        return bool(self._carried)

    def forget(self) -> None:
        """Nothing is known of what is in the picture now."""
        self._known, self._carried = [], []

    def complete(self, boxes: list[Shown], weak: Plane, now_s: float) -> list[Shown]:
        """Boxes of a look at `now_s`, and those that are carried on; `weak` pixels differ."""
        self._carried = []
        passed_s, self._at_s = max(1e-3, now_s - self._at_s), now_s
        if len(boxes) > _MOST:
            self._known = []
            return boxes
        left = list(boxes)
        kept: list[_Known] = []
        claimed: set[Rect] = set()
        for known in self._known:
            place = _clipped(known.later(passed_s), weak)
            if place is None:
                continue
            common, best = _most_common(place, boxes)
            if common and common >= _WHOLE * area(place):
                if area(best) > _GROWS * area(place):
                    known.go(passed_s)
                    known.missing = 0
                elif best in claimed:
                    continue
                else:
                    claimed.add(best)
                    known.see(best, passed_s)
                kept.append(known)
                continue
            known.go(passed_s)
            if known.seen < _SEEN or known.went < _WENT or known.missing > _LONGEST or not _differs(weak, place):
                continue
            kept.append(known)
            if sum(_common(place, box.rect) for box in boxes) >= _WHOLE * area(place):
                continue  # it fell in parts
            self._carried.append(known)
            left = [box for box in left if _common(place, box.rect) < _INSIDE * area(box.rect)]
        self._known = kept + [_Known(*box.rect) for box in left if box.moves and box.rect not in claimed]
        return left + [
            Shown(place, True, known.vx, known.vy)
            for known in self._carried
            if (place := _clipped(known.later(0), weak))
        ]


def _differs(weak: Plane, rect: Rect) -> bool:
    x1, y1, x2, y2 = rect
    return cv2.countNonZero(weak[y1:y2, x1:x2]) >= _DIFFERS * area(rect)


def _clipped(rect: Rect, weak: Plane) -> Rect | None:
    """The part in the picture; None when less than half is."""
    rows, columns = weak.shape
    inside = (max(0, rect[0]), max(0, rect[1]), min(columns, rect[2]), min(rows, rect[3]))
    if inside[2] - inside[0] < 2 or inside[3] - inside[1] < 2 or area(inside) < 0.5 * area(rect):
        return None
    return inside


def _most_common(place: Rect, boxes: list[Shown]) -> tuple[int, Rect]:
    """The box that has most in common with the place, and how much; the place itself when none has any."""
    x1, y1, x2, y2 = place
    most, best = 0, place
    for box in boxes:
        a1, b1, a2, b2 = box.rect
        if a1 < x2 and x1 < a2 and b1 < y2 and y1 < b2:
            width, height = (
                (x2 if x2 < a2 else a2) - (x1 if x1 > a1 else a1),
                (y2 if y2 < b2 else b2) - (y1 if y1 > b1 else b1),
            )
            if width * height > most or (width * height == most and box.rect > best):
                most, best = width * height, box.rect
    return most, best


def _common(a: Rect, b: Rect) -> int:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0
