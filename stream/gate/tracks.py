"""Which blobs move on, which stand, which only tremble: boxes followed from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stream.gate.picture import Plane, Rect

_MOST = 100
_ALIVE = 2.1  # three changes in quick succession; a clock's digits change once a second, H.264 refines them once
_MOVING = 1.35  # two, where the box moves too
_FEW = 120  # pairs up to which plain loops are faster than arrays
_FAR = 1e9
_LONG_S = 4.0  # a crowd of leaves is still where it was; nobody passes so slowly that he is not seen to go
_AWAY = 20.0  # px beyond its own size that something has left its place
_STANDS = 3  # looks without a change after which who walked stands: leaves do not
_MARGIN = 2  # px between boxes that still touch
_PART = 0.3  # share of the box of who walked amid leaves that a part must have to walk on; a crumb is a leaf
_WANDERS = 12.0  # px of path after which what moved amid leaves must have gone somewhere
_TRUST = 0.3  # weight of a new pace
_JUMPS = 3, 2.0, 0.35  # looks after which who is off by px and a share of the shorter side has merged or split
_FADES = 0.7  # what is left of an earlier error of the pace after a look
_LOST_FRAMES = 3  # a track outlives its blob by this


@dataclass(slots=True, eq=False)
class Track:
    """One blob through time. Places are reduced px, times seconds."""

    rect: Rect
    x: float
    y: float
    from_x: float
    from_y: float
    born_s: float
    last_frame: int
    path: float = 0.0
    born_x: float = 0.0
    born_y: float = 0.0
    seen: int = 0
    moved: bool = False
    moves_s: float = 0.0  # when its pixels last changed
    changes: float = 1.0  # recent frames in which its pixels changed, fading
    unchanged: int = 0  # frames in a row in which its pixels did not change
    walked: bool = False  # it moved on by more than its own size, once
    alive: bool = False  # its pixels went on changing after it appeared: not a digit of a time stamp, nor a lamp
    settled: bool = False
    trembles: bool = False  # stays where all goes to and fro: leaves, water
    vx: float = 0.0
    vy: float = 0.0
    speed: float = 0.0
    at_s: float = 0.0  # when it was seen last
    goes_x: float = 0.0  # px a second
    goes_y: float = 0.0
    strays: float = 0.0  # px a second by which it was elsewhere than it should have been

    @property
    def area(self) -> int:
        return (self.rect[2] - self.rect[0]) * (self.rect[3] - self.rect[1])

    @property
    def net(self) -> float:
        """Distance from where it was first seen, city blocks."""
        return abs(self.x - self.from_x) + abs(self.y - self.from_y)

    def stays(self, now_s: float) -> bool:
        """Whether it has been about for long without ever leaving the place where it appeared."""
        width, height = self.rect[2] - self.rect[0], self.rect[3] - self.rect[1]
        far = abs(self.x - self.born_x) > width + _AWAY or abs(self.y - self.born_y) > height + _AWAY
        return now_s - self.born_s > _LONG_S and not far

    def follow(self, rect: Rect, frame: int, now_s: float, shaky: bool) -> None:
        """The blob is at `rect` now; where all is `shaky` it must go further to be believed."""
        x, y = (rect[0] + rect[2]) * 0.5, (rect[1] + rect[3]) * 0.5
        dx, dy = x - self.x, y - self.y
        if shaky:  # leaves that merge and part pull one side of a box only
            across = _both(rect[0] - self.rect[0], rect[2] - self.rect[2])
            down = _both(rect[1] - self.rect[1], rect[3] - self.rect[3])
            self.from_x, self.from_y = self.from_x + dx - across, self.from_y + dy - down
        self.path += abs(dx) + abs(dy)
        self.vx, self.vy = 0.9 * self.vx + 0.1 * dx, 0.9 * self.vy + 0.1 * dy
        self.speed = 0.9 * self.speed + 0.1 * (abs(dx) + abs(dy))
        self._aim(dx, dy, now_s)
        self.rect, self.x, self.y, self.last_frame = rect, x, y, frame
        self.seen += 1
        # back and forth: whatever it was, it goes nowhere
        if self.moved and self.speed > 0.5 and abs(self.vx) + abs(self.vy) < 0.2 * self.speed:
            self.moved = False
            self._restart()
        elif shaky and self.moved and self.path > _WANDERS and self.net < 0.4 * self.path:
            self.moved = False  # a branch that a gust once bent far enough
            self._restart()
        elif self.seen % 60 == 0 and not self.moved:
            self._restart()
        if not self.moved and self.seen >= 3:
            size = min(rect[2] - rect[0], rect[3] - rect[1])
            if shaky:
                self.moved = self.seen >= 4 and self.net > max(6.0, 0.5 * size) and self.net > 0.5 * self.path
            else:
                self.moved = self.net > max(5.0, 0.4 * size) and self.net > 0.45 * self.path
        if not self.walked:
            self._walks()

    def _aim(self, dx: float, dy: float, now_s: float) -> None:
        """Learn how it goes on from the way that it went since it was seen last."""
        passed, self.at_s = now_s - self.at_s, now_s
        if passed <= 0:
            return
        off_x, off_y = dx / passed - self.goes_x, dy / passed - self.goes_y
        off, side = abs(off_x) + abs(off_y), min(self.rect[2] - self.rect[0], self.rect[3] - self.rect[1])
        if self.seen <= _JUMPS[0] or off * passed <= _JUMPS[1] + _JUMPS[2] * side:  # a jump says nothing of its pace
            trust = max(_TRUST, 1 / (self.seen + 1))
            self.goes_x, self.goes_y = self.goes_x + trust * off_x, self.goes_y + trust * off_y
        self.strays = max(off, _FADES * self.strays) if self.seen else 0.0

    def _walks(self) -> None:
        width, height = self.rect[2] - self.rect[0], self.rect[3] - self.rect[1]
        if self.moved and (abs(self.x - self.born_x) > width + 4 or abs(self.y - self.born_y) > height + 4):
            self.walked = True

    def change(self, changed: bool, fade: float) -> None:
        """Whether its pixels differ from those of the frame before; `fade` is what is left of earlier changes."""
        self.changes = self.changes * fade + changed
        self.unchanged = 0 if changed else self.unchanged + 1
        if not self.alive:
            self.alive = self.changes > _ALIVE or (self.changes > _MOVING and self.net >= 0.8)

    def _restart(self) -> None:
        self.from_x, self.from_y, self.path = self.x, self.y, 0.0


def _both(a: int, b: int) -> int:
    """How far both sides of a box went the same way."""
    return 0 if a * b <= 0 else min(a, b, key=abs)


class Tracks:
    """Follows blobs by the nearest overlapping box."""

    def __init__(self) -> None:
        self.all: list[Track] = []
        self.lost = False  # whether one that moves has not been found in the last look

    def update(
        self,
        rects: list[Rect],
        frame: int,
        now_s: float,
        shaky: frozenset[Rect] = frozenset(),
        wavy: frozenset[Rect] = frozenset(),
    ) -> list[Track]:
        """The tracks of `rects`, in their order.

        Those in `shaky` lie where motion goes to and fro; those in `wavy` do so too, but are large and solid: they tremble
        when they have not left their place for long.
        """
        before = self.all
        matches = _nearest(rects, before)
        heirs: dict[int, float] = {}  # the box nearest to a track goes on with it
        for match in matches:
            if match and match[1] < heirs.get(id(match[0]), _FAR):
                heirs[id(match[0])] = match[1]
        current: list[Track] = []
        used: set[int] = set()
        for rect, match in zip(rects, matches, strict=True):
            shakes = rect in shaky or (rect in wavy and match is not None and match[0].stays(now_s))
            if match and id(match[0]) not in used and match[1] <= heirs[id(match[0])]:
                track = match[0]
                used.add(id(track))
                track.follow(rect, frame, now_s, shakes)
            else:
                track = self._fresh(rect, match[0] if match else None, shakes, frame, now_s)
            if shakes and rect in wavy:
                track.moved = False
            stands = track.walked and track.unchanged >= _STANDS
            track.trembles = shakes and not track.moved and not stands
            current.append(track)
        lost = [t for t in before if frame - t.last_frame < _LOST_FRAMES and id(t) not in used]
        self.lost = any(t.moved for t in lost)
        self.all = (current + lost)[:_MOST]
        return current

    def _fresh(self, rect: Rect, parent: Track | None, shakes: bool, frame: int, now_s: float) -> Track:
        """A new track; when a blob fell in two, both parts have the history."""
        x, y = (rect[0] + rect[2]) * 0.5, (rect[1] + rect[3]) * 0.5
        track = Track(rect, x, y, x, y, now_s, frame, moves_s=now_s, born_x=x, born_y=y, at_s=now_s)
        if parent is not None:
            walks = parent.walked and track.area >= _PART * parent.area
            track.moved = parent.moved and (walks or not shakes)
            track.seen, track.born_s, track.alive = parent.seen, parent.born_s, parent.alive
            track.born_x, track.born_y = parent.born_x, parent.born_y
            track.moves_s, track.settled, track.walked = parent.moves_s, parent.settled, parent.walked
            track.goes_x, track.goes_y, track.strays = parent.goes_x, parent.goes_y, parent.strays
        return track


def _nearest(rects: list[Rect], tracks: list[Track]) -> list[tuple[Track, float] | None]:
    """For each box the track that is most like it in place and size among those whose box it touches, and how far."""
    if not tracks or not rects:
        return [None] * len(rects)
    if len(tracks) * len(rects) <= _FEW:
        return [_nearest_of(rect, tracks) for rect in rects]
    new = np.array(rects, np.float32)[:, None, :]
    old = np.array([t.rect for t in tracks], np.float32)[None, :, :]
    reach = np.minimum(new[..., 2:], old[..., 2:]) - np.maximum(new[..., :2], old[..., :2])
    apart = np.abs(new - old).sum(axis=-1)  # of all four sides: place and size
    apart[(reach <= -_MARGIN).any(axis=-1)] = _FAR
    best = apart.argmin(axis=1)
    return [(tracks[j], float(apart[i, j])) if apart[i, j] < _FAR else None for i, j in enumerate(best.tolist())]


def _nearest_of(rect: Rect, tracks: list[Track]) -> tuple[Track, float] | None:
    x1, y1, x2, y2 = rect
    best, least = None, _FAR
    for track in tracks:
        a1, b1, a2, b2 = track.rect
        if x1 - _MARGIN < a2 and a1 - _MARGIN < x2 and y1 - _MARGIN < b2 and b1 - _MARGIN < y2:
            apart = abs(x1 - a1) + abs(y1 - b1) + abs(x2 - a2) + abs(y2 - b2)
            if apart < least:
                best, least = track, float(apart)
    return (best, least) if best else None


def enliven(tracks: list[Track], picture: Plane, last: Plane, least: float, fade: float) -> None:
    """Tell the tracks whether their pixels changed by more than `least` since the `last` picture."""
    rows, columns = picture.shape
    for track in tracks:
        x1, y1, x2, y2 = track.rect
        apart = cv2.norm(picture[y1:y2, x1:x2], last[y1:y2, x1:x2], cv2.NORM_INF)
        track.change(apart > least, fade)
        if track.seen == 0 and (x1 <= 1 or y1 <= 1 or x2 >= columns - 1 or y2 >= rows - 1):
            track.alive = True  # it came in: only what appears in the middle must prove itself


def known_before(tracks: list[Track], earlier: list[Track], shape: tuple[int, int]) -> tuple[list[Track], Plane]:
    """The tracks that touch one which moved before, and a mask of their boxes: while the light changes only they count."""
    movers = [t.rect for t in earlier if t.moved]
    kept = [t for t in tracks if any(_touch(t.rect, rect) for rect in movers)]
    keep = np.zeros(shape, np.uint8)
    for track in kept:
        x1, y1, x2, y2 = track.rect
        keep[y1:y2, x1:x2] = 255
    return kept, keep


def _touch(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
