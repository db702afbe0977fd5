"""A group that grows and shrinks tells what it takes and gives: what is kept by partition can follow."""

from __future__ import annotations

from tests.consume.harness import Bench, connection, taking, until


async def test_revoked_comes_before_assigned_and_says_what_is_ours(real: Bench) -> None:
    told: list[frozenset[int] | None] = []

    async def revoked() -> None:
        told.append(None)

    async with taking(real.consumer()) as first:
        await until(lambda: len(first.consumer._member.parts) == 4, "the first member has all partitions")
        first.consumer.follow_partitions(revoked, told.append)
        assert told == [frozenset(range(4))], "what was assigned before anyone asked is told at once"
        other = connection(real.bootstrap)
        await other.start()
        try:
            async with taking(real.consumer(broker=other)) as second:
                await until(lambda: len(second.consumer._member.parts) == 2, "the second has its half")
                await until(lambda: len(told) >= 3, "and the first was told")
            await until(lambda: told[-1] == frozenset(range(4)), "all come back")
        finally:
            await other.stop()
    halves = [one for one in told[1:-1] if one is not None]
    assert told[1] is None and halves and all(len(half) == 2 for half in halves)
