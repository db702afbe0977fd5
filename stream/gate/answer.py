"""What a detector says of a frame: the reason, and the boxes of the tracks that count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream.gate.blobs import Blobs
from stream.gate.carry import Carry
from stream.gate.picture import Places, Rect
from stream.gate.shown import Shown
from stream.gate.split import joined
from stream.gate.tracks import Track
from stream.types import Box, Reason

_MARGIN = 0.06  # that boxes are larger on each side, beside half a px: edges are below the threshold


@dataclass(frozen=True, slots=True)
class Motion:
    """What was seen in one frame. `boxes` are in px of the picture that was given; `moving` says which change now."""

    reason: Reason
    score: float = 0.0  # share of the picture over its threshold
    boxes: tuple[Box, ...] = ()
    moving: tuple[bool, ...] = ()


class Answers:
    """Words on the frames of one source: `shape` is that of the reduced picture, `luma_shape` of the pictures given."""

    def __init__(self, places: Places, shape: tuple[int, int], luma_shape: tuple[int, int]) -> None:
        self._places, self._shape, self._luma_shape = places, shape, luma_shape

    def seen(
        self, blobs: Blobs, tracks: Sequence[Track], share: float, relit: bool, now_s: float, carry: Carry | None = None
    ) -> tuple[Motion, list[Shown]]:
        """The word on a frame with differences, and its boxes.

        `share` of its pixels differ; `relit`: the light has just changed.
        """
        few = len(tracks) <= 4  # a small thing in a calm scene is believed at once, amid many it must move
        counts = self._places.counts
        tracks = [
            t
            for t in tracks
            if (t.moved or (t.alive and not t.trembles and (few or t.area >= 100 or t.net >= 1.5))) and counts(*t.rect)
        ]
        shown = joined([Shown(t.rect, not t.settled, t.goes_x, t.goes_y) for t in tracks])
        if carry is not None:
            shown = [each for each in carry.complete(shown, blobs.weak, now_s) if counts(*each.rect)]
        if not shown:
            if relit or blobs.lights:
                return Motion(Reason.LIGHT, share), shown
            return Motion(Reason.CLUTTER if blobs.small else Reason.STILL, share), shown
        motion = self._motion(shown, share)
        if motion.reason is Reason.STILL and any(t.settled and t.moves_s == now_s for t in tracks):
            motion = Motion(Reason.SETTLED, share, motion.boxes, motion.moving)
        return motion, shown

    def later(self, last: Motion, shown: Sequence[Shown], passed_s: float) -> Motion:
        """The word on a frame that was not looked at, `passed_s` after one of which was said `last` with these boxes."""
        if not shown:
            return last
        moved = [Shown(each.later(passed_s), each.moves) for each in shown]
        moved = [each for each in moved if self._inside(each.rect) and self._places.counts(*each.rect)]
        return self._motion(moved, last.score)

    def _motion(self, shown: Sequence[Shown], share: float) -> Motion:
        moving = tuple([each.moves for each in shown])
        return Motion(Reason.MOTION if any(moving) else Reason.STILL, share, self._boxes(shown), moving)

    def _boxes(self, shown: Sequence[Shown]) -> tuple[Box, ...]:
        """Boxes in px of the picture that was given."""
        rows, columns = self._shape
        down, across = self._luma_shape[0] / rows, self._luma_shape[1] / columns
        boxes: list[Box] = []
        for each in shown:  # no calls of min and max: this is done for every box of every frame
            x1, y1, x2, y2 = each.rect
            dx, dy = 0.5 + _MARGIN * (x2 - x1), 0.5 + _MARGIN * (y2 - y1)
            left, right = x1 - dx if x1 > dx else 0.0, x2 + dx if x2 + dx < columns else columns
            top, bottom = y1 - dy if y1 > dy else 0.0, y2 + dy if y2 + dy < rows else rows
            boxes.append(Box(left * across, top * down, right * across, bottom * down))
        return tuple(boxes)

    def _inside(self, rect: Rect) -> bool:
        return rect[0] < self._shape[1] and rect[1] < self._shape[0] and rect[2] > 0 and rect[3] > 0
