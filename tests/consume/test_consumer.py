"""The contract of the consumer, on both brokers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.consume import DeadLetterTopic, Limits
from stream.errors import BadMedia, BrokerUnavailable
from stream.types import Event, FileEvent, Outcome, Record
from tests.consume.harness import QUICK, Bench, numbered, taking, until


async def test_records_come_in_order_and_are_committed_when_they_are_settled(bench: Bench) -> None:
    await bench.produce(numbered(50))
    async with taking(bench.consumer()) as taker:
        await until(lambda: len(taker.ids) == 50)
        assert [int(id) for id in taker.ids] == list(range(50))
        assert taker.consumer.lag() == 50
        await taker.settle()
        assert taker.consumer.lag() == 0
    assert await bench.committed() == 50
    async with taking(bench.consumer()) as taker:
        await bench.produce([b"next"])
        await until(lambda: taker.ids)
        assert taker.ids == ["next"]
        await taker.settle()


async def test_nothing_is_committed_beyond_the_first_record_that_is_not_settled(bench: Bench) -> None:
    await bench.produce(numbered(10))
    async with taking(bench.consumer(replace(QUICK, drain_s=0.1))) as taker:
        await until(lambda: len(taker.ids) == 10)
        await taker.settle([id for id in taker.ids if id != "3"])
    assert await bench.committed() == 3
    async with taking(bench.consumer()) as taker:
        await until(lambda: len(taker.ids) == 7)
        assert taker.ids == ["3", "4", "5", "6", "7", "8", "9"]
        await taker.settle()
    [account] = await bench.audit()
    assert (account.processed, account.end, account.problems) == (10, 10, [])


async def test_a_bad_record_becomes_one_dead_letter_and_its_neighbours_pass(bench: Bench) -> None:
    await bench.produce([b"0", b"bad", b"1"], headers=[("trace", b"\xff"), ("trace", b"2")])
    async with taking(bench.consumer()) as taker:
        await until(lambda: len(taker.ids) == 2)
        await taker.settle()
        await until(lambda: taker.consumer.lag() == 0)
    [letter] = await bench.records(bench.dead)
    assert (letter.key, letter.value, letter.headers[:2]) == (b"yard", b"bad", (("trace", b"\xff"), ("trace", b"2")))
    [account] = await bench.audit()
    assert (account.processed, account.dead, account.end, account.problems) == (2, 1, 3, [])


async def test_a_header_name_that_is_no_text_becomes_a_dead_letter_and_loses_no_neighbour(bench: Bench) -> None:
    for partition in (0, 1):
        await bench.produce([b"%d-%d" % (partition, n) for n in range(40)], partition)
    await bench.produce_odd(b"odd", 1, [("fine", b"1"), ("name", b"\xfe")])
    await bench.produce([b"1-after"], 1)
    async with taking(bench.consumer()) as taker:
        await until(lambda: len(taker.ids) == 81)
        assert len(set(taker.ids)) == 81 and "1-after" in taker.ids
        await taker.settle()
        await until(lambda: taker.consumer.lag() == 0)
    [letter] = await bench.records(bench.dead)
    assert (letter.key, letter.value) == (b"yard", b"odd")
    assert letter.headers[:2] == (("fine", b"1"), ("na\\xffme", b"\xfe"))
    assert all(account.balances for account in await bench.audit())


async def test_an_event_is_settled_once(bench: Bench) -> None:
    await bench.produce([b"0"])
    async with taking(bench.consumer()) as taker:
        await until(lambda: taker.ids)
        [delivery] = taker.taken
        await delivery.settle(Outcome.GATED)
        with pytest.raises(RuntimeError, match="settled twice"):
            await delivery.settle(Outcome.PROCESSED)
    [account] = await bench.audit()
    assert account.gated == 1


def two_files(record: Record) -> list[Event]:
    """Two events a record, or none."""
    name = (record.value or b"").decode()
    return [] if name == "none" else [FileEvent(f"{name}{part}", "in", "/a", record=record) for part in "ab"]


async def test_a_record_of_several_events_is_done_when_all_of_them_are(bench: Bench) -> None:
    await bench.produce([b"0", b"1", b"none"])
    async with taking(bench.consumer(parse=two_files)) as taker:
        await until(lambda: len(taker.ids) == 4)
        await taker.settle(["0a", "1a", "1b"])
        assert taker.consumer.lag() == 3
        await taker.settle(["0b"])
        await until(lambda: taker.consumer.lag() == 0)
    [account] = await bench.audit()
    assert account.processed == 3


async def test_a_dead_event_is_in_the_dead_letters_before_it_counts_as_done(bench: Bench) -> None:
    await bench.produce([b"0"])
    async with taking(bench.consumer(parse=two_files)) as taker:
        await until(lambda: len(taker.ids) == 2)
        for delivery in taker.taken:
            await delivery.settle(Outcome.DEAD, BadMedia("cannot be decoded"))
        [letter] = await bench.records(bench.dead)
        assert dict(letter.headers)["__connect.errors.stage"] == b"decode"
    [account] = await bench.audit()
    assert account.dead == 1


class Failing(DeadLetterTopic):
    """Unreachable for the first calls."""

    calls = 0

    async def put(self, record: Record, error: BaseException, stage: str, attempts: int) -> None:
        self.calls += 1
        if self.calls <= 2:
            raise BrokerUnavailable("not now")
        await super().put(record, error, stage, attempts)


async def test_a_dead_letter_that_cannot_be_put_is_tried_again(bench: Bench) -> None:
    await bench.produce([b"bad"])
    letters = Failing(bench.broker, bench.dead)
    async with taking(bench.consumer(dead_letters=letters)) as taker:
        await until(lambda: letters.calls == 3 and taker.consumer.lag() == 0)
    assert len(await bench.records(bench.dead)) == 1


async def test_fetching_stops_at_the_bytes_in_flight_and_goes_on_when_there_is_room(bench: Bench) -> None:
    body = b"x" * 20_000
    limits = replace(QUICK, in_flight_bytes=200_000, chunk_records=4, fetch_bytes=100_000)
    await bench.produce([b"%d " % number + body for number in range(60)])
    async with taking(bench.consumer(limits)) as taker:
        seen = 0
        while seen < 60:
            await until(lambda: taker.taken)
            turned = taker.consumer._pump.turned_at
            if len(taker.taken) > 9:
                await until(lambda: taker.consumer._pump.turned_at > turned)  # noqa: B023  it goes on polling
            assert taker.consumer._member.in_flight_bytes <= 200_000 + 4 * 21_000
            seen += len(taker.taken)
            await taker.settle()
    [account] = await bench.audit()
    assert account.processed == 60


async def test_one_slow_record_bounds_how_far_its_partition_runs_ahead(bench: Bench) -> None:
    await bench.produce(numbered(100))
    limits = replace(QUICK, in_flight_records=20, chunk_records=5)
    async with taking(bench.consumer(limits)) as taker:
        await until(lambda: len(taker.ids) >= 20)
        await taker.settle([id for id in taker.ids if id != "0"])
        turned = taker.consumer._pump.turned_at
        await until(lambda: taker.consumer._pump.turned_at > turned)
        part = taker.consumer._member.parts[next(iter(taker.consumer._member.parts))]
        assert all(part.tracker.next_offset <= 25 for part in taker.consumer._member.parts.values()), part
        await taker.settle()
        while taker.consumer.lag():
            await taker.settle()
            await until(lambda: taker.taken or not taker.consumer.lag())


async def test_stopping_waits_for_what_was_handed_out(bench: Bench) -> None:
    await bench.produce(numbered(3))
    async with taking(bench.consumer()) as taker:
        await until(lambda: len(taker.ids) == 3)
        await taker.consumer.stop()
        await taker.task
        await taker.settle()
    assert await bench.committed() == 3


async def test_leaving_on_an_error_waits_for_nothing(bench: Bench) -> None:
    await bench.produce(numbered(3))
    with pytest.raises(ZeroDivisionError):
        async with bench.consumer(replace(QUICK, drain_s=1e9)) as consumer:
            async for chunk in consumer.deliveries():
                await chunk[0].settle(Outcome.PROCESSED)
                raise ZeroDivisionError
    assert await bench.committed() == 1


async def test_health_says_which_limit_was_passed(bench: Bench) -> None:
    at = 0.0
    limits = Limits(commit_interval_s=0.05, away_s=60.0, stall_s=300.0, drain_s=0.0)
    await bench.produce([b"0"])
    async with taking(bench.consumer(limits, clock=lambda: at)) as taker:
        await until(lambda: taker.ids)
        assert taker.consumer.healthy() is None
        at = 100.0
        assert "has not answered for 100 s" in (taker.consumer.healthy() or "")
        taker.consumer._answered_at = at
        await until(lambda: taker.consumer.healthy() is None)  # the pump turns
        taker.consumer._member.away_since = 30.0
        assert "not a member of the group for 70 s" in (taker.consumer.healthy() or "")
        taker.consumer._member.away_since = None
        at = taker.consumer._answered_at = taker.consumer._pump.turned_at = 301.0
        assert "1 records wait and no watermark moved" in (taker.consumer.healthy() or "")
