"""What does not change: things that have settled, holes where something was, parts of the scene."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from stream.gate.background import Background
from stream.gate.blobs import Blobs
from stream.gate.clutter import Activity
from stream.gate.ghosts import evenly_lit, left_behind
from stream.gate.light import is_light
from stream.gate.memory import Memory
from stream.gate.picture import Plane, Rect
from stream.gate.settings import Tuning
from stream.gate.tracks import Track

_HOLE = (1, 4)  # after so many frames without change what moved may be the hole where it was
_FADED = (2, 4, 9, 18)  # ... and what is the background but for a factor is the trace of a shadow
_TRACE = (4, 9, 18)  # ... and what has no edge may be the trace of a light; earlier it may be the side of a van
_TREMBLES_S = 5.0  # what changes for so long without moving on is foliage
_PART = 7  # px of a side of the smallest part of a hole that is judged by itself
_SMALL = 60  # px^2 of a box that never moved, below which it belongs to the scene


class Standing:
    """Judges tracks whose pixels stay as they are, on behalf of a background and a memory that it changes."""

    def __init__(self, back: Background, memory: Memory, tuning: Tuning) -> None:
        self._back, self._memory, self._tuning = back, memory, tuning

    def without_holes(self, picture: Plane, difference: Plane, blobs: Blobs, tracks: list[Track]) -> list[Track]:
        """The tracks but for what moving things and lights left behind; that is learnt at once."""
        kept = []
        for track in tracks:
            hole = track.moved and not track.settled and track.unchanged in _HOLE
            if hole and left_behind(picture, self._back.seen, blobs.weak, track.rect):
                self._absorb(picture, blobs.weak, track.rect)
            elif track.unchanged in _FADED and self._is_light(picture, difference, blobs, track):
                self._take(picture, blobs.weak, track.rect)
            else:
                kept.append(track)
        return kept

    def _is_light(self, picture: Plane, difference: Plane, blobs: Blobs, track: Track) -> bool:
        """Whether what stands there hides nothing, or has no edge: a shadow or a lamp that was learnt and is gone."""
        if evenly_lit(picture, self._back.seen, blobs.weak, track.rect):
            return True
        return track.unchanged in _TRACE and is_light(
            track.rect, picture, difference, blobs.weak, self._back, self._tuning
        )

    def judge(
        self, picture: Plane, earlier: Plane, blobs: Blobs, tracks: list[Track], activity: Activity, now_s: float
    ) -> None:
        """Settle, absorb or wake each track by what changed since the `earlier` picture."""
        quiet = max(4.0, 4 * self._back.sigma)
        apart = cv2.absdiff(picture, earlier)
        for track in tracks:
            x1, y1, x2, y2 = track.rect
            part = (slice(y1, y2), slice(x1, x2))
            since = now_s - track.born_s
            if cv2.mean(apart[part], blobs.weak[part])[0] >= quiet:
                track.settled, track.moves_s = False, now_s
                if not track.moved and since > _TREMBLES_S:
                    activity.raise_to(part)
            elif left_behind(picture, self._back.seen, blobs.weak, track.rect):
                self._absorb(picture, blobs.weak, track.rect)
            elif not track.moved and since > self._tuning.still_s and track.area < _SMALL:
                self._back.absorb(picture, part)
            elif not track.settled:
                track.settled, track.moves_s = True, now_s

    def _absorb(self, picture: Plane, weak: Plane, rect: Rect) -> None:
        """Take the changed pixels of a hole into the background, not those of someone who stands beside it."""
        for quarter in _quarters(rect):
            if quarter is not rect and not left_behind(picture, self._back.seen, weak, quarter):
                continue
            self._take(picture, weak, quarter)

    def _take(self, picture: Plane, weak: Plane, rect: Rect) -> None:
        x1, y1, x2, y2 = max(0, rect[0] - 2), max(0, rect[1] - 2), rect[2] + 2, rect[3] + 2
        where = np.zeros_like(weak)
        where[y1:y2, x1:x2] = cv2.dilate(weak[y1:y2, x1:x2], np.ones((3, 3), np.uint8))
        self._back.replace(picture, where)
        part = (slice(y1, y2), slice(x1, x2))
        self._memory.revise(part, where[part])


def _quarters(rect: Rect) -> list[Rect]:
    """The box in parts that are still large enough to be judged."""
    x1, y1, x2, y2 = rect
    xs = [x1, (x1 + x2) // 2, x2] if x2 - x1 >= 2 * _PART else [x1, x2]
    ys = [y1, (y1 + y2) // 2, y2] if y2 - y1 >= 2 * _PART else [y1, y2]
    parts = [(a, c, b, d) for a, b in pairwise(xs) for c, d in pairwise(ys)]
    return parts if len(parts) > 1 else [rect]
