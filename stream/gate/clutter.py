"""What moves without meaning: rain and snow by place, foliage by pixel."""

from __future__ import annotations

import cv2
import numpy as np

from stream.gate.background import Field
from stream.gate.picture import Plane, Rect
from stream.gate.settings import Tuning

_GRID = (5, 8)
_SMALL_SCALE = 2.5  # an object amid clutter is this many times as large as the clutter ...
_LARGEST = 40  # ... of which a larger blob is none: someone who passes must not raise what is asked of him


class Clutter:
    """Small blobs in each cell of a coarse grid: where there are many in every frame, it rains or snows."""

    def __init__(self, shape: tuple[int, int], tuning: Tuning) -> None:
        self._shape = shape
        self._cell = (-(-shape[0] // _GRID[0]), -(-shape[1] // _GRID[1]))
        self._limit = tuning.clutter
        self._count = np.zeros(_GRID)
        self._size = np.zeros(_GRID)
        self._smooth = self._count
        self.any = False
        self._raining = False  # whether there is anything to forget

    def at(self, x: int, y: int) -> tuple[bool, float]:
        """Whether the place is cluttered, and the least pixels an object must have there."""
        if not self.any:
            return False, 0.0
        cell = (y // self._cell[0], x // self._cell[1])
        busy = bool(self._smooth[cell] > self._limit)
        return busy, _SMALL_SCALE * float(self._size[cell]) if busy else 0.0

    def places(self) -> Plane | None:
        """255 where it is cluttered; None: nowhere."""
        if not self.any:
            return None
        busy = np.uint8(255) * (self._smooth > self._limit)
        return busy.repeat(self._cell[0], axis=0).repeat(self._cell[1], axis=1)[: self._shape[0], : self._shape[1]]

    def learn(self, small: list[tuple[int, Rect]], movers: list[Rect]) -> None:
        """Count the small blobs of a frame that are not known to move like an object."""
        if not small and not self._raining:
            return
        self._count *= 0.95
        if small:
            moving = set(movers)
            for pixels, rect in small:
                if rect in moving:
                    continue
                cell = ((rect[1] + rect[3]) // 2 // self._cell[0], (rect[0] + rect[2]) // 2 // self._cell[1])
                self._count[cell] += 0.05
                self._size[cell] = max(self._size[cell] * 0.98, min(pixels, _LARGEST))
        most = float(self._count.max())
        self._raining = most > 0.01
        self.any = most > 0.2 * self._limit
        if self.any:
            self._smooth = cv2.blur(self._count, (3, 3))
            self.any = bool(self._smooth.max() > self._limit)


class Activity:
    """Pixels that change and change back, again and again, outside of moving objects: leaves, flags, water.

    Only short visits count and movers are left out: otherwise dense traffic is learnt as foliage (its recall fell to .8).
    """

    def __init__(self, shape: tuple[int, int], tuning: Tuning) -> None:
        self._tuning = tuning
        self._rate: Field = np.zeros(shape, np.float32)
        self._was: Plane = np.zeros(shape, np.uint8)
        self._dwell: Plane = np.zeros(shape, np.uint8)
        self._peak: Plane = np.zeros(shape, np.uint8)
        self.limit: Field = np.zeros(shape, np.float32)  # the threshold that foliage asks for
        self._movers: list[Rect] = []
        self._risen = False  # whether any limit is above 0
        self._fresh = True  # nothing of the frame before is known

    def update(
        self, weak: Plane, difference: Plane, keep: Plane | None, movers: list[Rect], shaky: Plane | None, step_s: float
    ) -> None:
        """One frame: `weak` pixels differ, `keep` ones belong to objects, `movers` are boxes of what moves.

        Only pixels in `shaky` blocks, where motion goes to and fro, can be foliage.
        """
        if shaky is None:
            self._forget()
            return
        longest = min(60, max(2, round(self._tuning.toggle_s / step_s)))
        ended = cv2.bitwise_and(self._was, cv2.bitwise_not(weak))
        toggled = cv2.bitwise_and(ended, cv2.threshold(self._dwell, longest, 255, cv2.THRESH_BINARY_INV)[1])
        self._dwell = cv2.bitwise_and(cv2.add(self._dwell, 1), weak)  # type: ignore[assignment]
        short = cv2.bitwise_and(difference, cv2.threshold(self._dwell, longest, 255, cv2.THRESH_BINARY_INV)[1])
        if keep is not None:
            toggled = cv2.max(toggled, cv2.threshold(keep, 0, 20, cv2.THRESH_BINARY)[1])
        toggled, short = cv2.bitwise_and(toggled, shaky), cv2.bitwise_and(short, shaky)
        for x1, y1, x2, y2 in movers + self._movers:
            part = (slice(max(0, y1 - 2), y2 + 2), slice(max(0, x1 - 2), x2 + 2))
            toggled[part] = 0
            short[part] = 0
        cv2.accumulateWeighted(toggled, self._rate, min(0.2, 0.25 * step_s))
        cv2.max(self._peak, short, dst=self._peak)
        self._was = weak
        self._movers = movers
        self._fresh = False

    def calm(self) -> None:
        """A frame without any difference."""
        self._forget()

    def _forget(self) -> None:
        if not self._fresh:
            self._was = np.zeros_like(self._was)
            self._dwell[:] = 0
            self._movers = []
            self._fresh = True

    def fold(self, threshold: float) -> None:
        """Raise the limit where pixels toggle, lower it slowly where they have stopped."""
        if self._fresh and not self._risen:
            return
        hot = cv2.compare(self._rate, self._tuning.toggle_rate * 255, cv2.CMP_GT)
        any_hot = bool(cv2.countNonZero(hot))
        if not (any_hot or self._risen):
            self._peak[:] = 0
            return
        tall = self._peak.astype(np.float32)
        lasting = cv2.bitwise_and(
            cv2.compare(tall, self.limit * np.float32(0.6), cv2.CMP_GT), cv2.compare(self.limit, threshold, cv2.CMP_GT)
        )
        lowered = cv2.max(cv2.subtract(self.limit, 0.5), 0.0)
        cv2.copyTo(self.limit, lasting, lowered)
        self.limit = lowered  # type: ignore[assignment]
        if any_hot:
            rise = cv2.max(tall * np.float32(1.15) + np.float32(3) - self.limit, 0.0)
            self.limit += cv2.bitwise_and(rise, rise, mask=hot) * np.float32(0.6)
        self._peak[:] = 0
        self._risen = bool(self.limit.max() > 0)

    def raise_to(self, part: tuple[slice, slice]) -> None:
        """Something in this part trembles without ever moving on."""
        tall = self._peak[part].astype(np.float32) * np.float32(1.15) + np.float32(3)
        self.limit[part] = np.maximum(self.limit[part], tall)
        self._risen = True

    def resume(self, limit: Plane) -> None:
        """Take over what another detector learnt."""
        self.limit = limit.astype(np.float32)
        self._risen = bool(self.limit.max() > 0)
