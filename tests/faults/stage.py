"""Where a fault happens: topics of its own, a producer with known ids, workers, and how to wait for the end."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import ConsumerGroupState

from stream import wire
from stream.consume import committed_offsets
from stream.types import FileEvent, FrameEvent
from tests.faults.workers import Workers
from tests.services.kafka import Kafka
from tests.services.weaviate import Weaviate

SOURCES = 16
PARTITIONS = 12


Spoil = Callable[[wire.Outgoing], wire.Outgoing]
"""Makes a good record bad."""


class Unfinished(Exception):
    """The workers did not get to the end of the log in time."""


class Stage:
    """One run of one fault. `bootstrap` and `store` are what the workers see; a proxy may stand before them."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        kafka: Kafka,
        weaviate: Weaviate | None,
        ports: tuple[int, int] | None = None,
    ) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.kafka, self.weaviate = kafka, weaviate
        self._ports = ports  # of a proxy before the store
        name = secrets.token_hex(4)
        self.topics = {
            kind: f"{kind}-{name}" for kind in ("frames", "files", "detections", "alerts", "dead-letters", "ledger")
        }
        self.group = f"faults-{name}"
        self.collection = f"Faults{name.capitalize()}"
        self.sent: dict[tuple[str, int, int], str] = {}  # topic, partition, offset -> event id
        self.sources: dict[str, str] = {}  # event id -> source
        self.bad: set[str] = set()  # ids whose only right end is a dead letter
        self.kills = 0
        self.image = self._picture()
        self.workers = Workers(self._configuration(), folder)
        self._background: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        for kind, topic in self.topics.items():
            count = PARTITIONS if kind in ("frames", "files") else 4
            await asyncio.to_thread(self.kafka.create_topic, topic, count)

    async def close(self) -> None:
        self.workers.restart = False
        for process in self.workers.running:
            process.kill()
            process.wait()
        for task in self._background:
            task.cancel()

    def _picture(self) -> Path:
        (self.folder / "in").mkdir()
        path = self.folder / "in" / "picture.jpg"
        pixels = np.random.default_rng(7).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        path.write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
        return path

    def _configuration(self) -> Path:
        names = {kind.replace("-", "_"): topic for kind, topic in self.topics.items()}
        if self.weaviate is None:
            store: dict[str, Any] = {"url": f"sqlite://{self.folder / 'store.db'}"}
        else:
            port, grpc = self._ports or (self.weaviate.port, self.weaviate.grpc_port)
            store = {"url": f"http://127.0.0.1:{port}", "grpc_port": grpc, "collection": self.collection}
        settings = {
            "kafka": {"bootstrap": self.kafka.bootstrap, "group": self.group, "partitions": PARTITIONS, **names},
            "store": store,
            "roots": [str(self.folder / "in")],
            "gate": {"enabled": False},
            "sampling": {"describe_always": True, "max_age_s": 86_400, "floor_fps": 1000},
        }
        path = self.folder / "settings.yaml"
        path.write_text(json.dumps(settings))  # JSON is YAML
        return path

    # -- what happens

    async def produce(
        self, count: int, *, frames: float = 0.0, bad: Sequence[Spoil] = (), per_s: float | None = None
    ) -> None:
        """Events with known ids, acknowledged: files, a share of frames, and bad records among them."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka.bootstrap, acks="all", enable_idempotence=True, linger_ms=5
        )
        await producer.start()
        try:
            first = len(self.sources)
            places = set(self.random.sample(range(count), len(bad))) if bad else set()
            spoilt = iter(bad)
            for start in range(0, count, 100):
                batch = [
                    await self._send(producer, first + number, frames, next(spoilt) if number in places else None)
                    for number in range(start, min(start + 100, count))
                ]
                await asyncio.gather(*batch)
                if per_s:
                    await asyncio.sleep(100 / per_s)
        finally:
            await producer.stop()

    async def _send(self, producer: AIOKafkaProducer, number: int, frames: float, bad: Spoil | None) -> Any:
        source, event_id = f"source-{number % SOURCES}", f"event-{number:06d}"
        live = self.random.random() < frames
        if live:
            image = self.image.read_bytes()
            out = wire.encode_event(FrameEvent(event_id, source, datetime.now(UTC), image), self.topics["frames"])
        else:
            event = FileEvent(event_id, source, str(self.image), "image/jpeg")
            out = wire.encode_event(event, self.topics["files"])
        self.sources[event_id] = source
        if bad is not None:
            self.bad.add(event_id)
            out = bad(out)
        headers = [*out.headers, ("x-event", event_id.encode())]
        sent = await producer.send(out.topic, out.value, out.key, headers=headers, timestamp_ms=out.timestamp_ms)

        def note(done: asyncio.Future[Any]) -> None:
            if not done.cancelled() and done.exception() is None:
                place = done.result()
                self.sent[place.topic, place.partition, place.offset] = event_id

        sent.add_done_callback(note)
        return sent

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Something that goes on beside the fault."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        return task

    # -- waiting

    async def committed(self) -> dict[tuple[str, int], int]:
        places = [
            (f"{self.group}-{role}", self.topics[kind], number)
            for role, kind in (("live", "frames"), ("uploads", "files"))
            for number in range(PARTITIONS)
        ]
        found = await committed_offsets(self.kafka.bootstrap, places)
        return {(topic, partition): offset for (_, topic, partition), offset in found.items()}

    async def ends(self) -> dict[tuple[str, int], int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap)
        await consumer.start()
        try:
            tps = [TopicPartition(self.topics[kind], n) for kind in ("frames", "files") for n in range(PARTITIONS)]
            return {(tp.topic, tp.partition): end for tp, end in (await consumer.end_offsets(tps)).items()}
        finally:
            await consumer.stop()

    def members(self) -> int:
        """Of both groups together, once both are at rest; 0 before."""
        groups = [f"{self.group}-live", f"{self.group}-uploads"]
        admin = self.kafka.admin()  # which must outlive its answers
        found = [future.result(10) for future in admin.describe_consumer_groups(groups).values()]
        if any(group.state is not ConsumerGroupState.STABLE for group in found):
            return 0
        return sum(len(group.members) for group in found)

    async def lag(self) -> int:
        ends, committed = await self.ends(), await self.committed()
        return sum(end - committed.get(place, 0) for place, end in ends.items())

    async def finished(self, limit_s: float) -> None:
        """Until everything is committed, with the supervisor at work. Raises: Unfinished."""
        await self.wait(self._no_lag, limit_s, "everything committed")

    async def _no_lag(self) -> bool:
        return await self.lag() == 0

    async def wait(self, condition: Callable[[], Any], limit_s: float, what: str) -> None:
        """Until the condition holds, while what has ended is started again. Raises: Unfinished."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_s
        while True:
            self.workers.look()
            try:
                held = condition()
                if await held if asyncio.iscoroutine(held) else held:
                    return
            except Exception:  # the broker may be down just now
                pass
            if loop.time() > deadline:
                raise Unfinished(f"{what}: not within {limit_s:.0f} s\n{self.workers.logs()}")
            await asyncio.sleep(0.5)

    async def pause(self, seconds: float) -> None:
        """Time passes; what ends is started again."""
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            self.workers.look()
            await asyncio.sleep(0.2)
