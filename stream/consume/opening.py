"""Taking over a partition: where it stands, how its last owner ended, and what has become too old to fetch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream import metrics
from stream.consume import edges
from stream.consume.caution import Past
from stream.consume.limits import Limits
from stream.consume.parts import Part
from stream.consume.tracker import Tracker

log = logging.getLogger(__name__)


class Opening:
    """Reads a partition's past and skips what is too old. Every call is bounded by the commit timeout."""

    def __init__(self, group: str, limits: Limits, now: Callable[[], datetime]) -> None:
        self._group = group
        self._limits = limits
        self._now = now

    async def open(self, consumer: AIOKafkaConsumer, parts: Sequence[Part]) -> None:
        """Set each part's tracker to its committed offset, or to where the log begins for a group that never read.

        Raises: KafkaError, TimeoutError.
        """
        tps = [part.tp for part in parts]
        async with asyncio.timeout(self._limits.commit_timeout_s):
            committed = await edges.committed(consumer, tps)
            begins = await consumer.beginning_offsets(tps)
            ends = await consumer.end_offsets(tps)
        for part in parts:
            if not part.current:
                continue
            found = committed.get(part.tp)
            begin, part.end = begins[part.tp], ends[part.tp]
            start = begin if found is None else found.offset
            if start > part.end:
                log.warning("%s: committed %d, but the log ends at %d: it was made anew", part.tp, start, part.end)
                start = begin
            self._remember(part, start, Past.load(found.metadata if found else None))
            self._report(part, part.tracker.advance(max(begin, start)))
            consumer.seek(part.tp, max(begin, start))
        await self.skip_old(consumer, parts)

    def _remember(self, part: Part, start: int, past: Past) -> None:
        part.tracker = Tracker(start)
        part.recorded = part.committed = start
        part.crashes = past.crashes + 1 if past.open else past.crashes
        part.blamed = past.alone
        # Whatever was in flight when it crashed lies in this window and was in the log by now.
        part.calm_at = min(start + self._limits.in_flight_records, part.end)
        if part.careful:
            log.warning(
                "%s: %d owners in a row ended without closing at offset %d; reading one record at a time up to %d",
                *(part.tp, part.crashes, start, part.calm_at),
            )

    async def skip_old(self, consumer: AIOKafkaConsumer, parts: Sequence[Part]) -> None:
        """Shed, without fetching, what is older than the age limit by the log's timestamps."""
        if self._limits.max_age_s is None:
            return
        before = self._now() - timedelta(seconds=self._limits.max_age_s)
        targets = await self._first_since(consumer, parts, before)
        for part in parts:
            target = targets.get(part.tp, 0)
            if part.current and (count := part.tracker.skip(target)):
                log.warning("%s: %d records older than %s s shed unfetched", part.tp, count, self._limits.max_age_s)
                metrics.EVENTS.labels("live", "shed").inc(count)
                consumer.seek(part.tp, target)

    async def _first_since(
        self, consumer: AIOKafkaConsumer, parts: Sequence[Part], when: datetime
    ) -> dict[TopicPartition, int]:
        """The first offset of each partition that is not older; nothing where the broker cannot look up times."""
        behind = [part for part in parts if part.current and part.end > part.tracker.next_offset]
        if not behind:
            return {}
        tps = [part.tp for part in behind]
        stamp = round(when.timestamp() * 1000)
        try:
            async with asyncio.timeout(self._limits.commit_timeout_s):
                # An answer for the beginning of time tells a partition of old records from a broker that cannot say.
                oldest = await consumer.offsets_for_times(dict.fromkeys(tps, 0))
                found = await consumer.offsets_for_times(dict.fromkeys(tps, stamp))
        except (KafkaError, TimeoutError) as error:
            log.warning("group %s: old records cannot be skipped by time: %r", self._group, error)
            return {}
        targets = {}
        for part in behind:
            if oldest.get(part.tp) is not None:
                hit = found.get(part.tp)
                targets[part.tp] = part.end if hit is None else hit.offset
        return targets

    def _report(self, part: Part, missing: int) -> None:
        report_absent(self._group, part, missing)


def report_absent(group: str, part: Part, missing: int) -> None:
    """Count and log offsets that the log never gave."""
    if missing:
        metrics.OFFSETS_ABSENT.labels(group).inc(missing)
        log.warning("%s: %d offsets before %d are not in the log any more", part.tp, missing, part.tracker.next_offset)
