"""Anti-aliased drawing in scene coordinates, whatever the resolution of the picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from stream.capture.scenery.palette import RGB

Image = npt.NDArray[np.uint8]
Point = tuple[float, float]

_SHIFT = 4
"""OpenCV takes fixed-point coordinates with this many fraction bits."""


class Canvas:
    """Draws on `image` (H, W, 3) uint8 in place; coordinates are scene pixels times `scale`."""

    def __init__(self, image: Image, scale: float = 1.0, origin: Point = (0.0, 0.0)) -> None:
        self.image = image
        self.scale = scale
        self._origin = origin

    def _fixed(self, points: Iterable[Point]) -> npt.NDArray[np.int32]:
        moved = (np.asarray(list(points), np.float64) - self._origin) * (self.scale * (1 << _SHIFT))
        return np.round(moved).astype(np.int32)

    def polygon(self, points: Iterable[Point], color: RGB) -> None:
        """Fill a polygon."""
        cv2.fillPoly(self.image, [self._fixed(points)], color, cv2.LINE_AA, _SHIFT)

    def path(self, points: Iterable[Point], color: RGB, width: float, closed: bool = False) -> None:
        """Draw a line through the points, at least one picture pixel wide."""
        pixels = max(1, round(width * self.scale))
        cv2.polylines(self.image, [self._fixed(points)], closed, color, pixels, cv2.LINE_AA, _SHIFT)

    def ellipse(self, center: Point, radii: Point, color: RGB, width: float | None = None) -> None:
        """Fill an ellipse, or draw its outline when a width is given."""
        x, y = (int(v) for v in self._fixed([center])[0])
        rx, ry = (max(1, round(r * self.scale * (1 << _SHIFT))) for r in radii)
        pixels = -1 if width is None else max(1, round(width * self.scale))
        cv2.ellipse(self.image, (x, y), (rx, ry), 0, 0, 360, color, pixels, cv2.LINE_AA, _SHIFT)

    def color_at(self, point: Point) -> RGB:
        """The picture's colour there; outside the picture, that of the nearest edge."""
        height, width = self.image.shape[:2]
        x = min(width - 1, max(0, int((point[0] - self._origin[0]) * self.scale)))
        y = min(height - 1, max(0, int((point[1] - self._origin[1]) * self.scale)))
        r, g, b = (float(v) for v in self.image[y, x])
        return r, g, b


class BoxFrame:
    """Unit coordinates of a box (u to the right, v down), mirrored when the thing faces left."""

    def __init__(self, box: Sequence[float], flip: bool) -> None:
        self.x1, self.y1, self.x2, self.y2 = box
        self.width = self.x2 - self.x1
        self.height = self.y2 - self.y1
        self._flip = flip

    def at(self, u: float, v: float) -> Point:
        """The scene point at (u, v)."""
        x = self.x2 - u * self.width if self._flip else self.x1 + u * self.width
        return x, self.y1 + v * self.height

    def all(self, *points: Point) -> list[Point]:
        """The scene points of several (u, v)."""
        return [self.at(u, v) for u, v in points]

    def rectangle(self, u1: float, v1: float, u2: float, v2: float) -> list[Point]:
        """The corners of a rectangle in unit coordinates."""
        return self.all((u1, v1), (u2, v1), (u2, v2), (u1, v2))
