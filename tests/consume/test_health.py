"""Health, each of its limits passed by breaking what it speaks of."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

import stream.consume.consumer as module
from stream.consume import DeadLetterTopic, Limits
from stream.errors import BrokerUnavailable
from stream.types import Record
from tests.consume.harness import QUICK, Bench, Taker, numbered, taking, until

LIMITS = replace(QUICK, away_s=60.0, stall_s=300.0, drain_s=0.0, commit_timeout_s=0.5)


class Clock:
    """A clock that tests set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def one_waiting(bench: Bench, clock: Clock, record: bytes = b"0", **arguments: Any) -> Any:
    """A consumer with one record that nobody has settled, and the broker's answers as fresh as the clock."""
    await bench.produce([record])
    async with taking(bench.consumer(LIMITS, clock=clock, **arguments)) as taker:
        await until(lambda: taker.consumer.lag() == 1)
        yield taker


async def pass_time(taker: Taker, clock: Clock, seconds: float) -> None:
    """Until everything that goes on by itself has seen the new time."""
    clock.now += seconds
    taker.consumer._answered_at = clock.now
    await until(lambda: taker.consumer._pump.turned_at == clock.now)


def said(taker: Taker) -> str:
    return taker.consumer.healthy() or "well"


async def test_records_that_nobody_settles_are_unhealthy(bench: Bench) -> None:
    async with one_waiting(bench, clock := Clock()) as taker:
        await pass_time(taker, clock, 299.0)
        assert said(taker) == "well"
        await pass_time(taker, clock, 2.0)
        assert "1 records wait and no watermark moved" in said(taker)


async def test_while_an_output_is_away_no_watermark_has_to_move_and_afterwards_it_has_its_time_again(
    bench: Bench,
) -> None:
    away = True
    async with one_waiting(bench, clock := Clock()) as taker:
        taker.consumer.excuse_while(lambda: away)
        for _ in range(3):
            await pass_time(taker, clock, 301.0)
            await until(lambda: said(taker) == "well", "excused")
        await until(lambda: taker.consumer._member.moved_at == clock.now)
        away = False
        await pass_time(taker, clock, 299.0)
        assert said(taker) == "well"
        await pass_time(taker, clock, 2.0)
        assert "no watermark moved" in said(taker)


class Refused(DeadLetterTopic):
    """Takes nothing until it is told to."""

    takes = False

    async def put(self, record: Record, error: BaseException, stage: str, attempts: int) -> None:
        if not self.takes:
            raise BrokerUnavailable("not now")
        await super().put(record, error, stage, attempts)


async def test_while_dead_letters_are_not_taken_no_watermark_has_to_move(bench: Bench) -> None:
    letters = Refused(bench.broker, bench.dead)
    async with one_waiting(bench, clock := Clock(), b"bad", dead_letters=letters) as taker:
        await until(lambda: taker.consumer._member.letters_waiting == 1)
        await pass_time(taker, clock, 301.0)
        await until(lambda: said(taker) == "well", "excused")
        letters.takes = True
        await until(lambda: taker.consumer.lag() == 0)
        assert taker.consumer._member.letters_waiting == 0


async def test_a_loop_that_stands_still_is_unhealthy(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async with one_waiting(bench, clock := Clock()) as taker:
        stands, goes_on = asyncio.Event(), asyncio.Event()
        fetch = taker.consumer._pump._fetch.next

        async def hangs(consumer: Any) -> Any:
            stands.set()
            await goes_on.wait()
            return await fetch(consumer)

        monkeypatch.setattr(taker.consumer._pump._fetch, "next", hangs)
        await stands.wait()
        clock.now = taker.consumer._answered_at = 61.0
        assert "nothing was fetched for 61 s" in said(taker)
        goes_on.set()
        await until(lambda: said(taker) == "well")


async def test_a_member_that_gets_no_partitions_back_is_not_ready_and_then_unhealthy(bench: Bench) -> None:
    async with one_waiting(bench, clock := Clock()) as taker:
        member = taker.consumer._member
        tps = list(member.parts)
        await member.on_partitions_revoked(tps)
        assert "not a member now" in (taker.consumer.away() or "")
        await pass_time(taker, clock, 59.0)
        assert said(taker) == "well"
        await pass_time(taker, clock, 2.0)
        assert "not a member of the group for 61 s" in said(taker)
        await member.on_partitions_assigned(tps)
        assert said(taker) == "well" and taker.consumer.away() is None


async def test_a_broker_that_is_silent_is_not_ready_then_unhealthy_and_consumed_from_when_it_is_back(
    real: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ENDS_EVERY_S", 0.05)
    async with one_waiting(real, clock := Clock()) as taker:
        await until(lambda: taker.ids)
        real.kafka.freeze()
        try:
            await until(lambda: taker.consumer.away())
            assert "does not answer" in taker.consumer.away()
            assert said(taker) == "well", "it may come back"
            clock.now += 61.0
            assert "the broker has not answered for 61 s" in said(taker)
        finally:
            real.kafka.thaw()
        await until(lambda: taker.consumer.away() is None and said(taker) == "well")
        await real.produce(numbered(2, first=1))
        await until(lambda: {"1", "2"} <= set(taker.ids))


def test_a_process_that_does_not_consume_again_within_a_minute_of_an_outage_is_unhealthy() -> None:
    assert Limits().away_s == Limits.live().away_s == 60.0
