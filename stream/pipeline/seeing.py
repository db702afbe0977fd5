"""From an admitted frame to a settled delivery: models, order, rules, outbox; and what becomes of errors."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING

from stream import metrics
from stream.errors import Misconfigured, Permanent, Transient
from stream.pipeline.patience import Patience
from stream.pipeline.protocols import Seen, stream_of
from stream.types import Admission, Delivery, Frame, FrameEvent, Observation, Outcome
from stream.types.budget import Budget

if TYPE_CHECKING:
    from stream.pipeline.loop import Pipeline

log = logging.getLogger(__name__)

_events = functools.cache(metrics.EVENTS.labels)  # looking a child up costs more than counting
_age = functools.cache(metrics.AGE_SECONDS.labels)


class Seeing:
    """What lanes and files share. Whoever has waited too long for the models ends `group`."""

    def __init__(self, pipeline: Pipeline, group: asyncio.TaskGroup) -> None:
        self.p = pipeline
        self.group = group
        self._patience = Patience(pipeline.limits.patience_s, group)

    async def see(self, delivery: Delivery, frame: Frame, admission: Admission, ticket: int, budget: Budget) -> None:
        """Returns when the frame's observation and alerts are durable; gives all that the frame took of the budget."""
        try:
            observation = await self._describe(delivery, frame, admission, ticket, budget)
            await self._write(Seen(observation, frame), stream_of(delivery), ticket)
        finally:
            budget.give(frame.size_bytes - frame.decoded_bytes)

    async def _describe(
        self, delivery: Delivery, frame: Frame, admission: Admission, ticket: int, budget: Budget
    ) -> Observation:
        self._patience.begin(frame)
        try:
            return await self.p.describe(frame, admission, delivery)
        except Exception:  # a cancelled one releases nobody: the loop is ending
            self._release(self.p.order.skip(stream_of(delivery), ticket))
            raise
        finally:
            self._patience.end(frame)
            frame.drop()
            budget.give(frame.decoded_bytes)

    async def _write(self, item: Seen, key: str, ticket: int) -> None:
        self._release(self.p.order.push(key, ticket, item))
        if item.durable is None and item.broken is None:
            item.turn = asyncio.get_running_loop().create_future()
            await item.turn
        if item.broken is not None:
            raise item.broken
        assert item.durable is not None
        await item.durable
        self.p.watch.seen(item.observation, item.alerts)

    def _release(self, ready: list[Seen]) -> None:
        """Every item gets an answer, whatever its rules do: its frame waits for it."""
        for item in ready:
            try:
                item.alerts = self.p.rules(item.observation)
                item.durable = self.p.outbox.write(item.observation, item.alerts, item.frame)
            except Exception as error:  # noqa: BLE001  the item's own event owns it, not the one that came last
                item.broken = error
            if item.turn is not None and not item.turn.done():
                item.turn.set_result(None)

    async def settle(self, delivery: Delivery, outcome: Outcome) -> None:
        await delivery.settle(outcome)
        _events(delivery.traffic, outcome).inc()
        if isinstance(delivery.event, FrameEvent) and outcome is Outcome.PROCESSED:
            age = (self.p.now() - delivery.event.captured_at).total_seconds()
            _age(delivery.traffic).observe(max(0.0, age))
        self.p.watch.settled(delivery, outcome)

    async def fail(self, delivery: Delivery, error: Exception) -> None:
        """A dead letter for a permanent error and for a bug of ours (the bytes are kept); others go up.

        While the loop is ending nothing is settled: what breaks then breaks because of that, and is delivered again.
        """
        task = asyncio.current_task()
        if ends_the_loop(error) or (task is not None and task.cancelling()):
            raise error
        if isinstance(error, Permanent):
            log.warning("%s %s: %s", delivery.event.source, delivery.event.id, error)
        else:
            log.exception("%s %s: unexpected", delivery.event.source, delivery.event.id, exc_info=error)
        await delivery.settle(Outcome.DEAD, error)
        _events(delivery.traffic, Outcome.DEAD).inc()
        self.p.watch.settled(delivery, Outcome.DEAD)


def ends_the_loop(error: Exception) -> bool:
    """Whether an error is about the world or the installation, not about one event."""
    if isinstance(error, ExceptionGroup):
        return error.subgroup((Transient, Misconfigured)) is not None
    return isinstance(error, (Transient, Misconfigured))
