"""The gate of one source: which of its frames are worth a look, and why."""

from __future__ import annotations

import numpy as np

from stream.errors import BadMedia
from stream.gate.answer import Motion
from stream.gate.detector import Detector
from stream.gate.picture import Plane
from stream.gate.settings import DEFAULT, GateSettings, Tuning
from stream.gate.state import pack, unpack
from stream.types import Admission, Box, Frame, Reason

WARM_UP = 3
"""Frames after the start that are let through while the background is learnt."""

_ADMITS = frozenset({Reason.FIRST, Reason.WARM_UP, Reason.MOTION, Reason.SETTLED, Reason.SCENE})
_CLOCK_JUMP_S = 5.0  # a step back by more than this is a new clock, not a late frame


class MotionGate:
    """Implements `types.Gate` for one stream. Cheap to create; not shared between threads.

    Admits while something moves, once more when it settles, once when the whole scene changes, and, if set, at least
    every `interval_s`. Rain, snow, leaves, insects, noise, time stamps and changes of light do not admit.
    """

    def __init__(self, settings: GateSettings | None = None, tuning: Tuning = DEFAULT) -> None:
        self.settings = settings or GateSettings()
        self._detector = Detector(self.settings, tuning)
        self._looked_at_s: float | None = None  # when a frame was last admitted
        self._stream_s: float | None = None
        self._warming = 0

    def detect(self, luma: Plane, at_s: float) -> Motion:
        """The detector's word on a picture, (h, w) uint8, taken at `at_s` seconds; boxes in its own pixels.

        Raises:
            BadMedia: the picture is empty or not a plane of bytes.
        """
        if luma.ndim != 2 or luma.size == 0 or luma.dtype != np.uint8:
            raise BadMedia(f"the gate reads a (h, w) uint8 luma picture, got {luma.dtype} of shape {luma.shape}")
        motion = self._detector.detect(luma, at_s)
        if motion.reason is Reason.FIRST:
            self._warming = WARM_UP - 1
        elif self._warming:
            self._warming -= 1
            return Motion(Reason.WARM_UP, motion.score, motion.boxes, motion.moving)
        return motion

    def admit(self, frame: Frame) -> Admission:
        """Decide about a frame; boxes in source pixels.

        The clock is the stream time of a file and the capture time of a live source. Late frames (up to 5 s) and
        repeated ones are not learnt and show no objects.

        Raises:
            BadMedia: the frame's luma picture is empty or not a plane of bytes.
        """
        at_s = frame.captured_at.timestamp() if frame.pts_s is None else self._stream_time(frame.pts_s)
        motion = self.detect(frame.luma, at_s)
        height, width = frame.luma.shape
        boxes = _scaled(motion.boxes, frame.width / width, frame.height / height)
        reason = motion.reason
        if reason not in _ADMITS:
            if frame.cut or self.settings.every_frame:
                reason = Reason.FORCED
            elif self._due(at_s):
                reason = Reason.INTERVAL
        admitted = reason in _ADMITS or reason in (Reason.FORCED, Reason.INTERVAL)
        if admitted and (self._looked_at_s is None or not 0 <= self._looked_at_s - at_s < _CLOCK_JUMP_S):
            self._looked_at_s = at_s
        return Admission(admitted, reason, motion.score, boxes)

    def _stream_time(self, pts_s: float) -> float:
        """Stream time that only goes forward: a film's pictures come in order even where their time stamps do not.

        Interlaced H.264 in MP4 often has the stamps of reordered fields on the wrong pictures.
        """
        if self._stream_s is not None and self._stream_s - _CLOCK_JUMP_S < pts_s <= self._stream_s:
            pts_s = self._stream_s + 0.5 * self._detector.step_s
        self._stream_s = pts_s
        return pts_s

    def _due(self, at_s: float) -> bool:
        """Whether the heartbeat asks for a look. A clock that went back starts the interval anew."""
        if not self.settings.interval_s or self._looked_at_s is None:
            return False
        passed = at_s - self._looked_at_s
        if passed < -_CLOCK_JUMP_S:
            self._looked_at_s = at_s
        return passed >= self.settings.interval_s

    def state(self) -> bytes:
        """What another worker needs to take this source over: 10 to 40 kB; empty before the first frame."""
        return pack(self._detector)

    def restore(self, state: bytes) -> bool:
        """Continue from another worker's `state`; the first frames are let through with reason `warm-up`.

        False: the state is empty, damaged or of another version, and the gate starts as new.
        """
        if not unpack(self._detector, state):
            return False
        self._warming = WARM_UP
        return True


def _scaled(boxes: tuple[Box, ...], across: float, down: float) -> tuple[Box, ...]:
    if across == 1 and down == 1:
        return boxes
    return tuple(Box(b.x1 * across, b.y1 * down, b.x2 * across, b.y2 * down) for b in boxes)
