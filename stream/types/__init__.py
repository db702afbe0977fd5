"""Records and protocols: what the rooms hand each other. Imports nothing of ours.

`source` is the one word for where something comes from: a camera or an upload source. Boxes are xyxy in source pixels.
Times are UTC-aware datetimes, durations are seconds. Records are immutable; a `Frame` is the one exception, because its
pixels are decoded on demand and dropped again.
"""

from __future__ import annotations

from stream.types.frames import (
    Admission,
    Box,
    Digest,
    Event,
    FileEvent,
    Frame,
    FrameEvent,
    Op,
    Outcome,
    Pixels,
    Quad,
    Reason,
    Record,
    Span,
    Traffic,
)
from stream.types.observations import (
    Alert,
    Detection,
    Findings,
    Hit,
    LedgerEntry,
    Media,
    Models,
    Observation,
    Provenance,
    Query,
    TextRead,
    Vector,
    Work,
)
from stream.types.protocols import (
    DeadLetters,
    Decoder,
    Delivery,
    Gate,
    Publisher,
    Scheduler,
    Settle,
    Sink,
    Source,
    Store,
)

__all__ = [
    "Admission",
    "Alert",
    "Box",
    "DeadLetters",
    "Decoder",
    "Delivery",
    "Detection",
    "Digest",
    "Event",
    "FileEvent",
    "Findings",
    "Frame",
    "FrameEvent",
    "Gate",
    "Hit",
    "LedgerEntry",
    "Media",
    "Models",
    "Observation",
    "Op",
    "Outcome",
    "Pixels",
    "Provenance",
    "Publisher",
    "Quad",
    "Query",
    "Reason",
    "Record",
    "Scheduler",
    "Settle",
    "Sink",
    "Source",
    "Span",
    "Store",
    "TextRead",
    "Traffic",
    "Vector",
    "Work",
]
