"""Drains the sources: chunks to lanes and files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from stream.pipeline.files import Files
from stream.pipeline.lanes import Lane
from stream.pipeline.protocols import Describe, Limits, Order, Outbox, Shedding, Watcher, stream_of
from stream.pipeline.seeing import Seeing
from stream.types import Alert, Decoder, Delivery, FileEvent, Gate, Observation, Scheduler, Source
from stream.types.budget import Budget


@dataclass(slots=True)
class Pipeline:
    """Runs until every source ends. All arguments are owned, opened and closed by the caller."""

    sources: Sequence[Source]
    decoder: Decoder
    gate_of: Callable[[str, Delivery], Gate]  # the gate of a stream (`stream_of`); called on that stream's lane only
    describe: Describe
    scheduler: Scheduler
    order: Order
    rules: Callable[[Observation], list[Alert]]  # in capture order per stream
    outbox: Outbox
    shedding: Shedding
    now: Callable[[], datetime]  # UTC-aware
    watch: Watcher
    limits: Limits = field(default_factory=Limits)

    async def run(self) -> None:
        """Raises: an ExceptionGroup with DeviceFailed or Unavailable when nothing can go on; the rest is unsettled."""
        async with asyncio.TaskGroup() as group:
            seeing = Seeing(self, group)
            for source in self.sources:
                group.create_task(_drain(source, seeing))


async def _drain(source: Source, seeing: Seeing) -> None:
    """One source, to its end: its lanes, its open files, its frames in flight, its own budget."""
    limits, budget = seeing.p.limits, Budget(seeing.p.limits.budget_bytes)
    threads = [ThreadPoolExecutor(1, thread_name_prefix=f"decode-{n}") for n in range(limits.lanes)]
    lanes, files = [Lane(seeing, budget, thread) for thread in threads], Files(seeing, budget, threads)
    try:
        async with asyncio.TaskGroup() as running:
            for lane in lanes:
                running.create_task(lane.run())
            async for chunk in source.deliveries():
                await _distribute(chunk, lanes, files, running)
            for lane in lanes:
                await lane.queue.put(None)
    finally:
        for thread in threads:
            thread.shutdown(wait=False, cancel_futures=True)


async def _distribute(chunk: Sequence[Delivery], lanes: list[Lane], files: Files, running: asyncio.TaskGroup) -> None:
    shares: list[list[Delivery]] = [[] for _ in lanes]
    for delivery in chunk:
        if isinstance(delivery.event, FileEvent):
            await files.free.acquire()
            running.create_task(files.run(delivery))
        else:
            shares[hash(stream_of(delivery)) % len(shares)].append(delivery)
    for lane, share in zip(lanes, shares, strict=True):
        if share:
            await lane.queue.put(share)
