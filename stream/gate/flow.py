"""Where motion goes somewhere, and where it only goes to and fro.

Leaves, flags, water and people who sway move back and forth; traffic and people who walk move on. Per block of a coarse
grid the sum of normal flow (Horn and Schunck 1981: -I_t times the gradient) is compared with the sum of its amounts over
the last seconds. No box is needed, so merged blobs in dense traffic do not disturb it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.gate.picture import Plane

_BLOCK = 6  # px of the picture at half size: 48 px at 720p, so that lanes of opposite directions seldom share one
_EVERY_S = 0.2
_APART_S = 0.25  # where looks are further apart than this ...
_RARELY_S = 0.55  # ... the flow is taken no more often than this: of every second pair of pictures
_MEMORY_S = 2.0
_SHAKY = 0.4  # share of the motion that goes on, below which a block only trembles
_STEADY = 0.75  # ... and above which it does not any more
_HOLD_S = 20.0  # wind comes in gusts: what trembled once is watched for this long
_LASTS_S = 3.0  # leaves do not stop; who swings the arms in passing is gone by then
_FAINT = 6.0  # flow (levels^2) below this says nothing


class Coherence:
    """Call `update` with every frame that has motion; `to_and_fro` is the mask of blocks that only tremble."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._grid = (max(1, shape[0] // 2 // _BLOCK), max(1, shape[1] // 2 // _BLOCK))
        self._last: Plane | None = None
        self._last_s = self._taken_s = 0.0
        self._along = np.zeros((2, *self._grid), np.float32)
        self._total = np.zeros(self._grid, np.float32)
        self._active = np.zeros(self._grid, np.float32)  # share of the time that there is any flow
        self._until_s = np.full(self._grid, -np.inf)
        self._shaky = np.zeros(self._grid, bool)
        self.to_and_fro: Plane | None = None  # 255 where motion goes nowhere, in the reduced picture; None: nowhere

    def update(self, picture: Plane, now_s: float, apart_s: float) -> None:
        """Take the flow since the last picture that was taken into account; at most one every .2 s is.

        The last look was `apart_s` ago.
        """
        passed = now_s - self._last_s
        if self._last is not None and 0 <= passed < _EVERY_S * 0.95:
            return
        small = cv2.resize(
            picture, (max(1, picture.shape[1] // 2), max(1, picture.shape[0] // 2)), interpolation=cv2.INTER_AREA
        )
        last, self._last, self._last_s = self._last, small, now_s
        if last is None or not 0 < passed < 1.5:
            self._taken_s = now_s
            if passed < 0:
                self._until_s[:] = -np.inf  # the clock went back
            return
        since = now_s - self._taken_s
        if apart_s > _APART_S and since < _RARELY_S:
            return
        self._taken_s = now_s
        share, lasts = min(1.0, since / _MEMORY_S), min(1.0, since / _LASTS_S)
        change = cv2.subtract(last, small, dtype=cv2.CV_16S)  # -I_t
        mean = cv2.addWeighted(last, 0.5, small, 0.5, 0)
        across, down = cv2.spatialGradient(mean)
        flow = np.stack([self._blocks(change, across), self._blocks(change, down)])
        size = cv2.magnitude(flow[0], flow[1])
        self._active += lasts * ((size > _FAINT) - self._active)
        self._along += share * (flow - self._along)
        self._total += share * (size - self._total)
        going = cv2.magnitude(self._along[0], self._along[1])
        moves = self._total > _FAINT
        self._until_s[(going < _SHAKY * self._total) & moves & (self._active > 0.5)] = now_s + _HOLD_S
        self._until_s[(going > _STEADY * self._total) & moves] = -np.inf
        shaky = self._until_s > now_s
        if not np.array_equal(shaky, self._shaky):
            self._shaky = shaky
            self.to_and_fro = self._mask(shaky) if shaky.any() else None

    def _mask(self, blocks: NDArray[np.bool_]) -> Plane:
        """The blocks in the reduced picture; the last ones go on to its border."""
        rows, columns = self._shape
        side = 2 * _BLOCK
        mask = (blocks.astype(np.uint8) * 255).repeat(side, axis=1).repeat(side, axis=0)[:rows, :columns]
        low, right = rows - mask.shape[0], columns - mask.shape[1]
        return cv2.copyMakeBorder(mask, 0, low, 0, right, cv2.BORDER_REPLICATE)  # type: ignore[return-value]

    def _blocks(self, change: NDArray[np.int16], slope: NDArray[np.int16]) -> NDArray[np.float32]:
        """Mean product in each block; what is left over at the right and below belongs to none."""
        rows, columns = self._grid
        product = cv2.multiply(change, slope, dtype=cv2.CV_32F)[: rows * _BLOCK, : columns * _BLOCK]
        return cv2.resize(product, (columns, rows), interpolation=cv2.INTER_AREA)
