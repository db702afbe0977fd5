"""What differs from the background in one picture, as blobs: the first half of a look, which learns nothing but light."""

from __future__ import annotations

import cv2
import numpy as np

from stream.gate.background import Background
from stream.gate.blobs import BlobFinder, Blobs
from stream.gate.clutter import Clutter
from stream.gate.ghosts import shadows
from stream.gate.leaves import Leaves
from stream.gate.picture import Places, Plane, Rect
from stream.gate.settings import Tuning
from stream.gate.split import tightened

_HASTY_S = 0.3  # looks further apart than this cannot wait for a second sight
_SWIFT_S = 0.15  # looks closer than this see cars and people twice at most of their places
_LASTING = 20  # looks for which light that differs over the picture is expected to go on changing


class Sight:
    """Holds the difference of the last picture, and the ages of its blobs in `finder`."""

    def __init__(self, back: Background, clutter: Clutter, places: Places, tuning: Tuning) -> None:
        shape = back.seen.shape
        self._back, self._clutter, self._places, self._tuning = back, clutter, places, tuning
        self.finder = BlobFinder((shape[0], shape[1]), tuning)
        self._leaves = Leaves()
        self.shaded = 0  # looks for which the light still changes over parts of the picture
        self.difference: Plane = np.empty(shape, np.uint8)
        self._excess: Plane = np.empty(shape, np.uint8)  # over the threshold

    def subtract(self, picture: Plane) -> int:
        """Number of pixels over their threshold."""
        cv2.absdiff(picture, self._back.seen, dst=self.difference)
        cv2.subtract(self.difference, self._back.limit, dst=self._excess)
        if self._places.mask is not None:
            cv2.bitwise_and(self._excess, self._places.mask, dst=self._excess)
        return cv2.countNonZero(self._excess)

    def blobs(self, picture: Plane, followed: list[Rect], to_and_fro: Plane | None, step_s: float) -> Blobs:
        """The blobs of the picture that was just subtracted, cut into tight boxes, without shadows.

        `followed` have been seen to move on for some time; `to_and_fro` is 255 where motion goes nowhere; looks are
        `step_s` apart.
        """
        blobs = self._find(picture, step_s, not followed)
        self.shaded = max(0, self.shaded - 1)
        pixels = cv2.countNonZero(blobs.weak)
        if blobs.soft or (self.shaded and pixels > 150):
            before = self._back.reshade(picture)
            left = self.subtract(picture)
            if left < (0.9 if self.shaded else 0.6) * pixels:
                self.shaded = _LASTING if blobs.soft else self.shaded
                blobs = self._find(picture, step_s, not followed)
            else:
                self._back.restore(before)
                self.subtract(picture)
        pieces = tightened(blobs.weak, blobs.objects, self._tuning.fill)
        dark = shadows(picture, self._back.seen, blobs.weak, pieces, followed)
        blobs.objects = [piece for piece, is_dark in zip(pieces, dark, strict=True) if not is_dark]
        self._leaves.mark(blobs, to_and_fro)
        return blobs

    def _find(self, picture: Plane, step_s: float, vacant: bool) -> Blobs:
        return self.finder.find(
            picture,
            self.difference,
            self._excess,
            self._back,
            self._clutter,
            hasty=step_s > _HASTY_S,
            shaded=self.shaded > 0,
            swift=step_s < _SWIFT_S or (vacant and step_s < _HASTY_S),
        )
