"""The loop's figures on a real Kafka: records of 100 KB through everything but decoding and models.

    make bench ARGS="delivery"                    against a bare getmany and commit loop in the same run (with our fetch
                                                  sizes, and as aiokafka comes), and a rebalance
    make bench ARGS="delivery --records 4000 --store weaviate"

Each round runs every way one after the other, so that a busy machine is busy for all of them; ratios are of one round, and
the median round is printed. The clock runs from the first fetched record to the last committed one: joining a group takes
the same time either way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from aiokafka import AIOKafkaConsumer

from bench._null import NeverShed, NullDecoder, NullGate, NullModels, NullSink, Stopwatch, Timed
from bench._rebalance import rebalance
from stream import config, wire
from stream.app.process import Process, now, open_process
from stream.app.service import kafka_broker
from stream.consume import Limits, committed_offsets, edges
from stream.consume.limits import PARTITION_FETCH_BYTES
from stream.sinks import ObservationTopic, Outbox, SqliteStore, WeaviateStore
from stream.types import FrameEvent
from tests.services.kafka import Kafka
from tests.services.weaviate import Weaviate

PARTITIONS = 12
SOURCES = 48
WITHIN_S = 600.0
COMMIT_EVERY_S = 0.5  # as the product does
_JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"


class Bed:
    """One broker with the records on it, and the ways to read them."""

    def __init__(self, kafka: Kafka, weaviate: Weaviate | None, folder: Path, given: argparse.Namespace) -> None:
        self.kafka, self.weaviate, self.folder, self.count = kafka, weaviate, folder, given.records
        self.topic = f"frames-{secrets.token_hex(4)}"
        self._size = given.kb * 1000

    async def fill(self) -> None:
        """The records, acknowledged. Behind its first bytes their content is noise, as a JPEG's is."""
        self.kafka.create_topic(self.topic, PARTITIONS)
        noise = np.random.default_rng(1).integers(0, 256, self._size + self.count, np.uint8).tobytes()
        broker = kafka_broker(config.load(), self.kafka.bootstrap)
        await broker.start()
        try:
            for first in range(0, self.count, 100):
                sent = []
                for number in range(first, min(first + 100, self.count)):
                    image = _JPEG + noise[number : number + self._size - len(_JPEG)]
                    out = wire.encode_event(
                        FrameEvent(str(number), f"camera-{number % SOURCES}", now(), image), self.topic
                    )
                    producer = edges.producer(broker)
                    sent.append(await producer.send(out.topic, out.value, out.key, headers=list(out.headers)))
                await asyncio.gather(*sent)
        finally:
            await broker.stop()

    async def bare(self, **options: Any) -> float:
        """Records a second of getmany and commit, and nothing else."""
        consumer = AIOKafkaConsumer(
            self.topic, bootstrap_servers=self.kafka.bootstrap, group_id=f"bare-{secrets.token_hex(4)}",
            enable_auto_commit=False, auto_offset_reset="earliest", **options,
        )  # fmt: skip
        await consumer.start()
        try:
            left, started, committed = self.count, 0.0, 0.0
            while left:
                fetched = await consumer.getmany(timeout_ms=100, max_records=128)
                started = started or (time.perf_counter() if fetched else 0.0)
                left -= sum(len(records) for records in fetched.values())
                if time.perf_counter() - committed > COMMIT_EVERY_S:
                    await consumer.commit()
                    committed = time.perf_counter()
            await consumer.commit()
            return self.count / (time.perf_counter() - started)
        finally:
            await consumer.stop()

    async def loop(self, *, outputs: bool = False) -> float:
        """Records a second of the whole loop; `outputs`: with the detections topic and a store."""
        settings = self._settings()
        watch = Stopwatch(self.count)
        async with AsyncExitStack() as stack:
            broker = kafka_broker(settings, self.kafka.bootstrap)
            await broker.start()
            stack.push_async_callback(broker.stop)
            store = await stack.enter_async_context(self._store())
            process = await stack.enter_async_context(open_process(settings, broker, NullModels(), store, watch))
            sinks = [store, ObservationTopic(broker, settings.kafka.detections, settings.kafka.alerts)]
            outbox = await stack.enter_async_context(Outbox(sinks if outputs else [NullSink()], None))
            pipeline = process.pipeline
            pipeline.outbox, pipeline.shedding, pipeline.decoder = outbox, NeverShed(), NullDecoder()
            gate = NullGate()
            pipeline.gate_of = lambda stream, delivery: gate
            pipeline.sources = [Timed(source, watch) for source in pipeline.sources]
            return await self._drain(process, settings, watch)

    async def _drain(self, process: Process, settings: config.Settings, watch: Stopwatch) -> float:
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
            work = group.create_task(process.pipeline.run())
            await watch.done.wait()
            await process.consumers[0]._member.commit()  # not half a second later: the bare loop does not wait either
            assert watch.started is not None
            rate = self.count / (time.perf_counter() - watch.started)
            await process.stop()
            await work
        name = f"{settings.kafka.group}-live"
        places = [(name, self.topic, partition) for partition in range(PARTITIONS)]
        committed = sum((await committed_offsets(self.kafka.bootstrap, places)).values())
        if committed != self.count:
            raise RuntimeError(f"{committed} of {self.count} committed")
        return rate

    def _settings(self) -> config.Settings:
        name = secrets.token_hex(4)
        topics = {kind: f"{kind}-{name}" for kind in ("files", "detections", "alerts", "dead_letters", "ledger")}
        for topic in topics.values():
            self.kafka.create_topic(topic, 4)
        return config.load(
            None,
            data_dir=self.folder / name,
            kafka={"bootstrap": self.kafka.bootstrap, "group": f"bench-{name}", "frames": self.topic, **topics},
            gate={"enabled": False},
            sampling={"describe_always": True, "max_age_s": 1e6},
        )

    @asynccontextmanager
    async def _store(self) -> AsyncIterator[Any]:
        name = secrets.token_hex(4)
        if self.weaviate is None:
            async with SqliteStore(self.folder / f"{name}.db") as store:
                yield store
        else:
            async with WeaviateStore(
                self.weaviate.url, grpc_port=self.weaviate.grpc_port, name=f"Bench{name}", timeout_s=60
            ) as store:
                yield store


