"""Which blobs lie amid leaves, and which of them are too large and solid to be some."""

from __future__ import annotations

import cv2
import numpy as np

from stream.gate.blobs import Blobs
from stream.gate.picture import Plane, area

_SHAKY = 110  # mean of the mask (0 or 255) of a box that trembles
_WAVY = 215  # ... and of a large one, for which a part of it does not do


class Leaves:
    """Knows how large is what trembles in this scene."""

    def __init__(self) -> None:
        self._size = 15.0  # pixels of a blob that trembles

    def mark(self, blobs: Blobs, mask: Plane | None) -> None:
        """Fill `shaky` and `wavy` of `blobs`. `mask` is 255 where motion goes to and fro, None: nowhere."""
        if mask is None:
            return
        shares = {r: 255 * cv2.countNonZero(mask[r[1] : r[3], r[0] : r[2]]) / area(r) for r in blobs.objects}
        sizes = {
            (x1, y1, x2, y2): cv2.countNonZero(blobs.weak[y1:y2, x1:x2])
            for (x1, y1, x2, y2), share in shares.items()
            if share > _SHAKY
        }
        if not sizes:
            return
        self._size += 0.1 * (float(np.median(list(sizes.values()))) - self._size)
        large = min(150.0, max(60.0, 4 * self._size))
        blobs.shaky = frozenset(r for r, n in sizes.items() if n < large or n < 0.45 * area(r))
        blobs.wavy = frozenset(r for r in sizes if r not in blobs.shaky and shares[r] > _WAVY)
