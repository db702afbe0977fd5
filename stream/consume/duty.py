"""The duty to settle: one record may give many events, and is done when all of them are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from stream.consume.parts import Part
from stream.types import Delivery, Event, Outcome, Record, Traffic

_WEIGHT = {Outcome.SHED: 0, Outcome.GATED: 1, Outcome.PROCESSED: 2, Outcome.DEAD: 3}


class Duty:
    """One record in flight: counts its events, buries it once if one of them is dead, then reports."""

    __slots__ = ("_buried", "_bury", "_done", "attempt", "outcome", "part", "record", "remaining", "size_bytes")

    def __init__(
        self,
        part: Part,
        record: Record,
        bury: Callable[[Duty, BaseException], Awaitable[None]],
        done: Callable[[Duty], None],
        attempt: int = 1,
    ) -> None:
        self.part = part
        self.record = record
        self.attempt = attempt
        self.remaining = 0
        self.outcome: Outcome | None = None
        # The key, the value and about what the objects around them take.
        self.size_bytes = len(record.value or b"") + len(record.key or b"") + 512
        self._bury = bury
        self._done = done
        self._buried = False

    def deliveries(self, events: Sequence[Event], traffic: Traffic) -> list[Delivery]:
        """A delivery for each event; a record without any is done at once, as processed."""
        self.remaining = len(events)
        if not events:
            self._finish(Outcome.PROCESSED)
        return [Delivery(event, _Settle(self), traffic, self.attempt) for event in events]

    async def end(self, outcome: Outcome, error: BaseException | None) -> None:
        """One of the events ended; returns when that is durable."""
        if outcome is Outcome.DEAD and not self._buried:
            self._buried = True
            await self._bury(self, error or RuntimeError("settled as dead without saying why"))
        if self.outcome is None or _WEIGHT[outcome] > _WEIGHT[self.outcome]:
            self.outcome = outcome
        self.remaining -= 1
        if self.remaining <= 0:
            self._finish(self.outcome)

    def _finish(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._done(self)


class _Settle:
    """`Settle` for one event: a second call is a bug of the caller and raises."""

    __slots__ = ("_duty", "_used")

    def __init__(self, duty: Duty) -> None:
        self._duty = duty
        self._used = False

    def __call__(self, outcome: Outcome, error: BaseException | None = None) -> Awaitable[None]:
        if self._used:
            record = self._duty.record
            raise RuntimeError(f"{record.topic}-{record.partition}@{record.offset}: settled twice")
        self._used = True
        return self._duty.end(outcome, error)
