"""Records and protocols: what the rooms hand each other. Imports nothing of ours.

`source` is the one word for where something comes from: a camera or an upload source. Boxes are xyxy in source pixels.
Times are UTC-aware datetimes, durations are seconds. Records are immutable; a `Frame` is the one exception, because its
pixels are decoded on demand and dropped again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB, or (H, W) uint8 luma; C-contiguous."""


class Box(NamedTuple):
    """An axis-parallel box in source pixels; (x1, y1) is inside, (x2, y2) is one past the last pixel."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def area(self) -> float:
        return max(0.0, self.x2 - self.x1) * max(0.0, self.y2 - self.y1)

    def overlap(self, other: Box) -> float:
        """Area in px^2 that both boxes cover."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        return max(0.0, width) * max(0.0, height)

    def iou(self, other: Box) -> float:
        """Intersection over union, 0 to 1; 0 for two empty boxes."""
        common = self.overlap(other)
        union = self.area + other.area - common
        return common / union if union > 0 else 0.0


Quad = tuple[float, float, float, float, float, float, float, float]
"""Four corners x1, y1 ... x4, y4 in source pixels, clockwise from the text's top left."""


class Outcome(StrEnum):
    """How an event ended. Live frames end in any of them; uploads in `processed` or `dead` only."""

    PROCESSED = "processed"
    GATED = "gated"
    SHED = "shed"
    DEAD = "dead"


class Reason(StrEnum):
    """Why the gate decided as it did. `still` and the ones after it do not admit."""

    FIRST = "first"  # nothing was known of this source
    WARM_UP = "warm-up"  # the background is not learnt yet
    MOTION = "motion"
    SETTLED = "settled"  # a moving object has stopped: looked at once more
    SCENE = "scene"  # the whole picture changed (IR switch, camera moved, a cut in a film)
    INTERVAL = "interval"  # the heartbeat look
    FORCED = "forced"  # no gate: a single image, an upload, a setting
    STILL = "still"
    LIGHT = "light"  # a change of light only
    CLUTTER = "clutter"  # rain, snow, foliage, noise
    BUSY = "busy"  # moved, but this camera's rate under the present load is used up


class Traffic(StrEnum):
    """Traffic class: live frames are shed when too old, uploads wait and are never shed."""

    LIVE = "live"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the log gave it, byte for byte; what a dead letter is made of."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class FrameEvent:
    """One picture of a live source. Exactly one of `image` and `uri` is set."""

    id: str
    source: str
    captured_at: datetime
    image: bytes | None = None  # encoded: JPEG, PNG or WebP
    uri: str | None = None  # where the encoded bytes are, when they were too large for the record
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a video, in seconds from its start; `end_s` None is the end of the file."""

    start_s: float
    end_s: float | None = None


Op = Literal["created", "updated", "deleted"]


@dataclass(frozen=True, slots=True)
class FileEvent:
    """One file of an upload source was created, updated or deleted; a span makes it a bounded part of a long video."""

    id: str
    source: str
    uri: str
    media_type: str | None = None
    size_bytes: int | None = None
    modified_at: datetime | None = None
    sha256: str | None = None
    op: Op = "created"
    span: Span | None = None
    record: Record | None = None


Event = FrameEvent | FileEvent


@dataclass(slots=True)
class Frame:
    """One picture on its way. The gate reads `luma`; `pixels` decodes the rest only if someone asks."""

    event_id: str
    source: str
    index: int  # of the frame in its event, from 0
    captured_at: datetime
    width: int  # source pixels, after orientation
    height: int
    luma: Pixels  # (h, w) uint8, a small picture of the same field of view; never larger than the source
    pixels: Callable[[], Pixels] = field(repr=False)  # decodes; (H, W, 3) uint8 RGB; raises errors.BadMedia
    pts_s: float | None = None  # stream time from the start of a file; None for a single picture
    encoded: bytes | None = field(default=None, repr=False)  # original bytes where there are any: the snapshot
    media_type: str | None = None  # of `encoded`
    cut: bool = False  # the decoder saw a scene change here, or the file asked for this frame: admitted by force
    _rgb: Pixels | None = field(default=None, repr=False)

    def rgb(self) -> Pixels:
        """The pixels, (H, W, 3) uint8 RGB, decoded at the first call, kept until `drop`; blocks: call it on a thread."""
        if self._rgb is None:
            self._rgb = self.pixels()
        return self._rgb

    def drop(self) -> None:
        """Forget the decoded pixels: they are 25 MB for 8 megapixels. `rgb` decodes again if it must."""
        self._rgb = None

    @property
    def size_bytes(self) -> int:
        """Memory this frame holds now or will hold once decoded: the figure that bounds queues."""
        return self.width * self.height * 3 + self.luma.nbytes + len(self.encoded or b"")


@dataclass(frozen=True, slots=True)
class Admission:
    """The gate's word on one frame. `score` is the share of the picture that moved against its threshold, 0 to 1."""

    admitted: bool
    reason: Reason
    score: float = 0.0
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Detection:
    """An object: `score` is the geometric mean of its token probabilities (0 to 1)."""

    label: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class TextRead:
    """Text that was read; `quad` is None where the task gives no place."""

    text: str
    score: float
    quad: Quad | None = None


