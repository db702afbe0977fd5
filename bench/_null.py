"""Stand-ins that cost nothing, around the loop that is timed: models, decoder, sink, shedding; and the clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import numpy as np

from stream.types import (
    Admission,
    Alert,
    Box,
    Delivery,
    Detection,
    Event,
    Findings,
    Frame,
    FrameEvent,
    Models,
    Observation,
    Outcome,
    Reason,
    Vector,
    Work,
)

_LUMA = np.zeros((90, 160), np.uint8)
_PIXELS = np.zeros((720, 1280, 3), np.uint8)


class NullModels:
    """Implements types.Scheduler: one answer for every picture, at once."""

    models = Models({"describe": "null@0", "embed": "null@0"}, demo=False, provider="CPUExecutionProvider")
    _vector = Vector("null@0", (np.ones(768) / np.sqrt(768)).astype(np.float32))
    _findings = Findings((Detection("thing", 0.9, Box(10, 20, 200, 300)),), "a thing", vectors=(_vector,))

    async def submit(self, frame: Frame, work: Work) -> Findings:
        return self._findings


class NullDecoder:
    """Implements types.Decoder: the bytes as they are."""

    def decode(self, event: Event) -> Iterator[Frame]:
        assert isinstance(event, FrameEvent)
        yield Frame(
            event.id, event.source, 0, event.captured_at, 1280, 720, _LUMA, lambda: _PIXELS,
            encoded=event.image, media_type="image/jpeg",
        )  # fmt: skip


class NullGate:
    """Implements types.Gate: looks at nothing, admits everything."""

    _admission = Admission(True, Reason.FORCED)

    def admit(self, frame: Frame) -> Admission:
        return self._admission


class NullSink:
    """Implements types.Sink: durable at once."""

    async def write(self, observations: Sequence[Observation], alerts: Sequence[Alert]) -> None:
        """Nothing to keep."""


class NeverShed:
    """Implements the pipeline's Shedding: every record takes the whole way."""

    def too_old(self, captured_at: Any, now: Any) -> bool:
        return False

    def wants(self, source: str, admission: Any, now: Any) -> bool:
        return True


class Stopwatch:
    """A watcher: when the first chunk was handed out, and whether all have ended as processed."""

    def __init__(self, expected: int) -> None:
        self.left = expected
        self.started: float | None = None
        self.done = asyncio.Event()

    def seen(self, observation: Observation, alerts: Sequence[Alert]) -> None:
        """Counted when it is settled."""

    def settled(self, delivery: Delivery, outcome: Outcome) -> None:
        if outcome is not Outcome.PROCESSED:
            raise RuntimeError(f"{delivery.event.id} ended as {outcome}")
        self.left -= 1
        if not self.left:
            self.done.set()


class Timed:
    """Implements types.Source: another one, and when it gave its first chunk."""

    def __init__(self, source: Any, watch: Stopwatch) -> None:
        self._source, self._watch = source, watch

    async def deliveries(self) -> AsyncIterator[Sequence[Delivery]]:
        async for chunk in self._source.deliveries():
            if self._watch.started is None:
                self._watch.started = time.perf_counter()
            yield chunk
