"""What others use as a motion gate, written from their descriptions, with their parameters.

Each detector is called with one luma picture, (h, w) uint8, and returns its boxes in the picture's pixels. None has a
notion of admission beside "there is a box". Nothing was copied; docs/gate.md names the sources.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.lab.score import Seen
from stream.gate import MotionGate
from stream.types import Reason

Luma = NDArray[np.uint8]
Boxes = list[tuple[float, float, float, float]]

_SQUARE = np.ones((3, 3), np.uint8)
_ADMITS = {Reason.FIRST, Reason.WARM_UP, Reason.MOTION, Reason.SETTLED, Reason.SCENE}


class OurGate:
    """seestream's gate with its defaults, on a clock of `fps`."""

    def __init__(self, fps: float = 10.0) -> None:
        self._gate, self._step_s, self._frames = MotionGate(), 1 / fps, 0
        self.reasons: Counter[str] = Counter()  # of the frames so far

    def __call__(self, luma: Luma) -> Seen:
        motion = self._gate.detect(luma, self._frames * self._step_s)
        self._frames += 1
        self.reasons[motion.reason.value] += 1
        return Seen(motion.reason in _ADMITS, motion.boxes)


class RunningMean:
    """A running mean at 100 rows with stretched contrast: Frigate's detector by its description.

    Nearest-neighbour reduction, contrast from the mean 4th and 96th percentiles of 50 frames, 3 x 3 Gaussian, threshold
    30 against a mean with weight .01 (.2 while it calibrates: until less than 5 % moves, again when more than 80 % does),
    dilated, contours of more than 10 px.
    """

    def __init__(self) -> None:
        self._mean: NDArray[np.float32] | None = None
        self._levels = np.zeros((50, 2), np.uint8)
        self._seen = 0
        self._calibrating = True

    def __call__(self, luma: Luma) -> Seen:
        height, width = luma.shape
        small = cv2.resize(luma, (max(1, 100 * width // height), 100), interpolation=cv2.INTER_NEAREST)
        low, high = np.percentile(small, 4), np.percentile(small, 96)
        if low < high:
            self._levels[self._seen % 50] = low, high
            self._seen += 1
            dark, bright = self._levels[: min(50, self._seen)].mean(axis=0)
            small = (((np.clip(small, dark, bright) - dark) / max(1.0, bright - dark)) * 255).astype(np.uint8)
        small = cv2.GaussianBlur(small, (3, 3), 0)
        if self._mean is None:
            self._mean = np.zeros(small.shape, np.float32)
        moved = cv2.threshold(cv2.absdiff(small, cv2.convertScaleAbs(self._mean)), 30, 255, cv2.THRESH_BINARY)[1]
        contours = cv2.findContours(cv2.dilate(moved, _SQUARE), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        large = [(contour, area) for contour in contours if (area := cv2.contourArea(contour)) > 10]
        share = sum(area for _, area in large) / small.size
        if self._calibrating and 0 <= share < 0.05:
            self._calibrating = False
        elif share > 0.8:
            self._calibrating = True
        cv2.accumulateWeighted(small, self._mean, 0.2 if self._calibrating else 0.01)
        boxes = _scaled([cv2.boundingRect(contour) for contour, _ in large], width / small.shape[1], height / 100)
        return Seen(bool(boxes), boxes)


class Mog2:
    """OpenCV's mixture of Gaussians on the full picture: history 30, threshold 16, opened, contours from 200 px."""

    def __init__(self) -> None:
        self._mixture = cv2.createBackgroundSubtractorMOG2(history=30, varThreshold=16, detectShadows=False)

    def __call__(self, luma: Luma) -> Seen:
        mask = cv2.morphologyEx(self._mixture.apply(luma), cv2.MORPH_OPEN, _SQUARE)
        contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        boxes = _scaled([cv2.boundingRect(c) for c in contours if cv2.contourArea(c) > 200], 1, 1)
        return Seen(bool(boxes), boxes)


class FrameDifference:
    """Two frames apart by 15 levels in 5 % of a 64 px block: each such block is a box, as in DL Streamer."""

    def __init__(self) -> None:
        self._last: Luma | None = None

    def __call__(self, luma: Luma) -> Seen:
        last, self._last = self._last, luma
        if last is None or last.shape != luma.shape:
            return Seen(False)
        moved = cv2.threshold(cv2.absdiff(luma, last), 15, 255, cv2.THRESH_BINARY)[1]
        height, width = luma.shape
        rows, columns = -(-height // 64), -(-width // 64)
        padded = cv2.copyMakeBorder(moved, 0, rows * 64 - height, 0, columns * 64 - width, cv2.BORDER_CONSTANT)
        share = cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA)
        found = np.argwhere(share > 0.05 * 255).tolist()
        boxes: Boxes = [(64 * c, 64 * r, min(width, 64 * c + 64), min(height, 64 * r + 64)) for r, c in found]
        return Seen(bool(boxes), boxes)


def _scaled(rects: list[tuple[int, int, int, int]], across: float, down: float) -> Boxes:
    return [(x * across, y * down, (x + w) * across, (y + h) * down) for x, y, w, h in rects]


DETECTORS: dict[str, Callable[[], Callable[[Luma], Seen]]] = {
    "gate": OurGate,
    "running mean": RunningMean,
    "MOG2": Mog2,
    "difference": FrameDifference,
}
"""Name -> a new detector for one stream."""
