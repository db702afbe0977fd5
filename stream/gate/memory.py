"""How long each pixel has looked like the background, and how long like something else: which of them to believe.

A pixel of the background that was seen for long is believed for `hold_s` against anything new; one that was only seen in
the first frame, under someone who walked off since, gives way to what has been stable for longer than it ever was. That
is what makes a start in the middle of dense traffic work, where no frame shows the empty street.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from stream.gate.background import Background
from stream.gate.picture import Plane, Rect

_TICKS = 240  # of trust, at most; counters are bytes
_GAIN = 4  # trust for each tick that a pixel looks like the background: full after a quarter of `hold_s`
_UNCOVERED = 60  # ticks that the ground is believed when what stood on it has gone
_NEAR = np.ones((7, 7), np.uint8)
_MOST = 60  # ticks that one frame may count for
_LEAST = 3  # ticks that a new look must be stable before it can replace anything


class Memory:
    """Counts in ticks of `hold_s` / 240."""

    def __init__(self, picture: Plane, hold_s: float) -> None:
        self._tick_s = hold_s / _TICKS
        self._last_s: float | None = None
        self._candidate: Plane = picture.copy()
        self._run: Plane = np.zeros(picture.shape, np.uint8)
        self._trust: Plane = np.zeros(picture.shape, np.uint8)

    def update(
        self, picture: Plane, weak: Plane | None, back: Background, now_s: float, stand: Sequence[Rect] = ()
    ) -> None:
        """Once a frame; `weak` pixels differ from the background. Replaces the background where it is not believed.

        In the boxes `stand` someone was seen to come and to stop: he is believed to be no background for `hold_s`.
        """
        passed = self._tick_s if self._last_s is None else now_s - self._last_s
        if 0 <= passed < self._tick_s:
            return
        self._last_s = now_s
        # few frames a second: each counts for several ticks; a clock that jumped counts for one
        ticks = min(_MOST, round(passed / self._tick_s)) if 0 < passed < 10 else 1
        if weak is None:  # all looks like the background
            np.copyto(self._candidate, picture)
            cv2.add(self._run, ticks, dst=self._run)
            self._trust = _at_most(cv2.add(self._trust, _GAIN * ticks))
            return
        tolerance = max(5.0, 3 * back.sigma)
        other = cv2.threshold(cv2.absdiff(picture, self._candidate), tolerance, 255, cv2.THRESH_BINARY)[1]
        cv2.copyTo(picture, other, self._candidate)
        self._run = cv2.bitwise_and(cv2.add(self._run, ticks), cv2.bitwise_not(other))
        # what changes nearby is the inside of something that passes: no reason to believe its look
        busy = cv2.bitwise_or(cv2.dilate(other, _NEAR), weak)
        gain = cv2.threshold(busy, 0, min(255, _GAIN * ticks), cv2.THRESH_BINARY_INV)[1]
        self._trust = _at_most(cv2.add(self._trust, gain))
        longer = cv2.compare(self._run, cv2.max(self._trust, _LEAST), cv2.CMP_GT)
        replaced = cv2.bitwise_and(longer, weak)
        for x1, y1, x2, y2 in stand:
            part = (slice(y1, y2), slice(x1, x2))
            replaced[part] &= cv2.compare(self._run[part], _TICKS - 1, cv2.CMP_GT)
        if cv2.countNonZero(replaced):
            back.replace(picture, replaced)
            cv2.copyTo(self._run, replaced, self._trust)

    def revise(self, part: tuple[slice, slice], where: Plane) -> None:
        """An object left these pixels: what it uncovered is believed for a while, however long the object stood there."""
        trust = self._trust[part]
        cv2.copyTo(np.full_like(trust, _UNCOVERED), where, trust)

    def doubt(self, part: tuple[slice, slice] | None = None) -> None:
        """The scene, or a part of it, was replaced: what was seen before says nothing of it."""
        self._trust[part or ...] = 0
        if part is None:
            self._run[:] = 0


def _at_most(trust: np.ndarray) -> Plane:  # type: ignore[type-arg]
    return cv2.threshold(trust, _TICKS, _TICKS, cv2.THRESH_TRUNC)[1]  # type: ignore[return-value]
