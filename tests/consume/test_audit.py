"""The audit, against ledgers as crashing, expelled and restarted members write them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.consume import audit
from stream.types import LedgerEntry


def entry(start: int, end: int, generation: int = 1, **counts: int) -> LedgerEntry:
    counts = counts or {"processed": end - start}
    return LedgerEntry("g", "files", 0, generation, start, end, **counts)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[LedgerEntry], int]:
    """A ledger in log order with the offset that is committed at its end.

    Each generation begins at the committed offset and writes entries; the commit of the last ones may fail; then the
    next generation begins. An expelled member may write on after that, and an entry may be there twice.
    """
    log: list[LedgerEntry] = []
    committed = draw(st.integers(0, 50))
    zombies: list[LedgerEntry] = []
    for generation in range(1, draw(st.integers(1, 5)) + 1):
        at = committed
        written = []
        for _ in range(draw(st.integers(0, 4))):
            written.append(entry(at, at + draw(st.integers(1, 9)), generation))
            at = written[-1].end
        kept = draw(st.integers(0, len(written)))
        committed = written[kept - 1].end if kept else committed
        for one in written:
            log += [one] * draw(st.integers(1, 2))
        zombies.append(entry(at, at + 5, generation))
        if generation > 1 and written and draw(st.booleans()):
            old = zombies[draw(st.integers(0, generation - 2))]
            if old.end > min(one.start for one in log if one.generation == generation):
                log.append(old)
    return log, committed


@given(histories())
def test_whatever_happened_the_ledger_balances_up_to_its_end(history: tuple[list[LedgerEntry], int]) -> None:
    log, committed = history
    if not log:
        assert audit(log) == []
        return
    [account] = audit(log)
    assert account.problems == []
    assert account.processed == account.end - account.start
    assert account.end >= committed


def test_what_was_not_committed_is_superseded_whole() -> None:
    [account] = audit([entry(0, 10), entry(10, 20), entry(20, 30), entry(10, 14, 2), entry(14, 25, 2)])
    assert (account.end, account.entries, account.superseded, account.balances) == (25, 3, 2, True)


def test_an_expelled_member_that_writes_on_changes_nothing() -> None:
    [account] = audit([entry(0, 10), entry(10, 14, 2), entry(10, 30, 1)])
    assert (account.end, account.superseded, account.balances) == (14, 1, True)


def test_taking_out_any_inner_entry_leaves_a_hole_that_is_named() -> None:
    log = [entry(start, start + 5, 1 + start // 25) for start in range(0, 50, 5)]
    for missing in range(1, len(log) - 1):
        [account] = audit(log[:missing] + log[missing + 1 :])
        assert account.problems == [f"hole: nothing is known of offsets {5 * missing} to {5 * missing + 4}"]


def test_counts_that_do_not_add_up_are_found() -> None:
    [account] = audit([entry(0, 10, processed=8, absent=1)])
    assert account.problems == ["entry 0 to 9 of generation 1: its counts add up to 9, not 10"]


@pytest.mark.parametrize("ranges", [(), ((0, 1),), ((0, 3),), ((8, 10),)])
def test_shed_offsets_must_fit_the_count(ranges: tuple[tuple[int, int], ...]) -> None:
    [account] = audit([replace(entry(0, 10, processed=7, shed=3), shed_offsets=ranges)])
    assert not account.balances
    [account] = audit([replace(entry(0, 10, processed=7, shed=3), shed_offsets=((0, 1), (9, 9)))])
    assert account.balances


def test_two_members_that_account_for_the_same_offsets_in_one_generation_are_found() -> None:
    [account] = audit([entry(0, 10), entry(8, 12)])
    assert account.problems == ["overlap: offsets 8 to 9 are accounted for twice"]


def test_committed_offsets_are_compared_with_the_ledger() -> None:
    log = [entry(0, 10), entry(10, 20)]
    place = ("g", "files", 0)
    assert audit(log, {place: 20})[0].balances
    assert audit(log, {place: 10})[0].balances  # the last commit failed: its entry will be superseded
    assert audit(log, {place: 21})[0].problems == ["committed 21, but the ledger ends at 20"]
    assert audit(log, {place: 15})[0].problems == ["committed 15, where no entry ends"]


def test_groups_topics_and_partitions_are_accounted_for_apart_in_any_order() -> None:
    log = [replace(entry(n, n + 1), group=g, partition=p) for g in "ab" for p in (0, 1) for n in range(3)]
    random.Random(7).shuffle(log)
    accounts = audit(log)
    assert [(account.group, account.partition, account.end) for account in accounts] == [
        ("a", 0, 3), ("a", 1, 3), ("b", 0, 3), ("b", 1, 3),
    ]  # fmt: skip
    assert all(account.balances for account in accounts)
