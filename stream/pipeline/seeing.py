"""From an admitted frame to a settled delivery: models, order, rules, outbox; and what becomes of errors."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from stream import metrics
from stream.errors import DeviceFailed, Misconfigured, Permanent, Transient
from stream.pipeline.protocols import Seen, stream_of
from stream.types import Admission, Alert, Delivery, Frame, FrameEvent, Outcome

if TYPE_CHECKING:
    from stream.pipeline.loop import Pipeline

log = logging.getLogger(__name__)


class Seeing:
    """What lanes and files share. Writing goes on in `group`, beside whoever was first ready for it."""

    def __init__(self, pipeline: Pipeline, group: asyncio.TaskGroup) -> None:
        self.p = pipeline
        self.group = group

    async def see(self, delivery: Delivery, frame: Frame, admission: Admission, ticket: int) -> None:
        """Returns when the frame's observation and alerts are durable."""
        key = stream_of(delivery)
        limit = asyncio.timeout(self.p.limits.patience_s)
        try:
            async with limit:
                observation = await self.p.describe(frame, admission, delivery)
        except Exception as error:  # a cancelled one releases nobody: the loop is ending, and takes no new tasks
            self._release(self.p.order.skip(key, ticket))
            if isinstance(error, TimeoutError) and limit.expired():
                raise DeviceFailed(f"the models did not answer for {self.p.limits.patience_s:g} s") from error
            raise
        finally:
            frame.drop()
        item = Seen(observation, frame, asyncio.get_running_loop().create_future())
        self._release(self.p.order.push(key, ticket, item))
        await item.written

    def _release(self, ready: list[Seen]) -> None:
        """Every item gets an answer here or in `_write`, whatever its rules do: its frame waits for it."""
        for item in ready:
            try:
                alerts = self.p.rules(item.observation)
            except Exception as error:  # noqa: BLE001  the item's own event owns it, not the one that came last
                item.written.set_exception(error)
            else:
                self.group.create_task(self._write(item, alerts))

    async def _write(self, item: Seen, alerts: list[Alert]) -> None:
        try:
            await self.p.outbox.write(item.observation, alerts, item.frame)
        except BaseException as error:
            if not item.written.done():
                item.written.set_exception(error) if isinstance(error, Exception) else item.written.cancel()
            if not isinstance(error, Exception):
                raise
        else:
            self.p.watch.seen(item.observation, alerts)
            if not item.written.done():
                item.written.set_result(None)

    async def settle(self, delivery: Delivery, outcome: Outcome) -> None:
        await delivery.settle(outcome)
        metrics.EVENTS.labels(delivery.traffic, outcome).inc()
        if isinstance(delivery.event, FrameEvent) and outcome is Outcome.PROCESSED:
            age = (self.p.now() - delivery.event.captured_at).total_seconds()
            metrics.AGE_SECONDS.labels(delivery.traffic).observe(max(0.0, age))
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
        metrics.EVENTS.labels(delivery.traffic, Outcome.DEAD).inc()
        self.p.watch.settled(delivery, Outcome.DEAD)


def ends_the_loop(error: Exception) -> bool:
    """Whether an error is about the world or the installation, not about one event."""
    if isinstance(error, ExceptionGroup):
        return error.subgroup((Transient, Misconfigured)) is not None
    return isinstance(error, (Transient, Misconfigured))
