"""How many cameras this machine carries: a short measurement of decode, gate and models, and the sum that follows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.config import Settings

_PICTURE_PX = (1280, 720)
ADMITTED = 0.05
"""Share of frames that are looked at, assumed: a camera at a house; a busy street has several times that."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Milliseconds of one core a frame, and what they allow. Models are assumed to use all cores in turn."""

    cores: int
    fps: float  # frames a second a camera, of the settings or 5
    decode_ms: float  # luma picture of a 720p JPEG
    gate_ms: float
    full_decode_ms: float  # all pixels, for the frames that are looked at
    embed_ms: float
    describe_ms: float
    cameras: float

    def lines(self) -> list[str]:
        watch = self.decode_ms + self.gate_ms
        look = self.full_decode_ms + self.embed_ms + self.describe_ms
        parts = f"pixels {self.full_decode_ms:.1f}, embed {self.embed_ms:.1f}, describe {self.describe_ms:.1f}"
        return [
            f"forecast: {self.cameras:.0f} cameras of 720p at {self.fps:g} frames/s on {self.cores} cores,"
            f" if {ADMITTED:.0%} of the frames are worth a look",
            f"  every frame {watch:.2f} ms (decode {self.decode_ms:.2f}, gate {self.gate_ms:.2f})",
            f"  each look {look:.0f} ms ({parts})",
        ]


def measure(settings: Settings) -> Forecast:
    """Takes a few seconds; the models run as they would, on whatever provider they get."""
    from datetime import UTC, datetime

    from stream.app import engine
    from stream.decode import MediaDecoder
    from stream.gate import MotionGate
    from stream.types import FrameEvent

    event = FrameEvent("forecast", "forecast", datetime.now(UTC), _street())
    decoder, gate = MediaDecoder([]), MotionGate()
    frame = next(iter(decoder.decode(event)))
    florence, siglip = engine.load(settings.models)
    tasks = tuple(task for task in settings.models.tasks if task in florence.tasks)
    pixels = frame.pixels()
    decode_ms = _ms(lambda: next(iter(decoder.decode(event))), 30)
    gate_ms = _ms(lambda: gate.admit(frame), 60)
    full_ms = _ms(frame.pixels, 10)
    embed_ms = _ms(lambda: siglip.embed_images([pixels]), 5)
    describe_ms = _ms(lambda: florence.look(pixels, tasks), 3)
    fps = max((camera.fps for camera in settings.cameras), default=5.0)
    cores = len(os.sched_getaffinity(0))
    frame_ms = decode_ms + gate_ms + ADMITTED * (full_ms + embed_ms + describe_ms)
    return Forecast(
        cores, fps, decode_ms, gate_ms, full_ms, embed_ms, describe_ms, cameras=cores * 1000 / (fps * frame_ms)
    )


def _street() -> bytes:
    """A drawn 720p picture as JPEG."""
    import cv2
    import numpy as np

    from stream.capture.scenery import make_scene, render

    picture = cv2.resize(render(make_scene(np.random.default_rng(1), "normal"), 4), _PICTURE_PX)
    return bytes(cv2.imencode(".jpg", picture[..., ::-1])[1])


def _ms(call: Callable[[], object], times: int) -> float:
    """Median wall time in ms, after one call to warm up."""
    call()
    took = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        took.append(1e3 * (time.perf_counter() - start))
    return median(took)
