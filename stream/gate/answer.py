"""What a detector says of a frame: the reason, and the boxes of the tracks that count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream.gate.blobs import Blobs, Rect
from stream.gate.carry import Carry
from stream.gate.picture import Places
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


def answer(
    blobs: Blobs,
    tracks: Sequence[Track],
    places: Places,
    luma_shape: tuple[int, int],
    share: float,
    relit: bool,
    now_s: float,
    carry: Carry | None = None,
    ahead: float = 0.0,
) -> Motion:
    """The word on a frame with differences. `share` of its pixels differ; `relit`: the light has just changed.

    `ahead` frames have passed since the look that gave the tracks: boxes are moved on by so much.
    """
    few = len(tracks) <= 4  # a small thing in a calm scene is believed at once, amid many it must move
    shown = [
        t
        for t in tracks
        if (t.moved or (t.alive and not t.trembles and (few or t.area >= 100 or t.net >= 1.5)))
        and places.counts(*t.rect)
    ]
    found = joined([(t.later(ahead) if ahead else t.rect, not t.settled) for t in shown])
    if carry is not None:
        found = found + carry.ahead(ahead) if ahead else carry.complete(found, blobs.weak)
        found = [(rect, moves) for rect, moves in found if places.counts(*rect)]
    if not found:
        if relit or blobs.lights:
            return Motion(Reason.LIGHT, share)
        return Motion(Reason.CLUTTER if blobs.small else Reason.STILL, share)
    boxes = _boxes([rect for rect, _ in found], (blobs.weak.shape[0], blobs.weak.shape[1]), luma_shape)
    moving = tuple(moves for _, moves in found)
    if any(moving):
        return Motion(Reason.MOTION, share, boxes, moving)
    fresh = any(t.settled and t.moves_s == now_s for t in shown)
    return Motion(Reason.SETTLED if fresh else Reason.STILL, share, boxes, moving)


def _boxes(rects: Sequence[Rect], shape: tuple[int, int], luma_shape: tuple[int, int]) -> tuple[Box, ...]:
    """Boxes in px of the picture that was given."""
    rows, columns = shape
    down, across = luma_shape[0] / rows, luma_shape[1] / columns
    boxes: list[Box] = []
    for x1, y1, x2, y2 in rects:
        dx, dy = 0.5 + _MARGIN * (x2 - x1), 0.5 + _MARGIN * (y2 - y1)
        left, top, right, bottom = max(0, x1 - dx), max(0, y1 - dy), min(columns, x2 + dx), min(rows, y2 + dy)
        boxes.append(Box(left * across, top * down, right * across, bottom * down))
    return tuple(boxes)
