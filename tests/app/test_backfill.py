"""Back-fill on a real Kafka: what an outage shed is looked at when there is time, and the ledger stays true."""

from __future__ import annotations

import argparse
import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from stream import config, metrics, wire
from stream.app import run as command
from stream.app.audit import accounts_of
from stream.app.worker import Quiet, Worker, open_worker
from stream.consume import scan
from stream.types import FrameEvent, Observation
from tests import PATIENCE_S
from tests.app.test_bad_input import jpeg
from tests.consume.harness import produce_odd
from tests.fakes import KnownModels

COUNT = 24


class Witness(Quiet):
    def __init__(self) -> None:
        self.observations: list[Observation] = []

    def seen(self, observation: Observation, alerts: object) -> None:
        self.observations.append(observation)


async def until(condition: Any, worker: Worker, running: asyncio.Task[None]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            assert not running.done(), running
            await asyncio.sleep(0.05)


async def publish(settings: config.Settings, when: datetime, count: int, first: int = 0) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap, acks="all")
    await producer.start()
    try:
        for number in range(first, first + count):
            event = FrameEvent(
                f"frame-{number}", f"yard-{number % 3}", when + timedelta(milliseconds=number), jpeg(number)
            )
            out = wire.encode_event(event, settings.kafka.frames)
            stamp = round(event.captured_at.timestamp() * 1000)
            await producer.send_and_wait(out.topic, out.value, out.key, headers=out.headers, timestamp_ms=stamp)
        # Nobody has read it when it is shed unfetched: the back-fill is the first to see that it is no picture.
        await producer.send_and_wait(settings.kafka.frames, b"rubbish", b"yard-0", timestamp_ms=stamp)
        await produce_odd(producer, settings.kafka.frames, b"odd", 0, [("name", b"x")], stamp)
    finally:
        await producer.stop()


def settings_of(folder: Path, bootstrap: str, name: str, backfill: bool) -> config.Settings:
    topics = {kind: f"{kind}-{name}" for kind in ("frames", "files", "detections", "alerts", "dead_letters", "ledger")}
    return config.load(
        data_dir=folder,
        kafka={"bootstrap": bootstrap, "group": name, "partitions": 2, **topics},
        gate={"enabled": False},
        sampling={"max_age_s": 60, "backfill": backfill, "describe_always": True},
    )


async def run(settings: config.Settings, done: Any) -> list[Observation]:
    witness = Witness()
    async with open_worker(settings, frozenset({"process"}), lambda worker: witness, KnownModels()) as worker:
        running = asyncio.create_task(worker.run())
        await until(lambda: done(witness, worker), worker, running)
        worker.stop.set()
        await running
    return witness.observations


@pytest.mark.parametrize("restart", [True, False])
async def test_what_was_shed_is_back_filled_once_and_the_audit_balances(
    kafka: Any, tmp_path: Path, restart: bool
) -> None:
    """With a restart the ledger alone says what is to do; without one the running worker follows it."""
    name = f"backfill-{secrets.token_hex(4)}"
    settings = settings_of(tmp_path, kafka.bootstrap, name, backfill=not restart)
    kafka.create_topic(settings.kafka.frames, 2)
    await publish(settings, datetime.now(UTC) - timedelta(hours=1), COUNT)
    if restart:
        seen = await run(settings, lambda witness, worker: worker.process.lag() == 0 and _committed(worker))
        assert seen == [], "an hour old: all shed"
        settings = settings_of(tmp_path, kafka.bootstrap, name, backfill=True)
    seen = await run(settings, lambda witness, worker: len(witness.observations) >= COUNT and _done(worker))
    assert metrics.REGISTRY.get_sample_value("seestream_backfill_records") == 0
    assert len(seen) == COUNT and {one.kind for one in seen} == {"frame"}
    for source in {one.source for one in seen}:
        times = [one.captured_at for one in seen if one.source == source]
        assert times == sorted(times)
    accounts = await accounts_of(settings, kafka.bootstrap)
    assert all(account.balances for account in accounts), [account.problems for account in accounts]
    live = [account for account in accounts if account.group == f"{name}-live"]
    later = [account for account in accounts if account.group == f"{name}-backfill"]
    assert sum(account.shed for account in live) == COUNT + 2
    assert sum(account.processed for account in later) == COUNT and sum(account.dead for account in later) == 2
    letters = [record.value async for record in scan(kafka.bootstrap, settings.kafka.dead_letters)]
    assert sorted(letters) == [b"odd", b"rubbish"]
    again = await run(settings, lambda witness, worker: _read(worker))
    assert again == [], "what is in the ledger is not done again"


def test_the_flag_turns_it_on_beside_the_setting(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    for arguments, wanted in (([], False), (["--backfill"], True)):
        settings = command.settings_of(parser.parse_args(["--data", str(tmp_path), *arguments]))
        assert settings.sampling.backfill is wanted and settings.data_dir == tmp_path


def _committed(worker: Worker) -> bool:
    return all(
        part.committed == part.tracker.watermark for part in worker.process.consumers[0]._member.open_parts()
    ) and bool(worker.process.consumers[0]._member.open_parts())


def _done(worker: Worker) -> bool:
    return len(worker.process.backfill.backlog) == 0


def _read(worker: Worker) -> bool:
    """It has read the ledger to its end and found nothing."""
    backlog = worker.process.backfill.backlog
    return bool(backlog._left) and len(backlog) == 0
