"""The small picture that the detector works on, and the places in it that count."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.gate.settings import GateSettings, Polygon

_SKIPS = 4  # reduction from which rows are skipped
_HARDLY = 1.15  # times a side may be too long

Plane = NDArray[np.uint8]
"""(rows, columns) uint8 luma of the reduced picture."""

Rect = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels of the reduced picture; x2 and y2 are one past the last."""


def area(rect: Rect) -> int:
    """In pixels of the reduced picture."""
    return (rect[2] - rect[0]) * (rect[3] - rect[1])


class Reducer:
    """Reduces a luma picture to a fixed number of pixels and smooths it, in buffers of its own.

    Bilinear interpolation takes the mean of 2 x 2 in the middle of what a pixel stands for. From a reduction by four on only
    one row in so many is read at all, which counts because a new picture is not in the cache: 0.1 ms at 720p and at 1080p,
    against 0.4 and 0.7 for the mean of all pixels. In the lab no class is found worse for it.
    """

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels
        self._buffer: Plane | None = None

    def shape(self, luma: tuple[int, ...]) -> tuple[int, int]:
        """The size of what a picture of that size is reduced to; one that is hardly too large stays."""
        rows, columns = luma[0], luma[1]
        by = max(1.0, math.sqrt(rows * columns / self._pixels))
        return (rows, columns) if by < _HARDLY else (max(1, round(rows / by)), max(1, round(columns / by)))

    def __call__(self, luma: Plane) -> Plane:
        """A new (rows, columns) uint8 picture; (1, 1) stays."""
        picture = luma if luma.flags.c_contiguous else np.ascontiguousarray(luma)
        shape = self.shape(picture.shape)
        if shape != picture.shape:
            if self._buffer is None or self._buffer.shape != shape:
                self._buffer = np.empty(shape, np.uint8)
            by = picture.shape[0] // shape[0]
            if by >= _SKIPS:
                picture = picture[by // 2 :: by]
            picture = cv2.resize(picture, shape[::-1], dst=self._buffer, interpolation=cv2.INTER_LINEAR)
        return cv2.blur(picture, (3, 3))


class Places:
    """Zones and masks, painted once for a picture size."""

    def __init__(self, settings: GateSettings, shape: tuple[int, int]) -> None:
        self.mask = _painted(settings.masks, shape, 0, 255) if settings.masks else None
        self._zones = _painted(settings.zones, shape, 255, 0) if settings.zones else None
        area = shape[0] * shape[1]
        self._least, self._most = settings.min_size * area, settings.max_size * area

    def counts(self, x1: int, y1: int, x2: int, y2: int) -> bool:
        """Whether an object with this box (reduced px) has a size and a place that count.

        It is in a zone when its foot is, or a third of its box.
        """
        if not self._least <= (x2 - x1) * (y2 - y1) <= self._most:
            return False
        if self._zones is None:
            return True
        rows, columns = self._zones.shape  # what is carried on may be on its way out of the picture
        x1, x2 = max(0, min(x1, columns - 1)), max(1, min(x2, columns))
        y1, y2 = max(0, min(y1, rows - 1)), max(1, min(y2, rows))
        foot = self._zones[y2 - 1, (x1 + x2) // 2]
        return bool(foot) or cv2.mean(self._zones[y1:y2, x1:x2])[0] > 85


def _painted(polygons: tuple[Polygon, ...], shape: tuple[int, int], inside: int, outside: int) -> Plane:
    plane = np.full(shape, outside, np.uint8)
    for polygon in polygons:
        corners = np.array(polygon, np.float64) * (shape[1], shape[0])
        cv2.fillPoly(plane, [np.round(corners).astype(np.int32)], inside)
    return plane
