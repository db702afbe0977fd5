"""The watermark of one partition: below it every offset is accounted for, and only it may be committed.

Records may finish in any order; the watermark moves over the contiguous prefix that is done. Pure: no clock, no broker.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from stream.types import Outcome


@dataclass(slots=True)
class _Segment:
    """Offsets [start, end) that end together: one record, or a range that was skipped or never there."""

    start: int
    end: int
    outcome: Outcome | None = None
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the offsets [start, end); the counts and `absent` add up to its length."""

    start: int
    end: int
    counts: Counter[Outcome]  # in offsets
    absent: int
    shed_offsets: tuple[tuple[int, int], ...]  # ranges [first, last]


@dataclass(slots=True)
class Tracker:
    """Starts at the committed offset `next_offset`; offsets must be delivered in rising order."""

    next_offset: int  # the first offset not seen yet
    watermark: int = -1  # everything below is done
    _taken: int = -1
    _waiting: deque[_Segment] = field(default_factory=deque)
    _open: dict[int, _Segment] = field(default_factory=dict)
    _counts: Counter[Outcome] = field(default_factory=Counter)
    _absent: int = 0
    _shed: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watermark = self._taken = self.next_offset

    @property
    def in_flight(self) -> int:
        """Records delivered and not settled."""
        return len(self._open)

    def deliver(self, offset: int) -> int:
        """A record arrived; the number of offsets before it that the log never gave.

        Raises: ValueError, for an offset below `next_offset`: the log went back, a new tracker must begin there.
        """
        missing = self.advance(offset)
        segment = _Segment(offset, offset + 1)
        self._waiting.append(segment)
        self._open[offset] = segment
        self.next_offset = offset + 1
        return missing

    def advance(self, position: int) -> int:
        """The log goes on at `position`: what lies between was never there. Returns how many offsets that are.

        Raises: ValueError, for a position below `next_offset`.
        """
        missing = position - self.next_offset
        if missing < 0:
            raise ValueError(f"offset {position} after {self.next_offset - 1}: the log went back")
        if missing:
            self._close(_Segment(self.next_offset, position, absent=True))
        return missing

    def skip(self, position: int) -> int:
        """Shed everything before `position` without fetching it. Returns how many offsets that are."""
        count = max(0, position - self.next_offset)
        if count:
            self._close(_Segment(self.next_offset, position, Outcome.SHED))
        return count

    def settle(self, offset: int, outcome: Outcome) -> bool:
        """A delivered record ended; whether the watermark moved. Raises: KeyError, if it is not in flight."""
        self._open.pop(offset).outcome = outcome
        return self._move()

    def abandon(self, offset: int) -> None:
        """A delivered record will not be settled in this epoch: the watermark stays below it."""
        del self._open[offset]

    def take(self) -> Tally | None:
        """The account since the last call, up to the watermark; None if it has not moved."""
        if self.watermark == self._taken:
            return None
        tally = Tally(self._taken, self.watermark, self._counts, self._absent, tuple(self._shed))
        self._taken, self._counts, self._absent, self._shed = self.watermark, Counter(), 0, []
        return tally

    def _close(self, segment: _Segment) -> None:
        self._waiting.append(segment)
        self.next_offset = segment.end
        self._move()

    def _move(self) -> bool:
        before = self.watermark
        while self._waiting and (self._waiting[0].absent or self._waiting[0].outcome is not None):
            self._count(self._waiting.popleft())
        return self.watermark != before

    def _count(self, segment: _Segment) -> None:
        self.watermark = segment.end
        if segment.outcome is None:
            self._absent += segment.end - segment.start
            return
        self._counts[segment.outcome] += segment.end - segment.start
        if segment.outcome is Outcome.SHED:
            if self._shed and self._shed[-1][1] == segment.start - 1:
                self._shed[-1] = (self._shed[-1][0], segment.end - 1)
            else:
                self._shed.append((segment.start, segment.end - 1))
