"""The loop, and only the loop: deliveries in, observations and alerts out, every delivery settled.

    Source -> [lane: decode + gate] -> Scheduler -> [order per source] -> rules -> Outbox -> settle

Live frames: a stream's frames always pass through the same lane, one thread, so that they are decoded and gated in
order and a gate is never shared between threads; a chunk costs one hop, not one a record. What the gate admits goes to
the scheduler without waiting for it; order per source is restored before the rules, because answers come back out of
order. Uploads: each file is a stream of its own, a few at a time, its frames bounded in bytes.

A permanent error about one event makes a dead letter and its neighbours go on. A transient one that outlasts the
outbox's retries, or a broken device, ends the loop without settling: what was not settled is delivered again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, cast

from stream import metrics
from stream.errors import Misconfigured, Permanent, Transient
from stream.types import (
    Admission,
    Alert,
    Decoder,
    Delivery,
    FileEvent,
    Frame,
    FrameEvent,
    Gate,
    Observation,
    Outcome,
    Reason,
    Scheduler,
    Source,
    Traffic,
)

log = logging.getLogger(__name__)


class Describe(Protocol):
    """Asks the models about one admitted frame and makes the observation; decides what needs a caption."""

    async def __call__(self, frame: Frame, admission: Admission, delivery: Delivery) -> Observation:
        """Raises: InferenceFailed, DeviceFailed."""
        ...


class Outbox(Protocol):
    """Where finished observations go; returns when the snapshot and every sink are durable."""

    async def write(self, observation: Observation, alerts: Sequence[Alert], frame: Frame) -> None: ...


class Order(Protocol):
    """Restores a source's capture order: `ticket` in, `push` or `skip` out, in any order."""

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
    written: asyncio.Future[None]  # resolved when the outbox holds it


@dataclass(slots=True)
class Look:
    """What a lane found out about one delivery: a frame and the gate's word, or why there is none."""

    delivery: Delivery
    frame: Frame | None = None
    admission: Admission | None = None
    error: Exception | None = None


