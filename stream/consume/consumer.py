"""The consumer: one member of one group on one topic, from fetched records to settled ones."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, Topic

from stream import metrics
from stream.consume.careful import Careful
from stream.consume.caution import Caution
from stream.consume.chunks import Chunks
from stream.consume.commit import Committer
from stream.consume.dead import stage_of
from stream.consume.duty import Duty
from stream.consume.ledger import Ledger
from stream.consume.limits import PARTITION_FETCH_BYTES, Limits
from stream.consume.member import Member
from stream.consume.opening import Opening
from stream.consume.pump import Pump
from stream.errors import BrokerUnavailable, Unavailable
from stream.types import DeadLetters, Delivery, Event, Record, Traffic

log = logging.getLogger(__name__)

_ENDS_EVERY_S = 5.0
_LEAVE_S = 10.0

Parse = Callable[[Record], Event | Sequence[Event]]


class Consumer:
    """A `Source` on a Kafka topic. An async context manager; the broker object must be started and is the caller's.

    Entering joins the group. `deliveries` gives chunks in log order per partition; every delivery must be settled, in
    any order. `stop` ends `deliveries`; leaving then waits for what is in flight (at most `limits.drain_s`), commits
    the prefix that is done and leaves the group. Leaving on an exception waits for nothing.
    """

    def __init__(
        self,
        broker: KafkaBroker,
        topic: str,
        group: str,
        traffic: Traffic,
        parse: Parse,
        dead_letters: DeadLetters,
        ledger: Ledger | None = None,
        limits: Limits | None = None,
        caution: Caution | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.topic, self.group, self.traffic = topic, group, traffic
        self.limits = limits or (Limits.live() if traffic is Traffic.LIVE else Limits())
        self._dead_letters = dead_letters
        self._clock = clock
        caution = caution or Caution()
        self._member = Member(
            group, traffic, self.limits, Committer(group, ledger, self.limits.commit_timeout_s), caution, clock
        )
        self._chunks = Chunks()
        self._careful = Careful(self._member, self._chunks, caution, traffic)
        opening = Opening(group, self.limits, now)
        self._pump = Pump(self._member, self._chunks, self._careful, opening, parse, traffic, self._bury, now)
        self._member.give_back = self._give_back
        self._answered_at = clock()  # the broker said something
        self._silence: str | None = None  # why it did not, when it was last asked
        self._failure: BaseException | None = None
        self._running: asyncio.Task[None] | None = None
        self._subscriber = self._subscribe(broker)

    def _subscribe(self, broker: KafkaBroker) -> Any:
        return broker.subscriber(
            Topic(self.topic, declare=False),  # whoever owns the broker makes the topics, with their partitions
            group_id=self.group,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            listener=self._member,
            session_timeout_ms=round(self.limits.session_timeout_s * 1000),
            heartbeat_interval_ms=min(3000, round(self.limits.session_timeout_s * 1000 / 5)),
            max_poll_interval_ms=round(self.limits.poll_interval_s * 1000),
            rebalance_timeout_ms=round(self.limits.rebalance_timeout_s * 1000),
            fetch_max_bytes=self.limits.fetch_bytes,
            fetch_max_wait_ms=round(self.limits.fetch_wait_s * 1000),
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
        )

    async def __aenter__(self) -> Self:
        """Join the group. Raises: BrokerUnavailable, after `limits.away_s` without it."""
        self._member.consumer_of = lambda: self._subscriber.consumer
        try:
            async with asyncio.timeout(self.limits.away_s):
                await self._subscriber.start()
        except (KafkaError, TimeoutError, OSError) as error:
            await self._leave()
            raise BrokerUnavailable(f"cannot join group {self.group!r} on topic {self.topic!r}: {error!r}") from error
        self._answered_at = self._pump.turned_at = self._clock()
        self._running = asyncio.create_task(self._run(), name=f"consume {self.group}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if error is None and not await self._member.drained(self.limits.drain_s):
            log.warning("group %s: %d records are left for the next owner", self.group, self._member.in_flight)
        await self._member.commit(closing=True)
        self._member.close()
        if self._running is not None:  # before the client is closed under a fetch
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._leave()

    async def deliveries(self) -> AsyncIterator[Sequence[Delivery]]:
        """Chunks, in log order per partition, until `stop`. Raises: BrokerUnavailable, when fetching cannot go on."""
        while (chunk := await self._chunks.take()) is not None:
            yield chunk

    async def stop(self) -> None:
        """Hand out nothing more; `deliveries` ends. What was handed out may still be settled."""
        self._pump.stopping.set()
        self._give_back()
        self._chunks.end()

    def follow_partitions(
        self, revoked: Callable[[], Awaitable[None]], assigned: Callable[[frozenset[int]], None]
    ) -> None:
        """Be told when the group takes everything away (what is in flight has ended by then) and what it then gives."""
        self._member.on_revoked, self._member.on_assigned = revoked, assigned
        if self._member.parts:
            assigned(frozenset(tp.partition for tp in self._member.parts))

    def excuse_while(self, outputs_wait: Callable[[], bool]) -> None:
        """No watermark has to move while this says that an output is away: a restart would not bring it back."""
        self._member.outputs_wait = outputs_wait

    def lag(self) -> int:
        """Records of our partitions that are not done, as far as the end of the log is known."""
        return self._member.lag()

    def healthy(self, now: datetime | None = None) -> str | None:
        """None, or one line that says why this process should be restarted.

        Measured on the consumer's monotonic `clock`, which no clock change can upset; `now` is not looked at.
        """
        return self._health(self._clock())

    def away(self) -> str | None:
        """Why nothing can be read now, or None: the broker did not answer, or the group has given no partitions yet."""
        if self._silence is not None:
            return f"group {self.group}: the broker does not answer: {self._silence}"
        return f"group {self.group}: not a member now" if self._member.away_since is not None else None

    def _health(self, now: float) -> str | None:
        limits, member = self.limits, self._member
        if self._failure is not None:
            return f"group {self.group}: {self._failure!r}"
        if now - self._answered_at > limits.away_s:
            return f"group {self.group}: the broker has not answered for {now - self._answered_at:.0f} s"
        if member.away_since is not None and now - member.away_since > limits.away_s:
            return f"group {self.group}: not a member of the group for {now - member.away_since:.0f} s"
        if now - self._pump.turned_at > limits.away_s:
            return f"group {self.group}: nothing was fetched for {now - self._pump.turned_at:.0f} s"
        if member.lag() and now - member.moved_at > limits.stall_s:
            return f"group {self.group}: {member.lag()} records wait and no watermark moved for {limits.stall_s:.0f} s"
        return None

    # -- owned tasks

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                self._pump.spawn = tasks.create_task
                for job in (self._pump.run, self._careful.run, self._commit_often, self._watch_ends):
                    tasks.create_task(job())
        except* Exception as group:
            self._failure = group
            log.exception("group %s: the consumer failed", self.group)
            self._chunks.end(BrokerUnavailable(f"group {self.group}: the consumer failed: {group.exceptions[0]!r}"))

    async def _commit_often(self) -> None:
        while True:
            await asyncio.sleep(self.limits.commit_interval_s)
            self._member.look()
            await self._member.commit()

    async def _watch_ends(self) -> None:
        """Ask the broker now and then where the log ends: lag, and a sign of life."""
        while True:
            consumer, parts = self._member.consumer, self._member.open_parts()
            try:
                if consumer is not None:
                    async with asyncio.timeout(self.limits.commit_timeout_s):
                        ends = await consumer.end_offsets([part.tp for part in parts]) if parts else {}
                        if not parts:
                            await consumer.topics()
                    self._answered_at, self._silence = self._clock(), None
                    for part in parts:
                        part.end = max(part.end, ends.get(part.tp, 0))
            except (KafkaError, TimeoutError, OSError) as error:
                self._silence = repr(error)
                log.info("group %s: the broker does not answer: %r", self.group, error)
            metrics.LAG_RECORDS.labels(self.group).set(self._member.lag())
            await asyncio.sleep(_ENDS_EVERY_S)

    async def _bury(self, duty: Duty, error: BaseException) -> None:
        """Put a dead letter, for as long as it takes. Not for a part that is closed: its next owner will."""
        wait_s, waiting = 0.2, False
        try:
            while duty.part.current:
                try:
                    await self._dead_letters.put(duty.record, error, stage_of(error), duty.attempt)
                    return
                except Unavailable as failure:
                    log.warning("group %s: a dead letter is put off: %s", self.group, failure)
                if not waiting:
                    self._member.letters_waiting += 1
                    waiting = True
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
                wait_s = min(5.0, wait_s * 2)
        finally:
            if waiting:
                self._member.letters_waiting -= 1

    def _give_back(self) -> None:
        for duty in [*self._careful.drop(), *self._chunks.drop()]:
            self._member.abandon(duty)

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(_LEAVE_S):
                await self._subscriber.stop()
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("group %s: could not leave in good order: %r", self.group, error)
