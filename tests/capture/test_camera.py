"""A camera against a real RTSP server, and films in a camera's place."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from stream.capture import Camera
from stream.capture.camera import is_film
from stream.capture.footage import Encoder
from stream.errors import BrokerUnavailable, Misconfigured
from stream.metrics import REGISTRY
from stream.types import FrameEvent
from tests import PATIENCE_S
from tests.capture.conftest import Kept, RtspServer, Time
from tests.decode.media import corners, film, quadrants, texture, turned


def connected(name: str) -> float | None:
    return REGISTRY.get_sample_value("seestream_camera_connected", {"source": name})


def decoded(event: FrameEvent) -> np.ndarray[Any, Any]:
    assert event.image is not None
    picture = cv2.imdecode(np.frombuffer(event.image, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return np.asarray(picture)


class Pauses:
    """Stands in for the waits between attempts: tells the test of each one and holds the thread until it says go on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[float] = asyncio.Queue()
        self._go = threading.Semaphore(0)

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self._loop.call_soon_threadsafe(self._told.put_nowait, seconds)
        self._go.acquire(timeout=PATIENCE_S)
        return stop.is_set()

    async def next(self) -> float:
        return await asyncio.wait_for(self._told.get(), PATIENCE_S)

    def go_on(self, times: int = 1) -> None:
        self._go.release(times)


async def test_frames_of_a_live_camera(rtsp: RtspServer, kept: Kept, running: Any) -> None:
    rtsp.start()
    began = datetime.now(UTC)
    async with running(Camera("yard", rtsp.url("/live"), kept, fps=5)):
        events = [await kept.next() for _ in range(6)]
        assert connected("yard") == 1
    assert connected("yard") == 0
    for event in events:
        assert decoded(event).shape == (360, 640, 3)
        assert event.source == "yard"
        assert began < event.captured_at <= datetime.now(UTC)
    assert len({event.id for event in events}) == 6
    gaps = [(b.captured_at - a.captured_at).total_seconds() for a, b in pairwise(events)]
    assert min(gaps) > 0
    assert sum(gaps) > 0.75  # six frames at five a second, whatever the server's fifteen


