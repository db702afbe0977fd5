"""How often to look: what goes on as it did is carried on, for as long as that can be relied upon.

Each look says how long it lasts. What is followed may neither go too far in that time nor be further from where it must
be by then than the last looks were wrong about it; what is new, what trembles and what is in doubt is looked at at once.
The pictures in between get a glance: one that differs where nothing is followed is looked at (`Peek`). A scene in which
nothing is followed is looked at in every picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream.gate.answer import Motion
from stream.gate.peek import Peek
from stream.gate.picture import Plane
from stream.gate.shown import Shown
from stream.gate.tracks import Track

_MANY = 5  # things followed from which a look costs most and nothing depends on one of them
_LEAST_S = (0.085, 0.17)  # between looks while few, many are followed: .1 and .2 s, with a clock that shakes
_MOST_S = (0.17, 0.37)  # ... when all goes on as it did
_WAY = 8.0  # px that anything may go between two looks: the flow of what goes further cannot be told
_OFF = (1.0, 0.8)  # px, and share of the shorter side, by which a box may be off
_PROVEN = 8  # looks after which what has not moved is not expected to


@dataclass(frozen=True, slots=True)
class Look:
    """What the last look saw."""

    said: Motion
    shown: Sequence[Shown]


class Pace:
    """Keeps the last look while it can be carried on."""

    def __init__(self, shape: tuple[int, int], luma_shape: tuple[int, int]) -> None:
        self._look: Look | None = None
        self._tracks: Sequence[Track] = ()
        self._lasts_s = 0.0
        self._peek: Peek | None = None
        self._shapes = (shape, luma_shape)
        self._peeks = False

    def forget(self) -> None:
        """The next picture must be looked at."""
        self._look = None

    def keep(self, look: Look, tracks: Sequence[Track], doubtful: bool, lost: bool) -> None:
        """A look, and all that it follows.

        `doubtful`: something else may turn out to be an object; `lost`: one that was followed is missing.
        """
        if not any(track.moved for track in tracks):
            return
        many = len(tracks) >= _MANY
        lasts_s = 0.0 if doubtful or (lost and not many) else lasts(tracks, _MOST_S[many])
        self._look, self._tracks = look, tracks
        self._peeks, self._lasts_s = lasts_s > _LEAST_S[many], max(_LEAST_S[many], lasts_s)

    def looked(self, luma: Plane, sigma: float) -> None:
        """The picture that the last look was at, and the noise of it when reduced."""
        if self._look is not None and self._peeks:
            self._peek = self._peek or Peek(*self._shapes)
            self._peek.keep(luma, self._tracks, self._lasts_s, sigma)

    def carries(self, luma: Plane, passed_s: float) -> Look | None:
        """The last look, if a picture that was taken `passed_s` after it needs none of its own."""
        if self._look is None or not 0 < passed_s < self._lasts_s:
            return None
        if self._peeks and self._peek is not None and self._peek.finds(luma):
            return None
        return self._look


def lasts(tracks: Sequence[Track], most_s: float) -> float:
    """Seconds for which these can be carried on, up to `most_s`; 0: none, something is new or all stand."""
    lasts_s, moves = most_s, False
    for track in tracks:
        if track.trembles or (track.seen < _PROVEN and not track.moved and not track.settled):
            return 0.0
        if track.settled:
            continue
        moves = True
        x1, y1, x2, y2 = track.rect
        off = _OFF[0] + _OFF[1] * (x2 - x1 if x2 - x1 < y2 - y1 else y2 - y1)
        if track.strays * lasts_s > off:
            lasts_s = off / track.strays
        speed = abs(track.goes_x) + abs(track.goes_y)
        if speed * lasts_s > _WAY:
            lasts_s = _WAY / speed
    return lasts_s if moves else 0.0
