"""What the rooms expect of each other, and the delivery with its duty to settle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from stream.types.frames import Admission, Event, Frame, Outcome, Record, Traffic
from stream.types.observations import Alert, Findings, Hit, Models, Observation, Query, Work


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
