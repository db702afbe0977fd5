"""Dead letters: the original record byte for byte, with Kafka Connect's error headers after its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from stream.types import Record
from stream.wire.cloudevents import Outgoing
from stream.wire.ids import isoformat

Headers = Sequence[tuple[str, bytes | None]]

_CONNECT = "__connect.errors."  # org.apache.kafka.connect.runtime.errors.DeadLetterQueueReporter
_OURS = ("x-attempts", "x-first-failure-ts")
_MAX_MESSAGE = 2000  # characters


def dead_letter(
    record: Record, error: BaseException, stage: str, attempts: int, first_failure: datetime, topic: str
) -> Outgoing:
    """The record for the dead-letter topic. `stage` is the room that gave up; `attempts` counts this one."""
    pairs = {
        _CONNECT + "topic": record.topic,
        _CONNECT + "partition": str(record.partition),
        _CONNECT + "offset": str(record.offset),
        _CONNECT + "stage": stage,
        _CONNECT + "exception.class.name": f"{type(error).__module__}.{type(error).__qualname__}",
        _CONNECT + "exception.message": str(error)[:_MAX_MESSAGE],
        "x-attempts": str(attempts),
        "x-first-failure-ts": isoformat(first_failure),
    }
    added = [(name, value.encode(errors="backslashreplace")) for name, value in pairs.items()]
    return Outgoing(topic, record.key, record.value, [*record.headers, *added])


def error_headers(headers: Headers) -> dict[str, str]:
    """What went wrong, from a dead letter's headers: topic, partition, offset, stage, exception.class.name,
    exception.message, x-attempts, x-first-failure-ts, as far as they are there."""
    return {
        name.removeprefix(_CONNECT): (value or b"").decode(errors="replace")
        for name, value in headers
        if name.startswith(_CONNECT) or name in _OURS
    }


def original_headers(headers: Headers) -> list[tuple[str, bytes | None]]:
    """A dead letter's headers as the record had them before it became one.

    Only what `dead_letter` put at the end is taken away: a record may bring error headers of its own.
    """
    kept = list(headers)
    seen: set[str] = set()
    while kept and (kept[-1][0].startswith(_CONNECT) or kept[-1][0] in _OURS) and kept[-1][0] not in seen:
        seen.add(kept.pop()[0])
    return kept
