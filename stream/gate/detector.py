"""One source's motion detector: a luma picture and its time in, what moved out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stream.gate.background import Background
from stream.gate.blobs import BlobFinder, Blobs, Rect
from stream.gate.clutter import Activity, Clutter
from stream.gate.flow import Coherence
from stream.gate.ghosts import left_behind, shadows
from stream.gate.memory import Memory
from stream.gate.picture import Places, Plane, Reducer
from stream.gate.settings import DEFAULT, GateSettings, Tuning
from stream.gate.split import joined, tightened
from stream.gate.tracks import Track, Tracks
from stream.types import Box, Reason

_WARM = 3  # frames until the background is used
_CALM = 4  # calm frames after which a changed scene is accepted
_SHAKY = 110  # mean of the mask (0 or 255) of a box that trembles
_TRAFFIC = 2  # objects that move on, from which whatever does not tremble is taken for one and not learnt as leaves
_WAVY = 215  # ... and of a large one, for which a part of it does not do
_MARGIN = 0.03  # that boxes are larger on each side, beside half a px: edges are below the threshold
_HOLE = (1, 4)  # after so many frames without change what moved may be the hole where it was
_NOMINAL_S = 0.1  # frame distance that is assumed until it is known


@dataclass(frozen=True, slots=True)
class Motion:
    """What was seen in one frame. `boxes` are in px of the picture that was given; `moving` says which change now."""

    reason: Reason
    score: float = 0.0  # share of the picture over its threshold
    boxes: tuple[Box, ...] = ()
    moving: tuple[bool, ...] = ()


class Detector:
    """Adaptive background subtraction with the light, the weather and everything that stands accounted for.

    Not shared between threads. Holds about 40 bytes for each pixel of the reduced picture: 2 to 3 MB at 720p (docs/gate.md).
    """

    def __init__(self, settings: GateSettings, tuning: Tuning = DEFAULT) -> None:
        self.settings, self.tuning = settings, tuning
        self._reduce = Reducer(tuning.pixels)
        self.luma_shape: tuple[int, int] = (0, 0)  # of the pictures given
        self.frames = 0  # since the start or the last restart
        self._at_s = self._slow_at_s = 0.0
        self.step_s = _NOMINAL_S
        self._resumed = False  # the clock is not known yet

    def restart(self) -> None:
        """Forget everything: the next picture is the first."""
        self.frames = 0

    def detect(self, luma: Plane, at_s: float) -> Motion:
        """What moved in `luma`, (h, w) uint8, taken at `at_s` seconds on any steady clock.

        Late and repeated frames are judged, not learnt. A picture of another size restarts the warm-up.
        """
        if luma.shape != self.luma_shape:
            self.luma_shape = (luma.shape[0], luma.shape[1])
            self._reduce.forget()
            self.restart()
        picture = self._reduce(luma)
        learns = self._tick(at_s)
        self.frames += 1
        if self.frames == 1:
            self._begin(picture)
            return Motion(Reason.FIRST)
        if self._unsettled:
            return self._settle_scene(picture)
        return self._judge(picture, learns)

    def resume(
        self, luma_shape: tuple[int, int], seen: Plane, limit: Plane, sigma: float, step_s: float, frames: int
    ) -> None:
        """Continue with a background that another detector learnt. Anything that it knew of objects is lost."""
        self.luma_shape, self.step_s, self.frames = luma_shape, step_s, frames
        self._resumed = True
        self._begin(seen)
        self.activity.resume(limit)
        self.back.sigma = sigma
        self.back.rebuild(self.activity.limit)

    def _begin(self, picture: Plane) -> None:
        shape = (picture.shape[0], picture.shape[1])
        self._shape, self._area = shape, picture.size
        self.back = Background(picture, self.tuning, self.settings.threshold)
        self._finder = BlobFinder(shape, self.tuning, self.settings.threshold)
        self._clutter, self.activity = Clutter(shape, self.tuning), Activity(shape, self.tuning)
        self._flow = Coherence(shape)
        self._memory = Memory(picture, self.settings.hold_s)
        self._tracks = Tracks()
        self._places = Places(self.settings, shape)
        self._earlier = self._last = picture  # a slow step ago; a frame ago
        self._unsettled = self._dimmed = self._shaded = 0
        self._leaf = 15.0  # pixels of a blob that trembles
        self._share = 0.0  # that differed a frame ago
        self._difference = np.empty(shape, np.uint8)
        self._excess = np.empty(shape, np.uint8)

    def _tick(self, at_s: float) -> bool:
        """Move the clock; whether this frame is a new one."""
        step = at_s - self._at_s
        if self.frames == 0 or self._resumed:
            self._at_s = self._slow_at_s = at_s
            self._resumed = False
            return True
        if -5.0 < step <= 0:
            return False
        self._at_s = at_s
        if 0 < step < 5.0:  # a jump says nothing about the rate
            self.step_s += 0.2 * (step - self.step_s) if self.frames > 2 else step - self.step_s
        elif not 0 < at_s - self._slow_at_s < 60 and self.frames:
            self._slow_at_s = at_s
        return True

    def _settle_scene(self, picture: Plane) -> Motion:
        """After a scene change: wait for calm frames while the camera finds its exposure."""
        moved = cv2.norm(picture, self._last, cv2.NORM_L1) / self._area
        self._last = picture
        self._unsettled = self._unsettled - 1 if moved < 1.5 + 2 * self.back.sigma else _CALM
        self.back.replace(picture)
        if not self._unsettled:
            self._finder.none()
        return Motion(Reason.LIGHT, min(1.0, moved / 255))

    def _judge(self, picture: Plane, learns: bool) -> Motion:
        changed = self._subtract(picture)
        share = changed / self._area
        relit = False
        sudden = share > 0.08 and (
            share > 1.3 * self._share + 0.03 or self._at_s - self._slow_at_s >= self.tuning.slow_s
        )
        self._share = share
        if sudden and self.frames > _WARM and self.back.relight(picture, share):
            self.back.rebuild(self.activity.limit)
            changed = self._subtract(picture)
            self._share = share = changed / self._area
            relit, self._dimmed = True, 6
        if share > 0.5:
            self._unsettled = _CALM
            self.back.replace(picture)
            self._tracks = Tracks()
            self._memory.doubt()
            self._last = picture
            return Motion(Reason.SCENE, share)
        if not changed:
            return self._quiet(picture, learns, relit)
        return self._busy(picture, learns, relit, share)

    def _subtract(self, picture: Plane) -> int:
        """Number of pixels over their threshold; fills the difference and the excess over the threshold."""
        cv2.absdiff(picture, self.back.seen, dst=self._difference)
        cv2.subtract(self._difference, self.back.limit, dst=self._excess)
        if self._places.mask is not None:
            cv2.bitwise_and(self._excess, self._places.mask, dst=self._excess)
        return cv2.countNonZero(self._excess)

    def _quiet(self, picture: Plane, learns: bool, relit: bool) -> Motion:
        if learns:
            self._finder.none()
            self._clutter.learn([], [])
            self.activity.calm()
            self._tracks.update([], self.frames, self._at_s)
            self.back.learn(picture, self._weight(), None)
            self._memory.update(picture, None, self.back, self._at_s)
            self.back.deviate(self._difference, None, self._deviation_weight())
            self._slow(picture, None, [])
            self._last = picture
        return Motion(Reason.LIGHT if relit else Reason.STILL)

    def _busy(self, picture: Plane, learns: bool, relit: bool, share: float) -> Motion:
        blobs = self._blobs(picture)
        if not learns:
            return self._answer(picture, blobs, Tracks().update(blobs.objects, self.frames, self._at_s), relit, share)
        self._finder.commit()
        for x1, y1, x2, y2 in blobs.lights:
            part = (slice(y1, y2), slice(x1, x2))
            self.back.absorb(picture, part, 0.4)
            self._memory.doubt(part)
        earlier = list(self._tracks.all)
        tracks = self._tracks.update(blobs.objects, self.frames, self._at_s, blobs.shaky, blobs.wavy)
        self._enliven(picture, tracks)
        tracks = self._without_holes(picture, blobs, tracks)
        traffic = sum(t.moved for t in tracks) >= _TRAFFIC
        movers = [t.rect for t in tracks if t.moved or (traffic and not t.trembles)]
        self._clutter.learn(blobs.small, movers)
        keep, weight = blobs.keep, self._weight()
        for track in tracks:
            if track.trembles and keep is not None:
                x1, y1, x2, y2 = track.rect
                keep[y1:y2, x1:x2] = 0
        if self._dimmed:
            self._dimmed -= 1
            tracks, keep = self._after_light(tracks, earlier, blobs)
            weight = 0.4
        elif self._shaded:
            weight = max(weight, 0.3)
        self._flow.update(picture, self._at_s)
        self.activity.update(blobs.weak, self._difference, keep, movers, self._flow.to_and_fro, self.step_s)
        self.back.learn(picture, weight, keep)
        self._memory.update(picture, blobs.weak, self.back, self._at_s)
        self.back.deviate(self._difference, blobs.weak, self._deviation_weight())
        self._slow(picture, blobs, tracks)
        motion = self._answer(picture, blobs, tracks, relit, share)
        self._last = picture
        return motion

    def _enliven(self, picture: Plane, tracks: list[Track]) -> None:
        """Tell the tracks whether their pixels changed since the last frame."""
        apart = cv2.absdiff(picture, self._last)
        least, fade = max(4.0, 5 * self.back.sigma), float(np.exp(-min(self.step_s, 1.0) / 0.4))
        rows, columns = self._shape
        for track in tracks:
            x1, y1, x2, y2 = track.rect
            track.change(int(apart[y1:y2, x1:x2].max()) > least, fade)
            if track.seen == 0 and (x1 <= 1 or y1 <= 1 or x2 >= columns - 1 or y2 >= rows - 1):
                track.alive = True  # it came in: only what appears in the middle must prove itself

    def _without_holes(self, picture: Plane, blobs: Blobs, tracks: list[Track]) -> list[Track]:
        """The tracks but for the holes that moving things left behind; those are learnt at once."""
        kept = []
        for track in tracks:
            fresh = track.moved and not track.settled and track.unchanged in _HOLE
            if fresh and left_behind(picture, self.back.seen, blobs.weak, track.rect):
                self._absorb(picture, blobs.weak, track.rect)
            else:
                kept.append(track)
        return kept

    def _blobs(self, picture: Plane) -> Blobs:
        known = (
            [t.rect for t in self._tracks.all if t.moved and t.last_frame == self.frames - 1] if self.frames & 3 else []
        )
        hasty = self.step_s > 0.3

        def find() -> Blobs:
            return self._finder.find(picture, self._difference, self._excess, self.back, self._clutter, known, hasty)

        blobs = find()
        self._shaded = max(0, self._shaded - 1)
        pixels = cv2.countNonZero(blobs.weak)
        if blobs.soft or (self._shaded and pixels > 150):
            before = self.back.reshade(picture)
            left = self._subtract(picture)
            if left < (0.9 if self._shaded else 0.6) * pixels:
                self._shaded = 10 if blobs.soft else self._shaded
                blobs = find()
            else:
                self.back.restore(before)
                self._subtract(picture)
        pieces = tightened(blobs.weak, blobs.objects, self.tuning.fill)
        dark = shadows(picture, self.back.seen, blobs.weak, pieces)
        blobs.objects = [piece for piece, is_dark in zip(pieces, dark, strict=True) if not is_dark]
        blobs.shaky = self._shaky(blobs)
        return blobs

    def _shaky(self, blobs: Blobs) -> frozenset[Rect]:
        """Blobs that lie where motion goes to and fro, unless they are solid and much larger than what trembles there."""
        mask = self._flow.to_and_fro
        if mask is None:
            return frozenset()
        sizes = {}
        for x1, y1, x2, y2 in blobs.objects:
            if cv2.mean(mask[y1:y2, x1:x2])[0] > _SHAKY:
                sizes[x1, y1, x2, y2] = cv2.countNonZero(blobs.weak[y1:y2, x1:x2])
        if not sizes:
            return frozenset()
        self._leaf += 0.1 * (float(np.median(list(sizes.values()))) - self._leaf)
        large = min(150.0, max(60.0, 4 * self._leaf))
        shaky = frozenset(
            r for r, pixels in sizes.items() if pixels < large or pixels < 0.45 * (r[2] - r[0]) * (r[3] - r[1])
        )
        solid = frozenset(sizes) - shaky
        blobs.wavy = frozenset(r for r in solid if cv2.mean(mask[r[1] : r[3], r[0] : r[2]])[0] > _WAVY)
        return shaky

    def _after_light(self, tracks: list[Track], earlier: list[Track], blobs: Blobs) -> tuple[list[Track], Plane]:
        """While the light changes only what moved before counts, and the rest is learnt quickly."""
        kept = [
            t
            for t in tracks
            if any(o.moved and o.last_frame <= self.frames and _touch(t.rect, o.rect) for o in earlier)
        ]
        keep = np.zeros_like(blobs.weak)
        for track in kept:
            x1, y1, x2, y2 = track.rect
            keep[y1:y2, x1:x2] = 255
        return kept, keep

    def _answer(self, picture: Plane, blobs: Blobs, tracks: list[Track], relit: bool, share: float) -> Motion:
        few = len(tracks) <= 4  # a small thing in a calm scene is believed at once, amid many it must move
        shown = [
            t
            for t in tracks
            if (t.moved or (t.alive and not t.trembles and (few or t.area >= 100 or t.net >= 1.5)))
            and self._places.counts(*t.rect)
        ]
        if not shown:
            if relit or blobs.lights:
                return Motion(Reason.LIGHT, share)
            return Motion(Reason.CLUTTER if blobs.small else Reason.STILL, share)
        across, down = self.luma_shape[1] / self._shape[1], self.luma_shape[0] / self._shape[0]
        rows, columns = self._shape
        boxes: list[Box] = []
        moving: list[bool] = []
        for (x1, y1, x2, y2), moves in joined([(t.rect, not t.settled) for t in shown]):
            dx, dy = 0.5 + _MARGIN * (x2 - x1), 0.5 + _MARGIN * (y2 - y1)
            left, top, right, bottom = max(0, x1 - dx), max(0, y1 - dy), min(columns, x2 + dx), min(rows, y2 + dy)
            boxes.append(Box(left * across, top * down, right * across, bottom * down))
            moving.append(moves)
        if any(moving):
            return Motion(Reason.MOTION, share, tuple(boxes), tuple(moving))
        fresh = any(t.settled and t.moves_s == self._at_s for t in shown)
        return Motion(Reason.SETTLED if fresh else Reason.STILL, share, tuple(boxes), tuple(moving))

    def _weight(self) -> float:
        settled = 1 - float(np.exp(-min(self.step_s, 1.0) / self.tuning.learn_s))
        return max(settled, 1.0 / self.frames) if self.frames < 30 else settled

    def _deviation_weight(self) -> float:
        return 0.03 if self.frames > 40 else 0.1

    def _slow(self, picture: Plane, blobs: Blobs | None, tracks: list[Track]) -> None:
        """What need not be done in every frame: noise, thresholds, foliage, things that stand."""
        if self._at_s - self._slow_at_s < self.tuning.slow_s and self.frames not in (3, 8):
            return
        self._slow_at_s = self._at_s
        self.back.measure_noise(self._difference)
        if blobs is not None and tracks:
            self._stand(picture, blobs, tracks)
        self.activity.fold(self.settings.threshold)
        self.back.rebuild(self.activity.limit)
        self._earlier = picture

    def _stand(self, picture: Plane, blobs: Blobs, tracks: list[Track]) -> None:
        """Blobs that do not change: settled objects, ghosts of what has left, parts of the scene."""
        quiet = max(4.0, 4 * self.back.sigma)
        apart = cv2.absdiff(picture, self._earlier)
        for track in tracks:
            x1, y1, x2, y2 = track.rect
            part = (slice(y1, y2), slice(x1, x2))
            if cv2.mean(apart[part], blobs.weak[part])[0] >= quiet:
                track.settled, track.moves_s = False, self._at_s
                if not track.moved and self._at_s - track.born_s > 5.0:
                    self.activity.raise_to(part)
                continue
            since = self._at_s - track.born_s
            if left_behind(picture, self.back.seen, blobs.weak, track.rect):
                self._absorb(picture, blobs.weak, track.rect)
            elif not track.moved and since > self.tuning.still_s and track.area < 60:
                self.back.absorb(picture, part)
            elif not track.settled:
                track.settled = True
                track.moves_s = self._at_s

    def _absorb(self, picture: Plane, weak: Plane, rect: Rect) -> None:
        """Take the changed pixels of a box into the background."""
        x1, y1, x2, y2 = max(0, rect[0] - 2), max(0, rect[1] - 2), rect[2] + 2, rect[3] + 2
        where = np.zeros_like(weak)
        where[y1:y2, x1:x2] = cv2.dilate(weak[y1:y2, x1:x2], np.ones((3, 3), np.uint8))
        self.back.replace(picture, where)
        self._memory.doubt((slice(y1, y2), slice(x1, x2)))


def _touch(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
