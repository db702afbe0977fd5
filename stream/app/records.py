"""Records of each topic as one readable line, or as one JSON object a line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from stream import wire
from stream.errors import BadRecord

if TYPE_CHECKING:
    from rich.text import Text

    from stream.types import Record

_SHOWN = 200  # characters of a value that we cannot read


def printable(text: str) -> str:
    """Other people's text for a terminal: control characters, which could move its cursor, are shown as codes."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def line(kind: str, record: Record) -> Text:
    """Time, key words, details. What does not fit its topic is shown as it is, with the reason."""
    from rich.text import Text

    try:
        when, head, style, rest = _LINES.get(kind, _other)(record)
    except (BadRecord, UnicodeDecodeError) as error:
        when, head, style, rest = record.timestamp, "unreadable", "red", f"{error}; {_head(record.value)}"
    shown = Text(f"{when.astimezone():%m-%d %H:%M:%S} ", style="dim")
    shown.append(printable(head), style=style)
    return shown.append(f"  {printable(rest)}" if rest else "", style="")


def json_line(kind: str, record: Record) -> str:
    """The value itself where the topic carries JSON; else what there is to say of the record."""
    if kind in ("detections", "alerts", "ledger", "files"):
        try:
            return orjson.dumps(orjson.loads(record.value or b"null")).decode()
        except orjson.JSONDecodeError:
            pass
    body: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp.isoformat(),
        "key": None if record.key is None else record.key.decode(errors="replace"),
        "bytes": None if record.value is None else len(record.value),
        "headers": {name: None if value is None else value.decode(errors="replace") for name, value in record.headers},
    }
    if kind == "dead-letters":
        body["error"] = wire.error_headers(record.headers)
    return orjson.dumps(body).decode()


_Line = tuple[datetime, str, str, str]
"""Time, what comes first, its style, and the rest."""


def _detection(record: Record) -> _Line:
    seen = wire.parse_observation(record.value or b"")
    objects = ", ".join(f"{item.label} {item.score:.2f}" for item in seen.objects) or "no objects"
    read = " ".join(f"“{item.text}”" for item in seen.text)
    parts = [
        f"[{seen.gate.reason}]",
        objects,
        seen.caption or "",
        read,
        "(demo models)" if seen.provenance.demo else "",
    ]
    return seen.captured_at, seen.source, "bold", "  ".join(part for part in parts if part)


def _alert(record: Record) -> _Line:
    alert = wire.parse_alert(record.value or b"")
    score = "" if alert.score is None else f" {alert.score:.2f}"
    return alert.captured_at, alert.rule, "bold yellow", f"{alert.message}{score}  observation {alert.observation}"


def _ledger(record: Record) -> _Line:
    entry = wire.parse_ledger(record.value or b"")
    counts = {name: getattr(entry, name) for name in ("processed", "gated", "shed", "dead", "absent")}
    head = f"{entry.group} {entry.topic}-{entry.partition} [{entry.start}, {entry.end})"
    told = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    return record.timestamp, head, "bold", f"{told}  generation {entry.generation}"


def _dead(record: Record) -> _Line:
    found = wire.error_headers(record.headers)
    place = f"{found.get('topic', '?')}-{found.get('partition', '?')}@{found.get('offset', '?')}"
    kind = found.get("exception.class.name", "").rpartition(".")[2]
    rest = f"{kind} in {found.get('stage', '?')} after {found.get('x-attempts', '?')} attempts: "
    return record.timestamp, place, "bold red", rest + found.get("exception.message", _head(record.value))


def _frame(record: Record) -> _Line:
    event = wire.parse_frame(record)
    if event.image is None:
        return event.captured_at, event.source, "bold", f"by reference: {event.uri}"
    kind = wire.image_type(event.image) or "no picture that we read"
    return event.captured_at, event.source, "bold", f"{kind}, {len(event.image):,} bytes"


def _file(record: Record) -> _Line:
    events = wire.parse_files(record)
    if not events:
        return record.timestamp, "notification", "dim", "not about an object"
    source = ", ".join(dict.fromkeys(event.source for event in events))
    told = "; ".join(
        f"{event.op} {event.uri}"
        + (f", {event.size_bytes:,} bytes" if event.size_bytes is not None else "")
        + (f", from {event.span.start_s:g} s" if event.span else "")
        for event in events
    )
    return record.timestamp, source, "bold", told


def _other(record: Record) -> _Line:
    key = "" if record.key is None else record.key.decode(errors="replace")
    return record.timestamp, f"{record.topic}-{record.partition}@{record.offset} {key}", "bold", _head(record.value)


def _head(value: bytes | None) -> str:
    if value is None:
        return "no value"
    text = value[: 4 * _SHOWN].decode(errors="replace")[:_SHOWN]
    return text + (f" … {len(value):,} bytes" if len(value) > len(text.encode()) else "")


_LINES: dict[str, Callable[[Record], _Line]] = {
    "detections": _detection,
    "alerts": _alert,
    "ledger": _ledger,
    "dead-letters": _dead,
    "frames": _frame,
    "files": _file,
}
