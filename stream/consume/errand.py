"""One chunk of a back-fill: which of its offsets are not settled yet, and what became of the others."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

from stream.types import LedgerEntry, Outcome, Record

_DRAIN_S = 5.0


class Errand:
    """One chunk of offsets under way."""

    def __init__(self, partition: int, first: int, last: int) -> None:
        self.partition, self.first, self.last = partition, first, last
        self.records: list[Record] = []
        self.unreadable: set[int] = set()  # offsets of records with a header name that is no text
        self.waiting: set[int] = set()
        self._counts: Counter[Outcome] = Counter()
        self._moved = asyncio.Event()

    def settled(self, record: Record, outcome: Outcome) -> None:
        """Raises: KeyError, for a second time."""
        assert outcome is not Outcome.SHED, "what is back-filled is not shed again"
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
        """Its account; what the log does not have any more is absent."""
        counts = self._counts
        return LedgerEntry(
            group, topic, self.partition, 0, self.first, self.last + 1,
            processed=counts[Outcome.PROCESSED], gated=counts[Outcome.GATED], dead=counts[Outcome.DEAD],
            absent=self.last - self.first + 1 - sum(counts.values()),
        )  # fmt: skip
