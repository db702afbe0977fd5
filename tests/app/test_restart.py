"""What outlives a process: the rules' cool-downs and the gates' backgrounds, in the data folder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stream import config
from stream.app.worker import Quiet, open_worker
from stream.types import Alert, Delivery, FrameEvent, Observation, Outcome, Reason, Traffic
from tests import PATIENCE_S
from tests.app.test_bad_input import jpeg
from tests.fakes import KnownModels

RULE = {"name": "anything", "label": "thing", "cool_down_s": 3600}


class Witness(Quiet):
    def __init__(self) -> None:
        self.observations: list[Observation] = []
        self.alerts: list[Alert] = []
        self.ended: list[Outcome] = []

    def seen(self, observation: Observation, alerts: Sequence[Alert]) -> None:
        self.observations.append(observation)
        self.alerts += alerts

    def settled(self, delivery: Delivery, outcome: Outcome) -> None:
        self.ended.append(outcome)


async def one_life(folder: Path, times: Sequence[datetime]) -> Witness:
    """A process that gets a still picture at each of these times, and ends in good order."""
    settings = config.load(data_dir=folder, rules=[RULE], sampling={"describe_always": True})
    witness = Witness()
    async with open_worker(settings, frozenset({"process"}), lambda worker: witness, KnownModels()) as worker:
        running = asyncio.create_task(worker.run())
        for number, when in enumerate(times):
            await worker.publisher.publish(FrameEvent(f"{when}-{number}", "yard", when, jpeg(1)))
        async with asyncio.timeout(PATIENCE_S):
            while len(witness.ended) < len(times):
                assert not running.done(), running
                await asyncio.sleep(0.02)
        worker.stop.set()
        await running
    return witness


async def test_cool_downs_and_backgrounds_outlive_the_process(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    first = await one_life(tmp_path, [now + timedelta(seconds=number / 5) for number in range(20)])
    assert len(first.alerts) == 1 and first.observations[0].gate.reason is Reason.FIRST
    assert Outcome.GATED in first.ended
    second = await one_life(tmp_path, [now + timedelta(seconds=10 + number / 5) for number in range(6)])
    assert [seen.gate.reason for seen in second.observations] == [Reason.WARM_UP] * 3
    assert second.alerts == [], "the rule is still cooling down"


async def test_the_settings_bound_what_the_groups_do(tmp_path: Path) -> None:
    settings = config.load(data_dir=tmp_path, kafka={"attempts": 2}, sampling={"max_age_s": 7})
    async with open_worker(settings, frozenset({"process"}), lambda worker: Quiet(), KnownModels()) as worker:
        assert worker.process is not None
        limits = {consumer.traffic: consumer.limits for consumer in worker.process.consumers}
    assert [limits[traffic].max_attempts for traffic in Traffic] == [2, 2]
    assert (limits[Traffic.LIVE].max_age_s, limits[Traffic.UPLOAD].max_age_s) == (7, None)
