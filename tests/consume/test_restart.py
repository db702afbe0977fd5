"""The audit after everything was restarted: the ledger on the broker's disk is all that it needs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from stream import config
from stream.app.audit import accounts_of
from tests.consume.harness import QUICK, Bench, numbered, opened, taking, until
from tests.services.kafka import Kafka


async def work(bench: Bench, first: int, held: str) -> None:
    """Records from `first` up to 12 are settled but for one; the owner leaves."""
    async with taking(bench.consumer(replace(QUICK, drain_s=0.1))) as taker:
        await until(lambda: len(taker.ids) == 12 - first)
        await taker.settle([name for name in taker.ids if name != held])


@pytest.mark.kafka
async def test_the_audit_holds_after_a_killed_broker_and_finds_an_offset_that_nobody_accounted_for() -> None:
    with Kafka() as kafka:
        async with opened(kafka.bootstrap) as before:
            for topic in (before.topic, before.dead, before.ledger):
                kafka.create_topic(topic, 4)
            await before.produce(numbered(12))
            await work(before, 0, held="7")
        await asyncio.to_thread(kafka.restart)
        settings = config.load(None, kafka={"ledger": before.ledger})
        [account] = await accounts_of(settings, kafka.bootstrap)
        assert (account.processed, account.end, account.problems) == (7, 7, [])
        async with opened(kafka.bootstrap) as after:
            after.topic, after.dead, after.ledger, after.group = before.topic, before.dead, before.ledger, before.group
            await work(after, 7, held="11")
            [account] = await accounts_of(settings, kafka.bootstrap)
            assert (account.processed, account.end, account.problems) == (11, 11, [])
            await after.write_commit(12, "")
        [account] = await accounts_of(settings, kafka.bootstrap)
        assert not account.balances