async def test_motion_jpeg_is_passed_on_as_it_comes(
    rtsp: RtspServer, kept: Kept, running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rtsp.start()
    monkeypatch.delattr(Encoder, "film_frame")
    async with running(Camera("yard", rtsp.url("/mjpeg"), kept)):
        event = await kept.next()
    assert event.image.startswith(b"\xff\xd8\xff")
    assert decoded(event).shape == (360, 640, 3)


async def test_a_killed_server_is_met_again_when_it_comes_back(rtsp: RtspServer, kept: Kept, running: Any) -> None:
    rtsp.start()
    pauses = Pauses()
    camera = Camera("yard", rtsp.url("/live"), kept, timeout_s=2, chance=lambda: 1.0, wait=pauses.wait)
    async with running(camera):
        before = [await kept.next() for _ in range(3)]
        rtsp.kill()
        assert await pauses.next() == 0.5
        assert connected("yard") == 0
        pauses.go_on()
        assert await pauses.next() == 1.0  # nobody there yet
        rtsp.start()
        pauses.go_on()
        seen = {event.id for event in kept.events}
        while (event := await kept.next()).id in seen:
            pass
        assert connected("yard") == 1
        rtsp.kill()
        assert await pauses.next() == 0.5  # it was connected: the waits begin anew
        pauses.go_on(9)
    assert event.captured_at > before[-1].captured_at


async def test_a_stream_that_ends_is_a_disconnect(rtsp: RtspServer, kept: Kept, running: Any) -> None:
    rtsp.start()
    pauses = Pauses()
    async with running(Camera("yard", rtsp.url("/clip"), kept, fps=60, timeout_s=2, wait=pauses.wait)) as task:
        await kept.next()
        await pauses.next()
        first = len(kept.events)
        assert not task.done()
        pauses.go_on()
        await pauses.next()
        assert len(kept.events) > first
        pauses.go_on(9)


async def test_the_password_opens_the_stream_and_shows_nowhere(
    rtsp: RtspServer, kept: Kept, running: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    rtsp.start("cam", "s3cret-word")
    pauses = Pauses()
    wrong = Camera("wrong", rtsp.url("/live", "cam:wr0ng-word@"), kept, wait=pauses.wait)
    async with running(wrong):
        await pauses.next()
        pauses.go_on(9)
    assert "refuses the user name or password" in caplog.text
    right = Camera("right", rtsp.url("/live", "cam:s3cret-word@"), kept, wait=pauses.wait)
    async with running(right):
        assert (await kept.next()).source == "right"
        rtsp.kill()
        await pauses.next()
        pauses.go_on()
        await pauses.next()
        pauses.go_on(9)
    shown = caplog.text + repr(right) + repr(wrong) + "".join(capfd.readouterr())
    assert f"rtsp://***@127.0.0.1:{rtsp.port}/live" in shown
    assert "s3cret-word" not in shown
    assert "wr0ng-word" not in shown


async def test_a_path_that_is_not_served_says_so(
    rtsp: RtspServer, kept: Kept, running: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rtsp.start()
    pauses = Pauses()
    async with running(Camera("yard", rtsp.url("/nosuch"), kept, wait=pauses.wait)):
        await pauses.next()
        pauses.go_on(9)
    assert "no such stream: check the path" in caplog.text


async def test_a_server_that_is_silent_is_given_up(kept: Kept, running: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pauses = Pauses()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live"
        async with running(Camera("yard", url, kept, timeout_s=0.2, wait=pauses.wait)):
            await pauses.next()
            pauses.go_on()
            await pauses.next()
            pauses.go_on(9)
    assert "nothing that can be read came from it in time" in caplog.text
    levels = [record.levelno for record in caplog.records if "trying again" in record.getMessage()]
    assert levels[:2] == [logging.WARNING, logging.INFO], "an outage is told once, also one from the start"


async def test_stopping_does_not_wait_for_a_silent_server(kept: Kept, running: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live"
        async with running(Camera("yard", url, kept, timeout_s=2)):
            connection, _ = await asyncio.get_running_loop().run_in_executor(None, silent.accept)
        connection.close()
    assert connected("yard") == 0


async def test_a_film_plays_once_at_its_own_speed(clip: Path, kept: Kept, time: Time) -> None:
    camera = Camera("film", str(clip), kept, fps=60, now=time.now, wait=time.wait)
    start = time.at
    await camera.run()
    assert sum(time.waits) == pytest.approx(21 / 15, abs=0.01)
    assert kept.events[-1].captured_at == pytest.approx(start + timedelta(seconds=21 / 15), abs=timedelta(seconds=0.01))
    assert len(kept.events) + camera.dropped == 22


async def test_a_film_is_thinned_to_the_rate(clip: Path, kept: Kept, time: Time) -> None:
    camera = Camera("film", clip.as_uri(), kept, fps=5, now=time.now, wait=time.wait)
    await camera.run()
    assert len(kept.events) + camera.dropped == 8


async def test_a_film_can_go_round(clip: Path, kept: Kept, time: Time, running: Any) -> None:
    camera = Camera("film", str(clip), kept, fps=60, loop=True, now=time.now, wait=time.wait)
    async with running(camera):
        while len(kept.events) + camera.dropped < 60:
            await kept.next()
    times = [event.captured_at for event in kept.events]
    assert times == sorted(set(times))


async def test_a_film_held_upright_is_turned(tmp_path: Path, kept: Kept, time: Time) -> None:
    path = turned(film(tmp_path / "two words: 100%.mp4", [quadrants(640, 400)] * 3))
    await Camera("film", path.as_uri(), kept, now=time.now, wait=time.wait).run()
    picture = decoded(kept.events[0])
    assert picture.shape == (640, 400, 3)
    assert corners(picture) == ["blue", "red", "white", "green"]


async def test_quality_is_a_setting(clip: Path, time: Time) -> None:
    sizes = []
    for quality in (30, 95):
        kept = Kept()
        await Camera("film", str(clip), kept, quality=quality, now=time.now, wait=time.wait).run()
        sizes.append(len(kept.events[0].image))
    assert sizes[1] > 2 * sizes[0]


async def test_a_film_that_is_cut_short_ends_like_any_other(tmp_path: Path, kept: Kept, time: Time) -> None:
    path = film(tmp_path / "f.mp4", [texture(n) for n in range(40)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    await asyncio.wait_for(Camera("film", str(path), kept, now=time.now, wait=time.wait).run(), PATIENCE_S)
    assert kept.events


@pytest.mark.parametrize("content", [None, b"", b"no film at all"])
async def test_a_film_that_cannot_be_played_is_an_error(tmp_path: Path, kept: Kept, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "f.mp4").write_bytes(content)
    with pytest.raises(Misconfigured, match=r"f\.mp4"):
        await Camera("film", str(tmp_path / "f.mp4"), kept, loop=True).run()


async def test_when_publishing_is_slow_the_newest_frame_wins(clip: Path, time: Time) -> None:
    played, release = asyncio.Event(), asyncio.Event()
    published: list[FrameEvent] = []

    class Slow:
        async def publish(self, event: FrameEvent) -> None:
            published.append(event)
            await release.wait()

    loop = asyncio.get_running_loop()

    def wait(stop: threading.Event, seconds: float) -> bool:
        if time.at - start > timedelta(seconds=1.3):
            loop.call_soon_threadsafe(played.set)
        return time.wait(stop, seconds)

    start = time.at
    camera = Camera("film", str(clip), Slow(), fps=60, now=time.now, wait=wait)
    task = asyncio.create_task(camera.run())
    await asyncio.wait_for(played.wait(), PATIENCE_S)
    release.set()
    await asyncio.wait_for(task, PATIENCE_S)
    assert len(published) + camera.dropped == 22
    assert len(published) <= 4
    assert published[-1].captured_at - start > timedelta(seconds=1.3)
    assert REGISTRY.get_sample_value("seestream_camera_dropped_total", {"source": "film"}) >= camera.dropped


async def test_a_broker_that_is_away_costs_frames_but_not_the_camera(clip: Path, time: Time) -> None:
    class Away:
        async def publish(self, event: FrameEvent) -> None:
            raise BrokerUnavailable("nobody listens on localhost:9092")

    camera = Camera("film", str(clip), Away(), fps=60, now=time.now, wait=time.wait)
    await asyncio.wait_for(camera.run(), PATIENCE_S)
    assert camera.dropped == 22


async def test_a_fault_of_the_publisher_s_own_ends_the_camera(clip: Path, time: Time) -> None:
    class Broken:
        async def publish(self, event: FrameEvent) -> None:
            raise Misconfigured("no such topic")

    with pytest.raises(Misconfigured, match="no such topic"):
        await asyncio.wait_for(Camera("film", str(clip), Broken(), now=time.now, wait=time.wait).run(), PATIENCE_S)
    assert not [thread for thread in threading.enumerate() if thread.name == "camera-film"]


@pytest.mark.parametrize(
    ("url", "film_"), [("rtsp://cam/1", False), ("http://cam/v.mjpg", False), ("/a/b.mp4", True), ("file:///a", True)]
)
def test_what_plays_at_its_own_speed(url: str, film_: bool) -> None:
    assert is_film(url) is film_


def test_ffmpeg_stays_silent() -> None:
    assert av.logging.get_level() is None
