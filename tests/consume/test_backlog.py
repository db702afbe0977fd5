"""What was shed and not looked at since: sets of offsets, kept as ranges."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stream.consume import audit
from stream.consume.backlog import Backlog, merged, without
from stream.types import LedgerEntry

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda p: (p[0], p[0] + p[1])), max_size=12)


def offsets(ranges: list[tuple[int, int]]) -> set[int]:
    return {offset for first, last in ranges for offset in range(first, last + 1)}


@given(RANGES, RANGES)
def test_ranges_are_sets(ranges: list[tuple[int, int]], gone: list[tuple[int, int]]) -> None:
    left = merged(ranges)
    assert offsets(left) == offsets(ranges) and all(a[1] + 1 < b[0] for a, b in pairwise(left))
    for one in gone:
        left = without(left, one)
    assert offsets(left) == offsets(ranges) - offsets(gone)


def live(start: int, end: int, *shed: tuple[int, int], generation: int = 1) -> LedgerEntry:
    count = len(offsets(list(shed)))
    return LedgerEntry(
        "g-live", "frames", 2, generation, start, end, end - start - count, shed=count, shed_offsets=shed
    )


def later(start: int, end: int, **counts: int) -> LedgerEntry:
    return LedgerEntry("g-backfill", "frames", 2, 0, start, end, **(counts or {"processed": end - start}))


def test_the_backlog_follows_the_ledger() -> None:
    backlog = Backlog("frames", "g-live", "g-backfill")
    for entry in (live(0, 50, (10, 19), (30, 34)), later(10, 14), LedgerEntry("other", "frames", 2, 1, 0, 9, shed=9)):
        backlog.note(entry)
    assert len(backlog) == 11 and backlog.oldest([2]) == (2, (14, 19))
    assert backlog.oldest([1, 3]) is None
    backlog.note(later(14, 20))
    backlog.note(later(30, 35, absent=5))
    assert backlog.oldest([2]) is None and len(backlog) == 0


def test_the_audit_accepts_what_was_shed_and_back_filled_with_holes_and_twice() -> None:
    entries = [live(0, 50, (10, 19), (30, 34)), later(10, 20), later(30, 35, processed=3, absent=2), later(12, 20)]
    filled, main = audit(entries)
    assert filled.balances and main.balances, (filled.problems, main.problems)
    assert (filled.processed, filled.absent, filled.superseded, main.shed) == (13, 2, 1, 15)


def test_the_audit_refuses_a_back_fill_of_what_was_not_shed_or_does_not_add_up() -> None:
    assert "not all shed" in audit([live(0, 50, (10, 19)), later(10, 21)])[0].problems[0]
    assert "add up" in audit([live(0, 50, (10, 19)), later(10, 20, processed=3)])[0].problems[0]
