"""What the loop asks of those around it, and how much it takes at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from stream.types import Admission, Alert, Delivery, FileEvent, Frame, Observation, Outcome, Traffic

LATER = "\0later"
"""Ends the stream key of a live source's frames that come later than the others: those that are back-filled."""


def stream_of(delivery: Delivery) -> str:
    """The key by which state is kept: the event of a file, the source of live frames.

    Back-filled frames are a stream beside their source's: they are older than what its gate has seen meanwhile.
    """
    if isinstance(delivery.event, FileEvent):
        return delivery.event.id
    return delivery.event.source if delivery.traffic is Traffic.LIVE else delivery.event.source + LATER


class Describe(Protocol):
    """Asks the models about one admitted frame and makes the observation; decides what needs a caption."""

    async def __call__(self, frame: Frame, admission: Admission, delivery: Delivery) -> Observation:
        """Raises: InferenceFailed, DeviceFailed."""
        ...


class Outbox(Protocol):
    """Where finished observations go, in the order of the calls."""

    def write(self, observation: Observation, alerts: Sequence[Alert], frame: Frame) -> Awaitable[None]:
        """Takes it at once; to be awaited until the snapshot and every sink are durable."""
        ...


class Order(Protocol):
    """Restores a stream's capture order: `ticket` in, `push` or `skip` out, in any order."""

    def ticket(self, source: str) -> int: ...

    def push(self, source: str, ticket: int, item: Seen) -> list[Seen]: ...

    def skip(self, source: str, ticket: int) -> list[Seen]: ...


class Shedding(Protocol):
    """Sampling that follows the load, for live frames."""

    def too_old(self, captured_at: datetime, now: datetime) -> bool: ...

    def wants(self, source: str, admission: Admission, now: datetime) -> bool:
        """Whether this admitted frame fits the camera's rate under the present load."""
        ...


class Watcher(Protocol):
    """Told of everything that ends, for the demo's table and the live page. Must not block."""

    def seen(self, observation: Observation, alerts: Sequence[Alert]) -> None:
        """An observation and its alerts are durable."""
        ...

    def settled(self, delivery: Delivery, outcome: Outcome) -> None: ...


@dataclass(slots=True)
class Seen:
    """A frame that the models have answered for, waiting for its turn."""

    observation: Observation
    frame: Frame
    alerts: Sequence[Alert] = ()
    durable: Awaitable[None] | None = None  # what the outbox gave for it; None before its turn
    broken: Exception | None = None  # what its rules raised instead
    turn: asyncio.Future[None] | None = None  # where its own frame waits for others before it


@dataclass(slots=True)
class Limits:
    """How much may be under way at once, for each source of deliveries."""

    lanes: int = 2  # decoding threads
    files: int = 4  # files open at once
    step: int = 8  # frames of a film decoded in one hop, at most
    step_bytes: int = 16 << 20  # the same in bytes, for large frames
    budget_bytes: int = 256 << 20
    patience_s: float = 900.0  # a frame that the models do not answer for in this time ends the loop
