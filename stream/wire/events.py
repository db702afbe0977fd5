"""Input topics: records <-> FrameEvent and FileEvent."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any, TypeVar, cast

import orjson

from stream.errors import BadRecord
from stream.types import Event, FileEvent, FrameEvent, Op, Record, Span
from stream.wire import cloudevents as ce
from stream.wire import s3
from stream.wire.ids import file_event_id, frame_event_id, isoformat

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_OPS = ("created", "updated", "deleted")
T = TypeVar("T", str, int)


def parse_frame(record: Record) -> FrameEvent:
    """A record of the `frames` topic: a CloudEvent, or a bare image whose key is the source.

    Raises: BadRecord.
    """
    found = ce.attributes(record)
    source = ce.source_of(record, found)
    uri = found.get("dataref")
    if record.value:
        if ce.image_type(record.value) is None:
            raise BadRecord(f"{ce.where(record)}: the value is no JPEG, PNG or WebP image (it starts {_head(record)})")
        uri = None  # CloudEvents dataref: where both are given they are the same data
    elif not uri:
        raise BadRecord(f"{ce.where(record)}: {_nothing(record)}, no image")
    elif "\0" in uri:
        raise BadRecord(f"{ce.where(record)}: ce_dataref contains a NUL character")
    when = ce.instant(found["time"], "ce_time", record) if found.get("time") else record.timestamp
    event_id = found.get("id") or frame_event_id(_millis(record.timestamp), record.value or b"")
    return FrameEvent(event_id, source, when, record.value or None, uri, record)


def parse_files(record: Record) -> list[FileEvent]:
    """A record of the `files` topic: our JSON, or an S3 or MinIO notification, which may name several objects or none.

    Raises: BadRecord.
    """
    found = ce.attributes(record)
    if not record.value:
        raise BadRecord(f"{ce.where(record)}: {_nothing(record)}, no file event")
    try:
        body = orjson.loads(record.value)
    except orjson.JSONDecodeError as error:
        raise BadRecord(f"{ce.where(record)}: the value is not JSON ({error})") from error
    if not isinstance(body, dict):
        raise BadRecord(f"{ce.where(record)}: the value is not a JSON object with a uri")
    if s3.is_notification(body):
        return s3.parse(body, record)
    return [_file(body, found, record)]


def _file(body: dict[str, Any], found: dict[str, str], record: Record) -> FileEvent:
    uri = body.get("uri") or found.get("dataref")
    if not isinstance(uri, str) or not uri or "\0" in uri:
        raise BadRecord(f"{ce.where(record)}: 'uri' must name the file (a path, file://, s3://)")
    modified_at = _optional(body, "modified_at", str, record)
    when = None if modified_at is None else ce.instant(modified_at, "modified_at", record)
    size = _optional(body, "size", int, record)
    if size is not None and size < 0:
        raise BadRecord(f"{ce.where(record)}: 'size' is negative")
    sha256 = _optional(body, "sha256", str, record)
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise BadRecord(f"{ce.where(record)}: 'sha256' is not 64 hex digits")
    op = body.get("op", "created")
    if op not in _OPS:
        raise BadRecord(f"{ce.where(record)}: 'op' is none of {', '.join(_OPS)}")
    span = _span(body.get("span"), record)
    return FileEvent(
        id=found.get("id") or file_event_id(uri, size, when, span),
        source=ce.source_of(record, found),
        uri=uri,
        media_type=_optional(body, "media_type", str, record),
        size_bytes=size,
        modified_at=when,
        sha256=None if sha256 is None else sha256.lower(),
        op=cast(Op, op),
        span=span,
        record=record,
    )


def _optional(body: dict[str, Any], name: str, kind: type[T], record: Record) -> T | None:
    """A value of that type, or None where it is absent or null. A JSON true is no integer."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not kind:
        raise BadRecord(f"{ce.where(record)}: {name!r} must be {'text' if kind is str else 'a whole number'}")
    return value


def _span(value: Any, record: Record) -> Span | None:
    if value is None:
        return None
    start: Any = value.get("start_s", 0.0) if isinstance(value, dict) else None
    end: Any = value.get("end_s") if isinstance(value, dict) else None
    if not _seconds(start) or not (end is None or (_seconds(end) and end > start)):
        raise BadRecord(f"{ce.where(record)}: 'span' must be {{start_s, end_s}} in seconds, 0 <= start_s < end_s")
    return Span(float(start), None if end is None else float(end))


def _seconds(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 <= value < 1e9


def _nothing(record: Record) -> str:
    return "a tombstone" if record.value is None else "an empty value"


def _head(record: Record) -> str:
    return repr(bytes((record.value or b"")[:8]))[1:]


def _millis(when: datetime) -> int:
    return round(when.timestamp() * 1000)


def encode_event(event: Event, topic: str) -> ce.Outgoing:
    """The record that parses to this event again."""
    return _encode_frame(event, topic) if isinstance(event, FrameEvent) else _encode_file(event, topic)


def _encode_frame(event: FrameEvent, topic: str) -> ce.Outgoing:
    kind = ce.image_type(event.image) if event.image else None
    pairs = ce.headers("frame", event.source, event.id, event.captured_at, kind, None if event.image else event.uri)
    # The record's timestamp is the capture time: it is what lets a late consumer skip old frames without fetching them.
    return ce.Outgoing(topic, event.source.encode(), event.image, pairs, max(0, _millis(event.captured_at)))


def _encode_file(event: FileEvent, topic: str) -> ce.Outgoing:
    body: dict[str, Any] = {"uri": event.uri, "op": event.op}
    if event.media_type is not None:
        body["media_type"] = event.media_type
    if event.size_bytes is not None:
        body["size"] = event.size_bytes
    if event.modified_at is not None:
        body["modified_at"] = isoformat(event.modified_at)
    if event.sha256 is not None:
        body["sha256"] = event.sha256
    if event.span is not None:
        body["span"] = {"start_s": event.span.start_s, "end_s": event.span.end_s}
    pairs = ce.headers("file", event.source, event.id, event.modified_at, "application/json")
    return ce.Outgoing(topic, event.source.encode(), orjson.dumps(body), pairs)
