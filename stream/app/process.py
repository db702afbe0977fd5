"""The role `process`: consumers, decoding, gate, models, rules and sinks around the pipeline."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stream import wire
from stream.app import parts
from stream.app.collector import rare_collections
from stream.app.describe import Describer
from stream.app.gates import Gates, GateStates
from stream.app.load import LoadMeter
from stream.app.service import client_arguments
from stream.consume import LATER, LIVE, UPLOADS, Backfill, Caution, Consumer, DeadLetterTopic, Ledger, Limits
from stream.gate import Novelty, Sampler
from stream.pipeline import Limits as PipelineLimits
from stream.pipeline import Pipeline, Seen, Watcher
from stream.rules import Sequencer
from stream.sinks import ObservationTopic, Outbox, Retention
from stream.types import Scheduler, Sink, Traffic

if TYPE_CHECKING:
    from faststream.kafka import KafkaBroker

    from stream.config import Settings
    from stream.types import Source, Store


LOAD_EVERY_S = 2.0


@dataclass(slots=True)
class Process:
    """What processes events, opened; `pipeline.run()` is the work, `stop` ends it in good order."""

    pipeline: Pipeline
    consumers: list[Consumer]
    outbox: Outbox
    sampler: Sampler
    meter: LoadMeter
    backfill: Backfill | None = None

    def lag(self) -> int:
        """Records in the log that are not committed, over all groups."""
        return sum(consumer.lag() for consumer in self.consumers)

    def trouble(self, now: datetime) -> str | None:
        """Why this process should be restarted, or None (liveness)."""
        return next((why for consumer in self.consumers if (why := consumer.healthy(now))), None)

    def away(self) -> str | None:
        """The broker is away, or has not let this process into its groups (readiness); None while all is well."""
        return next((why for consumer in self.consumers if (why := consumer.away())), None)

    async def follow_load(self) -> None:
        """Tells the sampler what the device and the queues do, for as long as it runs."""
        while True:
            if (load := self.meter.measure(now())) is not None:
                self.sampler.observe(load)
            await asyncio.sleep(LOAD_EVERY_S)

    async def stop(self) -> None:
        """Ends the consumers' deliveries; the pipeline then finishes what is in flight."""
        for consumer in self.consumers:
            await consumer.stop()
        if self.backfill is not None:
            await self.backfill.stop()


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def open_process(
    settings: Settings,
    broker: KafkaBroker,
    scheduler: Scheduler,
    store: Store,
    watcher: Watcher,
    extra_sinks: tuple[Sink, ...] = (),
    bootstrap: str | None = None,
) -> AsyncIterator[Process]:
    """Joins the groups; leaving drains, commits and leaves them. The broker object must be started; `bootstrap` is
    its address where the settings do not say it.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_retention(settings, store))
        topics = ObservationTopic(broker, settings.kafka.detections, settings.kafka.alerts)
        outbox = await stack.enter_async_context(Outbox([store, topics, *extra_sinks], parts.snapshots(settings)))
        consumers = [await stack.enter_async_context(consumer) for consumer in _consumers(settings, broker)]
        for consumer in consumers:
            consumer.excuse_while(lambda: outbox.trouble is not None)
        sampler, gates = _sampler(settings), Gates(settings, GateStates(settings.data_dir / "gates"))
        backfill = None
        if settings.sampling.backfill:
            backfill = _backfill(settings, broker, bootstrap or settings.kafka.bootstrap, sampler, consumers[1])
        _follow_partitions(consumers[0], gates, backfill)
        stack.push_async_callback(asyncio.to_thread, gates.save)
        stack.enter_context(rare_collections())
        sources: list[Source] = [*consumers, *([backfill] if backfill else [])]
        pipeline = _pipeline(settings, sources, gates, sampler, scheduler, outbox, watcher)
        meter = LoadMeter(settings.kafka.frames, consumers[0].lag)
        yield Process(pipeline, consumers, outbox, sampler, meter, backfill)


def _pipeline(
    settings: Settings,
    sources: list[Source],
    gates: Gates,
    sampler: Sampler,
    scheduler: Scheduler,
    outbox: Outbox,
    watcher: Watcher,
) -> Pipeline:
    return Pipeline(
        sources=sources,
        decoder=parts.decoder(settings),
        gate_of=gates,
        describe=_describer(settings, scheduler),
        scheduler=scheduler,
        order=Sequencer[Seen](),
        rules=parts.saved_rules(settings).apply,
        outbox=outbox,
        shedding=sampler,
        now=now,
        watch=watcher,
        limits=PipelineLimits(lanes=settings.decode_workers, budget_bytes=settings.in_flight_mb << 20),
    )


def _follow_partitions(live: Consumer, gates: Gates, backfill: Backfill | None) -> None:
    """On revoke the gates' states are written down for the next owner; what is then given back goes on as it was."""

    async def revoked() -> None:
        if backfill is not None:
            backfill.keep(frozenset())
        await asyncio.to_thread(gates.save)

    def assigned(partitions: frozenset[int]) -> None:
        gates.keep(partitions)
        if backfill is not None:
            backfill.keep(partitions)

    live.follow_partitions(revoked, assigned)


