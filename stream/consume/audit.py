"""The audit: from the ledger alone, every offset of every partition is accounted for, once.

Entries count by generation. A generation begins where the offsets were committed, which is where an entry ended; so it
supersedes, whole, every entry of an earlier generation that reaches beyond its beginning: those were written and never
committed, or by a member that had been expelled. What is left must follow on without a gap, and each entry's counts
must add up to its length. An entry that was written twice, byte for byte, counts once.

A back-fill's account has holes, because it is about what the live group shed, and must lie within that. What the live
group shed stays shed in its own account.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stream.consume.backlog import merged
from stream.types import LedgerEntry

Place = tuple[str, str, int]
"""Group, topic, partition."""

LIVE, UPLOADS, LATER = "-live", "-uploads", "-backfill"
"""End the groups' names. To LATER is accounted what LIVE shed and was looked at after all."""


@dataclass(slots=True)
class Account:
    """What the ledger says about one partition under one group."""

    group: str
    topic: str
    partition: int
    start: int = 0  # the first offset that the ledger knows of
    end: int = 0  # one past the last
    entries: int = 0
    superseded: int = 0
    generations: int = 0
    processed: int = 0
    gated: int = 0
    shed: int = 0
    dead: int = 0
    absent: int = 0
    committed: int | None = None
    problems: list[str] = field(default_factory=list)

    def add(self, entry: LedgerEntry) -> None:
        """The entry's offsets follow on those before."""
        self.entries += 1
        self.end = max(self.end, entry.end)
        self.processed += entry.processed
        self.gated += entry.gated
        self.shed += entry.shed
        self.dead += entry.dead
        self.absent += entry.absent

    @property
    def balances(self) -> bool:
        return not self.problems


def audit(entries: Iterable[LedgerEntry], committed: Mapping[Place, int] | None = None) -> list[Account]:
    """An account for each partition and group, in order. `committed` holds offsets as the broker knows them now."""
    by_place: dict[Place, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        by_place[entry.group, entry.topic, entry.partition].append(entry)
    accounts = []
    for place in sorted(by_place):
        live = by_place.get((place[0].removesuffix(LATER) + LIVE, *place[1:]), [])
        if place[0].endswith(LATER):
            account = _later_account(place, by_place[place], live)
        else:
            account = _account(place, by_place[place])
        if committed is not None:
            _compare(account, committed.get(place), by_place[place])
        accounts.append(account)
    return accounts


def _account(place: Place, entries: Sequence[LedgerEntry]) -> Account:
    account = Account(*place, generations=len({entry.generation for entry in entries}))
    kept = _current(entries)
    account.superseded = len(set(entries)) - len(kept)
    account.start = account.end = kept[0].start
    for entry in kept:
        if entry.start > account.end:
            account.problems.append(f"hole: nothing is known of offsets {account.end} to {entry.start - 1}")
        elif entry.start < account.end:
            account.problems.append(f"overlap: offsets {entry.start} to {account.end - 1} are accounted for twice")
        _check(entry, account)
        account.add(entry)
    return account


def _later_account(place: Place, entries: Sequence[LedgerEntry], live: Sequence[LedgerEntry]) -> Account:
    account = Account(*place, generations=1)
    ordered = sorted(set(entries), key=lambda entry: (entry.start, -entry.end))
    account.start = account.end = ordered[0].start
    shed = merged(pair for entry in live for pair in entry.shed_offsets)
    known_from = min((entry.start for entry in live), default=account.start)
    for entry in ordered:
        if entry.end <= account.end:
            account.superseded += 1  # two owners did it, one after the other: its outputs have the same ids
            continue
        _check(entry, account)
        inside = any(first <= entry.start and entry.end - 1 <= last for first, last in shed)
        if not inside and entry.start >= known_from:
            account.problems.append(f"back-filled {entry.start} to {entry.end - 1}, which were not all shed")
        account.add(entry)
    return account


def _current(entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """The entries that no later generation supersedes, by their beginning, each once."""
    begins: dict[int, int] = {}
    for entry in entries:
        begins[entry.generation] = min(entry.start, begins.get(entry.generation, entry.start))
    limit: dict[int, int] = {}
    lowest: int | None = None
    for generation in sorted(begins, reverse=True):
        if lowest is not None:
            limit[generation] = lowest
        lowest = begins[generation] if lowest is None else min(lowest, begins[generation])
    kept = {entry for entry in entries if entry.end <= limit.get(entry.generation, entry.end)}
    return sorted(kept, key=lambda entry: (entry.start, entry.end))


def _check(entry: LedgerEntry, account: Account) -> None:
    total = entry.processed + entry.gated + entry.shed + entry.dead + entry.absent
    where = f"entry {entry.start} to {entry.end - 1} of generation {entry.generation}"
    if total != entry.end - entry.start:
        account.problems.append(f"{where}: its counts add up to {total}, not {entry.end - entry.start}")
    shed = sum(last - first + 1 for first, last in entry.shed_offsets)
    inside = all(entry.start <= first <= last < entry.end for first, last in entry.shed_offsets)
    if shed != entry.shed or not inside:
        account.problems.append(f"{where}: {entry.shed} shed, but its shed offsets are {shed}")


def _compare(account: Account, committed: int | None, entries: Sequence[LedgerEntry]) -> None:
    account.committed = committed
    if committed is None:
        return
    if committed > account.end:
        account.problems.append(f"committed {committed}, but the ledger ends at {account.end}")
    elif committed != account.start and committed not in {entry.end for entry in entries}:
        account.problems.append(f"committed {committed}, where no entry ends")
