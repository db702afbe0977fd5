"""One source's motion detector: a luma picture and its time in, what moved out."""

from __future__ import annotations

import math

import cv2

from stream.gate.answer import Answers, Motion
from stream.gate.background import Background
from stream.gate.blobs import Blobs
from stream.gate.carry import Carry
from stream.gate.clock import Clock
from stream.gate.clutter import Activity, Clutter
from stream.gate.flow import Coherence
from stream.gate.memory import Memory
from stream.gate.pace import Look, Pace
from stream.gate.picture import Places, Plane, Rect, Reducer
from stream.gate.settings import DEFAULT, GateSettings, Tuning
from stream.gate.sight import Sight
from stream.gate.standing import Standing
from stream.gate.tracks import Track, Tracks, enliven, known_before
from stream.types import Reason

_WARM = 3  # frames until the background is used
_KNOWN = 12  # frames from which on not every picture is looked at
_CALM = 4  # calm frames after which a changed scene is accepted
_TRAFFIC = 2  # objects that move on, from which whatever does not tremble is taken for one and not learnt as leaves
_SEEN = 5  # frames after which what moves on is believed ...
_STRAYS = 2  # ... beside which so many small blobs are noise
_LASTS = 2.0  # mean frames that light has lain on its pixels before it is learnt
_CHANGES_S = 0.4  # time constant of the count of a track's changes


