"""One process with its roles: capture, process, web. `run` and `demo` are this with different settings and watchers."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from stream import errors
from stream.app import connect, parts, service, site
from stream.app.board import Load
from stream.app.follow import keep_live
from stream.app.load import Totals

if TYPE_CHECKING:
    from faststream.kafka import KafkaBroker

    from stream.app.engine import Engine
    from stream.app.process import Process
    from stream.config import Settings
    from stream.pipeline import Watcher
    from stream.sinks import EventPublisher
    from stream.types import Scheduler, Store
    from stream.web import Live

log = logging.getLogger(__name__)

ROLES = ("capture", "process", "web")
GRACE_S = 25.0
"""How long a first SIGTERM may take to drain: below Kubernetes' default of 30 s."""


HEALTH_EVERY_S = 2.0


class Quiet:
    """A watcher for processes that nobody watches."""

    def seen(self, observation: Any, alerts: Any) -> None:
        """Nothing to show."""

    def settled(self, delivery: Any, outcome: Any) -> None:
        """Nothing to show."""


@dataclass
class Worker:
    """Everything of one process, opened. `run` returns when `stop` is set and the work in flight is done."""

    settings: Settings
    roles: frozenset[str]
    bootstrap: str
    broker: KafkaBroker
    publisher: EventPublisher
    store: Store | None = None
    engine: Engine | None = None
    scheduler: Scheduler | None = None
    process: Process | None = None
    live: Live | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    jobs: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    address: str | None = None  # of the page, or of the probes
    server: Any = None  # what answers there

    async def run(self) -> None:
        """Raises: an ExceptionGroup with what ended a role; the others are then stopped without settling."""
        async with asyncio.TaskGroup() as group:
            background = [group.create_task(_forever(job)) for job in self._background()]
            work = group.create_task(self.process.pipeline.run()) if self.process else None
            stopped = group.create_task(self.stop.wait())
            waiting = [task for task in (work, stopped) if task]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in background:
                task.cancel()
            if self.live:
                self.live.close()
            if self.server:
                self.server.should_exit = True
            if self.process and work:
                await self.process.stop()
                await work
            stopped.cancel()

    def _background(self) -> list[Callable[[], Awaitable[None]]]:
        jobs = list(self.jobs)
        if "capture" in self.roles:
            jobs += [camera.run for camera in parts.cameras(self.settings, self.publisher)]
            jobs += [folder.run for folder in parts.watched_folders(self.settings, self.publisher)]
        if self.process:
            jobs += [self._watch_health, self.process.follow_load]
        elif self.live:
            jobs.append(partial(keep_live, self.settings, self.live))
        return jobs

    async def _watch_health(self) -> None:
        """An unhealthy process ends itself for its supervisor: what is unsettled is delivered again to the next one."""
        from stream.app.process import now

        while True:
            await asyncio.sleep(HEALTH_EVERY_S)
            why = self.unhealthy(now())
            if why:
                raise errors.DeviceFailed(f"unhealthy, ending for a restart: {why}")

    def unhealthy(self, when: Any) -> str | None:
        """Why this process should be restarted, or None."""
        if self.process and (why := self.process.trouble(when)):
            return why
        return self.models_trouble()

    def models_trouble(self) -> str | None:
        """Why the models cannot answer, or None."""
        healthy = getattr(self.scheduler, "healthy", None)
        return healthy() if healthy else None

    def load(self) -> Load:
        """For the status line."""
        trouble = self.process.outbox.trouble if self.process else None
        lag = self.process.lag() if self.process else 0
        totals = Totals.now(self.settings.kafka.frames)
        looks = totals.looks + totals.uploads
        batch = totals.pictures / totals.batches if totals.batches else 0.0
        return Load(lag, batch, 1e3 * totals.compute_s / looks if looks else 0.0, trouble)


async def _forever(job: Callable[[], Awaitable[None]]) -> None:
    await job()


@asynccontextmanager
async def open_worker(
    settings: Settings,
    roles: frozenset[str],
    watcher: Callable[[Worker], Watcher],
    scheduler: Scheduler | None = None,
    any_port: bool = False,
) -> AsyncIterator[Worker]:
    """Opens what the roles need, in order, and closes it in reverse. `scheduler` replaces the models (fault suite);
    `any_port`: the page takes a free one where the port of the settings is taken.

    Raises: Misconfigured, BrokerUnavailable, StoreUnavailable, each with one line.
    """
    from stream.app.common import data_folder

    async with AsyncExitStack() as stack:
        data_folder(settings)
        bootstrap = await connect.bootstrap_of(settings, stack)
        broker = service.kafka_broker(settings, bootstrap)
        worker = Worker(settings, roles, bootstrap, broker, parts.publisher(settings, broker))
        if roles & {"process", "web"}:
            worker.store = await stack.enter_async_context(parts.store(settings))  # type: ignore[arg-type]
            await _open_models(worker, scheduler, stack)
        served = site.app_of(worker)
        app = service.asgi_service(broker, served)
        await connect.ensure_topics(settings, bootstrap)
        await stack.enter_async_context(connect.started(app, bootstrap))
        if "process" in roles:
            from stream.app.process import open_process

            assert worker.store is not None and worker.scheduler is not None
            extra = (worker.live,) if worker.live else ()
            worker.process = await stack.enter_async_context(
                open_process(settings, broker, worker.scheduler, worker.store, watcher(worker), extra, worker.bootstrap)
            )
        if served is not None:
            await site.serve(worker, app, stack, any_port)
        yield worker


async def _open_models(worker: Worker, scheduler: Scheduler | None, stack: AsyncExitStack) -> None:
    if scheduler is not None:
        worker.scheduler = scheduler
        return
    from stream.app.engine import open_engine

    worker.engine = await stack.enter_async_context(open_engine(worker.settings.models))
    worker.scheduler = worker.engine.scheduler


def stop_on_signals(stop: asyncio.Event, ended: Callable[[], None]) -> None:
    """First SIGTERM or Ctrl-C: drain. Second: end at once; what was not settled is delivered again."""
    loop = asyncio.get_running_loop()

    def handle() -> None:
        if stop.is_set():
            ended()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, handle)
