"""The synthetic camera keeps time and tells the truth."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import cv2
import numpy as np

from stream.capture import SyntheticCamera
from stream.capture.scenery import CameraFrame, DrivewayCamera
from stream.errors import BrokerUnavailable
from stream.types import FrameEvent
from tests.capture.conftest import Kept, Time


async def test_frames_come_on_time_with_their_truth(kept: Kept, time: Time, running: Any) -> None:
    truths: dict[str, CameraFrame] = {}
    driveway = DrivewayCamera(3, size_px=192, fps=5)
    camera = SyntheticCamera(
        "driveway",
        kept,
        driveway=driveway,
        start_s=4.0,
        on_frame=lambda event, frame: truths.update({event.id: frame}),
        now=time.now,
        sleep=time.sleep,
    )
    start = time.at
    async with running(camera):
        events = [await kept.next() for _ in range(8)]
    assert [event.captured_at - start for event in events] == [timedelta(seconds=n / 5) for n in range(8)]
    assert len({event.id for event in events}) == 8
    for number, event in enumerate(events):
        frame = truths[event.id]
        assert frame.truth == driveway.at(4.0 + number / 5).truth
        picture = cv2.imdecode(np.frombuffer(event.image, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert picture.shape == (192, 192, 3)
        assert np.abs(picture.astype(int) - frame.rgb).mean() < 8
    assert any(frame.truth for frame in truths.values())


async def test_when_it_is_late_it_leaves_frames_out(time: Time, running: Any) -> None:
    events: list[FrameEvent] = []
    enough = asyncio.Event()

    class Slow:
        async def publish(self, event: FrameEvent) -> None:
            events.append(event)
            time.at += timedelta(seconds=0.9)
            if len(events) == 4:
                enough.set()
                await asyncio.Event().wait()

    camera = SyntheticCamera(
        "slow", Slow(), driveway=DrivewayCamera(3, size_px=192, fps=5), now=time.now, sleep=time.sleep
    )
    start = time.at
    async with running(camera):
        await asyncio.wait_for(enough.wait(), 30)
    offsets = [(event.captured_at - start).total_seconds() for event in events]
    assert offsets == [0.0, 0.8, 1.8, 2.6]
    assert camera.dropped == 10


async def test_a_broker_that_is_away_costs_frames_but_not_the_camera(time: Time, running: Any) -> None:
    asked = asyncio.Queue[str]()

    class Away:
        async def publish(self, event: FrameEvent) -> None:
            asked.put_nowait(event.id)
            raise BrokerUnavailable("nobody listens on localhost:9092")

    camera = SyntheticCamera(
        "away", Away(), driveway=DrivewayCamera(3, size_px=192, fps=5), now=time.now, sleep=time.sleep
    )
    async with running(camera):
        for _ in range(3):
            await asyncio.wait_for(asked.get(), 30)
    assert camera.dropped >= 2
