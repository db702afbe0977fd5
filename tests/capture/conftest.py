"""What the capture tests share: a publisher that keeps what it gets, a clock, and the RTSP server."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stream.types import Event
from tests import PATIENCE_S
from tests.decode.media import film, texture

_PYTHON = "/usr/bin/python3"
_NEEDS = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
assert all(map(Gst.ElementFactory.find, ("x264enc", "rtph264pay", "rtpjpegpay", "jpegenc", "qtdemux", "h264parse")))
"""


class Kept:
    """A publisher that keeps events; `next` waits for the next one."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    async def publish(self, event: Event) -> None:
        self.events.append(event)
        self._queue.put_nowait(event)

    async def next(self) -> Any:
        return await asyncio.wait_for(self._queue.get(), PATIENCE_S)


class Time:
    """A clock that stands still but for waits, which pass at once."""

    def __init__(self) -> None:
        self.at = datetime(2026, 5, 1, 12, tzinfo=UTC)
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self.at

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.at += timedelta(seconds=seconds)
        return stop.is_set()

    async def sleep(self, seconds: float) -> None:
        self.wait(threading.Event(), seconds)
        await asyncio.sleep(0)


class RtspServer:
    """The server process on a port of its own; it can be killed and started again."""

    def __init__(self, clip: Path, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._clip = clip
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def start(self, *login: str) -> None:
        script = str(Path(__file__).with_name("rtsp_server.py"))
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [_PYTHON, script, str(self.port), str(self._clip), *login],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "READY\n", self._log.read_text()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def url(self, path: str, login: str = "") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}{path}"


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second and a half of H.264, 15 frames a second."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return film(path, [texture(n, 320, 180) for n in range(22)], fps=15, options={"g": "15"})


@pytest.fixture
def rtsp(clip: Path, tmp_path: Path) -> Iterator[RtspServer]:
    if subprocess.run([_PYTHON, "-c", _NEEDS], capture_output=True, timeout=60, check=False).returncode:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say("no RTSP server: apt-get install the GStreamer packages that .ci/run names")
    server = RtspServer(clip, tmp_path / "rtsp.log")
    yield server
    server.kill()


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def running() -> Iterator[Callable[[Any], Any]]:
    """`async with running(source) as task:` runs a source until the block is left."""

    class Running:
        def __init__(self, source: Any) -> None:
            self._source = source

        async def __aenter__(self) -> asyncio.Task[None]:
            self._task = asyncio.create_task(self._source.run())
            return self._task

        async def __aexit__(self, *_: object) -> None:
            self._task.cancel()
            await asyncio.wait_for(asyncio.wait([self._task]), PATIENCE_S)

    yield Running
