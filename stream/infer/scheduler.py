"""One scheduler for all sources: `await submit(frame, work)`, and nobody waits for a batch."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from stream.errors import DeviceFailed, Misconfigured, SeestreamError
from stream.infer.device import Device
from stream.infer.florence2 import Florence2
from stream.infer.jobs import Job, findings, prepare
from stream.infer.siglip import Siglip
from stream.types import Findings, Frame, Models, Traffic, Work
from stream.types.budget import Budget

_IMAGES = {"CPUExecutionProvider": 1}
"""Vision batch where batching does not help (measured: 7.3 s for one picture, 29.4 s for four); elsewhere 32."""
_UPLOAD_BYTES = 0.5
"""Uploads may hold so much of the budget besides the live frames' own."""


class MicroBatcher:
    """Owns all batching: pictures are prepared on a pool, models run on one thread, answers come when they are ready.

    An async context manager; it owns `florence2` and `siglip` while it is open, of which one may be None. `max_bytes`
    bounds what live frames hold between `submit` and their last model call, uploads hold half of that at most. A model
    call that takes longer than `deadline_s` has hung: every caller gets DeviceFailed and `healthy` says why.
    """

    def __init__(
        self,
        florence2: Florence2 | None,
        siglip: Siglip | None,
        *,
        max_images: int | None = None,
        max_looks: int = 64,
        max_wait_s: float = 0.005,
        deadline_s: float = 120.0,
        max_bytes: int = 512 * 2**20,
        prepare_threads: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if florence2 is None and siglip is None:
            raise Misconfigured("a scheduler needs a model that describes, one that embeds, or both")
        self._florence2, self._siglip, self._deadline_s, self._clock = florence2, siglip, deadline_s, clock
        first = florence2 or siglip
        assert first is not None
        self._models = Models(
            names={
                role: model.manifest.version for role, model in (("describe", florence2), ("embed", siglip)) if model
            },
            demo=any(model.manifest.demo for model in (florence2, siglip) if model),
            provider=first.provider,
            precision=first.precision,
        )
        self._device = Device(
            florence2, siglip, max_images=max_images or _IMAGES.get(first.provider, 32), max_looks=max_looks,
            max_wait_s=max_wait_s, done=self._done, clock=clock,
        )  # fmt: skip
        self._budgets = {
            Traffic.LIVE: Budget(max_bytes), Traffic.UPLOAD: Budget(int(max_bytes * _UPLOAD_BYTES)),
        }  # fmt: skip
        self._pool = ThreadPoolExecutor(prepare_threads or min(8, os.cpu_count() or 1), "infer-prepare")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self._tasks.__aenter__()
        self._tasks.create_task(self._watch(), name="infer-watchdog")
        self._device.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        # A call that hangs is left behind on its daemon thread; a call that is merely slow is waited for.
        patience_s = 0.0 if self._device.failure else self._deadline_s
        await asyncio.to_thread(self._device.stop, patience_s)
        await self._tasks.__aexit__(None, None, None)
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def models(self) -> Models:
        return self._models

    def healthy(self) -> str | None:
        """None, or why no frame can be answered any more."""
        return self._device.failure

    async def submit(self, frame: Frame, work: Work) -> Findings:
        """Answers for one frame. Its pixels are dropped as soon as the models' inputs are made, unless `work.keep`.

        Raises:
            InferenceFailed: this frame cannot be understood: NaN, a prompt too long or missing.
            BadMedia: its pixels cannot be decoded.
            DeviceFailed: nothing can be answered any more.
            Misconfigured: there is no such task.
        """
        if self._device.failure is not None:
            raise DeviceFailed(self._device.failure)
        if self._loop is None:
            raise RuntimeError("the scheduler is not open: use `async with`")
        if not work.tasks and not work.embed:
            return Findings()
        done: asyncio.Future[None] = self._loop.create_future()
        arrived = self._clock()
        async with self._budgets[work.traffic].hold(frame.size_bytes) as held:
            job = await self._loop.run_in_executor(
                self._pool, prepare, frame, work, self._florence2, self._siglip, done, arrived
            )
            held.shrink(job.size_bytes)
            self._device.put(job)
            try:
                await done
            except asyncio.CancelledError:
                self._device.discard(job)
                raise
        return await self._loop.run_in_executor(self._pool, findings, job, self._florence2, self._siglip)

    def _done(self, job: Job, error: SeestreamError | None) -> None:
        """Called on the device's thread."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(_settle, job.done, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    async def _watch(self) -> None:
        """Ends what hangs: the only way to notice a driver that never returns is from outside its thread."""
        while not self._closing.is_set():
            try:
                async with asyncio.timeout(self._deadline_s / 4):
                    await self._closing.wait()
            except TimeoutError:
                running = self._device.running()
                if running is not None and running[1] > self._deadline_s:
                    self._device.fail(
                        f"{running[0]} has not returned for {running[1]:.1f} s (deadline {self._deadline_s:g} s): "
                        "the device hangs, restart the process"
                    )


def _settle(done: asyncio.Future[None], error: SeestreamError | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
