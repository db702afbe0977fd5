"""Back-fill: when there is time, what was shed and is still on the topic is delivered once more.

The ledger is the list of what is to do and the record of what was done. The live group's account stays as it is: shed is
what became of those offsets then, and commits never go back. The back-fill writes entries of a group of its own
(PREFIX-backfill) after the outputs are durable; the audit holds them against what the live group shed. There is no
commit: whoever owns the live partition reads the ledger and goes on where the entries end; a crash does a chunk over,
and ids make that harmless.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream import metrics
from stream.consume.backlog import Backlog
from stream.consume.dead import stage_of
from stream.consume.errand import Errand
from stream.consume.ledger import Ledger
from stream.consume.pump import record_of
from stream.consume.salvage import unreadable
from stream.errors import BadRecord, Unavailable
from stream.types import DeadLetters, Delivery, Event, Outcome, Record, Traffic
from stream.wire import parse_ledger

log = logging.getLogger(__name__)

_CHUNK = 16  # offsets; idleness is asked about before each chunk
_QUIET_S = 5.0  # a fetch that gives nothing for so long is put off


class Backfill:
    """A `Source` of what was shed, one chunk at a time, while `idle` says so and the live group owns the partition.

    Delivered as upload traffic: it waits and is not shed again. Ends when `stop` was called.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        ledger_topic: str,
        groups: tuple[str, str],
        parse: Callable[[Record], Event],
        dead_letters: DeadLetters,
        ledger: Ledger,
        idle: Callable[[], bool],
        *,
        reach_s: float = 6 * 3600.0,
        every_s: float = 1.0,
        client: Mapping[str, Any] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`groups`: the live one and the one its back-fill is accounted to; `reach_s`: how far back the ledger is read."""
        self._bootstrap, self._topic, self._ledger_topic = bootstrap, topic, ledger_topic
        self._group = groups[1]
        self._parse, self._dead, self._ledger, self._idle = parse, dead_letters, ledger, idle
        self._reach_s, self._every_s, self._client, self._now = reach_s, every_s, dict(client or {}), now
        self.backlog = Backlog(topic, *groups)
        self._mine: frozenset[int] = frozenset()
        self._stopping = asyncio.Event()

    def keep(self, partitions: frozenset[int]) -> None:
        """The live group's partitions of this process, now."""
        self._mine = partitions

    async def stop(self) -> None:
        """Hand out nothing more."""
        self._stopping.set()

    async def deliveries(self) -> AsyncIterator[Sequence[Delivery]]:
        """Chunks, each after the one before is settled and in the ledger. The broker's faults only put it off."""
        while not self._stopping.is_set():
            try:
                async with self._open() as (entries, frames):
                    async for chunk in self._chunks(entries, frames):
                        yield chunk
            except (KafkaError, OSError, TimeoutError, Unavailable) as error:
                log.warning("back-fill of %s is put off: %r", self._topic, error)
                await self._wait()

    async def _chunks(self, entries: AIOKafkaConsumer, frames: AIOKafkaConsumer) -> AsyncIterator[list[Delivery]]:
        await self._begin(entries)
        while not self._stopping.is_set():
            await self._read(entries)
            if self._stopping.is_set():
                return
            metrics.BACKFILL_RECORDS.set(len(self.backlog))
            found = self.backlog.oldest(self._mine) if self._idle() else None
            if found is None:
                await self._wait()
                continue
            partition, (first, last) = found
            errand = await self._fetch(frames, partition, first, min(last, first + _CHUNK - 1))
            deliveries = await self._deliveries(errand)
            if deliveries:
                yield deliveries
            if not await errand.ended(self._stopping):
                return  # not in the ledger: done over by the next owner
            entry = errand.entry(self._group, self._topic)
            await self._ledger.write([entry])
            self.backlog.note(entry)
            metrics.BACKFILL_RECORDS.set(len(self.backlog))

    async def _deliveries(self, errand: Errand) -> list[Delivery]:
        out = []
        for record in errand.records:
            try:
                if record.offset in errand.unreadable:
                    raise BadRecord(f"{record.topic}-{record.partition}@{record.offset}: a header's name is not UTF-8")
                event = self._parse(record)
            except Exception as error:
                if not isinstance(error, BadRecord):
                    log.exception("%s@%d: cannot be parsed", record.topic, record.offset)
                # Shed without being fetched: nobody has buried it yet.
                await self._settle(errand, record)(Outcome.DEAD, error)
                continue
            out.append(Delivery(event, self._settle(errand, record), Traffic.UPLOAD))
        return out

    def _settle(self, errand: Errand, record: Record) -> Any:
        async def settle(outcome: Outcome, error: BaseException | None = None) -> None:
            buried = outcome is not Outcome.DEAD or await self._bury(
                record, error or RuntimeError("settled as dead without saying why")
            )
            if buried:
                errand.settled(record, outcome)

        return settle

    async def _bury(self, record: Record, error: BaseException) -> bool:
        """Put a dead letter, for as long as it takes; False when the process stops before: the chunk is done over."""
        while True:
            try:
                await self._dead.put(record, error, stage_of(error), 1)
                return True
            except Unavailable as failure:
                log.warning("back-fill of %s: a dead letter is put off: %s", self._topic, failure)
            if self._stopping.is_set():
                return False
            await self._wait()

    async def _fetch(self, consumer: AIOKafkaConsumer, partition: int, first: int, last: int) -> Errand:
        """The records of these offsets that the log still has.

        Raises: TimeoutError, where the broker does not give what it has: that is not absent.
        """
        tp = TopicPartition(self._topic, partition)
        if consumer.assignment() != {tp}:
            consumer.assign([tp])
        begin, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
        errand = Errand(partition, first, last)
        position = max(first, begin)
        consumer.seek(tp, position)
        while position <= min(last, end - 1):
            record = await self._next(consumer, tp, position, errand)
            if record is not None:
                errand.records += [record] if record.offset <= last else []
                position = record.offset + 1
            elif (moved := await consumer.position(tp)) > position:
                position = moved  # past what compaction and control records left out
            else:
                raise TimeoutError(f"{tp}@{position} was not fetched within {_QUIET_S:g} s")
        errand.waiting = {record.offset for record in errand.records}
        return errand

    async def _next(
        self, consumer: AIOKafkaConsumer, tp: TopicPartition, position: int, errand: Errand
    ) -> Record | None:
        """One record at a time, so that what cannot be read is the next one."""
        try:
            raw = (await consumer.getmany(tp, timeout_ms=round(1000 * _QUIET_S), max_records=1)).get(tp)
            return record_of(raw[0], self._now()) if raw else None
        except UnicodeDecodeError:
            record = await unreadable(consumer, tp, position)
        if record is not None:
            errand.unreadable.add(record.offset)
            consumer.seek(tp, record.offset + 1)
        return record

    # -- the ledger

    async def _begin(self, consumer: AIOKafkaConsumer) -> None:
        cluster = await consumer._client.fetch_all_metadata()
        tps = [TopicPartition(self._ledger_topic, n) for n in cluster.partitions_for_topic(self._ledger_topic) or ()]
        if not tps:
            raise TimeoutError("there is no ledger topic yet")
        consumer.assign(tps)
        since = round((self._now() - timedelta(seconds=self._reach_s)).timestamp() * 1000)
        try:
            async with asyncio.timeout(5):
                found = await consumer.offsets_for_times(dict.fromkeys(tps, since))
        except (KafkaError, TimeoutError):  # the embedded broker cannot look up times, and its ledger is short
            found = {}
        begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        for tp in tps:
            at = found.get(tp)
            start = at.offset if at is not None else ends[tp] if found else begins[tp]
            consumer.seek(tp, start)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        """Everything that the ledger has now."""
        ends = await consumer.end_offsets(list(consumer.assignment()))
        while not self._stopping.is_set() and (
            left := [tp for tp, end in ends.items() if await consumer.position(tp) < end]
        ):
            for records in (await consumer.getmany(*left, timeout_ms=200)).values():
                for raw in records:
                    with suppress(BadRecord):  # the audit's matter
                        self.backlog.note(parse_ledger(raw.value or b""))

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[tuple[AIOKafkaConsumer, AIOKafkaConsumer]]:
        """Two readers without a group."""
        options = {"bootstrap_servers": self._bootstrap, "fetch_max_wait_ms": 50, "auto_offset_reset": "earliest"}
        readers = AIOKafkaConsumer(**options, **self._client), AIOKafkaConsumer(**options, **self._client)
        try:
            for reader in readers:
                await reader.start()
            yield readers
        finally:
            for reader in readers:
                with suppress(KafkaError, OSError, TimeoutError):
                    await reader.stop()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), self._every_s)
