"""How often to look: where much moves, not every picture needs all of the work.

What moves goes on between two looks as it did before, so its boxes are carried on. Looks are .1 s apart while anything is
followed (a film's other pictures are 25 to 60 a second) and .2 s apart while many things are: that is when a look costs
most and when nothing depends on one picture. A scene in which nothing is followed is looked at in every picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream.gate.blobs import Blobs
from stream.gate.tracks import Track

_SOME_S = 0.085  # between looks while something is followed: a tenth of a second, with a clock that shakes
_MANY_S = 0.17  # ... and while many things are
_MANY = 5
_WARM = 12  # frames after the start in which every picture is looked at


@dataclass(frozen=True, slots=True)
class Look:
    """What the last look saw."""

    blobs: Blobs
    tracks: Sequence[Track]
    share: float  # of the picture that differs


class Pace:
    """Keeps the last look while it can be carried on."""

    def __init__(self) -> None:
        self._look: Look | None = None

    def forget(self) -> None:
        """The next picture must be looked at."""
        self._look = None

    def keep(self, blobs: Blobs, tracks: Sequence[Track], share: float, frames: int) -> None:
        """A look at a scene in which something is followed."""
        known = frames > _WARM and any(track.moved for track in tracks)
        self._look = Look(blobs, tracks, share) if known else None

    def carries(self, passed_s: float) -> Look | None:
        """The last look, if a picture that was taken `passed_s` after it needs none of its own."""
        if self._look is None or passed_s <= 0:
            return None
        return self._look if passed_s < (_MANY_S if len(self._look.tracks) >= _MANY else _SOME_S) else None
