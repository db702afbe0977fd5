"""What the live group shed and nobody has looked at since: kept from the ledger, as ranges of offsets per partition."""

from __future__ import annotations

from collections.abc import Iterable

from stream.types import LedgerEntry

Range = tuple[int, int]
"""First and last offset."""


class Backlog:
    """Adds what `live` says it shed, takes out what `later` says it has looked at. Entries in log order per partition."""

    def __init__(self, topic: str, live: str, later: str) -> None:
        self._topic, self._live, self._later = topic, live, later
        self._left: dict[int, list[Range]] = {}

    def note(self, entry: LedgerEntry) -> None:
        if entry.topic != self._topic:
            return
        left = self._left.get(entry.partition, [])
        if entry.group == self._live:
            left = merged([*left, *entry.shed_offsets])
        elif entry.group == self._later:
            left = without(left, (entry.start, entry.end - 1))
        self._left[entry.partition] = left

    def oldest(self, partitions: Iterable[int]) -> tuple[int, Range] | None:
        """A partition of these and its first range; the partition with most to do."""
        waiting = [(sum(last - first + 1 for first, last in left), number) for number, left in self._left.items()]
        mine = set(partitions)
        _, number = max(((count, n) for count, n in waiting if count and n in mine), default=(0, -1))
        return None if number < 0 else (number, self._left[number][0])

    def __len__(self) -> int:
        """Offsets, over all partitions."""
        return sum(last - first + 1 for left in self._left.values() for first, last in left)


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same offsets as few ranges in rising order."""
    out: list[Range] = []
    for first, last in sorted(ranges):
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], last))
        else:
            out.append((first, last))
    return out


def without(ranges: Iterable[Range], gone: Range) -> list[Range]:
    """The ranges, less what lies in `gone`."""
    left: list[Range] = []
    for first, last in ranges:
        left += [(a, b) for a, b in ((first, min(last, gone[0] - 1)), (max(first, gone[1] + 1), last)) if a <= b]
    return left
