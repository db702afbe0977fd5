"""CloudEvents 1.0, Kafka protocol binding 1.0.2, binary mode: attributes are `ce_` headers, the data is the value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from stream.errors import BadRecord
from stream.types import Record
from stream.wire.ids import isoformat

PREFIX = "ce_"
REQUIRED = ("specversion", "type", "source", "id")
MAX_SOURCE = 255  # characters; a source becomes a label, a key and a folder name
MAX_ID = 1024


class Outgoing(NamedTuple):
    """A record ready to be produced. `timestamp_ms` None lets the producer set the time of sending."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp_ms: int | None = None


def where(record: Record) -> str:
    """The record's place in the log, for messages."""
    return f"{record.topic}-{record.partition}@{record.offset}"


def attributes(record: Record) -> dict[str, str]:
    """The record's CloudEvents attributes without their prefix; empty for a record that is no CloudEvent.

    Headers of other names are not looked at. Of a repeated header the last one counts, as in Kafka's `lastHeader`.

    Raises: BadRecord, for an attribute that is not UTF-8, is missing, or a version other than 1.x.
    """
    found: dict[str, str] = {}
    structured = False
    for name, value in record.headers:
        if name == "content-type":
            structured = (value or b"").lower().startswith(b"application/cloudevents")
        if not name.startswith(PREFIX) or value is None:
            continue
        try:
            found[name[len(PREFIX) :]] = value.decode()
        except UnicodeDecodeError as error:
            raise BadRecord(f"{where(record)}: header {name!r} is not UTF-8") from error
    if structured:
        raise BadRecord(f"{where(record)}: CloudEvents in structured mode; send binary mode, with ce_ headers")
    if found:
        _check(record, found)
    return found


def _check(record: Record, found: Mapping[str, str]) -> None:
    missing = [PREFIX + name for name in REQUIRED if not found.get(name)]
    if missing:
        raise BadRecord(f"{where(record)}: CloudEvents headers missing: {', '.join(missing)}")
    if not found["specversion"].startswith("1."):
        raise BadRecord(f"{where(record)}: ce_specversion is {found['specversion'][:20]!r}, not 1.0")
    if len(found["id"]) > MAX_ID:
        raise BadRecord(f"{where(record)}: ce_id is longer than {MAX_ID} characters")


def source_of(record: Record, found: Mapping[str, str]) -> str:
    """Where the event comes from: the record's key, or else `ce_source`.

    Raises: BadRecord.
    """
    try:
        source = record.key.decode() if record.key else found.get("source", "")
    except UnicodeDecodeError as error:
        raise BadRecord(f"{where(record)}: the key is the source's name and must be UTF-8") from error
    if not source:
        raise BadRecord(f"{where(record)}: no source; name it as the record's key (kcat: -k garage)")
    if len(source) > MAX_SOURCE or not source.isprintable():
        raise BadRecord(f"{where(record)}: a source's name is at most {MAX_SOURCE} printable characters")
    return source


def instant(text: str, what: str, record: Record) -> datetime:
    """An RFC 3339 time as a UTC-aware datetime.

    Raises: BadRecord.
    """
    try:
        when = datetime.fromisoformat(text.upper())
        if when.tzinfo is None:
            raise ValueError("no offset from UTC")
        return when.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadRecord(f"{where(record)}: {what} {text[:40]!r} is not an RFC 3339 time") from error


def headers(
    kind: str, source: str, event_id: str, when: datetime | None, content_type: str | None, dataref: str | None = None
) -> list[tuple[str, bytes | None]]:
    """The headers of one of our events; `kind` is such as `frame`."""
    pairs = {
        "ce_specversion": "1.0",
        "ce_type": f"seestream.{kind}.v1",
        "ce_source": source,
        "ce_id": event_id,
        "ce_time": None if when is None else isoformat(when),
        "ce_dataref": dataref,
        "content-type": content_type,
    }
    return [(name, value.encode()) for name, value in pairs.items() if value is not None]


def image_type(data: bytes) -> str | None:
    """Media type by the first bytes: JPEG, PNG or WebP; None for anything else."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None
