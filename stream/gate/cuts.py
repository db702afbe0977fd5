"""Cuts and dissolves in films, on the same reduced picture and with the same fit of light as the gate."""

from __future__ import annotations

import cv2
import numpy as np

from stream.gate.background import trimmed_line
from stream.gate.picture import Plane, Reducer

_PIXELS = 20_000  # a cut is visible in a picture of 100 rows
_LEVELS = 20.0  # a pixel has changed when it differs by this after the fit of light ...
_CONTRAST = 0.7  # ... or by this share of the picture's own contrast, in a dull film
_NOISE = 7.0  # levels that never count
_SHARE = 0.35  # share of pixels that a cut changes at least
_TIMES = 3.0  # ... and this many times what changed from frame to frame just before
_DISSOLVE = 0.55  # share that differs from the scene's first picture, while hardly anything changes now
_CALM = 0.06


class CutDetector:
    """Tells where a film's scenes begin. One for each film; call `update` with every frame in order."""

    def __init__(self, shortest_s: float = 0.5) -> None:
        self._reduce = Reducer(_PIXELS)
        self._shortest_s = shortest_s
        self._last: Plane | None = None
        self._scene: Plane | None = None  # the first calm picture of the scene
        self._since_s = 0.0
        self._usual = 0.0  # share that changes from frame to frame in this scene
        self._calm = False

    def update(self, luma: Plane, pts_s: float) -> bool:
        """Whether a scene begins with this picture, (h, w) uint8 at `pts_s`. The first picture begins one.

        A lamp, a flash and a moving camera are no cuts; a dissolve is reported when it is over.
        """
        picture = self._reduce(luma)
        last, self._last = self._last, picture
        if last is None or self._scene is None or last.shape != picture.shape:
            return self._begin(picture, pts_s)
        share = _changed(last, picture)
        usual, self._usual = self._usual, self._usual + 0.15 * (share - self._usual)
        if pts_s - self._since_s < self._shortest_s:
            return False
        if share > _SHARE and share > _TIMES * usual:
            return self._begin(picture, pts_s)
        if usual < _CALM and share < _CALM and _changed(self._scene, picture) > _DISSOLVE:
            if self._calm:
                return self._begin(picture, pts_s)
        elif share < _CALM and usual < _CALM:
            self._calm = True
        return False

    def _begin(self, picture: Plane, pts_s: float) -> bool:
        self._scene, self._since_s, self._usual, self._calm = picture, pts_s, 0.0, False
        return True


def _changed(before: Plane, now: Plane) -> float:
    """Share of pixels that a change of light does not explain."""
    plain = cv2.absdiff(before, now)
    contrast = float(cv2.meanStdDev(now)[1][0, 0])
    levels = min(_LEVELS, max(_NOISE, _CONTRAST * contrast))
    share = cv2.countNonZero(cv2.compare(plain, levels, cv2.CMP_GT)) / now.size
    if share < 0.1:
        return share
    line = trimmed_line(before[::3, ::3].ravel().astype(np.float32), now[::3, ::3].ravel().astype(np.float32))
    if line is None or not 0.3 < line[0] < 3:
        return share
    lit = cv2.convertScaleAbs(before, alpha=line[0], beta=line[1])
    return min(share, cv2.countNonZero(cv2.compare(cv2.absdiff(lit, now), levels, cv2.CMP_GT)) / now.size)
