"""Bytes under way: first come, first served, and nothing leaks."""

from __future__ import annotations

import asyncio

import pytest

from stream.types.budget import Budget
from tests import PATIENCE_S


async def test_the_budget_makes_the_last_one_wait() -> None:
    budget = Budget(10)
    entered: list[str] = []

    async def hold(name: str, size: int, leave: asyncio.Event) -> None:
        async with budget.hold(size):
            entered.append(name)
            await leave.wait()

    leave = {name: asyncio.Event() for name in "abcd"}
    async with asyncio.TaskGroup() as tasks:
        for name, size in (("a", 6), ("b", 4), ("c", 4), ("d", 1)):
            tasks.create_task(hold(name, size, leave[name]))
        await settled()
        assert entered == ["a", "b"] and budget.used_bytes == 10
        leave["a"].set()
        await settled()
        assert entered == ["a", "b", "c", "d"], "in order: d did not overtake c"
        for event in leave.values():
            event.set()
    assert budget.used_bytes == 0


async def test_what_is_larger_than_the_budget_passes_alone() -> None:
    budget = Budget(10)
    async with asyncio.timeout(PATIENCE_S), budget.hold(25):
        waiting = asyncio.create_task(_enter(budget, 1))
        await settled()
        assert not waiting.done()
    await waiting
    assert budget.used_bytes == 0


async def test_shrinking_lets_the_next_one_in() -> None:
    budget = Budget(10)
    async with budget.hold(10) as held:
        waiting = asyncio.create_task(_enter(budget, 6))
        await settled()
        held.shrink(4)
        await waiting
        held.shrink(8)
        assert held.size_bytes == 4, "a hold never grows"
    assert budget.used_bytes == 0


async def test_a_caller_that_gives_up_waiting_leaves_no_trace() -> None:
    budget = Budget(10)
    async with budget.hold(10):
        first, second = asyncio.create_task(_enter(budget, 10)), asyncio.create_task(_enter(budget, 3))
        await settled()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    await second
    assert budget.used_bytes == 0


async def test_a_caller_that_gives_up_in_the_moment_it_gets_room_returns_it() -> None:
    budget = Budget(10)
    async with budget.hold(10):
        waiting = asyncio.create_task(_enter(budget, 10))
        await settled()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.used_bytes == 0


async def test_the_budget_bounds_what_is_under_way_but_lets_one_giant_pass() -> None:
    budget, peak, running = Budget(100), 0, 0

    async def hold(size: int) -> None:
        nonlocal peak, running
        async with budget.hold(size):
            running += size
            peak = max(peak, running if size <= 100 else 0)
            await asyncio.sleep(0)
            running -= size

    await asyncio.gather(*(hold(30) for _ in range(20)), hold(500))
    assert peak == 90


async def test_a_giant_is_not_overtaken_for_ever() -> None:
    budget, done = Budget(100), []

    async def hold(size: int) -> None:
        async with budget.hold(size):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        done.append(size)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(hold(30))
        group.create_task(hold(500))
        for _ in range(50):
            await asyncio.sleep(0)
            group.create_task(hold(30))
    assert len(done) == 55 and done.index(500) < 10


async def test_a_waiter_that_is_cancelled_leaves_the_budget_to_the_others() -> None:
    budget = Budget(10)
    await budget.take(10)
    first, second = asyncio.create_task(budget.take(20)), asyncio.create_task(budget.take(5))
    await asyncio.sleep(0)
    first.cancel()
    budget.give(10)
    await second
    budget.give(5)
    await budget.take(10)


async def _enter(budget: Budget, size: int) -> None:
    async with budget.hold(size):
        pass


async def settled() -> None:
    """Every task that can run has run."""
    for _ in range(5):
        await asyncio.sleep(0)
