"""Figures of one detector on one clip: objects covered, area precision, false boxes and admissions, delay, warm-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.lab.clips import Labels

BoxLike = Sequence[float]

_CELL = 4  # px: boxes are compared on a grid of this pitch
_NEAR = 25  # frames: an admission this close to an object is not false
_APART = 20  # frames without one that separate two false admissions


@dataclass(frozen=True, slots=True)
class Seen:
    """What a detector said of one frame. Boxes are x1, y1, x2, y2 in source pixels."""

    admitted: bool
    boxes: Sequence[BoxLike] = ()


@dataclass(slots=True)
class Score:
    """Sums over frames; add them up over clips, then read the ratios."""

    objects: int = 0
    covered: int = 0
    area: int = 0
    inside: int = 0
    frames: int = 0
    admitted: int = 0
    false_frames: int = 0  # with a box that touches no grown true box
    false_admissions: int = 0  # separate ones, with no object near in time and place
    delays: list[int] = field(default_factory=list)  # frames from an object's first sight to its first covered one
    missed: int = 0  # stays of objects that were never admitted
    warm_up: list[int] = field(default_factory=list)

    def __iadd__(self, other: Score) -> Score:
        for name in (
            "objects",
            "covered",
            "area",
            "inside",
            "frames",
            "admitted",
            "false_frames",
            "false_admissions",
            "missed",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.delays += other.delays
        self.warm_up += other.warm_up
        return self

    @property
    def coverage(self) -> float:
        """Share of true boxes that reported boxes cover by half or more."""
        return self.covered / self.objects if self.objects else float("nan")

    @property
    def precision(self) -> float:
        """Share of the reported area inside a true box grown by 25 % + 4 px."""
        return self.inside / self.area if self.area else float("nan")


def _paint(
    boxes: Sequence[BoxLike], shape: tuple[int, int], grow: float = 0.0, extra: float = 0.0
) -> NDArray[np.bool_]:
    plane = np.zeros((-(-shape[0] // _CELL), -(-shape[1] // _CELL)), bool)
    for x1, y1, x2, y2 in boxes:
        dx, dy = grow * (x2 - x1) + extra, grow * (y2 - y1) + extra
        left, top = max(0, int((x1 - dx) // _CELL)), max(0, int((y1 - dy) // _CELL))
        right, bottom = int(-(-(x2 + dx) // _CELL)), int(-(-(y2 + dy) // _CELL))
        plane[top : max(bottom, 0), left : max(right, 0)] = True
    return plane


def score(labels: Sequence[Labels], said: Sequence[Seen], shape: tuple[int, int], warm: int = 50) -> Score:
    """Compare frame by frame from frame `warm` on. `shape` is (height, width) of the source in px."""
    truths = [[*label.whole, *label.partial] for label in labels]
    result = Score(frames=len(truths) - warm)
    last_false = -_APART - 1
    stay: list[int] = []  # [first frame, first covered frame] of the present stay
    for index in range(warm, len(truths)):
        boxes, true = said[index].boxes, labels[index].whole
        painted = _paint(boxes, shape)
        grown = _paint(truths[index], shape, 0.25, 4)
        hit = 0
        for x1, y1, x2, y2 in true:
            part = painted[
                int(y1 // _CELL) : max(int(y2 // _CELL), int(y1 // _CELL) + 1),
                int(x1 // _CELL) : max(int(x2 // _CELL), int(x1 // _CELL) + 1),
            ]
            hit += bool(part.size and part.mean() >= 0.5)
        result.objects += len(true)
        result.covered += hit
        result.area += int(painted.sum())
        result.inside += int((painted & grown).sum())
        result.admitted += said[index].admitted
        result.false_frames += any(not (_paint([box], shape) & grown).any() for box in boxes)
        if said[index].admitted and not _near(truths, painted, index, shape):
            result.false_admissions += index - last_false > _APART
            last_false = index
        stay = _follow(stay, index, bool(true), hit > 0, result)
    _follow(stay, len(truths), False, False, result)
    return result


def _follow(stay: list[int], index: int, present: bool, hit: bool, result: Score) -> list[int]:
    """Delay from the first frame with any object to the first with one covered."""
    if present:
        stay = stay or [index, -1]
        if hit and stay[1] < 0:
            stay[1] = index
        return stay
    if stay:
        if stay[1] < 0:
            result.missed += 1
        else:
            result.delays.append(stay[1] - stay[0])
    return []


def _near(truths: Sequence[Sequence[BoxLike]], painted: NDArray[np.bool_], index: int, shape: tuple[int, int]) -> bool:
    for other in range(max(0, index - _NEAR), min(len(truths), index + _NEAR + 1)):
        if truths[other] and (painted & _paint(truths[other], shape, 0.25, 4)).any():
            return True
    return False


def warm_up(said: Sequence[Seen]) -> int:
    """Frames until a still scene gives neither boxes nor admissions for good (counted up to frame 200)."""
    last = max((i for i, seen in enumerate(said[:200]) if seen.admitted or seen.boxes), default=-1)
    return last + 1
