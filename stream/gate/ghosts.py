"""Whether a blob is an object, or the hole that an object left which stood there when the background was learnt."""

from __future__ import annotations

import cv2
import numpy as np

from stream.gate.picture import Plane

_SQUARE = np.ones((3, 3), np.uint8)
_SHARPER = 0.75  # an object's rim is at least this sharp in the picture, compared with the background


def left_behind(picture: Plane, background: Plane, weak: Plane, rect: tuple[int, int, int, int]) -> bool:
    """True when the rim of the blob is an edge in the background rather than in the picture: the object has left."""
    rows, columns = weak.shape
    part = (
        slice(max(0, rect[1] - 2), min(rows, rect[3] + 2)),
        slice(max(0, rect[0] - 2), min(columns, rect[2] + 2)),
    )
    blob = weak[part]
    rim = cv2.subtract(cv2.dilate(blob, _SQUARE), cv2.erode(blob, _SQUARE))
    return _slope(picture[part], rim) < _SHARPER * _slope(background[part], rim)


def _slope(picture: Plane, rim: np.ndarray) -> float:  # type: ignore[type-arg]
    across = cv2.convertScaleAbs(cv2.Sobel(picture, cv2.CV_16S, 1, 0))
    down = cv2.convertScaleAbs(cv2.Sobel(picture, cv2.CV_16S, 0, 1))
    return float(cv2.mean(cv2.max(across, down), rim)[0])
