"""What the consumer's tests share: a connection, records with known content, and waiting for what must come."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from faststream.kafka import KafkaBroker

from stream import wire
from stream.consume import Account, Consumer, DeadLetterTopic, Ledger, Limits, audit, committed_offsets, scan
from stream.types import Delivery, Event, FrameEvent, Outcome, Record, Traffic
from tests.wire.strategies import NOON

QUICK = Limits(commit_interval_s=0.05, drain_s=5.0, session_timeout_s=6.0, chunk_records=16)
WITHIN_S = 30.0


async def until(condition: Callable[[], Any], what: str = "") -> None:
    """Wait until it holds; the limit is for a broken test only."""
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.01)


def parse(record: Record) -> Event:
    """Any bytes but `bad` are a frame whose id is its value."""
    if record.value == b"bad":
        raise wire_error(record)
    return FrameEvent((record.value or b"").decode(), (record.key or b"?").decode(), NOON, record.value, None, record)


def wire_error(record: Record) -> Exception:
    from stream.errors import BadRecord

    return BadRecord(f"{record.topic}-{record.partition}@{record.offset}: bad")


async def produce_odd(
    producer: AIOKafkaProducer,
    topic: str,
    value: bytes,
    partition: int,
    headers: list[tuple[str, bytes]],
    timestamp_ms: int | None = None,
) -> None:
    """A header called `name` goes out as `na\\xffme`, as a producer in another language may send it."""

    class Odd(str):
        def encode(self, *_: object) -> bytes:
            return b"na\xffme" if self == "name" else super().encode()

    batch = producer.create_batch()
    batch._builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, 0, 16384)
    batch.append(
        key=b"yard", value=value, timestamp=timestamp_ms, headers=[(Odd(name), body) for name, body in headers]
    )
    await (await producer.send_batch(batch, topic, partition=partition))


class Bench:
    """One topic, one group, and what happened to them."""

    kafka: Any = None

    def __init__(self, bootstrap: str, broker: KafkaBroker, producer: AIOKafkaProducer) -> None:
        self.bootstrap, self.broker, self.producer = bootstrap, broker, producer
        name = secrets.token_hex(4)
        self.topic, self.dead, self.ledger = f"in-{name}", f"dead-{name}", f"ledger-{name}"
        self.group = f"group-{name}"

    async def produce(self, values: Iterable[bytes], partition: int = 0, **record: Any) -> None:
        """Records in order, acknowledged."""
        record.setdefault("key", b"yard")
        sent = [await self.producer.send(self.topic, value, partition=partition, **record) for value in values]
        await asyncio.gather(*sent)

    async def produce_odd(self, value: bytes, partition: int, headers: list[tuple[str, bytes]]) -> None:
        await produce_odd(self.producer, self.topic, value, partition, headers)

    def consumer(self, limits: Limits = QUICK, traffic: Traffic = Traffic.UPLOAD, **arguments: Any) -> Consumer:
        arguments.setdefault("parse", parse)
        arguments.setdefault("dead_letters", DeadLetterTopic(self.broker, self.dead))
        arguments.setdefault("broker", self.broker)
        broker, group = arguments.pop("broker"), arguments.pop("group", self.group)
        given, dead = arguments.pop("parse"), arguments.pop("dead_letters")
        ledger = Ledger(self.broker, self.ledger)
        return Consumer(broker, self.topic, group, traffic, given, dead, ledger, limits, **arguments)

    async def records(self, topic: str) -> list[Record]:
        return [record async for record in scan(self.bootstrap, topic)]

    async def audit(self) -> list[Account]:
        entries = [wire.parse_ledger(record.value or b"") for record in await self.records(self.ledger)]
        return audit(entries, await self.offsets())

    async def offsets(self) -> dict[tuple[str, str, int], int]:
        return await committed_offsets(self.bootstrap, [(self.group, self.topic, number) for number in range(4)])

    async def committed(self, partition: int = 0) -> int | None:
        return (await self.offsets()).get((self.group, self.topic, partition))

    async def write_commit(self, offset: int, metadata: str, partition: int = 0) -> None:
        """Commit as another program would."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, group_id=self.group, enable_auto_commit=False)
        await consumer.start()
        try:
            tp = TopicPartition(self.topic, partition)
            consumer.assign([tp])
            await consumer.commit({tp: (offset, metadata)})
        finally:
            await consumer.stop()


@asynccontextmanager
async def opened(bootstrap: str) -> AsyncIterator[Bench]:
    broker = connection(bootstrap)
    await broker.start()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=2)
    await producer.start()
    try:
        yield Bench(bootstrap, broker, producer)
    finally:
        await producer.stop()
        await broker.stop()


def connection(bootstrap: str) -> KafkaBroker:
    return KafkaBroker(bootstrap, acks="all", enable_idempotence=True, logger=None, request_timeout_ms=40_000)


class Taker:
    """Takes deliveries as they come, and holds them until a test settles them."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.taken: list[Delivery] = []
        self.task = asyncio.create_task(self._take())

    async def _take(self) -> None:
        async for chunk in self.consumer.deliveries():
            self.taken += chunk

    @property
    def ids(self) -> list[str]:
        return [delivery.event.id for delivery in self.taken]

    async def settle(self, ids: Sequence[str] | None = None, outcome: Outcome = Outcome.PROCESSED) -> None:
        """Settle these, or all that are held."""
        chosen = [delivery for delivery in self.taken if ids is None or delivery.event.id in ids]
        self.taken = [delivery for delivery in self.taken if delivery not in chosen]
        for delivery in chosen:
            await delivery.settle(outcome)


@asynccontextmanager
async def taking(consumer: Consumer) -> AsyncIterator[Taker]:
    """A consumer that is open, and its taker."""
    async with consumer:
        taker = Taker(consumer)
        yield taker
        await consumer.stop()
        await taker.task


def numbered(count: int, first: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]