class Budget:
    """Bytes that may be in the models' hands at once. An item larger than the whole budget passes alone."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, size_bytes: int) -> AsyncIterator[None]:
        await self.take(size_bytes)
        try:
            yield
        finally:
            await self.give(size_bytes)

    async def take(self, size_bytes: int) -> None:
        async with self._freed:
            await self._freed.wait_for(lambda: self._used == 0 or self._used + size_bytes <= self._limit)
            self._used += size_bytes

    async def give(self, size_bytes: int) -> None:
        async with self._freed:
            self._used -= size_bytes
            self._freed.notify_all()


@dataclass(slots=True)
class Limits:
    """How much may be under way at once, for each traffic class."""

    lanes: int = 2  # decoding threads
    files: int = 4  # files open at once
    step: int = 8  # frames of a film decoded in one hop
    budget_bytes: int = 256 << 20


@dataclass(slots=True)
class Pipeline:
    """Runs until every source ends. All arguments are owned, opened and closed by the caller."""

    sources: Sequence[Source]
    decoder: Decoder
    gate_of: Callable[[str], Gate]  # the gate of a live source; called on that source's lane only
    describe: Describe
    scheduler: Scheduler
    order: Order
    rules: Callable[[Observation], list[Alert]]  # in capture order per source
    outbox: Outbox
    shedding: Shedding
    now: Callable[[], datetime]  # UTC-aware
    watch: Watcher
    limits: Limits = field(default_factory=Limits)

    async def run(self) -> None:
        """Raises: an ExceptionGroup with DeviceFailed or Unavailable when nothing can go on; the rest is unsettled."""
        async with asyncio.TaskGroup() as group:
            for source in self.sources:
                group.create_task(_Run(self, group).drain(source))


class _Run:
    """One source being drained: its lanes, its open files, its frames in flight."""

    def __init__(self, pipeline: Pipeline, group: asyncio.TaskGroup) -> None:
        self.p = pipeline
        self.group = group
        self.budget = Budget(pipeline.limits.budget_bytes)
        self.files = asyncio.Semaphore(pipeline.limits.files)
        self.lanes: list[asyncio.Queue[list[Delivery] | None]] = [
            asyncio.Queue(maxsize=2) for _ in range(pipeline.limits.lanes)
        ]
        self.threads: list[ThreadPoolExecutor] = []

    async def drain(self, source: Source) -> None:
        count = self.p.limits.lanes
        self.threads = [ThreadPoolExecutor(1, thread_name_prefix=f"decode-{n}") for n in range(count)]
        try:
            async with asyncio.TaskGroup() as lanes, asyncio.TaskGroup() as files:
                for queue, thread in zip(self.lanes, self.threads, strict=True):
                    lanes.create_task(self._lane(queue, thread))
                async for chunk in source.deliveries():
                    await self._distribute(chunk, files)
                for queue in self.lanes:
                    await queue.put(None)
        finally:
            for thread in self.threads:
                thread.shutdown(wait=False, cancel_futures=True)

    async def _distribute(self, chunk: Sequence[Delivery], files: asyncio.TaskGroup) -> None:
        shares: list[list[Delivery]] = [[] for _ in self.lanes]
        for delivery in chunk:
            if isinstance(delivery.event, FileEvent):
                await self.files.acquire()
                files.create_task(self._file(delivery))
            else:
                shares[hash(delivery.event.source) % len(shares)].append(delivery)
        for queue, share in zip(self.lanes, shares, strict=True):
            if share:
                await queue.put(share)

    # -- live frames

    async def _lane(self, queue: asyncio.Queue[list[Delivery] | None], thread: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while (share := await queue.get()) is not None:
            for look in await loop.run_in_executor(thread, self._look_all, share):
                await self._decide(look)

    def _look_all(self, share: list[Delivery]) -> list[Look]:
        return [self._look(delivery) for delivery in share]

    def _look(self, delivery: Delivery) -> Look:
        event = cast(FrameEvent, delivery.event)
        if delivery.traffic is Traffic.LIVE and self.p.shedding.too_old(event.captured_at, self.p.now()):
            return Look(delivery)
        try:
            frame = next(iter(self.p.decoder.decode(event)))
            return Look(delivery, frame, self.p.gate_of(event.source).admit(frame))
        except Exception as error:  # noqa: BLE001  the event owns it: it becomes a dead letter, the lane goes on
            return Look(delivery, error=error)

    async def _decide(self, look: Look) -> None:
        if look.error is not None:
            await self._fail(look.delivery, look.error)
        elif look.frame is None or look.admission is None:
            await self._settle(look.delivery, Outcome.SHED)
        else:
            metrics.FRAMES.labels(look.frame.source, look.admission.reason).inc()
            if not look.admission.admitted:
                await self._settle(look.delivery, Outcome.GATED)
            elif not self.p.shedding.wants(look.frame.source, look.admission, self.p.now()):
                await self._settle(look.delivery, Outcome.SHED)
            else:
                await self.budget.take(look.frame.size_bytes)
                ticket = self.p.order.ticket(look.frame.source)
                self.group.create_task(self._live(look, look.frame, look.admission, ticket))

    async def _live(self, look: Look, frame: Frame, admission: Admission, ticket: int) -> None:
        try:
            await self._see(look.delivery, frame, admission, ticket)
        except Exception as error:  # noqa: BLE001  the event owns it
            await self._fail(look.delivery, error)
        else:
            await self._settle(look.delivery, Outcome.PROCESSED)
        finally:
            await self.budget.give(frame.size_bytes)

    # -- files

    async def _file(self, delivery: Delivery) -> None:
        event = cast(FileEvent, delivery.event)
        try:
            if event.op != "deleted":
                await self._film(delivery, self.p.decoder.decode(event))
        except Exception as error:  # noqa: BLE001  the event owns it
            await self._fail(delivery, error)
        else:
            await self._settle(delivery, Outcome.PROCESSED)
        finally:
            self.files.release()

    async def _film(self, delivery: Delivery, frames: Iterator[Frame]) -> None:
        """Every frame of a file, a few a hop. What was decoded before a break is kept; the break is raised after."""
        loop = asyncio.get_running_loop()
        thread = self.threads[hash(delivery.event.id) % len(self.threads)]
        broken: Exception | None = None
        async with asyncio.TaskGroup() as seen:
            tasks = []
            more = True
            while more:
                batch, more, broken = await loop.run_in_executor(thread, _take, frames, self.p.limits.step)
                for frame in batch:
                    await self.budget.take(frame.size_bytes)
                    ticket = self.p.order.ticket(delivery.event.id)
                    tasks.append(seen.create_task(self._one(delivery, frame, ticket)))
        broken = broken or next((task.result() for task in tasks if task.result()), None)
        if broken is not None:
            raise broken

    async def _one(self, delivery: Delivery, frame: Frame, ticket: int) -> Exception | None:
        """One frame of a file; what is wrong with it is reported when the others are done."""
        reason = Reason.FORCED if frame.pts_s is None else Reason.SCENE if frame.cut else Reason.INTERVAL
        metrics.FRAMES.labels(frame.source, reason).inc()
        try:
            await self._see(delivery, frame, Admission(True, reason), ticket, key=delivery.event.id)
        except Exception as error:
            if _ends_the_loop(error):
                raise
            return error
        finally:
            await self.budget.give(frame.size_bytes)
        return None

    # -- both

    async def _see(
        self, delivery: Delivery, frame: Frame, admission: Admission, ticket: int, key: str | None = None
    ) -> None:
        """Returns when the frame's observation and alerts are durable."""
        key = key or frame.source
        try:
            observation = await self.p.describe(frame, admission, delivery)
        except Exception:  # a cancelled one releases nobody: the loop is ending, and takes no new tasks
            self._release(self.p.order.skip(key, ticket))
            raise
        finally:
            frame.drop()
        item = Seen(observation, frame, asyncio.get_running_loop().create_future())
        self._release(self.p.order.push(key, ticket, item))
        await item.written

    def _release(self, ready: list[Seen]) -> None:
        for item in ready:
            alerts = self.p.rules(item.observation)
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

    async def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        await delivery.settle(outcome)
        metrics.EVENTS.labels(delivery.traffic, outcome).inc()
        if isinstance(delivery.event, FrameEvent) and outcome is Outcome.PROCESSED:
            age = (self.p.now() - delivery.event.captured_at).total_seconds()
            metrics.AGE_SECONDS.labels(delivery.traffic).observe(max(0.0, age))
        self.p.watch.settled(delivery, outcome)

    async def _fail(self, delivery: Delivery, error: Exception) -> None:
        """A dead letter for a permanent error and for a bug of ours (the bytes are kept); others go up.

        While the loop is ending nothing is settled: what breaks then breaks because of that, and is delivered again.
        """
        task = asyncio.current_task()
        if _ends_the_loop(error) or (task is not None and task.cancelling()):
            raise error
        if isinstance(error, Permanent):
            log.warning("%s %s: %s", delivery.event.source, delivery.event.id, error)
        else:
            log.exception("%s %s: unexpected", delivery.event.source, delivery.event.id, exc_info=error)
        await delivery.settle(Outcome.DEAD, error)
        metrics.EVENTS.labels(delivery.traffic, Outcome.DEAD).inc()
        self.p.watch.settled(delivery, Outcome.DEAD)


def _ends_the_loop(error: Exception) -> bool:
    """Whether an error is about the world or the installation, not about one event."""
    if isinstance(error, ExceptionGroup):
        return error.subgroup((Transient, Misconfigured)) is not None
    return isinstance(error, (Transient, Misconfigured))


def _take(frames: Iterator[Frame], count: int) -> tuple[list[Frame], bool, Exception | None]:
    """Up to `count` frames, whether more may follow, and what broke the stream. Runs on a decoding thread."""
    taken: list[Frame] = []
    try:
        for frame in frames:
            taken.append(frame)
            if len(taken) == count:
                return taken, True, None
    except Exception as error:  # noqa: BLE001  carried to the owner of the event
        return taken, False, error
    return taken, False, None
