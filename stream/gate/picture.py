"""The small picture that the detector works on, and the places in it that count."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.gate.settings import GateSettings, Polygon

Plane = NDArray[np.uint8]
"""(rows, columns) uint8 luma of the reduced picture."""


class Reducer:
    """Halves a luma picture until it is small and smooths it, in buffers of its own.

    A reduction by four takes the mean of the middle 2 x 2 of each 4 x 4 pixels in one pass (bilinear interpolation does
    just that): half of the rows are never read, which counts because a new picture is not in the cache. 0.06 ms at 720p,
    against 0.14 for the mean of all pixels.
    """

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels
        self._buffers: dict[tuple[int, int], Plane] = {}

    def __call__(self, luma: Plane) -> Plane:
        """A new (rows, columns) uint8 picture of at most `pixels`; (1, 1) stays."""
        picture = luma if luma.flags.c_contiguous else np.ascontiguousarray(luma)
        while picture.size > self._pixels and min(picture.shape) >= 2:
            by = 4 if picture.size > 4 * self._pixels and min(picture.shape) >= 4 else 2
            height, width = picture.shape[0] // by, picture.shape[1] // by
            buffer = self._buffers.get((height, width))
            if buffer is None:
                buffer = self._buffers[height, width] = np.empty((height, width), np.uint8)
            picture = cv2.resize(picture, (width, height), dst=buffer, interpolation=cv2.INTER_LINEAR)
        return cv2.blur(picture, (3, 3))

    def forget(self) -> None:
        """Free the buffers: the next picture has another size."""
        self._buffers.clear()


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
        foot = self._zones[y2 - 1, (x1 + x2) // 2]
        return bool(foot) or cv2.mean(self._zones[y1:y2, x1:x2])[0] > 85


def _painted(polygons: tuple[Polygon, ...], shape: tuple[int, int], inside: int, outside: int) -> Plane:
    plane = np.full(shape, outside, np.uint8)
    for polygon in polygons:
        corners = np.array(polygon, np.float64) * (shape[1], shape[0])
        cv2.fillPoly(plane, [np.round(corners).astype(np.int32)], inside)
    return plane
