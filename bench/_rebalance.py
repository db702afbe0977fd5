"""How long a group stands still while it grows from one worker to two and shrinks back."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median
from typing import Any

from aiokafka import AIOKafkaProducer

from stream import config
from stream.app.service import kafka_broker
from stream.consume import Consumer, DeadLetterTopic, Ledger, Limits
from stream.types import Event, FrameEvent, Outcome, Record, Traffic
from tests.services.kafka import Kafka

PARTITIONS = 12
PER_S = 400
WITHIN_S = 60.0


class Group:
    """One group on one topic, and when its members settled which record."""

    def __init__(self, kafka: Kafka) -> None:
        name = secrets.token_hex(4)
        self.kafka = kafka
        self.topic, self.dead, self.ledger = f"steady-{name}", f"dead-{name}", f"ledger-{name}"
        self.group = f"rebalance-{name}"
        self.settled: list[tuple[float, int]] = []  # when, by which worker
        for topic in (self.topic, self.dead, self.ledger):
            kafka.create_topic(topic, PARTITIONS)

    async def feed(self) -> None:
        """Small records, evenly over partitions and time, until cancelled."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka.bootstrap, linger_ms=0)
        await producer.start()
        try:
            number = 0
            while True:
                await producer.send(self.topic, b"%d" % number, partition=number % PARTITIONS)
                number += 1
                await asyncio.sleep(1 / PER_S)
        finally:
            await producer.stop()

    @asynccontextmanager
    async def member(self, worker: int) -> Any:
        """A worker that settles at once."""
        async with AsyncExitStack() as stack:
            broker = kafka_broker(config.load(), self.kafka.bootstrap)
            await broker.start()
            stack.push_async_callback(broker.stop)
            consumer = Consumer(
                broker, self.topic, self.group, Traffic.LIVE, _parse, DeadLetterTopic(broker, self.dead),
                Ledger(broker, self.ledger), Limits.live(None),
            )  # fmt: skip
            await stack.enter_async_context(consumer)
            task = asyncio.create_task(self._take(consumer, worker))
            try:
                yield
            finally:
                await consumer.stop()
                await task

    async def _take(self, consumer: Consumer, worker: int) -> None:
        async for chunk in consumer.deliveries():
            for delivery in chunk:
                await delivery.settle(Outcome.PROCESSED)
            self.settled.append((time.perf_counter(), worker))

    def pause_ms(self, start: float) -> float:
        """The longest time since `start` in which nobody settled anything."""
        times = [when for when, _ in self.settled if when >= start]
        return 1e3 * max(after - before for before, after in zip(times, times[1:], strict=False))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                await asyncio.sleep(0.02)

    def works(self, worker: int, since: float) -> bool:
        return any(when > since and by == worker for when, by in self.settled)


def _parse(record: Record) -> Event:
    name = (record.value or b"").decode()
    return FrameEvent(name, name, record.timestamp, record.value, None, record)


async def rebalance(kafka: Kafka, rounds: int) -> dict[str, Any]:
    """Median milliseconds from the last record before to the first after, over all workers."""
    growing, shrinking = [], []
    for _ in range(rounds):
        group = Group(kafka)
        feed = asyncio.create_task(group.feed())
        try:
            async with group.member(1):
                await group.until(lambda group=group: len(group.settled) > 50)  # type: ignore[misc]
                start = time.perf_counter()
                async with group.member(2):
                    await group.until(lambda group=group, start=start: group.works(2, start))  # type: ignore[misc]
                    joined = time.perf_counter()
                    await group.until(lambda group=group, since=joined: group.works(1, since))  # type: ignore[misc]
                    growing.append(group.pause_ms(start))
                    start = time.perf_counter()
                left = time.perf_counter()
                await group.until(lambda group=group, since=left: group.works(1, since))  # type: ignore[misc]
                shrinking.append(group.pause_ms(start))
        finally:
            feed.cancel()
            await asyncio.gather(feed, return_exceptions=True)
    return {
        "rebalance_ms": {"1 to 2": round(median(growing)), "2 to 1": round(median(shrinking))},
        "records_per_s": PER_S,
        "partitions": PARTITIONS,
    }
