"""Ledger topic: LedgerEntry <-> JSON, keyed by topic-partition so that a partition's entries keep their order."""

from __future__ import annotations

import orjson

from stream.errors import BadRecord
from stream.types import LedgerEntry
from stream.wire.cloudevents import Outgoing

_COUNTS = ("processed", "gated", "shed", "dead", "absent")


def encode_ledger(entry: LedgerEntry, topic: str) -> Outgoing:
    """The record for the ledger topic. The same entry always gives the same bytes."""
    body = {
        "group": entry.group,
        "topic": entry.topic,
        "partition": entry.partition,
        "generation": entry.generation,
        "from": entry.start,
        "to": entry.end,
        **{name: getattr(entry, name) for name in _COUNTS},
        "shed_offsets": entry.shed_offsets,
    }
    return Outgoing(topic, f"{entry.topic}-{entry.partition}".encode(), orjson.dumps(body), [])


def parse_ledger(value: bytes) -> LedgerEntry:
    """A ledger entry from its JSON. Whether its sums balance is the audit's question.

    Raises: BadRecord.
    """
    try:
        body = orjson.loads(value)
        numbers = {name: body[name] for name in ("partition", "generation", "from", "to", *_COUNTS)}
        names = (body["group"], body["topic"])
        ranges = tuple((int(first), int(last)) for first, last in body["shed_offsets"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise BadRecord(f"this is not a ledger entry: {error!r}") from error
    if not all(type(number) is int for number in numbers.values()) or not all(type(name) is str for name in names):
        raise BadRecord("this is not a ledger entry: its offsets and counts must be whole numbers, its names text")
    start, end = numbers.pop("from"), numbers.pop("to")
    return LedgerEntry(group=names[0], topic=names[1], start=start, end=end, shed_offsets=ranges, **numbers)
