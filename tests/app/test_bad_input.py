"""Bad input through the whole process: one dead letter each, the neighbours go through, nothing is lost."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import av
import fsspec
import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from stream import config
from stream.app.worker import Worker, open_worker
from stream.types import Delivery, Observation, Outcome
from tests import PATIENCE_S
from tests.fakes import KnownModels


def jpeg(seed: int = 0, size: tuple[int, int] = (320, 240)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1] // 8, size[0] // 8, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(buffer, "JPEG")
    return buffer.getvalue()


def bomb() -> bytes:
    """The header of a PNG of 20,000 x 20,000 pixels: 1.2 GB once decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(60_001)))
        + chunk(b"IEND", b"")
    )


def animated_webp() -> bytes:
    frames = [Image.new("RGB", (64, 48), color) for color in ("red", "green", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], duration=50)
    return buffer.getvalue()


def film(path: Path, seconds: int = 12, video: bool = True) -> bytes:
    """A short film, or one with sound only."""
    with av.open(str(path), "w", format="matroska") as out:
        if video:
            stream = out.add_stream("mpeg4", rate=5)
            stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
            for number in range(5 * seconds):
                picture = np.full((120, 160, 3), (7 * number) % 255, np.uint8)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            out.mux(stream.encode())
        else:
            sound = out.add_stream("pcm_s16le", rate=8000, layout="mono")
            for _ in range(10):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
                frame.rate = 8000
                out.mux(sound.encode(frame))
    return path.read_bytes()


class Ends:
    """A watcher that says when so many events have ended."""

    def __init__(self) -> None:
        self.observations: list[Observation] = []
        self.outcomes: list[tuple[str, Outcome]] = []
        self.ended = asyncio.Condition()

    def seen(self, observation: Observation, alerts: object) -> None:
        self.observations.append(observation)

    def settled(self, delivery: Delivery, outcome: Outcome) -> None:
        self.outcomes.append((delivery.event.source, outcome))


@asynccontextmanager
async def running(
    folder: Path, roots: tuple[str, ...] = (), **settings: Any
) -> AsyncIterator[tuple[Worker, Ends, AIOKafkaProducer]]:
    ends = Ends()
    roots = (str(folder / "allowed"), *roots)
    options = config.load(data_dir=folder / "data", gate={"enabled": False}, roots=roots, **settings)
    (folder / "allowed").mkdir(exist_ok=True)
    async with open_worker(options, frozenset({"process"}), lambda worker: ends, KnownModels()) as worker:
        task = asyncio.create_task(worker.run())
        async with AIOKafkaProducer(bootstrap_servers=worker.bootstrap) as producer:
            yield worker, ends, producer
        worker.stop.set()
        await task


async def letters(worker: Worker, wanted: int) -> list[Any]:
    """The first `wanted` dead letters, read from the topic's beginning."""
    topic = worker.settings.kafka.dead_letters
    found: list[Any] = []
    async with asyncio.timeout(PATIENCE_S):
        async with AIOKafkaConsumer(
            bootstrap_servers=worker.bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=50
        ) as consumer:
            parts = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or range(4)]
            consumer.assign(parts)
            while len(found) < wanted:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += records
    return found


def reason(letter: Any) -> str:
    return str(dict(letter.headers)["__connect.errors.exception.message"], "utf-8")


