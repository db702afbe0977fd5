"""How many cameras this machine carries: a short measurement of decode, gate and models, and the sum that follows."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.config import Settings
    from stream.types import Frame, FrameEvent

_WIDTH_PX, _HEIGHT_PX = 1280, 720
_FILM_FRAMES, _FILM_FPS = 45, 5.0
ADMITTED = 0.05
"""Share of frames that are looked at, assumed: a camera at a house; a busy street has several times that."""
LOOP_FPS = 400
"""What one process takes from Kafka, accounts for and commits, in frames of 100 KB a second (docs/delivery.md)."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a frame costs, and what that allows."""

    cores: int
    fps: float  # frames a second a camera, of the settings or 5
    decode_ms: float  # of one core: luma picture of a 720p JPEG
    gate_ms: float  # of one core, in the assumed mix of frames where something moves and frames where nothing does
    pixels_ms: float  # of one core: all pixels, for the frames that are looked at
    embed_ms: float  # until the model answers
    describe_ms: float
    models_cpu_ms: float  # of all cores together while both models answer: more on a CPU, next to nothing on a GPU

    @property
    def cameras(self) -> float:
        """As many as the cores carry, and as the models do, which answer one look after the other."""
        cores_ms = self.decode_ms + self.gate_ms + ADMITTED * (self.pixels_ms + self.models_cpu_ms)
        models_ms = ADMITTED * (self.embed_ms + self.describe_ms)
        return 1000 / self.fps / max(cores_ms / self.cores, models_ms)

    def lines(self) -> list[str]:
        lines = [
            f"forecast: {self.cameras:.0f} cameras of 720p at {self.fps:g} frames/s on {self.cores} cores,"
            f" if {ADMITTED:.0%} of the frames are worth a look",
            f"  every frame {self.decode_ms + self.gate_ms:.2f} ms of a core"
            f" (decode {self.decode_ms:.2f}, gate {self.gate_ms:.2f})",
            f"  each look {self.embed_ms + self.describe_ms:.0f} ms of the models (embed {self.embed_ms:.1f},"
            f" describe {self.describe_ms:.1f}) and {self.pixels_ms + self.models_cpu_ms:.0f} ms of a core",
        ]
        if self.cameras * self.fps > LOOP_FPS:
            processes = math.ceil(self.cameras * self.fps / LOOP_FPS)
            lines.append(f"  a process takes about {LOOP_FPS} frames a second from Kafka: run {processes} of them")
        return lines


def measure(settings: Settings) -> Forecast:
    """Takes a few seconds; the models run as they would, on whatever provider they get."""
    from stream.app import engine
    from stream.decode import MediaDecoder

    decoder = MediaDecoder([])
    decode_ms, gate_ms, frame = _watch(decoder.decode)
    florence, siglip = engine.load(settings.models)
    tasks = tuple(task for task in settings.models.tasks if task in florence.tasks)
    pixels = frame.pixels()
    _, pixels_ms = _ms(frame.pixels, 10)
    embed_ms, embed_cpu_ms = _ms(lambda: siglip.embed_images([pixels]), 5)
    describe_ms, describe_cpu_ms = _ms(lambda: florence.look(pixels, tasks), 3)
    return Forecast(
        cores=len(os.sched_getaffinity(0)),
        fps=max((camera.fps for camera in settings.cameras), default=5.0),
        decode_ms=decode_ms,
        gate_ms=gate_ms,
        pixels_ms=pixels_ms,
        embed_ms=embed_ms,
        describe_ms=describe_ms,
        models_cpu_ms=embed_cpu_ms + describe_cpu_ms,
    )


def film(frames: int = _FILM_FRAMES) -> Iterator[FrameEvent]:
    """A drawn 720p camera with its sensor's noise: quiet for 3 s, then a car drives by."""
    import cv2

    from stream.capture.scenery import DrivewayCamera
    from stream.types import FrameEvent

    camera = DrivewayCamera(2, size_px=_WIDTH_PX, fps=_FILM_FPS)
    top = (_WIDTH_PX - _HEIGHT_PX) // 2
    began = datetime.now(UTC)
    for index in range(frames):
        picture = camera.at(index / _FILM_FPS).rgb[top : top + _HEIGHT_PX]
        _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        yield FrameEvent(f"forecast-{index}", "forecast", began + timedelta(seconds=index / _FILM_FPS), bytes(data))


def _watch(decode: Callable[[FrameEvent], Iterator[Frame]]) -> tuple[float, float, Frame]:
    """Core ms a frame of decoding and of the gate, and the last frame. What moves costs the gate several times more."""
    from stream.gate import MotionGate
    from stream.types import Reason

    gate = MotionGate()
    decoding: list[float] = []
    judging: dict[bool, list[float]] = {True: [], False: []}
    for event in film():
        started = time.process_time()
        frame = next(iter(decode(event)))
        decoded = time.process_time()
        word = gate.admit(frame)
        judging[word.reason is Reason.MOTION].append(1e3 * (time.process_time() - decoded))
        decoding.append(1e3 * (decoded - started))
    gate_ms = ADMITTED * median(judging[True]) + (1 - ADMITTED) * median(judging[False])
    return median(decoding), gate_ms, frame


def _ms(call: Callable[[], object], times: int) -> tuple[float, float]:
    """Median wall and core milliseconds, after one call to warm up."""
    call()
    took = []
    for _ in range(times):
        wall_s, core_s = time.perf_counter(), time.process_time()
        call()
        took.append((1e3 * (time.perf_counter() - wall_s), 1e3 * (time.process_time() - core_s)))
    return median(wall for wall, _ in took), median(core for _, core in took)
