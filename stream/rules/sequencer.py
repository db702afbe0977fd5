"""Restores capture order per source after micro-batches finished out of it."""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class _Mark(Enum):
    OPEN = "open"
    SKIPPED = "skipped"


class Sequencer(Generic[T]):
    """Gives out tickets in capture order and hands items back in that order.

    Take a ticket when a frame is admitted, and end each ticket exactly once: `push` its item, or `skip` it when the
    frame failed or was dropped, so that those behind it move up. What comes back must be used before the next call, or
    the order is lost again. Memory is one entry for each ticket that has not come out: whoever bounds the frames in
    flight bounds it, and `limit` turns a ticket that someone forgot into an error instead of a leak. Not shared between
    threads.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._next = 0
        self._lines: dict[str, OrderedDict[int, tuple[T] | _Mark]] = {}
        self._size = 0

    def __len__(self) -> int:
        """Tickets that have not come out, over all sources."""
        return self._size

    def ticket(self, source: str) -> int:
        """The source's next place in line; call it in capture order.

        Raises: OverflowError at `limit` tickets that have not come out: one of them was never pushed or skipped.
        """
        if self._size >= self._limit:
            stuck = max(self._lines, key=lambda name: len(self._lines[name]))
            first = next(iter(self._lines[stuck]))
            raise OverflowError(f"{self._size} frames wait for their turn; {stuck!r} is stuck at ticket {first}")
        number, self._next = self._next, self._next + 1
        self._lines.setdefault(source, OrderedDict())[number] = _Mark.OPEN
        self._size += 1
        return number

    def push(self, source: str, ticket: int, item: T) -> list[T]:
        """The item is ready. Returns what has its turn now, in capture order; empty while an earlier ticket is open.

        Raises: LookupError for a ticket that is not open for this source.
        """
        return self._end(source, ticket, (item,))

    def skip(self, source: str, ticket: int) -> list[T]:
        """Nothing will come for this ticket. Returns what has its turn now that nobody waits for it.

        Raises: LookupError for a ticket that is not open for this source.
        """
        return self._end(source, ticket, _Mark.SKIPPED)

    def _end(self, source: str, ticket: int, state: tuple[T] | _Mark) -> list[T]:
        line = self._lines.get(source)
        if line is None or line.get(ticket) is not _Mark.OPEN:
            raise LookupError(f"ticket {ticket} of {source!r} was never given out, or is used already")
        line[ticket] = state
        out: list[T] = []
        while line:
            first, ready = next(iter(line.items()))
            if ready is _Mark.OPEN:
                return out
            del line[first]
            self._size -= 1
            if not isinstance(ready, _Mark):
                out.append(ready[0])
        del self._lines[source]
        return out