async def until(ends: Ends, observations: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(ends.observations) < observations:
            await asyncio.sleep(0.02)


BAD_FRAMES: dict[str, tuple[bytes | None, list[tuple[str, bytes]]]] = {
    "truncated": (jpeg(1)[:-500], []),
    "empty": (b"", []),
    "text": (b"hello, I am no picture", []),
    "bomb": (bomb(), []),
    "tombstone": (None, []),
    "header": (jpeg(2), [("ce_specversion", b"1.0"), ("ce_id", b"\xff\xfe"), ("ce_type", b"x"), ("ce_source", b"y")]),
}


async def test_each_bad_frame_is_one_dead_letter_and_its_neighbours_go_through(tmp_path: Path) -> None:
    async with running(tmp_path) as (worker, ends, producer):
        good = 0
        for number, (value, headers) in enumerate(BAD_FRAMES.values()):
            await producer.send_and_wait("frames", jpeg(10 + number), b"yard")
            await producer.send_and_wait("frames", value, b"yard", headers=headers)
            good += 1
        await producer.send_and_wait("frames", animated_webp(), b"yard")
        await producer.send_and_wait("frames", jpeg(99), b"yard", headers=[("note", b"\xff not UTF-8")])
        await until(ends, good + 2)
        dead = await letters(worker, len(BAD_FRAMES))
    assert len(ends.observations) == good + 2
    values = sorted((letter.value or b"") for letter in dead)
    assert values == sorted((value or b"") for value, _ in BAD_FRAMES.values())
    assert all(letter.key == b"yard" for letter in dead)
    by_value = {letter.value: letter for letter in dead}
    assert "20000" in reason(by_value[bomb()])
    assert ("ce_id", b"\xff\xfe") in by_value[jpeg(2)].headers


async def test_bad_files_are_dead_letters_and_odd_names_are_fine(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    odd = ["a b.jpg", "new\nline.jpg", "Käse 写真.jpg", "100%25.jpg"]
    for number, name in enumerate(odd):
        (allowed / name).write_bytes(jpeg(number))
    (tmp_path / "secret.jpg").write_bytes(jpeg(50))
    (allowed / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    film(allowed / "sound.mkv", video=False)
    broken = film(allowed / "broken.mkv")
    (allowed / "broken.mkv").write_bytes(broken[: len(broken) * 2 // 3])
    bad = {
        "gone": str(allowed / "gone.jpg"),
        "outside": str(tmp_path / "secret.jpg"),
        "link": str(allowed / "link.jpg"),
        "sound": str(allowed / "sound.mkv"),
        "broken": str(allowed / "broken.mkv"),
    }
    async with running(tmp_path) as (worker, ends, producer):
        for uri in [*bad.values(), *(str(allowed / name) for name in odd)]:
            await producer.send_and_wait("files", json.dumps({"uri": uri, "op": "created"}).encode(), b"nas")
        await producer.send_and_wait("files", b'{"uri": 7}', b"nas")
        await producer.send_and_wait("files", b"not json", b"nas")
        dead = await letters(worker, len(bad) + 2)
        async with asyncio.timeout(PATIENCE_S):
            while len(ends.outcomes) < len(bad) + len(odd):
                await asyncio.sleep(0.02)
    reasons = {name: next(reason(one) for one in dead if uri.encode() in one.value) for name, uri in bad.items()}
    assert len(dead) == len(bad) + 2
    assert "outside" in reasons["outside"] or "allowed" in reasons["outside"]
    assert "secret" not in reasons["link"] or "allowed" in reasons["link"]
    assert {"image"} == {one.kind for one in ends.observations if one.media.uri and one.media.uri.endswith(".jpg")}
    assert sum(one.kind == "image" for one in ends.observations) == len(odd)
    kept = [one for one in ends.observations if one.kind == "video"]
    assert 2 <= len(kept) <= 6, "what was decoded before the break is kept"
    assert [one.media.offset_s for one in kept] == sorted(one.media.offset_s or 0 for one in kept)


async def test_a_notification_of_a_store_is_one_event_for_each_object(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    body = {"EventName": "s3:ObjectCreated:Put", "Key": "photos/x.jpg", "Records": [
        {"s3": {"bucket": {"name": "photos"}, "object": {"key": f"a%20{number}.jpg", "size": 5}}} for number in range(3)
    ]}  # fmt: skip
    async with running(tmp_path) as (worker, ends, producer):
        await producer.send_and_wait("files", json.dumps(body).encode(), b"minio")
        dead = await letters(worker, 1)
    assert len(dead) == 1 and "s3://photos/a 0.jpg" in reason(dead[0])
    assert ends.observations == []


class Bucket(MemoryFileSystem):
    """s3:// without a server: objects in memory, read through fsspec as the real ones are."""

    protocol = "s3"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("s3://").strip("/")


async def test_a_notification_of_a_store_is_read_below_an_allowed_url_and_nowhere_else(tmp_path: Path) -> None:
    fsspec.register_implementation("s3", Bucket, clobber=True)
    for name in ("photos/in/red car(1).jpg", "photos/private/x.jpg"):
        Bucket().pipe_file(f"s3://{name}", jpeg(7))
    keys = ["in/red+car%281%29.jpg", "private/x.jpg"]
    body = {"EventName": "s3:ObjectCreated:Put", "Key": "photos", "Records": [
        {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": "photos"}, "object": {"key": key, "size": 5}}}
        for key in keys
    ]}  # fmt: skip
    async with running(tmp_path, roots=("s3://photos/in",)) as (worker, ends, producer):
        await producer.send_and_wait("files", json.dumps(body).encode(), b"minio")
        dead = await letters(worker, 1)
        await until(ends, 1)
    assert [one.media.uri for one in ends.observations] == ["s3://photos/in/red car(1).jpg"]
    assert "s3://photos/private/x.jpg" in reason(dead[0]) and "outside the allowed roots" in reason(dead[0])


@pytest.mark.parametrize("times", [2])
async def test_the_same_frame_again_is_the_same_observation(tmp_path: Path, times: int) -> None:
    headers: Iterable[tuple[str, bytes]] = [
        ("ce_specversion", b"1.0"), ("ce_id", b"same"), ("ce_source", b"yard"), ("ce_type", b"seestream.frame"),
        ("ce_time", b"2026-11-01T12:00:00Z"),
    ]  # fmt: skip
    async with running(tmp_path, sampling={"max_age_s": 1e9}) as (worker, ends, producer):
        for _ in range(times):
            await producer.send_and_wait("frames", jpeg(5), b"yard", headers=list(headers))
        await until(ends, times)
        stored = await worker.store.recent(limit=10)  # type: ignore[union-attr]
    assert len({one.id for one in ends.observations}) == 1 and len(stored) == 1
