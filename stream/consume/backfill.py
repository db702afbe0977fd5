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
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream import metrics
from stream.consume.backlog import Backlog
from stream.consume.dead import stage_of
from stream.consume.ledger import Ledger
from stream.consume.pump import record_of
from stream.errors import BadRecord, Unavailable
from stream.types import DeadLetters, Delivery, Event, LedgerEntry, Outcome, Record, Traffic
from stream.wire import parse_ledger

log = logging.getLogger(__name__)

_CHUNK = 16  # offsets; idleness is asked about before each chunk
_QUIET_S = 1.0  # a fetch that gives nothing for so long has reached what is not there
_DRAIN_S = 5.0


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
        parse: Callable[[Record], Event | Sequence[Event]],
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

    async def _deliveries(self, errand: _Errand) -> list[Delivery]:
        out = []
        for record in errand.records:
            try:
                given = self._parse(record)
                events = list(given) if isinstance(given, Sequence) else [given]
            except Exception as error:
                if not isinstance(error, BadRecord):
                    log.exception("%s@%d: cannot be parsed", record.topic, record.offset)
                # Shed without being fetched: nobody has buried it yet.
                await self._settle(errand, record)(Outcome.DEAD, error)
                continue
            out += [Delivery(event, self._settle(errand, record), Traffic.UPLOAD) for event in events[:1]]
        return out

    def _settle(self, errand: _Errand, record: Record) -> Any:
        async def settle(outcome: Outcome, error: BaseException | None = None) -> None:
            if outcome is Outcome.DEAD:
                await self._dead.put(record, error or RuntimeError("dead without saying why"), _stage(error), 1)
            errand.settled(record, outcome)

        return settle

    async def _fetch(self, consumer: AIOKafkaConsumer, partition: int, first: int, last: int) -> _Errand:
        """The records of these offsets that the log still has."""
        tp = TopicPartition(self._topic, partition)
        if consumer.assignment() != {tp}:
            consumer.assign([tp])
        begin = (await consumer.beginning_offsets([tp]))[tp]
        errand = _Errand(partition, first, last)
        position = max(first, begin)
        consumer.seek(tp, position)
        while position <= last:
            raw = (await consumer.getmany(tp, timeout_ms=round(1000 * _QUIET_S), max_records=last - position + 1)).get(
                tp
            )
            if not raw:
                break
            errand.records += [record_of(one) for one in raw if first <= one.offset <= last]
            position = raw[-1].offset + 1
        errand.waiting = {record.offset for record in errand.records}
        return errand

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
        while left := [tp for tp, end in ends.items() if await consumer.position(tp) < end]:
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


class _Errand:
    """One chunk of offsets under way."""

    def __init__(self, partition: int, first: int, last: int) -> None:
        self.partition, self.first, self.last = partition, first, last
        self.records: list[Record] = []
        self.waiting: set[int] = set()
        self._counts: Counter[Outcome] = Counter()
        self._moved = asyncio.Event()

    def settled(self, record: Record, outcome: Outcome) -> None:
        """Raises: KeyError, for a second time."""
        self.waiting.remove(record.offset)
        self._counts[outcome] += 1
        self._moved.set()

    async def ended(self, stopping: asyncio.Event) -> bool:
        """Wait until all are settled; False when the process stops before."""
        stop = asyncio.ensure_future(stopping.wait())
        try:
            while self.waiting and not stop.done():
                self._moved.clear()
                moved = asyncio.ensure_future(self._moved.wait())
                await asyncio.wait({moved, stop}, return_when=asyncio.FIRST_COMPLETED)
                moved.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S):
                    while self.waiting:
                        self._moved.clear()
                        await self._moved.wait()
        finally:
            stop.cancel()
        return not self.waiting

    def entry(self, group: str, topic: str) -> LedgerEntry:
        counts = self._counts
        return LedgerEntry(
            group, topic, self.partition, 0, self.first, self.last + 1,
            processed=counts[Outcome.PROCESSED], gated=counts[Outcome.GATED], dead=counts[Outcome.DEAD],
            absent=self.last - self.first + 1 - sum(counts.values()),
        )  # fmt: skip


def _stage(error: BaseException | None) -> str:
    return stage_of(error) if error is not None else "process"
