"""What goes out: findings, observations, alerts; what is asked of a store; what a ledger entry counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stream.types.frames import Admission, Box, Digest, Quad, Traffic


@dataclass(frozen=True, slots=True)
class Detection:
    """An object: `score` is the probability of its label times the overlap to be expected of its box (0 to 1)."""

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
    sha256: Digest  # of the encoded picture; of a film's frame, of its luma
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
    _json: bytes | None = field(default=None, init=False, repr=False, compare=False)  # kept by wire.observation_json


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
