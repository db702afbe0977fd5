"""What must be true afterwards, from the topics, the store and the ledger alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from stream import wire
from stream.consume import audit, committed_offsets, scan
from stream.types import LedgerEntry, Record
from tests.faults.stage import Stage
from tests.faults.stored import look_up
from tests.faults.told import peak_of_all


@dataclass
class Verdict:
    """The last line of a run, and what is wrong."""

    lost: int = 0
    duplicates: int = 0
    ledger_balances: bool = True
    absent: int = 0
    shed: int = 0
    problems: list[str] = field(default_factory=list)


async def judge(stage: Stage, *, in_store: set[str] | None = None, absent_may: int = 0) -> Verdict:
    """Every event ended once. `in_store` limits what the store must hold (it was emptied on purpose)."""
    verdict = Verdict()
    detections = await _records(stage, "detections")
    dead = await _records(stage, "dead-letters")
    letters = Counter(_event_id(record) for record in dead)
    pipeline = _pipeline(detections)
    expected = {
        wire.observation_id(source, event_id, 0, pipeline): event_id
        for event_id, source in stage.sources.items()
        if event_id not in stage.bad
    }
    seen = Counter(wire.parse_observation(record.value or b"").id for record in detections)
    verdict.duplicates = sum(seen.values()) - len(seen)
    if strangers := set(seen) - set(expected):
        verdict.problems.append(f"{len(strangers)} observations of nothing that was sent")
    if wrong := set(letters) - stage.bad:
        told = [wire.error_headers(record.headers) for record in dead if _event_id(record) in wrong]
        verdict.problems.append(f"good records among the dead letters: {sorted(map(str, wrong))[:3]}, {told[:2]}")
    if missing := stage.bad - set(letters):
        verdict.problems.append(f"bad records without a dead letter: {sorted(missing)[:3]}")
    if not stage.kills and (twice := {name for name, count in letters.items() if count > 1}):
        verdict.problems.append(f"several dead letters of one record: {sorted(map(str, twice))[:3]}")
    entries = await _ledger(stage)
    await _judge_ledger(stage, entries, verdict)
    shed = _shed(stage, entries)
    not_seen = {event_id for identity, event_id in expected.items() if identity not in seen}
    lost = not_seen - shed
    verdict.lost = max(0, len(lost) - min(verdict.absent, absent_may))
    if verdict.lost:
        verdict.problems.append(f"lost: {sorted(lost)[:5]}")
    # A live frame that was interrupted on its way may be shed when it comes again, and be in an output already.
    await _judge_store(stage, verdict, {i: e for i, e in expected.items() if e not in not_seen}, in_store, shed)
    in_flight = peak_of_all(stage.folder)
    if verdict.duplicates > stage.kills * in_flight:
        verdict.problems.append(f"{verdict.duplicates} duplicates of {stage.kills} kills with {in_flight} in flight")
    return verdict


async def _ledger(stage: Stage) -> list[LedgerEntry]:
    return [wire.parse_ledger(record.value or b"") for record in await _records(stage, "ledger")]


def _shed(stage: Stage, entries: list[LedgerEntry]) -> set[str]:
    """Live frames that the ledger names as shed, one by one."""
    return {
        stage.sent[entry.topic, entry.partition, offset]
        for entry in entries
        if entry.topic == stage.topics["frames"]
        for first, last in entry.shed_offsets
        for offset in range(first, last + 1)
        if (entry.topic, entry.partition, offset) in stage.sent
    }


async def _judge_ledger(stage: Stage, entries: list[LedgerEntry], verdict: Verdict) -> None:
    places = {(entry.group, entry.topic, entry.partition) for entry in entries}
    committed = await committed_offsets(stage.kafka.bootstrap, places)
    accounts = audit(entries, committed)
    ends = await stage.ends()
    for account in accounts:
        verdict.absent += account.absent
        verdict.shed += account.shed
        if (account.shed and account.topic == stage.topics["files"]) or account.gated:
            verdict.problems.append(f"{account.topic}-{account.partition}: uploads shed, or gated without a gate")
        end = ends[account.topic, account.partition]
        if not account.balances or account.start != 0 or account.end != end:
            verdict.ledger_balances = False
            verdict.problems.append(
                f"{account.topic}-{account.partition}: {account.start}-{account.end} of {end}, {account.problems}"
            )
    covered = {(account.topic, account.partition) for account in accounts}
    if silent := {place for place, end in ends.items() if end and place not in covered}:
        verdict.ledger_balances = False
        verdict.problems.append(f"the ledger does not know {sorted(silent)[:3]}")


async def _judge_store(
    stage: Stage, verdict: Verdict, seen: dict[str, str], only: set[str] | None, shed: set[str]
) -> None:
    wanted = [i for i, event_id in seen.items() if event_id not in shed and (only is None or event_id in only)]
    found = await look_up(stage, wanted)
    if only is None and not 0 <= found.count - (len(wanted) - len(found.missing)) <= len(shed):
        verdict.problems.append(
            f"the store holds {found.count} observations, {len(wanted)} of them sent, {len(shed)} shed"
        )
    verdict.lost += len(found.missing | found.hidden)
    for what, ids in (("not in the store", found.missing), ("not found by a search of the store", found.hidden)):
        if ids:
            verdict.problems.append(f"{len(ids)} {what}: {sorted(seen[identity] for identity in ids)[:5]}")


async def prefix_holds(stage: Stage) -> list[str]:
    """Event ids below the committed offsets that no output knows of: must be empty at any moment."""
    committed = await stage.committed()  # first: outputs that come after it only help
    detections = await _records(stage, "detections")
    if not detections:
        pipeline, seen = "", set()
    else:
        pipeline = _pipeline(detections)
        seen = {wire.parse_observation(record.value or b"").id for record in detections}
    dead = {_event_id(record) for record in await _records(stage, "dead-letters")}
    dead |= _shed(stage, await _ledger(stage))
    return [
        event_id
        for (topic, partition, offset), event_id in stage.sent.items()
        if offset < committed.get((topic, partition), 0)
        and event_id not in dead
        and wire.observation_id(stage.sources[event_id], event_id, 0, pipeline) not in seen
    ]


async def _records(stage: Stage, kind: str) -> list[Record]:
    return [record async for record in scan(stage.kafka.bootstrap, stage.topics[kind])]


def _pipeline(detections: list[Record]) -> str:
    revisions = {wire.parse_observation(record.value or b"").provenance.pipeline for record in detections}
    assert len(revisions) <= 1, f"several pipeline revisions: {revisions}"
    return revisions.pop() if revisions else ""


def _event_id(record: Record) -> str | None:
    value = dict(record.headers).get("x-event")
    return None if value is None else value.decode(errors="replace")


async def generations(stage: Stage) -> set[int]:
    """Generations of the uploads group that the ledger knows."""
    entries = await _ledger(stage)
    return {entry.generation for entry in entries if entry.topic == stage.topics["files"]}
