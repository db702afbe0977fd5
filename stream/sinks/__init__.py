"""Sinks: where observations and alerts go, and what ends there.

Enters: `Observation`s and `Alert`s, a frame's picture, events to publish. Leaves: records on Kafka topics, rows of a
store that can be searched, snapshot files, blobs. Every write is idempotent by id and returns when it is durable.
Retention by class is here too.

May import: types, errors, metrics, wire. This room is the home of Weaviate's client and of SQLite, and `topics` one of
Kafka's. The names below are imported when they are first used: a search of the embedded store needs no Kafka client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.sinks.blobs import Blobs
    from stream.sinks.outbox import Outbox
    from stream.sinks.removed import Removed
    from stream.sinks.retention import Retention
    from stream.sinks.snapshots import Snapshots
    from stream.sinks.sqlite import SqliteStore
    from stream.sinks.topics import EventPublisher, ObservationTopic
    from stream.sinks.weaviate import WeaviateStore

__all__ = [
    "Blobs",
    "EventPublisher",
    "ObservationTopic",
    "Outbox",
    "Removed",
    "Retention",
    "Snapshots",
    "SqliteStore",
    "WeaviateStore",
]

_HOMES = {
    "Blobs": "blobs",
    "EventPublisher": "topics",
    "ObservationTopic": "topics",
    "Outbox": "outbox",
    "Removed": "removed",
    "Retention": "retention",
    "Snapshots": "snapshots",
    "SqliteStore": "sqlite",
    "WeaviateStore": "weaviate",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
