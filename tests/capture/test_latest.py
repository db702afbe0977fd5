"""The hand-over from a camera's thread: the newest wins."""

from __future__ import annotations

import asyncio
import threading

from stream.capture.latest import Latest


async def test_the_newest_wins_and_the_loss_is_told() -> None:
    slot: Latest[int] = Latest()
    assert [slot.put(1), slot.put(2), slot.put(3)] == [False, True, True]
    assert await slot.take() == 3
    assert slot.put(4) is False


async def test_a_taker_waits_for_a_thread() -> None:
    slot: Latest[int] = Latest()
    taker = asyncio.create_task(slot.take())
    await asyncio.sleep(0)
    assert not taker.done()
    thread = threading.Thread(target=slot.put, args=(7,))
    thread.start()
    assert await asyncio.wait_for(taker, 10) == 7
    thread.join()


async def test_after_closing_the_last_one_can_be_taken() -> None:
    slot: Latest[int] = Latest()
    slot.put(1)
    slot.close()
    assert await slot.take() == 1
    assert await slot.take() is None
    assert await slot.take() is None


async def test_closing_wakes_a_taker() -> None:
    slot: Latest[int] = Latest()
    taker = asyncio.create_task(slot.take())
    await asyncio.sleep(0)
    slot.close()
    assert await asyncio.wait_for(taker, 10) is None


def test_a_thread_may_outlive_the_loop() -> None:
    async def make() -> Latest[int]:
        return Latest()

    slot = asyncio.run(make())
    assert slot.put(1) is False
    slot.close()