def _backfill(settings: Settings, broker: KafkaBroker, bootstrap: str, sampler: Sampler, uploads: Consumer) -> Backfill:
    kafka = settings.kafka
    return Backfill(
        bootstrap,
        kafka.frames,
        kafka.ledger,
        (kafka.group + LIVE, kafka.group + LATER),
        wire.parse_frame,
        DeadLetterTopic(broker, kafka.dead_letters),
        Ledger(broker, kafka.ledger),
        lambda: sampler.idle and uploads.lag() == 0,
        reach_s=settings.sampling.backfill_hours * 3600,
        client=client_arguments(settings),
    )


def _retention(settings: Settings, store: Store) -> Retention:
    rows = settings.retention.observations
    return Retention(
        {"snapshots": parts.snapshots(settings), "blobs": parts.blobs(settings)},
        store if hasattr(store, "trim") else None,  # type: ignore[arg-type]
        observations_max_age_s=rows.max_age_days * 86_400,
        observations_max_bytes=int(rows.max_gb * 1e9),
    )


def _sampler(settings: Settings) -> Sampler:
    sampling = settings.sampling
    priorities = {camera.name: camera.priority for camera in settings.cameras}
    return Sampler(sampling.max_age_s, sampling.floor_fps, priorities)


def _describer(settings: Settings, scheduler: Scheduler) -> Describer:
    tasks = settings.models.tasks
    revision = wire.revision(
        scheduler.models,
        {"tasks": list(tasks), "novelty": settings.sampling.novelty, "detect": settings.sampling.detect},
    )
    novelty = None if settings.sampling.describe_always else Novelty(settings.sampling.novelty)
    return Describer(scheduler, novelty, tasks=tasks, revision=revision, detect=settings.sampling.detect)


def _consumers(settings: Settings, broker: KafkaBroker) -> list[Consumer]:
    """One group a traffic class, so that a rebalance of the one does not touch the other."""
    kafka = settings.kafka
    caution = Caution()
    dead, ledger = DeadLetterTopic(broker, kafka.dead_letters), Ledger(broker, kafka.ledger)
    own = (Limits(), Limits.live(settings.sampling.max_age_s))
    uploads, live = (dataclasses.replace(limits, max_attempts=kafka.attempts) for limits in own)
    classes = (
        (kafka.frames, LIVE, Traffic.LIVE, wire.parse_frame, live),
        (kafka.files, UPLOADS, Traffic.UPLOAD, wire.parse_files, uploads),
    )
    return [
        Consumer(broker, topic, kafka.group + name, traffic, parse, dead, ledger, limits, caution)
        for topic, name, traffic, parse, limits in classes
    ]