async def run(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder, Kafka() as kafka:
        if given.only != "rebalance":
            weaviate = await asyncio.to_thread(Weaviate().start) if given.store == "weaviate" else None
            try:
                await _rates(Bed(kafka, weaviate, Path(folder), given), given)
            finally:
                if weaviate is not None:
                    await asyncio.to_thread(weaviate.close)
        if given.only != "rates":
            print(json.dumps(await rebalance(kafka, given.rounds)), flush=True)


async def _rates(bed: Bed, given: argparse.Namespace) -> None:
    await bed.fill()
    limits = Limits.live()
    ours = {
        "fetch_max_bytes": limits.fetch_bytes,
        "max_partition_fetch_bytes": PARTITION_FETCH_BYTES,
        "fetch_max_wait_ms": round(limits.fetch_wait_s * 1000),
    }
    ways: dict[str, Callable[[], Awaitable[float]]] = {
        "bare": lambda: bed.bare(**ours),
        "bare, as aiokafka comes": bed.bare,
        "null sinks": bed.loop,
        "topic and store": lambda: bed.loop(outputs=True),
    }
    rounds = [{name: await way() for name, way in ways.items()} for _ in range(given.rounds)]
    print(
        json.dumps(
            {
                "records": given.records,
                "kb": given.kb,
                "store": given.store,
                "per_s": {name: round(median(row[name] for row in rounds)) for name in ways},
                "to_bare": _ratios(rounds, "bare"),
                "to_bare_as_aiokafka_comes": _ratios(rounds, "bare, as aiokafka comes"),
                "goals": {"null sinks": 0.8, "topic and store": 0.4},
            }
        ),
        flush=True,
    )


def _ratios(rounds: list[dict[str, float]], peer: str) -> dict[str, float]:
    return {name: round(median(row[name] / row[peer] for row in rounds), 2) for name in rounds[0]}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench delivery", description=__doc__)
    parser.add_argument("--records", type=int, default=3_000)
    parser.add_argument("--kb", type=int, default=100, help="of each record")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", choices=["sqlite", "weaviate"], default="sqlite")
    parser.add_argument("--only", choices=["rates", "rebalance"])
    asyncio.run(run(parser.parse_args(argv)))
    return 0
