"""Files: each a stream of its own, a few open at once, every frame of one described before it is settled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from stream import metrics
from stream.pipeline.protocols import Limits, stream_of
from stream.pipeline.seeing import Seeing, ends_the_loop
from stream.types import Admission, Delivery, FileEvent, Frame, Outcome, Reason
from stream.types.budget import Budget


class Files:
    """The open files of one source of deliveries."""

    def __init__(self, seeing: Seeing, budget: Budget, threads: list[ThreadPoolExecutor]) -> None:
        self.seeing, self.p, self.budget, self.threads = seeing, seeing.p, budget, threads
        self.free = asyncio.Semaphore(self.p.limits.files)

    async def run(self, delivery: Delivery) -> None:
        """One file, to its settling. The caller has taken one of `free`; it is given back here."""
        event = cast(FileEvent, delivery.event)
        try:
            if event.op != "deleted":
                await self._film(delivery, self.p.decoder.decode(event))
        except Exception as error:  # noqa: BLE001  the event owns it
            await self.seeing.fail(delivery, error)
        else:
            await self.seeing.settle(delivery, Outcome.PROCESSED)
        finally:
            self.free.release()

    async def _film(self, delivery: Delivery, frames: Iterator[Frame]) -> None:
        """Every frame of a file, a few a hop. What was decoded before a break is kept; the break is raised after."""
        loop = asyncio.get_running_loop()
        thread = self.threads[hash(delivery.event.id) % len(self.threads)]
        broken: Exception | None = None
        async with asyncio.TaskGroup() as seen:
            tasks = []
            more = True
            while more:
                batch, more, broken = await loop.run_in_executor(thread, _take, frames, self.p.limits)
                for frame in batch:
                    await self.budget.take(frame.size_bytes)
                    ticket = self.p.order.ticket(stream_of(delivery))
                    tasks.append(seen.create_task(self._one(delivery, frame, ticket)))
        broken = broken or next((task.result() for task in tasks if task.result()), None)
        if broken is not None:
            raise broken

    async def _one(self, delivery: Delivery, frame: Frame, ticket: int) -> Exception | None:
        """One frame of a file; what is wrong with it is reported when the others are done."""
        reason = Reason.FORCED if frame.pts_s is None else Reason.SCENE if frame.cut else Reason.INTERVAL
        metrics.FRAMES.labels(frame.source, reason).inc()
        try:
            await self.seeing.see(delivery, frame, Admission(True, reason), ticket, self.budget)
        except Exception as error:
            if ends_the_loop(error):
                raise
            return error
        return None


def _take(frames: Iterator[Frame], limits: Limits) -> tuple[list[Frame], bool, Exception | None]:
    """Some frames, whether more may follow, and what broke the stream. Runs on a decoding thread.

    What is taken here is not in the budget yet: a hop ends early where frames are large.
    """
    taken: list[Frame] = []
    size_bytes = 0
    try:
        for frame in frames:
            taken.append(frame)
            size_bytes += frame.size_bytes
            if len(taken) == limits.step or size_bytes >= limits.step_bytes:
                return taken, True, None
    except Exception as error:  # noqa: BLE001  carried to the owner of the event
        return taken, False, error
    return taken, False, None