class Detector:
    """Adaptive background subtraction with the light, the weather and everything that stands accounted for.

    Not shared between threads. Holds about 2 MB, whatever the size of the pictures (docs/gate.md).
    """

    def __init__(self, settings: GateSettings, tuning: Tuning = DEFAULT) -> None:
        self.settings, self.tuning = settings, tuning
        self._reduce = Reducer(tuning.pixels)
        self.luma_shape: tuple[int, int] = (0, 0)  # of the pictures given
        self.frames = 0  # since the start or the last restart
        self._clock = Clock()

    def restart(self) -> None:
        """Forget everything: the next picture is the first."""
        self.frames = 0

    def detect(self, luma: Plane, at_s: float) -> Motion:
        """What moved in `luma`, (h, w) uint8, taken at `at_s` seconds on any steady clock.

        Late and repeated frames are not learnt and show no objects. A picture of another size restarts the warm-up.
        """
        if luma.shape != self.luma_shape:
            self.luma_shape = (luma.shape[0], luma.shape[1])
            self.restart()
        elif self.frames and (look := self._pace.carries(luma, at_s - self._clock.at_s)):
            return self._answers.later(look.said, look.shown, at_s - self._clock.at_s)
        picture = self._reduce(luma)
        learns = self._clock.tick(at_s, self.frames)
        self.frames += 1
        if self.frames == 1:
            self._begin(picture)
            return Motion(Reason.FIRST)
        if self._unsettled:
            return self._settle_scene(picture)
        said = self._judge(picture, learns)
        self._pace.looked(luma, self.back.sigma)
        return said

    @property
    def step_s(self) -> float:
        """Seconds between the frames that are looked at."""
        return self._clock.step_s

    def reduced(self, luma_shape: tuple[int, int]) -> tuple[int, int]:
        """The size of the picture that it works on, for that of the pictures given."""
        return self._reduce.shape(luma_shape)

    def resume(
        self, luma_shape: tuple[int, int], seen: Plane, limit: Plane, sigma: float, step_s: float, frames: int
    ) -> None:
        """Continue with a background that another detector learnt. Anything that it knew of objects is lost."""
        self.luma_shape, self.frames = luma_shape, frames
        self._clock.resume(step_s)
        self._begin(seen)
        self.activity.resume(limit)
        self.back.sigma = sigma
        self.back.rebuild(self.activity.limit)

    def _begin(self, picture: Plane) -> None:
        shape = (picture.shape[0], picture.shape[1])
        self._shape, self._area = shape, picture.size
        self.back = Background(picture, self.tuning, self.settings.threshold)
        self._clutter, self.activity = Clutter(shape, self.tuning), Activity(shape, self.tuning)
        self._flow = Coherence(shape)
        self._memory = Memory(picture, self.settings.hold_s)
        self._tracks = Tracks()
        self._places = Places(self.settings, shape)
        self._earlier = self._last = picture  # a slow step ago; a frame ago
        self._unsettled = self._dimmed = 0
        self._sight = Sight(self.back, self._clutter, self._places, self.tuning)
        self._standing = Standing(self.back, self._memory, self.tuning)
        self._answers = Answers(self._places, shape, self.luma_shape)
        self._pace, self._carry = Pace(shape, self.luma_shape), Carry()
        self._share = 0.0  # that differed a frame ago

    def _settle_scene(self, picture: Plane) -> Motion:
        """After a scene change: wait for calm frames while the camera finds its exposure."""
        moved = cv2.norm(picture, self._last, cv2.NORM_L1) / self._area
        self._last = picture
        self._unsettled = self._unsettled - 1 if moved < 1.5 + 2 * self.back.sigma else _CALM
        self.back.replace(picture)
        if not self._unsettled:
            self._sight.finder.none()
        return Motion(Reason.LIGHT, min(1.0, moved / 255))

    def _judge(self, picture: Plane, learns: bool) -> Motion:
        self._pace.forget()
        changed = self._sight.subtract(picture)
        share = changed / self._area
        relit = False
        sudden = share > 0.08 and (share > 1.3 * self._share + 0.03 or self._clock.slow(self.tuning.slow_s))
        self._share = share
        if sudden and self.frames > _WARM and self.back.relight(picture, share):
            self.back.rebuild(self.activity.limit)
            changed = self._sight.subtract(picture)
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

    def _quiet(self, picture: Plane, learns: bool, relit: bool) -> Motion:
        if learns:
            self._sight.finder.none()
            self._carry.forget()
            self._clutter.learn([], [])
            self.activity.calm()
            self._tracks.update([], self.frames, self._clock.at_s)
            self.back.learn(picture, self._weight(), None)
            self._memory.update(picture, None, self.back, self._clock.at_s)
            self.back.deviate(self._sight.difference, None, self._haste)
            self._slow(picture, None, [])
            self._last = picture
        return Motion(Reason.LIGHT if relit else Reason.STILL)

    def _busy(self, picture: Plane, learns: bool, relit: bool, share: float) -> Motion:
        followed = [t.rect for t in self._tracks.all if t.moved and t.seen >= _SEEN]
        blobs = self._sight.blobs(picture, followed, self._flow.to_and_fro, self.step_s)
        if not learns:
            tracks = Tracks().update(blobs.objects, self.frames, self._clock.at_s)
            return self._answers.seen(blobs, tracks, share, relit, self._clock.at_s)[0]
        earlier = list(self._tracks.all)
        tracks = self._follow(picture, blobs)
        movers = self._movers(tracks)
        self._clutter.learn(blobs.small, movers)
        keep, weight = blobs.keep, self._weight()
        if keep is not None:
            for x1, y1, x2, y2 in (track.rect for track in tracks if track.trembles):
                keep[y1:y2, x1:x2] = 0
        changing = bool(self._dimmed or self._sight.shaded)
        if self._dimmed:
            self._dimmed -= 1
            tracks, keep = known_before(tracks, earlier, self._shape)
            weight = 0.4
        elif self._sight.shaded:
            weight = max(weight, 0.3)
        if not self._purposeful(blobs, tracks):
            self._flow.update(picture, self._clock.at_s, self._clock.passed_s)
        self.activity.update(blobs.weak, self._sight.difference, keep, movers, self._flow.to_and_fro, self.step_s)
        self.back.learn(picture, weight, keep)
        stand = [track.rect for track in tracks if track.walked and track.settled]
        self._memory.update(picture, blobs.weak, self.back, self._clock.at_s, stand)
        self.back.deviate(self._sight.difference, blobs.weak, self._haste)
        self._slow(picture, blobs, tracks)
        self._last = picture
        if changing:
            self._carry.forget()
        said, shown = self._answers.seen(blobs, tracks, share, relit, self._clock.at_s, self._carry)
        if not changing and self.frames > _KNOWN:
            doubtful = blobs.pending or self._carry.any or self._clutter.any
            self._pace.keep(Look(said, shown), tracks, doubtful, self._tracks.lost)
        return said

    def _follow(self, picture: Plane, blobs: Blobs) -> list[Track]:
        """The tracks of the frame's blobs; what is only light, or was left behind, is learnt."""
        self._sight.finder.commit()
        for x1, y1, x2, y2 in blobs.lights:
            part = (slice(y1, y2), slice(x1, x2))
            age = cv2.mean(self._sight.finder.age[part], blobs.weak[part])[0]
            if age >= _LASTS:  # not an insect, which leaves at once
                self.back.absorb(picture, part, 0.4)
                self._memory.doubt(part)
        tracks = self._tracks.update(blobs.objects, self.frames, self._clock.at_s, blobs.shaky, blobs.wavy)
        fade = math.exp(-min(self.step_s, 1.0) / _CHANGES_S)
        enliven(tracks, picture, self._last, max(4.0, 5 * self.back.sigma), fade)
        return self._standing.without_holes(picture, self._sight.difference, blobs, tracks)

    @staticmethod
    def _movers(tracks: list[Track]) -> list[Rect]:
        """Boxes of what moves on; beside traffic, of all that does not tremble."""
        traffic = sum(t.moved for t in tracks) >= _TRAFFIC
        return [t.rect for t in tracks if t.moved or (traffic and not t.trembles)]

    def _purposeful(self, blobs: Blobs, tracks: list[Track]) -> bool:
        """Whether all that changes is known to move on: then nothing trembles, and the flow need not be asked."""
        return (
            self._flow.to_and_fro is None
            and blobs.count <= len(tracks) + _STRAYS
            and all(t.moved and t.seen >= _SEEN for t in tracks)
        )

    @property
    def _haste(self) -> float:
        """How fast the noise is learnt: at first it is not known at all."""
        return 0.03 if self.frames > 40 else 0.1

    def _weight(self) -> float:
        settled = 1 - math.exp(-min(self.step_s, 1.0) / self.tuning.learn_s)
        return max(settled, 1.0 / self.frames) if self.frames < 30 else settled

    def _slow(self, picture: Plane, blobs: Blobs | None, tracks: list[Track]) -> None:
        """What need not be done in every frame: noise, thresholds, foliage, things that stand."""
        if not self._clock.slow(self.tuning.slow_s) and self.frames not in (3, 8):
            return
        self._clock.done()
        self.back.measure_noise(self._sight.difference)
        if blobs is not None and tracks:
            self._standing.judge(picture, self._earlier, blobs, tracks, self.activity, self._clock.at_s)
        self.activity.fold(self.settings.threshold)
        self.back.rebuild(self.activity.limit)
        self._earlier = picture
