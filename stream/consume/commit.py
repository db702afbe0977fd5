"""Commits: a ledger entry, acknowledged, then exactly its `to`. Nothing is ever committed beyond the watermark."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from stream import metrics
from stream.consume import edges
from stream.consume.ledger import Ledger
from stream.consume.parts import Part
from stream.errors import BrokerUnavailable
from stream.types import LedgerEntry, Outcome

log = logging.getLogger(__name__)


class Fenced(Exception):
    """The group has moved on without this member: nothing of it may be committed any more."""


class Committer:
    """Writes the account of one group's partitions and commits it. One commit at a time."""

    def __init__(self, group: str, ledger: Ledger | None, timeout_s: float) -> None:
        self._group = group
        self._ledger = ledger
        self._timeout_s = timeout_s
        self._busy = asyncio.Lock()  # never held across getmany

    async def commit(
        self, consumer: AIOKafkaConsumer, parts: Iterable[Part], generation: int, *, closing: bool = False
    ) -> bool:
        """Record and commit what has been done since the last time; whether all of it is committed.

        A timeout or a refusal leaves everything as it was: the next call tries again, or the next owner does it over.

        Raises: Fenced.
        """
        try:
            async with asyncio.timeout(2 * self._timeout_s), self._busy:
                mine = [part for part in parts if part.current]
                self._fence(consumer, generation)
                await self._record(mine, generation)
                self._fence(consumer, generation)
                await self._commit(consumer, mine, closing)
                return True
        except CommitFailedError as error:
            raise Fenced(str(error)) from error
        except (KafkaError, BrokerUnavailable, TimeoutError, IllegalStateError) as error:
            metrics.COMMIT_FAILURES.labels(self._group).inc()
            log.warning("group %s: commit put off: %r", self._group, error)
            return False

    def _fence(self, consumer: AIOKafkaConsumer, generation: int) -> None:
        # A commit without a generation is not fenced by the broker while the group is empty.
        now = edges.generation(consumer)
        if now != generation or generation < 0:
            raise Fenced(f"generation {generation} is over, the member is in {now}")

    async def _record(self, parts: list[Part], generation: int) -> None:
        for part in parts:
            if part.entry is None and (tally := part.tracker.take()) is not None:
                part.entry = LedgerEntry(
                    self._group,
                    part.tp.topic,
                    part.tp.partition,
                    generation,
                    tally.start,
                    tally.end,
                    processed=tally.counts[Outcome.PROCESSED],
                    gated=tally.counts[Outcome.GATED],
                    shed=tally.counts[Outcome.SHED],
                    dead=tally.counts[Outcome.DEAD],
                    absent=tally.absent,
                    shed_offsets=tally.shed_offsets,
                )
        entries = [part.entry for part in parts if part.entry is not None]
        if entries and self._ledger is not None:
            await asyncio.wait_for(self._ledger.write(entries), self._timeout_s)
        for part in parts:
            if part.entry is not None:
                part.recorded, part.entry = part.entry.end, None

    async def _commit(self, consumer: AIOKafkaConsumer, parts: list[Part], closing: bool) -> None:
        due = {
            part.tp: (part.recorded, metadata)
            for part in parts
            if (metadata := part.past(closing).dump()) != part.metadata or part.recorded != part.committed
        }
        if not due:
            return
        # aiokafka repeats a commit for ever while the broker answers with a retriable error.
        await asyncio.wait_for(consumer.commit(due), self._timeout_s)
        for part in parts:
            if part.tp in due:
                part.committed, part.metadata = due[part.tp]
