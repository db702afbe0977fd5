"""What comes in and what the gate says of it: boxes, events, frames, admissions."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple

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


class Digest:
    """A picture's SHA-256, made when it is first asked for; then the picture is let go.

    Most frames that come in never end in an observation, and theirs is never needed. `str()` gives it in hex; the first
    call blocks (.1 ms for 100 KB): on a thread. Safe to use from several threads, of which one computes.
    """

    __slots__ = ("_hex", "_lock", "_picture")

    def __init__(self, picture: bytes | Pixels | str) -> None:
        """`picture` in hex is the digest itself, of a picture that was seen before."""
        self._picture = None if isinstance(picture, str) else picture
        self._hex = picture if isinstance(picture, str) else ""
        self._lock = threading.Lock()

    def __str__(self) -> str:
        with self._lock:
            if self._picture is not None:
                data = self._picture if isinstance(self._picture, bytes) else self._picture.tobytes()
                self._hex = hashlib.sha256(data).hexdigest()
                self._picture = None
        return self._hex

    def __repr__(self) -> str:
        return f"Digest({self._hex!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Digest) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


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

    def digest(self) -> Digest:
        """Of the encoded picture; of `luma` where a film's frame has none."""
        return Digest(self.luma if self.encoded is None else self.encoded)

    @property
    def size_bytes(self) -> int:
        """Memory this frame holds now or will hold once decoded: the figure that bounds queues."""
        return self.decoded_bytes + self.luma.nbytes + len(self.encoded or b"")

    @property
    def decoded_bytes(self) -> int:
        """The part of `size_bytes` that `drop` frees."""
        return self.width * self.height * 3


@dataclass(frozen=True, slots=True)
class Admission:
    """The gate's word on one frame. `score` is the share of the picture that moved against its threshold, 0 to 1."""

    admitted: bool
    reason: Reason
    score: float = 0.0
    boxes: tuple[Box, ...] = ()
