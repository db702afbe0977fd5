"""A glance at a picture that need not be looked at: whether something differs outside of what is carried on."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from stream.gate.picture import Plane
from stream.gate.tracks import Track

_SAMPLE = 45, 160  # rows and columns at least: one pixel of 128 at 720p, .02 ms
_LEVELS = 16.0  # that a pixel must differ by from the picture last looked at ...
_SIGMAS = 12.0  # ... or so many times the noise of the reduced picture, which is smoothed
_PIXELS = 2  # of the sample that differ: someone 40 px high at 720p has five
_ROUND = 6  # reduced px round a box that belong to it


class Peek:
    """Compares pictures of one size with the one that was last kept."""

    def __init__(self, shape: tuple[int, int], luma_shape: tuple[int, int]) -> None:
        self._down, self._across = max(1, luma_shape[0] // _SAMPLE[0]), max(1, luma_shape[1] // _SAMPLE[1])
        # pixels of the sample for one of the reduced picture
        self._tall, self._wide = luma_shape[0] / shape[0] / self._down, luma_shape[1] / shape[1] / self._across
        self._sample: Plane | None = None
        self._outside: Plane | None = None  # 255 where nothing is followed
        self._levels = _LEVELS

    def keep(self, luma: Plane, tracks: Sequence[Track], lasts_s: float, sigma: float) -> None:
        """The picture was looked at; its tracks may be carried on for `lasts_s`. `sigma` is the reduced picture's noise."""
        self._sample = self._of(luma)
        self._levels = max(_LEVELS, _SIGMAS * sigma)
        outside, tall, wide = np.full_like(self._sample, 255), self._tall, self._wide
        for track in tracks:
            x1, y1, x2, y2 = track.rect
            dx, dy = track.goes_x * lasts_s, track.goes_y * lasts_s
            left, right = (x1 + dx, x2) if dx < 0 else (x1, x2 + dx)
            top, bottom = (y1 + dy, y2) if dy < 0 else (y1, y2 + dy)
            rows = slice(_place(top - _ROUND, tall), _place(bottom + _ROUND, tall) + 1)
            outside[rows, _place(left - _ROUND, wide) : _place(right + _ROUND, wide) + 1] = 0
        self._outside = outside

    def finds(self, luma: Plane) -> bool:
        """Whether the picture differs from the one kept where nothing is followed."""
        if self._sample is None or self._outside is None:
            return True
        apart = cv2.bitwise_and(cv2.absdiff(self._of(luma), self._sample), self._outside)
        return cv2.countNonZero(cv2.threshold(apart, self._levels, 255, cv2.THRESH_BINARY)[1]) >= _PIXELS

    def _of(self, luma: Plane) -> Plane:
        return luma[self._down // 2 :: self._down, self._across // 2 :: self._across].copy()


def _place(at: float, scale: float) -> int:
    return int(at * scale) if at > 0 else 0
