"""From a picture of differences to blobs: what stands together, how strong, how old, and whether it is only light."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from stream.gate.background import Background
from stream.gate.clutter import Clutter
from stream.gate.light import is_light
from stream.gate.picture import Plane, Rect
from stream.gate.settings import Tuning

_SQUARE = np.ones((3, 3), np.uint8)
_TALL = np.ones((5, 3), np.uint8)  # people are cut in pieces top to bottom, so gaps close further that way
_FAINT = 12  # a blob whose strongest pixel exceeds its threshold by less is seen in part only
_SURE = 2  # a blob that was judged solid so often in a row ...
_ALIKE = (0.6, 1.4)  # shares of its area between which a blob that was here is the same ...
_MERGES = 5, (0.4, 3.0)  # ... and where so many are, which merge and part
_AGAIN = 16  # ... is judged again only in every sixteenth frame
_FLEETING = 1  # looks in a row for which a flake or a drop is seen at a place
_BORDER = 14  # contour length of a grown blob below which it cannot have the least area


@dataclass(slots=True)
class Blobs:
    """The blobs of one frame."""

    weak: Plane  # 255 where a pixel is over its threshold
    objects: list[Rect] = field(default_factory=list)
    lights: list[Rect] = field(default_factory=list)  # soft blobs: light or shadow, learnt quickly
    keep: Plane | None = None  # 255 on pixels of objects: the background does not learn them
    soft: bool = False  # a soft blob is large enough to fit a field of light to
    small: list[tuple[int, Rect]] = field(default_factory=list)  # (changed pixels, box) of what may be clutter
    shaky: frozenset[Rect] = frozenset()  # of `objects`: lie where motion goes to and fro
    wavy: frozenset[Rect] = frozenset()  # of `objects`: lie there too, but are large and solid
    pending: bool = False  # something waits for a second sight
    count: int = 0  # outlines found, those that are too small or too many included

    def add(self, outline: Rect, whole: Rect, grown: Plane) -> None:
        """An object: `grown` is what is kept of it within its outline, `whole` its box."""
        if self.keep is None:
            self.keep = np.zeros(self.weak.shape, np.uint8)
        kept = self.keep[outline[1] : outline[3], outline[0] : outline[2]]
        cv2.bitwise_or(kept, grown, dst=kept)
        self.objects.append(whole)


class BlobFinder:
    """Finds blobs; keeps how many frames in a row each pixel has been part of one."""

    def __init__(self, shape: tuple[int, int], tuning: Tuning) -> None:
        self._tuning = tuning
        self._peak = max(3, tuning.min_peak)
        self.age: Plane = np.zeros(shape, np.uint8)
        self._aged = False
        self._solid: list[tuple[Rect, int]] = []  # blobs of the last frame, and frames in a row that they were no light

    def none(self) -> None:
        """A frame without any difference."""
        if self._solid or self._aged:
            self.age[:] = 0
            self._solid, self._aged = [], False

    def find(
        self,
        picture: Plane,
        difference: Plane,
        excess: Plane,
        back: Background,
        clutter: Clutter,
        hasty: bool,
        shaded: bool,
        swift: bool,
    ) -> Blobs:
        """Blobs of one frame.

        `excess` is difference over threshold; `hasty`: frames are so far apart that waiting for a second sight would miss
        what passes; `shaded`: light has been changing over parts of the picture, and small blobs may be what is left of it;
        `swift`: looks follow each other so closely that nothing followed has left its pixels in the next one.
        """
        found = Blobs(cv2.threshold(excess, 0, 255, cv2.THRESH_BINARY)[1])  # type: ignore[arg-type]
        excess, grown, sizes = self._candidates(excess, clutter.places() if swift else None, found)
        weak, age = found.weak, self._next_age
        self._next = []
        for rect, pixels in sizes:
            part = (slice(rect[1], rect[3]), slice(rect[0], rect[2]))
            busy, least = clutter.at((rect[0] + rect[2]) // 2, (rect[1] + rect[3]) // 2)
            if pixels < least or pixels < self._tuning.min_area:
                continue
            peak = int(cv2.norm(excess[part], cv2.NORM_INF))
            if peak < self._peak:
                continue
            if not self._confirmed(age, rect, pixels, busy, hasty):
                found.pending = found.pending or not busy
                continue
            judged = self._judged(rect)
            doubted = (shaded or pixels > 40) and (judged < _SURE or judged % _AGAIN == 0)
            if doubted and self._is_light(rect, picture, difference, weak, back, found):
                continue
            self._next.append((rect, judged + 1))
            faint = peak < _FAINT and not busy
            found.add(rect, _whole(rect, difference, back, weak) if faint else rect, grown[part])
        return found

    def _candidates(
        self, excess: Plane, cluttered: Plane | None, found: Blobs
    ) -> tuple[Plane, Plane, list[tuple[Rect, int]]]:
        """What may be objects: the excess that counts, the grown picture, and each box with its changed pixels."""
        grown, rects, part = self._outlines(excess, found.weak, found)
        self._next_age = self._older(found.weak, part)
        sizes = list(self._sizeable(rects, found.weak, found))
        if cluttered is None:
            return excess, grown, sizes
        return self._without_fleeting(excess, self._next_age, cluttered, found)

    def _without_fleeting(
        self, excess: Plane, age: Plane, cluttered: Plane, found: Blobs
    ) -> tuple[Plane, Plane, list[tuple[Rect, int]]]:
        """The excess, the grown picture and the blobs again, without pixels that differ for the first time where it rains.

        A flake or a drop is gone in the next picture; who walks covers most of his pixels for several. So flakes that
        touch someone are not taken for a part of him. What was found before still says how much clutter there is.
        """
        fleeting = cv2.bitwise_and(cluttered, cv2.compare(age, _FLEETING, cv2.CMP_LE))
        lasting = cv2.bitwise_and(excess, cv2.bitwise_not(fleeting))
        found.weak = cv2.threshold(lasting, 0, 255, cv2.THRESH_BINARY)[1]  # type: ignore[assignment]
        rest = Blobs(found.weak)
        grown, rects, _ = self._outlines(lasting, found.weak, rest)  # type: ignore[arg-type]
        return lasting, grown, list(self._sizeable(rects, found.weak, rest))  # type: ignore[return-value]

    def _older(self, weak: Plane, part: tuple[slice, slice]) -> Plane:
        """The age of each pixel in this frame; all that is weak lies in `part`."""
        age = np.zeros_like(weak)
        older = cv2.dilate(self.age[part], _SQUARE)
        cv2.bitwise_and(cv2.add(older, 1), weak[part], dst=age[part])
        return age

    def _sizeable(self, rects: list[Rect], weak: Plane, found: Blobs) -> Iterator[tuple[Rect, int]]:
        """Boxes of at least the least area, with their changed pixels; notes what may be clutter."""
        for x1, y1, x2, y2 in rects:
            rect, area = (x1, y1, x2, y2), (x2 - x1) * (y2 - y1)
            if area < self._tuning.min_area:
                found.small.append((area, rect))
                continue
            pixels = cv2.countNonZero(weak[y1:y2, x1:x2])
            if pixels < 200:
                found.small.append((pixels, rect))
            yield rect, pixels

    def commit(self) -> None:
        """The blobs last found are the ones that count: ages go on from them."""
        self.age, self._solid, self._aged = self._next_age, self._next, True

    def _outlines(self, excess: Plane, weak: Plane, found: Blobs) -> tuple[Plane, list[Rect], tuple[slice, slice]]:
        """The weak picture grown, the boxes of its blobs, largest first, without the growth, and the part that has any."""
        rows, columns = weak.shape
        x, y, width, height = cv2.boundingRect(excess)
        left, top, right, bottom = max(0, x - 2), max(0, y - 3), min(columns, x + width + 2), min(rows, y + height + 3)
        part = (slice(top, bottom), slice(left, right))
        grown = np.zeros_like(weak)
        cv2.dilate(weak[part], _TALL, dst=grown[part])
        contours = cv2.findContours(grown[part], cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(left, top))[0]
        found.count = len(contours)
        rects: list[Rect] = []
        for contour in contours:
            if len(contour) < _BORDER:
                if len(found.small) < 80:
                    cx, cy = contour[0, 0]
                    found.small.append((3, (int(cx), int(cy), int(cx) + 2, int(cy) + 2)))
                continue
            x, y, width, height = cv2.boundingRect(contour)
            x1, y1 = x + (x > 0), y + 2 * (y > 0)
            x2, y2 = x + width - (x + width < columns), y + height - 2 * (y + height < rows)
            if x2 > x1 and y2 > y1:
                rects.append((x1, y1, x2, y2))
        if len(rects) > self._tuning.most_blobs:
            rects.sort(key=lambda r: -(r[2] - r[0]) * (r[3] - r[1]))
            del rects[self._tuning.most_blobs :]
        return grown, rects, part

    def _judged(self, rect: Rect) -> int:
        """Frames in a row in which a blob was here with about the same area and was no light."""
        x1, y1, x2, y2 = rect
        least, most = _ALIKE if len(self._solid) < _MERGES[0] else _MERGES[1]
        area = (x2 - x1) * (y2 - y1)
        for k, judged in self._solid:
            same = x1 < k[2] and k[0] < x2 and y1 < k[3] and k[1] < y2
            if same and least * area < (k[2] - k[0]) * (k[3] - k[1]) < most * area:
                return judged
        return 0

    def _confirmed(self, age: Plane, rect: Rect, pixels: int, busy: bool, hasty: bool) -> bool:
        """Whether a blob has been seen for long enough; what comes in, and is solid, need not wait."""
        x1, y1, x2, y2 = rect
        if cv2.norm(age[y1:y2, x1:x2], cv2.NORM_INF) >= self._tuning.confirm_frames + 2 * busy:
            return True
        enters = x1 <= 1 or y1 <= 1 or x2 >= age.shape[1] - 1 or y2 >= age.shape[0] - 1
        if busy or not (enters or hasty):
            return False
        solid = pixels > 0.4 * (x2 - x1) * (y2 - y1) and min(x2 - x1, y2 - y1) >= 5
        return solid and pixels >= (25 if hasty else self._tuning.solid_area)

    def _is_light(
        self, rect: Rect, picture: Plane, difference: Plane, weak: Plane, back: Background, found: Blobs
    ) -> bool:
        """Whether a blob is only light; notes it."""
        if not is_light(rect, picture, difference, weak, back, self._tuning):
            return False
        x1, y1, x2, y2 = rect
        found.soft = found.soft or cv2.countNonZero(weak[y1:y2, x1:x2]) > 120
        found.lights.append(rect)
        return True


def _whole(rect: Rect, difference: Plane, back: Background, weak: Plane) -> Rect:
    """The box of all that differs by half the threshold and hangs together with a faint blob.

    Hysteresis as in Canny's edge detector: what is barely visible breaks into pieces at the full threshold.
    """
    x1, y1, x2, y2 = rect
    rows, columns = weak.shape
    reach = max(6, (y2 - y1) // 2)
    left, top = max(0, x1 - reach), max(0, y1 - reach)
    part = (slice(top, min(rows, y2 + reach)), slice(left, min(columns, x2 + reach)))
    low = cv2.compare(difference[part], cv2.convertScaleAbs(back.limit[part], alpha=0.5), cv2.CMP_GT)
    labels, stats = cv2.connectedComponentsWithStats(cv2.morphologyEx(low, cv2.MORPH_CLOSE, _TALL))[1:3]
    inside = labels[y1 - top : y2 - top, x1 - left : x2 - left]
    found = np.unique(inside[weak[y1:y2, x1:x2] > 0])
    boxes = stats[found[found > 0]]
    if not len(boxes):
        return rect
    right, bottom = (boxes[:, 0] + boxes[:, 2]).max(), (boxes[:, 1] + boxes[:, 3]).max()
    return (
        min(x1, left + int(boxes[:, 0].min())),
        min(y1, top + int(boxes[:, 1].min())),
        max(x2, left + int(right)),
        max(y2, top + int(bottom)),
    )
