"""A short part of the fault suite, and proof that its oracle finds out a worker that breaks its promises.

`make faults` runs all of it at full length.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from stream import config
from stream.app.audit import accounts_of
from tests.faults.oracle import Verdict, judge, prefix_holds
from tests.faults.stage import Stage
from tests.faults.suite import run_fault
from tests.services.kafka import Kafka
from tests.services.weaviate import Weaviate

LIMIT_S = 240.0
RECORDS = 300


@pytest.mark.parametrize("fault", ["sigterm", "scale", "poison", "retention"])
async def test_nothing_is_lost(fault: str, kafka: Kafka, weaviate: Weaviate) -> None:
    result = await run_fault(fault, RECORDS, 1, quick=True, kafka=kafka, weaviate=weaviate)
    assert result.passed, result.line()


async def end_of(
    arguments: tuple[str, ...], tmp_path: Path, kafka: Kafka, weaviate: Weaviate, die: str = ""
) -> tuple[Verdict, list[str]]:
    """What the oracle says of workers like these, the first of which dies, and what it finds beyond the prefix."""
    stage = Stage(tmp_path, 1, kafka, weaviate)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(stage.close)
        await stage.open()
        await stage.produce(120, bad=[lambda out: out._replace(value=b"{")] * 4)
        stage.workers.arguments = arguments
        stage.workers.plans = [("--die", die)] if die else []
        stage.kills = len(stage.workers.plans)
        stage.workers.start()
        await stage.finished(LIMIT_S)
        beyond = await prefix_holds(stage)
        await stage.workers.stop()
        return await judge(stage), beyond


async def test_the_audit_and_the_store_hold_after_broker_store_and_workers_were_killed_and_restarted(
    tmp_path: Path, kafka: Kafka, weaviate: Weaviate
) -> None:
    stage = Stage(tmp_path, 1, kafka, weaviate)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(stage.close)
        await stage.open()
        for _ in range(2):
            await stage.produce(60, frames=0.3, bad=[lambda out: out._replace(value=b"{")] * 2)
            stage.workers.start()
            await stage.finished(LIMIT_S)
            [worker] = stage.workers.running
            stage.workers.running.clear()
            stage.workers.kill(worker)
            stage.kills += 1
            await asyncio.gather(asyncio.to_thread(kafka.restart), asyncio.to_thread(weaviate.restart))
        verdict = await judge(stage)
    assert (verdict.lost, verdict.ledger_balances, verdict.problems) == (0, True, [])
    settings = config.load(None, kafka={"ledger": stage.topics["ledger"]})
    accounts = await accounts_of(settings, kafka.bootstrap)
    assert sum(account.processed + account.dead + account.shed for account in accounts) == 120
    assert all(account.balances and account.committed == account.end for account in accounts)


@pytest.mark.parametrize(
    ("breach", "die", "found"),
    [
        ("", "output:1", ""),
        ("positions", "inference:20", "lost"),
        ("store", "", "not in the store"),
        ("vectors", "", "not found by a search of the store"),
        ("names", "", "observations of nothing that was sent"),
        ("letters", "", "bad records without a dead letter"),
        ("ledger", "", "files-"),  # an account of a partition with a hole, or no account of it
    ],
)
async def test_the_oracle_finds_out_a_worker_that_breaks_its_promise(
    breach: str, die: str, found: str, tmp_path: Path, kafka: Kafka, weaviate: Weaviate
) -> None:
    arguments = ("--breach", breach) if breach else ()
    verdict, beyond = await end_of(arguments, tmp_path, kafka, weaviate, die)
    good = not verdict.lost and verdict.ledger_balances and not verdict.problems and not beyond
    assert good is (breach == ""), (verdict, beyond)
    assert not found or any(found in problem for problem in verdict.problems), verdict
    assert verdict.ledger_balances is (breach != "ledger")
    assert bool(beyond) is (breach in ("positions", "names", "letters"))
