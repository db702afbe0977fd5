"""The JSON on the output topics, as types: the encoders return them and the published schemas are made from them.

Boxes are [x1, y1, x2, y2] and quads [x1, y1 ... x4, y4] in source pixels; times are RFC 3339 in UTC.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

BoxJson = Annotated[list[float], Field(min_length=4, max_length=4)]
QuadJson = Annotated[list[float], Field(min_length=8, max_length=8)]
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Count = Annotated[int, Field(ge=0)]


class MediaJson(TypedDict):
    """The picture an observation is about; `offset_s` is stream time from the start of a film."""

    uri: str | None
    index: Count
    offset_s: float | None
    width: Count
    height: Count


class ObjectJson(TypedDict):
    """An object that was seen; `score` is 0 to 1."""

    label: str
    score: float
    box: BoxJson


class TextJson(TypedDict):
    """Text that was read; `quad` is null where the task gives no place."""

    text: str
    quad: QuadJson | None
    score: float


class GateJson(TypedDict):
    """Why the frame was looked at."""

    reason: str
    score: float
    boxes: list[BoxJson]


class VectorJson(TypedDict):
    """An embedding of the whole frame (box null) or of a region."""

    model: str
    box: BoxJson | None
    dims: Count
    float16: NotRequired[str]
    """Base64 of the little-endian float16 values; only where the topic was asked to carry them."""


class ProvenanceJson(TypedDict):
    """What it takes to reproduce an observation. `demo`: made by the bundled demo models."""

    topic: str
    partition: int
    offset: int
    sha256: str
    pipeline: str
    models: dict[str, str]
    demo: bool
    provider: str


class ObservationJson(TypedDict):
    """All that was seen in one frame. The same frame under the same pipeline revision always has the same id."""

    id: str
    source: str
    kind: Literal["frame", "image", "video", "document", "audio"]
    captured_at: Time
    media: MediaJson
    objects: list[ObjectJson]
    caption: str | None
    text: list[TextJson]
    transcript: str | None
    gate: GateJson
    vectors: list[VectorJson]
    snapshot: str | None
    derived_from: str | None
    provenance: ProvenanceJson


class AlertJson(TypedDict):
    """A rule matched an observation."""

    id: str
    rule: str
    source: str
    captured_at: Time
    observation: str
    message: str
    label: str | None
    score: float | None
    box: BoxJson | None
    snapshot: str | None
    demo: bool


class SpanJson(TypedDict):
    """A part of a film, in seconds from its start."""

    start_s: float
    end_s: NotRequired[float | None]


class FileEventJson(TypedDict):
    """One file was created, updated or deleted. The record key is its source."""

    uri: str
    media_type: NotRequired[str | None]
    size: NotRequired[Count | None]
    modified_at: NotRequired[Time | None]
    sha256: NotRequired[Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None]
    span: NotRequired[SpanJson | None]
    op: NotRequired[Literal["created", "updated", "deleted"]]


# In call syntax because `from` is a keyword.
LedgerJson = TypedDict(
    "LedgerJson",
    {
        "group": str,
        "topic": str,
        "partition": Count,
        "generation": int,
        "from": Count,
        "to": Count,
        "processed": Count,
        "gated": Count,
        "shed": Count,
        "dead": Count,
        "absent": Count,
        "shed_offsets": list[Annotated[list[int], Field(min_length=2, max_length=2)]],
    },
)
