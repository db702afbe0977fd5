"""One member of a consumer group: which partitions are ours, under which generation, and what is in flight.

An eager rebalance takes everything away before it gives anything: on revoke the pipeline gets a bounded time to finish,
the prefix that is done is committed, and the parts of that epoch are closed. A completion that comes later finds its
part closed and moves nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from stream import metrics
from stream.consume import edges
from stream.consume.caution import Caution
from stream.consume.commit import Committer, Fenced
from stream.consume.duty import Duty
from stream.consume.limits import Limits
from stream.consume.parts import Part
from stream.types import Traffic

log = logging.getLogger(__name__)


async def _nothing() -> None:
    """Nobody asked to be told."""


class Member(ConsumerRebalanceListener):  # type: ignore[misc]
    """The epoch, the parts and the bytes in flight of one consumer."""

    def __init__(
        self,
        group: str,
        traffic: Traffic,
        limits: Limits,
        committer: Committer,
        caution: Caution,
        clock: Callable[[], float],
    ) -> None:
        self.group = group
        self.limits = limits
        self.committer = committer
        self.caution = caution
        self.clock = clock
        self.consumer_of: Callable[[], AIOKafkaConsumer | None] = lambda: None
        self.parts: dict[TopicPartition, Part] = {}
        self.generation = -1
        self.epoch = 0
        self.in_flight_bytes = 0
        self.in_flight = 0
        self.moved_at = clock()  # when a watermark moved, or there was nothing to do or could not be
        self.settled = asyncio.Event()  # set at every completion; whoever waits clears it
        self.away_since: float | None = clock()  # None while this is a member that knows its partitions
        self.outputs_wait: Callable[[], bool] = lambda: False  # whether an output is away: no watermark can move
        self.letters_waiting = 0  # dead letters that the broker did not take at first
        self.give_back: Callable[[], None] = lambda: None  # drops what was fetched and not handed out
        self.on_revoked: Callable[[], Awaitable[None]] = _nothing
        self.on_assigned: Callable[[frozenset[int]], None] = lambda partitions: None
        self._gauge = metrics.IN_FLIGHT_BYTES.labels(traffic)

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        return self.consumer_of()

    # -- in flight

    def take(self, duty: Duty) -> None:
        """A record was fetched and will be handed out."""
        self.in_flight += 1
        self.in_flight_bytes += duty.size_bytes

    def release(self, duty: Duty) -> None:
        """Its memory is free again, however it ended."""
        self.in_flight -= 1
        self.in_flight_bytes -= duty.size_bytes
        self.settled.set()

    def abandon(self, duty: Duty) -> None:
        """It was fetched and will not be handed out in this epoch."""
        self.release(duty)
        if duty.part.current:
            duty.part.tracker.abandon(duty.record.offset)

    def done(self, duty: Duty) -> None:
        """All events of a record ended. Ignored, but for its memory, where the part is closed."""
        self.release(duty)
        part = duty.part
        if not part.current or duty.outcome is None:
            return
        if part.tracker.settle(duty.record.offset, duty.outcome):
            self.moved_at = self.clock()

    @property
    def full(self) -> bool:
        return self.in_flight_bytes >= self.limits.in_flight_bytes

    def open_parts(self) -> list[Part]:
        return [part for part in self.parts.values() if part.current and part.opened]

    def lag(self) -> int:
        return sum(part.lag for part in self.parts.values())

    def look(self) -> None:
        """Once in a while: what is in flight, that nothing has or is able to move, which partitions are past crashes."""
        self._gauge.set(self.in_flight_bytes)
        if self.lag() == 0 or self.letters_waiting or self.outputs_wait():
            self.moved_at = self.clock()
        for part in self.parts.values():
            if part.opened and not part.careful:
                self.caution.careful.discard(id(part))

    # -- commits

    async def commit(self, parts: Iterable[Part] | None = None, *, closing: bool = False) -> bool:
        """Commit what is done; False where it has to be tried again."""
        if self.consumer is None:
            return False
        mine = self.open_parts() if parts is None else parts
        try:
            return await self.committer.commit(self.consumer, mine, self.generation, closing=closing)
        except Fenced as error:
            # What was done is done over by the next owner and overwrites itself.
            log.warning("group %s: %s", self.group, error)
            self.close()
            return False

    async def drained(self, timeout_s: float) -> bool:
        """Wait until nothing of the open parts is in flight, at most so long."""
        try:
            async with asyncio.timeout(timeout_s):
                while any(part.tracker.in_flight for part in self.open_parts()):
                    self.settled.clear()
                    await self.settled.wait()
            return True
        except TimeoutError:
            return False

    def close(self) -> None:
        """End the epoch: late completions move nothing."""
        self.epoch += 1
        for part in self.parts.values():
            part.current = False
            self.caution.careful.discard(id(part))
        self.parts = {}
        self.settled.set()

    # -- the listener; aiokafka swallows what it raises

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.away_since = self.clock()
        self.give_back()
        try:
            if self.parts and self.consumer is not None:
                metrics.REBALANCES.labels(self.group).inc()
                if edges.generation(self.consumer) == self.generation:
                    await self.drained(self.limits.drain_s)
                    await self.commit(closing=True)
                    await self.on_revoked()
                else:
                    log.warning("group %s: evicted from generation %d", self.group, self.generation)
        finally:
            self.close()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.close()
        tps = [TopicPartition(*tp) for tp in assigned]
        if self.consumer is not None:
            self.generation = edges.generation(self.consumer)
            if tps:
                self.consumer.pause(*tps)  # until their past is known
        self.parts = {tp: Part(tp) for tp in tps}
        self.on_assigned(frozenset(tp.partition for tp in tps))
        self.moved_at = self.clock()
        self.away_since = None
        log.info("group %s: generation %d, %d partitions", self.group, self.generation, len(tps))
