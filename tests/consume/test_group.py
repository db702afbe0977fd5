"""What only a real Kafka shows: several members, lookups by time, truncated logs, crashes remembered in commits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from stream.consume.caution import Caution, Past
from stream.types import Outcome, Traffic
from tests.consume.harness import QUICK, Bench, connection, numbered, taking, until


async def spread(bench: Bench, each: int) -> None:
    for partition in range(4):
        await bench.produce([b"%d-%d" % (partition, number) for number in range(each)], partition)


async def test_a_second_member_takes_its_share_and_a_late_completion_moves_no_offset(real: Bench) -> None:
    await spread(real, 5)
    second = connection(real.bootstrap)
    await second.start()
    try:
        async with taking(real.consumer(replace(QUICK, drain_s=0.2))) as first:
            await until(lambda: len(first.ids) == 20)
            late, first.taken = first.taken, []
            async with taking(real.consumer(broker=second)) as other:
                # Nothing was settled in time: all of it is delivered again, to whoever has the partition now.
                await until(lambda: len(first.ids) + len(other.ids) == 20)
                assert other.ids and first.ids and not set(first.ids) & set(other.ids)
                for delivery in late:
                    await delivery.settle(Outcome.PROCESSED)
                assert set((await real.offsets()).values()) == {0}
                await other.settle()
                await first.settle()
                await until(lambda: first.consumer.lag() == other.consumer.lag() == 0)
        assert set((await real.offsets()).values()) == {5}
        assert all(account.balances and account.processed == 5 for account in await real.audit())
    finally:
        await second.stop()


async def test_after_an_outage_what_is_too_old_is_skipped_unfetched_and_the_ledger_has_the_range(real: Bench) -> None:
    now = datetime.now(UTC)
    old = round((now - timedelta(minutes=5)).timestamp() * 1000)
    await real.produce(numbered(30), timestamp_ms=old)
    await real.produce([b"fresh"], timestamp_ms=round(now.timestamp() * 1000))
    seen: list[bytes | None] = []

    def parse(record: object) -> object:
        seen.append(record.value)  # type: ignore[attr-defined]
        return []

    limits = replace(QUICK, max_age_s=60.0)
    async with taking(real.consumer(limits, Traffic.LIVE, parse=parse)) as taker:
        await until(lambda: seen and taker.consumer.lag() == 0)
    assert seen == [b"fresh"]
    [account] = await real.audit()
    assert (account.shed, account.processed, account.end, account.problems) == (30, 1, 31, [])


async def test_a_log_that_was_truncated_under_the_group_is_counted_as_absent(real: Bench) -> None:
    await real.produce(numbered(10))
    async with taking(real.consumer()) as taker:
        await until(lambda: len(taker.ids) == 10)
        await taker.settle()
    await real.produce(numbered(20, 10))
    real.kafka.truncate(real.topic, 0, 25)
    async with taking(real.consumer()) as taker:
        await until(lambda: len(taker.ids) == 5)
        assert taker.ids == ["25", "26", "27", "28", "29"]
        await taker.settle()
    [account] = await real.audit()
    assert (account.absent, account.processed, account.end, account.problems) == (15, 15, 30, [])


async def test_after_two_crashes_one_record_at_a_time_is_tried_and_its_count_is_written_down(real: Bench) -> None:
    await real.produce(numbered(3))
    await real.write_commit(0, Past(open=True, crashes=1).dump())
    async with taking(real.consumer(replace(QUICK, drain_s=0.1))) as taker:
        await until(lambda: taker.ids)
        assert taker.ids == ["0"]
        await taker.settle(["0"])
        await until(lambda: taker.ids == ["1"])
        [part] = taker.consumer._member.open_parts()[:1]
        assert Past.load(taker.consumer._member.parts[part.tp].metadata).crashes == 0 or part.careful
        alone = [Past.load(p.metadata).alone for p in taker.consumer._member.open_parts() if p.alone]
        assert alone == [(1, 1)]


async def test_the_record_that_was_alone_at_the_last_crash_is_tried_before_all_others(real: Bench) -> None:
    for partition, alone in enumerate((None, (0, 2), None, None)):
        await real.produce([b"%d-first" % partition, b"%d-second" % partition], partition)
        await real.write_commit(0, Past(open=True, crashes=2, alone=alone).dump(), partition)
    caution = Caution()
    await caution.turn.acquire()  # nothing is tried before all of them are there
    async with taking(real.consumer(replace(QUICK, drain_s=0.1), caution=caution)) as taker:
        await until(lambda: len(taker.consumer._careful._held) == 8)
        caution.turn.release()
        await until(lambda: taker.ids)
        assert taker.ids == ["1-first"]
        assert [part.alone for part in taker.consumer._member.open_parts() if part.alone] == [(0, 3)]


async def test_a_record_that_crashed_the_process_as_often_as_allowed_is_a_dead_letter(real: Bench) -> None:
    await real.produce(numbered(4))
    await real.write_commit(1, Past(open=True, crashes=4, alone=(1, QUICK.max_attempts)).dump())
    async with taking(real.consumer()) as taker:
        while taker.consumer.lag() or not await real.records(real.dead):
            await taker.settle()
            await until(lambda: taker.taken or not taker.consumer.lag())
    [letter] = await real.records(real.dead)
    assert letter.value == b"1"
    assert b"crashed %d times" % QUICK.max_attempts in (
        dict(letter.headers)["__connect.errors.exception.message"] or b""
    )
    [account] = await real.audit()
    assert (account.dead, account.processed, account.end, account.problems) == (1, 2, 4, [])
