"""The pump: fetches without ever being cancelled, watches offsets, parses, and keeps the bytes in flight bounded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from stream import metrics
from stream.consume import edges
from stream.consume.careful import Careful
from stream.consume.chunks import Chunks
from stream.consume.duty import Duty
from stream.consume.fetch import RETRY_S, Fetch, Fetched
from stream.consume.member import Member
from stream.consume.opening import Opening, report_absent
from stream.consume.parts import Part
from stream.consume.tracker import Tracker
from stream.errors import BadRecord
from stream.types import Delivery, Event, Outcome, Record, Traffic

log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SKIP_EVERY_S = 1.0


class Pump:
    """Moves records from the log into chunks. `run` ends when `stopping` is set."""

    def __init__(
        self,
        member: Member,
        chunks: Chunks,
        careful: Careful,
        opening: Opening,
        parse: Callable[[Record], Event | Sequence[Event]],
        traffic: Traffic,
        bury: Callable[[Duty, BaseException], Awaitable[None]],
        now: Callable[[], datetime],
    ) -> None:
        self._member = member
        self._chunks = chunks
        self._careful = careful
        self._opening = opening
        self._parse = parse
        self._traffic = traffic
        self._bury = bury
        self._now = now
        self._fetch = Fetch(member, self._dispatch, self._bury_unreadable)
        self._paused: set[TopicPartition] = set()
        self._old: set[Part] = set()  # parts whose records have become too old
        self._skipped_at = 0.0
        self.stopping = asyncio.Event()
        self.turned_at = member.clock()
        self.spawn: Callable[[Coroutine[Any, Any, None]], object] = asyncio.ensure_future

    async def run(self) -> None:
        while not self.stopping.is_set():
            consumer = self._member.consumer
            if consumer is None:
                return
            await self._open_new(consumer)
            await self._skip_old(consumer)
            await self._flow(consumer)
            fetched = await self._fetch.next(consumer)
            self.turned_at = self._member.clock()
            if self.stopping.is_set():
                return  # not seen by any tracker: delivered again
            self._dispatch(consumer, fetched)
            if not fetched:
                self._catch_up(consumer)

    # -- taking over

    async def _open_new(self, consumer: AIOKafkaConsumer) -> None:
        new = [part for part in self._member.parts.values() if not part.opened]
        if not new:
            return
        try:
            await self._opening.open(consumer, new)
        except (KafkaError, TimeoutError) as error:
            log.warning("group %s: cannot read where its partitions stand: %r", self._member.group, error)
            await asyncio.sleep(RETRY_S)
            return
        # Written down before anything is tried: if this process dies now, the next owner knows.
        if not await self._member.commit(new):
            await asyncio.sleep(RETRY_S)
            return
        self._paused.clear()
        for part in new:
            if part.current:
                part.opened = True
                if part.careful:
                    self._member.caution.careful.add(id(part))
                consumer.resume(part.tp)

    async def _skip_old(self, consumer: AIOKafkaConsumer) -> None:
        if not self._old or self._member.clock() - self._skipped_at < _SKIP_EVERY_S:
            return
        self._skipped_at = self._member.clock()
        old, self._old = [part for part in self._old if part.current], set()
        await self._opening.skip_old(consumer, old)

    # -- back-pressure

    async def _flow(self, consumer: AIOKafkaConsumer) -> None:
        """Pause what has too much in flight, resume what has room again. `getmany` goes on either way."""
        member = self._member
        if member.full:
            member.settled.clear()
            with suppress(TimeoutError):  # a paused partition forgets what it has fetched: a short wait is cheaper
                await asyncio.wait_for(member.settled.wait(), 1.0)
        for part in member.open_parts():
            distance = part.tracker.next_offset - part.tracker.watermark
            stop = member.full or distance >= member.limits.in_flight_records
            if stop and part.tp not in self._paused:
                consumer.pause(part.tp)
                self._paused.add(part.tp)
            elif not stop and part.tp in self._paused:
                consumer.resume(part.tp)
                self._paused.discard(part.tp)

    # -- dispatching

    def _catch_up(self, consumer: AIOKafkaConsumer) -> None:
        """The log may go on without a record: control records, compaction. Only right after nothing was fetched."""
        for part in self._member.open_parts():
            position = edges.position(consumer, part.tp)
            if position is not None and position > part.tracker.next_offset:
                report_absent(self._member.group, part, part.tracker.advance(position))

    def _dispatch(self, consumer: AIOKafkaConsumer, fetched: Fetched) -> None:
        chunk: list[tuple[Duty, list[Delivery]]] = []
        limit_s, now = self._member.limits.max_age_s, self._now()
        oldest = _EPOCH if limit_s is None else now - timedelta(seconds=limit_s)
        for tp, records in fetched.items():
            part = self._member.parts.get(tp)
            if part is None:
                continue  # revoked meanwhile: the next owner begins at the committed offset
            if not part.opened:
                consumer.seek(tp, records[0].offset)
                continue
            metrics.RECORDS_IN.labels(tp.topic).inc(len(records))
            part.end = max(part.end, consumer.highwater(tp) or 0)
            for record in records:
                part = self._follow(part, record.offset)
                self._take(part, record_of(record, now), oldest, chunk)
        if chunk:
            self._chunks.put(chunk)

    def _follow(self, part: Part, offset: int) -> Part:
        """The part that this offset belongs to: another one where the log went back behind what was read."""
        if offset < part.tracker.next_offset:
            log.warning("%s: offset %d after %d: the log was made anew", part.tp, offset, part.tracker.next_offset - 1)
            part.current = False
            part = Part(part.tp, Tracker(offset), opened=True, recorded=offset, committed=offset)
            self._member.parts[part.tp] = part
        report_absent(self._member.group, part, part.tracker.deliver(offset))
        return part

    def _bury_unreadable(self, part: Part, record: Record) -> None:
        duty = Duty(self._follow(part, record.offset), record, self._bury, self._member.done)
        self._member.take(duty)
        where = f"{record.topic}-{record.partition}@{record.offset}"
        self._reject(duty, BadRecord(f"{where}: the name of a header is not UTF-8"))

    def _reject(self, duty: Duty, error: BaseException) -> None:
        duty.remaining = 1
        self.spawn(duty.end(Outcome.DEAD, error))

    def _take(self, part: Part, record: Record, oldest: datetime, chunk: list[tuple[Duty, list[Delivery]]]) -> None:
        duty = Duty(part, record, self._bury, self._member.done)
        self._member.take(duty)
        if record.timestamp < oldest:
            self._old.add(part)
        try:
            events = self._parse(record)
        except Exception as error:
            if not isinstance(error, BadRecord):
                log.exception("%s@%d: cannot be parsed", part.tp, record.offset)
            self._reject(duty, error)
            return
        several = events if isinstance(events, list | tuple) else [cast(Event, events)]
        if self._careful.active:
            self._careful.hold(duty, several)
        else:
            chunk.append((duty, duty.deliveries(several, self._traffic)))


def record_of(raw: ConsumerRecord, now: datetime | None = None) -> Record:
    """aiokafka's record as ours. A timestamp that is missing or no time at all becomes `now`."""
    try:
        when = _EPOCH + timedelta(milliseconds=raw.timestamp) if raw.timestamp >= 0 else now
    except OverflowError:
        when = now
    when = when or datetime.now(UTC)
    return Record(raw.topic, raw.partition, raw.offset, raw.key, raw.value, tuple(raw.headers), when)
