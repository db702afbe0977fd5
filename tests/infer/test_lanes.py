"""Live and upload traffic share by weight, and nobody holds more memory than there is."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.infer.lanes import Budget, Lanes
from stream.types import Traffic
from tests import PATIENCE_S

LIVE, UPLOAD = Traffic.LIVE, Traffic.UPLOAD


@dataclass
class Item:
    traffic: Traffic
    number: int


def filled(live: int, upload: int) -> Lanes[Item]:
    lanes: Lanes[Item] = Lanes()
    for number in range(live):
        lanes.put(Item(LIVE, number))
    for number in range(upload):
        lanes.put(Item(UPLOAD, number))
    return lanes


def test_uploads_get_their_fifth_and_no_more_while_both_wait() -> None:
    lanes = filled(100, 100)
    taken = [lanes.take() for _ in range(50)]
    assert Counter(item.traffic for item in taken if item) == {LIVE: 40, UPLOAD: 10}


def test_uploads_are_spread_not_bunched() -> None:
    lanes = filled(100, 100)
    places = [at for at in range(50) if (item := lanes.take()) and item.traffic is UPLOAD]
    assert {later - earlier for earlier, later in pairwise(places)} == {5}


def test_an_idle_lane_saves_no_credit() -> None:
    lanes = filled(0, 40)
    for _ in range(30):
        lanes.take()
    for number in range(40):
        lanes.put(Item(LIVE, number))
    first = [lanes.take() for _ in range(10)]
    assert Counter(item.traffic for item in first if item)[LIVE] == 8


@given(st.integers(0, 30), st.integers(0, 30))
def test_everything_is_taken_once_in_the_order_of_its_lane(live: int, upload: int) -> None:
    lanes = filled(live, upload)
    taken: dict[Traffic, list[int]] = {LIVE: [], UPLOAD: []}
    while (item := lanes.take()) is not None:
        taken[item.traffic].append(item.number)
    assert taken == {LIVE: list(range(live)), UPLOAD: list(range(upload))}
    assert len(lanes) == 0


def test_what_does_not_fit_does_not_block_the_other_lane() -> None:
    lanes = filled(1, 1)
    item = lanes.take(lambda item: item.traffic is UPLOAD)
    assert item is not None and item.traffic is UPLOAD
    assert lanes.take(lambda item: item.traffic is UPLOAD) is None
    assert len(lanes) == 1


def test_what_is_put_back_is_next() -> None:
    lanes = filled(3, 0)
    first = lanes.take()
    assert first is not None
    lanes.put_back(first)
    assert lanes.take() is first


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


async def _enter(budget: Budget, size: int) -> None:
    async with budget.hold(size):
        pass


async def settled() -> None:
    """Every task that can run has run."""
    for _ in range(5):
        await asyncio.sleep(0)