@dataclass(frozen=True, slots=True)
class Vector:
    """A unit-norm embedding of the whole frame (`box` None) or of one of the gate's regions."""

    model: str
    values: NDArray[np.float32]  # (dims,), unit norm
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked of the models for one frame."""

    tasks: tuple[str, ...] = ()  # Florence-2 task tokens, such as "<OD>"; they share one vision pass
    prompts: Mapping[str, str] = field(default_factory=dict)  # task -> text input, for the tasks that take one
    embed: bool = False  # SigLIP vector of the whole frame and of each region
    regions: tuple[Box, ...] = ()
    traffic: Traffic = Traffic.LIVE
    keep: bool = False  # more work on this frame follows: leave its pixels decoded


@dataclass(frozen=True, slots=True)
class Findings:
    """What the models said of one frame. Absent answers are empty, not guessed."""

    objects: tuple[Detection, ...] = ()
    caption: str | None = None
    text: tuple[TextRead, ...] = ()
    vectors: tuple[Vector, ...] = ()
    answers: Mapping[str, Any] = field(default_factory=dict)  # task -> parsed answer, for every task asked
    batch: int = 1  # the largest micro-batch this frame was part of
    compute_ms: float = 0.0  # wall time of the batches it was part of
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Models:
    """Which models answer; goes into every observation's provenance."""

    names: Mapping[str, str]  # role ("describe", "embed") -> name@sha256[:12]
    demo: bool  # the bundled demo models: they understand the drawn scenes only
    provider: str  # what the session really runs on, such as "CPUExecutionProvider"
    precision: str = "fp32"


@dataclass(frozen=True, slots=True)
class Media:
    """The picture an observation is about."""

    width: int
    height: int
    index: int = 0
    uri: str | None = None
    offset_s: float | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """What it takes to reproduce an observation."""

    topic: str
    partition: int
    offset: int
    sha256: str  # of the encoded picture or file span
    pipeline: str  # pipeline revision: hash of models, tasks and preprocessing
    models: Mapping[str, str]
    demo: bool
    provider: str


