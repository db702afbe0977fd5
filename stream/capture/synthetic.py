"""A camera that needs no hardware: it films the drawn driveway, and its truth is known."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from stream.capture.footage import Encoder
from stream.capture.scenery import CameraFrame, DrivewayCamera
from stream.errors import Permanent, Unavailable
from stream.metrics import CAMERA_CONNECTED, CAMERA_DROPPED
from stream.types import FrameEvent, Publisher

_LOG = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


def _ignore(event: FrameEvent, frame: CameraFrame) -> None:
    """Nobody asked for the truth."""


class SyntheticCamera:
    """Publishes the driveway's pictures as a camera would: on time, and not at all when it is too late."""

    def __init__(
        self,
        name: str,
        publisher: Publisher,
        *,
        driveway: DrivewayCamera,
        quality: int = 90,
        start_s: float = 0.0,
        on_frame: Callable[[FrameEvent, CameraFrame], None] = _ignore,
        now: Callable[[], datetime] = _now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """The rate is `driveway.fps`, the first picture the one at `start_s` of its script.

        `on_frame(event, frame)` gets the truth of each frame (`frame.truth`, `frame.caption`) before it is published.
        """
        self.name = name
        self.dropped = 0
        self._publisher = publisher
        self._driveway = driveway
        self._encoder = Encoder(quality)
        self._start_s = start_s
        self._on_frame = on_frame
        self._now = now
        self._sleep = sleep

    async def run(self) -> None:
        """Until it is cancelled."""
        step_s = 1 / self._driveway.fps
        began, index = self._now(), 0
        connected = CAMERA_CONNECTED.labels(self.name)
        connected.set(1)
        try:
            with ThreadPoolExecutor(1, thread_name_prefix=f"camera-{self.name}") as studio:
                while True:
                    late_s = (self._now() - began).total_seconds() - index * step_s
                    if late_s < 0:
                        await self._sleep(-late_s)
                    elif late_s > step_s:
                        self._drop(missed := int(late_s / step_s))
                        index += missed
                    captured_at = began + timedelta(seconds=index * step_s)
                    await self._film(studio, self._start_s + index * step_s, captured_at)
                    index += 1
        finally:
            connected.set(0)

    async def _film(self, studio: ThreadPoolExecutor, at_s: float, captured_at: datetime) -> None:
        frame, image = await asyncio.get_running_loop().run_in_executor(studio, self._draw, at_s)
        event = FrameEvent(id=uuid.uuid4().hex, source=self.name, captured_at=captured_at, image=image)
        self._on_frame(event, frame)
        try:
            await self._publisher.publish(event)
        except (Unavailable, Permanent) as error:
            self._drop(1)
            _LOG.warning("camera %s: a frame could not be published: %s", self.name, error)

    def _draw(self, at_s: float) -> tuple[CameraFrame, bytes]:
        frame = self._driveway.at(at_s)
        return frame, self._encoder.rgb(frame.rgb)

    def _drop(self, frames: int) -> None:
        self.dropped += frames
        CAMERA_DROPPED.labels(self.name).inc(frames)
