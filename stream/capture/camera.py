"""A camera, or a film in its place: frames go onto the topic at a steady rate for as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

from stream.capture.address import Secret
from stream.capture.clocks import Backoff, Rate, StreamClock
from stream.capture.footage import Encoder, Shot, shots
from stream.capture.latest import Latest
from stream.errors import Misconfigured, Permanent, Unavailable
from stream.metrics import CAMERA_CONNECTED, CAMERA_DROPPED
from stream.types import FrameEvent, Publisher

_LOG = logging.getLogger(__name__)
_GRACE_S = 1.0  # how long a stop waits for the thread; a library call that still waits for the network is left behind


def _now() -> datetime:
    return datetime.now(UTC)


def is_film(url: str) -> bool:
    """Whether this is a file, played at its own speed, and not a stream that gives the pace itself."""
    return "://" not in url or url.startswith("file://")


def _film_path(url: str) -> str:
    """Absolute, because FFmpeg takes what stands before a colon for a protocol; unescaped, as it does not do that."""
    path = unquote(url.removeprefix("file://")) if url.startswith("file://") else url
    return str(Path(path).expanduser().absolute())


class Camera:
    """Follows one camera: reads on a thread of its own, publishes on the event loop, reconnects for ever.

    When publishing is slower than the camera, the newest frame wins and the others are counted in `dropped`.
    """

    def __init__(
        self,
        name: str,
        url: str,
        publisher: Publisher,
        *,
        fps: float = 5.0,
        loop: bool = False,
        quality: int = 85,
        timeout_s: float = 5.0,
        now: Callable[[], datetime] = _now,
        chance: Callable[[], float] = random.random,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        """`url`: rtsp://, http:// or a film's path; a film ends the run unless `loop`. `quality`: JPEG, 1 to 100.

        `wait(stop, seconds)` is how the thread waits between frames of a film and between attempts.
        """
        self.name = name
        self.dropped = 0
        self._film = is_film(url)
        self._address = Secret(_film_path(url) if self._film else url)
        self._loop = loop
        self._publisher = publisher
        self._rate = Rate(fps)
        self._encoder = Encoder(quality)
        self._timeout_s = timeout_s
        self._now = now
        self._wait = wait
        self._backoff = Backoff(chance=chance)
        self._clock = StreamClock()
        self._stop = threading.Event()
        self._connected = False
        self._told = False  # of the outage that lasts

        self._failure: Exception | None = None

    def __repr__(self) -> str:
        return f"Camera({self.name!r}, {str(self._address)!r})"

    async def run(self) -> None:
        """Until it is cancelled or the film ends.

        Raises: errors.Misconfigured when a film cannot be played at all; a camera out of reach raises nothing.
        """
        slot: Latest[FrameEvent] = Latest()
        thread = threading.Thread(target=self._read, args=(slot,), name=f"camera-{self.name}", daemon=True)
        CAMERA_CONNECTED.labels(self.name).set(0)
        thread.start()
        try:
            while (event := await slot.take()) is not None:
                await self._publish(event)
            if self._failure is not None:
                raise self._failure
        finally:
            self._stop.set()
            await asyncio.to_thread(thread.join, _GRACE_S)
            CAMERA_CONNECTED.labels(self.name).set(0)

    async def _publish(self, event: FrameEvent) -> None:
        try:
            await self._publisher.publish(event)
        except (Unavailable, Permanent) as error:
            self._drop()  # a live frame is not worth waiting for: the next one is newer
            _LOG.warning("camera %s: a frame could not be published: %s", self.name, error)

    def _drop(self) -> None:
        self.dropped += 1
        CAMERA_DROPPED.labels(self.name).inc()

    def _read(self, slot: Latest[FrameEvent]) -> None:
        """The thread: connect, read, and connect again."""
        try:
            while not self._stop.is_set():
                self._follow(slot)
                if self._film and not self._loop:
                    return
        except Exception as error:  # noqa: BLE001 - this thread is owned by `run`, which raises it
            self._failure = error
        finally:
            slot.close()

    def _follow(self, slot: Latest[FrameEvent]) -> None:
        """One connection, from its first to its last frame. A clean end is what a killed server looks like."""
        self._clock.restart()
        began: datetime | None = None
        frames = shots(self._address, self._encoder, self._timeout_s)
        try:
            with contextlib.closing(frames):
                for shot in frames:
                    began = began or self._connect()
                    if self._film and shot.pts_s is not None:
                        self._pace(began, shot.pts_s)
                    if self._stop.is_set():
                        return
                    self._take(shot, slot)
            reason = "" if self._film and began else "the stream ended" if began else "the stream has no frame"
        except Unavailable as error:
            reason = str(error)
        if self._film and not began:
            raise Misconfigured(reason if str(self._address) in reason else f"{self._address}: {reason}")
        if reason:
            self._disconnect(reason)

    def _take(self, shot: Shot, slot: Latest[FrameEvent]) -> None:
        arrived_at = self._now()
        captured_at = self._clock.captured_at(None if self._film else shot.pts_s, arrived_at)
        if not self._rate.take(shot.pts_s if self._film and shot.pts_s is not None else captured_at.timestamp()):
            return
        event = FrameEvent(id=uuid.uuid4().hex, source=self.name, captured_at=captured_at, image=shot.jpeg())
        if slot.put(event):
            self._drop()

    def _pace(self, began: datetime, pts_s: float) -> None:
        ahead_s = pts_s - (self._now() - began).total_seconds()
        if ahead_s > 0:
            self._wait(self._stop, ahead_s)

    def _connect(self) -> datetime:
        self._backoff.reset()
        if not self._connected:
            _LOG.info("camera %s: connected to %s", self.name, self._address)
        self._connected, self._told = True, False
        CAMERA_CONNECTED.labels(self.name).set(1)
        return self._now()

    def _disconnect(self, reason: str) -> None:
        pause_s = self._backoff.next_s()
        level = logging.INFO if self._told else logging.WARNING  # once for each outage, also for one from the start
        self._told = True
        _LOG.log(level, "camera %s: %s; trying again in %.1f s", self.name, reason, pause_s)
        self._connected = False
        CAMERA_CONNECTED.labels(self.name).set(0)
        self._wait(self._stop, pause_s)
