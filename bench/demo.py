"""The demo's figures: latency from a frame published to its detection readable, and frames/s on one core.

    make bench ARGS="demo"            one JSON line

Everything embedded, bundled models, 576-pixel JPEG of the drawn driveway, gate off so that every frame is described.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

from stream import config
from stream.app.worker import Quiet, Worker, open_worker
from stream.capture.scenery import DrivewayCamera
from stream.types import FrameEvent


def pictures(count: int) -> list[bytes]:
    """JPEG frames of the driveway with something on them."""
    import cv2

    camera = DrivewayCamera(3)
    frames = (camera.at(4 + index / 5).rgb for index in range(count))
    return [bytes(cv2.imencode(".jpg", frame[..., ::-1])[1]) for frame in frames]


async def read_detections(worker: Worker, arrived: dict[str, float], ready: asyncio.Event) -> None:
    """Notes when each detection can be read, by a consumer of its own."""
    from aiokafka import AIOKafkaConsumer

    reader = AIOKafkaConsumer(
        worker.settings.kafka.detections, bootstrap_servers=worker.bootstrap, fetch_max_wait_ms=20,
        auto_offset_reset="latest", metadata_max_age_ms=500,
    )  # fmt: skip
    await reader.start()
    ready.set()
    try:
        async for record in reader:
            arrived[json.loads(record.value)["captured_at"]] = time.perf_counter()
    finally:
        await reader.stop()


async def measure(frames: int, fps: float) -> dict[str, Any]:
    data, stamp = pictures(min(frames, 150)), datetime(2026, 1, 1, tzinfo=UTC)
    with tempfile.TemporaryDirectory() as folder:
        settings = config.load(
            data_dir=Path(folder), gate={"enabled": False}, sampling={"max_age_s": 1e9, "describe_always": True}
        )
        async with open_worker(settings, frozenset({"process"}), lambda worker: Quiet()) as worker:
            running = asyncio.create_task(worker.run())
            arrived: dict[str, float] = {}
            ready = asyncio.Event()
            reading = asyncio.create_task(read_detections(worker, arrived, ready))
            await ready.wait()
            sent: dict[str, float] = {}

            async def send(number: int) -> None:
                when = stamp.replace(microsecond=number % 1_000_000)
                sent[when.isoformat(timespec="microseconds").replace("+00:00", "Z")] = time.perf_counter()
                await worker.publisher.publish(FrameEvent(f"bench-{number}", "bench", when, data[number % len(data)]))

            await send(0)
            while len(arrived) < 1:
                await asyncio.sleep(0.05)
            for number in range(1, frames + 1):
                await asyncio.sleep(1 / fps)
                await send(number)
            while len(arrived) < frames + 1:
                await asyncio.sleep(0.05)
            latencies = [1e3 * (arrived[key] - sent[key]) for key in list(sent)[1:]]
            start = time.perf_counter()
            burst = 4 * frames
            await asyncio.gather(*(send(1000 + number) for number in range(burst)))
            while len(arrived) < frames + 1 + burst:
                await asyncio.sleep(0.02)
            took_s = time.perf_counter() - start
            reading.cancel()
            worker.stop.set()
            await running
    cuts = quantiles(latencies, n=100)
    return {
        "bench": "demo", "cores": len(os.sched_getaffinity(0)), "frames": frames, "fps": fps,
        "latency_p50_ms": round(cuts[49], 1), "latency_p99_ms": round(cuts[98], 1),
        "burst_frames": burst, "frames_per_s": round(burst / took_s, 1),
    }  # fmt: skip


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench demo", description=__doc__)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--cores", type=int, default=1, help="how many cores the whole process may use")
    args = parser.parse_args(argv)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cores])
    print(json.dumps(asyncio.run(measure(args.frames, args.fps))))
    return 0