@dataclass(frozen=True, slots=True)
class Observation:
    """All that was seen in one frame. `id` is uuid5 of source, event id, frame index and pipeline revision."""

    id: str
    source: str
    kind: Literal["frame", "image", "video", "document", "audio"]
    captured_at: datetime
    media: Media
    gate: Admission
    provenance: Provenance
    objects: tuple[Detection, ...] = ()
    caption: str | None = None
    text: tuple[TextRead, ...] = ()
    transcript: str | None = None
    vectors: tuple[Vector, ...] = ()
    snapshot: str | None = None  # path below the snapshot folder
    derived_from: str | None = None  # id of the earlier observation whose caption this one carries


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule matched an observation. `id` is uuid5 of rule, source and the capture time of the match."""

    id: str
    rule: str
    source: str
    captured_at: datetime
    observation: str  # observation id
    message: str
    label: str | None = None
    score: float | None = None
    box: Box | None = None
    snapshot: str | None = None
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A search of the store. `text` and `vector` may both be set: their rankings are fused."""

    text: str | None = None
    vector: NDArray[np.float32] | None = None  # (dims,), unit norm, of `model`
    model: str | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    label: str | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Hit:
    """A search result. `score` is the fused score, higher is better; only its order has meaning across queries."""

    observation: Observation  # its `vectors` may be left out
    score: float


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One acknowledged entry a commit: what became of the offsets [`start`, `end`) of a partition."""

    group: str
    topic: str
    partition: int
    generation: int
    start: int  # "from" on the wire
    end: int  # "to" on the wire; exactly this is committed afterwards
    processed: int = 0
    gated: int = 0
    shed: int = 0
    dead: int = 0
    absent: int = 0  # offsets the log never gave: control records, compaction, retention
    shed_offsets: tuple[tuple[int, int], ...] = ()  # ranges [first, last]


class Settle(Protocol):
    """Ends an event, once. `dead` returns when the dead letter is acknowledged; a second call raises."""

    def __call__(self, outcome: Outcome, error: BaseException | None = None) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event and the duty to settle it. What is never settled is delivered again."""

    event: Event
    settle: Settle
    traffic: Traffic
    attempt: int = 1


class Source(Protocol):
    """Where deliveries come from. Ends when it is asked to stop and its queue is empty."""

    def deliveries(self) -> AsyncIterator[Sequence[Delivery]]:
        """Chunks of deliveries, in log order per partition."""
        ...


class Publisher(Protocol):
    """Puts events on the input topics, like anyone else would."""

    async def publish(self, event: Event) -> None:
        """Returns when the broker has acknowledged. Raises errors.BrokerUnavailable."""
        ...


class Decoder(Protocol):
    """Turns an event into frames. Blocking: runs on the decoding pool, in order per stream."""

    def decode(self, event: Event) -> Iterator[Frame]:
        """Frames in stream order.

        Raises: BadMedia, after the frames that could be decoded; NotFound; Forbidden.
        """
        ...


class Gate(Protocol):
    """Decides for one stream which frames are worth a look. Not shared between threads."""

    def admit(self, frame: Frame) -> Admission: ...


class Scheduler(Protocol):
    """Owns all batching across sources."""

    @property
    def models(self) -> Models: ...

    async def submit(self, frame: Frame, work: Work) -> Findings:
        """Raises errors.InferenceFailed (this frame cannot be understood) or errors.DeviceFailed (nothing can be)."""
        ...


class Sink(Protocol):
    """Somewhere observations and alerts go. Idempotent: the ids decide."""

    async def write(self, observations: Sequence[Observation], alerts: Sequence[Alert]) -> None:
        """Returns when all are durable. Raises errors.Unavailable; the caller retries the whole call."""
        ...


class Store(Sink, Protocol):
    """A sink that can be searched."""

    async def search(self, query: Query) -> list[Hit]: ...

    async def get(self, observation_id: str) -> Observation | None:
        """With its vectors."""
        ...

    async def recent(self, source: str | None = None, limit: int = 20) -> list[Observation]:
        """Newest first by capture time, without vectors."""
        ...

    async def purge(self, before: datetime) -> int:
        """Delete what was captured before that time; the number deleted."""
        ...


class DeadLetters(Protocol):
    """Where records go that can never be processed."""

    async def put(self, record: Record, error: BaseException, stage: str, attempts: int) -> None:
        """Returns when acknowledged; original key, value and headers unchanged."""
        ...
