"""Single frames, live or back-filled: decoded and gated in order, then described side by side."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

from stream import metrics
from stream.pipeline.protocols import stream_of
from stream.pipeline.seeing import Seeing
from stream.types import Admission, Delivery, Frame, FrameEvent, Outcome, Reason, Traffic
from stream.types.budget import Budget

_frames = functools.lru_cache(8192)(metrics.FRAMES.labels)


@dataclass(slots=True)
class Look:
    """What a lane found out about one delivery: a frame and the gate's word, or why there is none."""

    delivery: Delivery
    frame: Frame | None = None
    admission: Admission | None = None
    error: Exception | None = None


class Lane:
    """One thread, and the shares of chunks that wait for it."""

    def __init__(self, seeing: Seeing, budget: Budget, thread: ThreadPoolExecutor) -> None:
        self.seeing, self.p, self.budget, self.thread = seeing, seeing.p, budget, thread
        self.queue: asyncio.Queue[list[Delivery] | None] = asyncio.Queue(maxsize=2)

    async def run(self) -> None:
        """Until it takes None."""
        loop = asyncio.get_running_loop()
        while (share := await self.queue.get()) is not None:
            for look in await loop.run_in_executor(self.thread, self._look_all, share):
                if (ending := self._decide(look)) is not None:
                    await ending

    def _look_all(self, share: list[Delivery]) -> list[Look]:
        return [self._look(delivery) for delivery in share]

    def _look(self, delivery: Delivery) -> Look:
        event = cast(FrameEvent, delivery.event)
        if delivery.traffic is Traffic.LIVE and self.p.shedding.too_old(event.captured_at, self.p.now()):
            return Look(delivery)
        try:
            frame = next(iter(self.p.decoder.decode(event)))
            admission = self.p.gate_of(stream_of(delivery), delivery).admit(frame)
            return Look(delivery, frame, admission)
        except Exception as error:  # noqa: BLE001  the event owns it: it becomes a dead letter, the lane goes on
            return Look(delivery, error=error)

    def _decide(self, look: Look) -> Coroutine[Any, Any, None] | None:
        """Starts the description of an admitted frame; what is to be awaited first, if anything."""
        if look.error is not None:
            return self.seeing.fail(look.delivery, look.error)
        if look.frame is None or look.admission is None:
            return self.seeing.settle(look.delivery, Outcome.SHED)
        wanted = look.admission.admitted and self._wants(look.delivery, look.admission)
        reason = Reason.BUSY if look.admission.admitted and not wanted else look.admission.reason
        _frames(look.frame.source, reason).inc()
        if not look.admission.admitted:
            return self.seeing.settle(look.delivery, Outcome.GATED)
        if not wanted:
            return self.seeing.settle(look.delivery, Outcome.SHED)
        if not self.budget.take_now(look.frame.size_bytes):
            return self._start_later(look.delivery, look.frame, look.admission)
        self._start(look.delivery, look.frame, look.admission)
        return None

    async def _start_later(self, delivery: Delivery, frame: Frame, admission: Admission) -> None:
        await self.budget.take(frame.size_bytes)
        self._start(delivery, frame, admission)

    def _start(self, delivery: Delivery, frame: Frame, admission: Admission) -> None:
        ticket = self.p.order.ticket(stream_of(delivery))
        self.seeing.group.create_task(self._one(delivery, frame, admission, ticket))

    def _wants(self, delivery: Delivery, admission: Admission) -> bool:
        """What was shed once and is back-filled waits, like an upload; it is not shed again."""
        if delivery.traffic is not Traffic.LIVE:
            return True
        return self.p.shedding.wants(delivery.event.source, admission, self.p.now())

    async def _one(self, delivery: Delivery, frame: Frame, admission: Admission, ticket: int) -> None:
        try:
            await self.seeing.see(delivery, frame, admission, ticket, self.budget)
        except Exception as error:  # noqa: BLE001  the event owns it
            await self.seeing.fail(delivery, error)
        else:
            await self.seeing.settle(delivery, Outcome.PROCESSED)
