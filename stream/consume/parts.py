"""What a group member knows about the partitions it owns, under one epoch."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiokafka import TopicPartition

from stream.consume.caution import CAREFUL_AFTER, Past
from stream.consume.tracker import Tracker
from stream.types import LedgerEntry


@dataclass(slots=True, eq=False)
class Part:
    """One assigned partition. A new assignment makes a new one, also of the same partition."""

    tp: TopicPartition
    tracker: Tracker = field(default_factory=lambda: Tracker(0))
    opened: bool = False  # its past is known and "at work" is committed: it may be read
    current: bool = True  # False once revoked: late completions change nothing
    recorded: int = 0  # the ledger has acknowledged everything below
    committed: int = 0
    metadata: str = ""  # of the last commit
    entry: LedgerEntry | None = None  # sent or being sent, not acknowledged; sent again as it is
    crashes: int = 0
    calm_at: int = 0  # the watermark from which on the crashes are forgotten
    blamed: tuple[int, int] | None = None  # offset that was alone in flight at the last crash, and how often
    alone: tuple[int, int] | None = None  # the same, being tried now
    end: int = 0  # end of the log when it was last asked

    @property
    def careful(self) -> bool:
        return self.crashes >= CAREFUL_AFTER and self.tracker.watermark < self.calm_at

    @property
    def lag(self) -> int:
        """Records not done yet, as far as the end of the log is known."""
        return max(0, max(self.end, self.tracker.next_offset) - self.tracker.watermark)

    def past(self, closing: bool) -> Past:
        """What to write into the next commit."""
        mark = self.tracker.watermark
        at_work = not closing and (self.tracker.in_flight > 0 or not self.opened or self.alone is not None)
        alone = self.alone
        if closing and alone is not None:
            alone = (alone[0], alone[1] - 1)  # given up in good order: that try is nobody's fault
        suspect = alone or self.blamed
        if suspect is not None and suspect[0] < mark:
            suspect = None
        return Past(at_work, 0 if mark >= self.calm_at else self.crashes, suspect)
