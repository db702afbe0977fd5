"""What is seen now: nobody is held up, nothing is shown twice, what was missed is shown."""

import asyncio
from datetime import UTC, datetime

from stream.types import Alert
from stream.web import Live
from tests import PATIENCE_S


def alert(number, observation):
    when = datetime(2026, 5, 4, tzinfo=UTC)
    return Alert(f"alert-{number}", "cars", observation.source, when, observation.id, "car at drive")


async def take(watch, count):
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(watch) for _ in range(count)]


async def started(live, after=None):
    """A watcher that listens already."""
    watch = live.watch(after)
    first = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)  # one turn of the loop: it runs to its first wait
    return watch, first


async def test_every_watcher_gets_everything_in_order(see):
    live = Live()
    (one, first), (two, second) = await started(live), await started(live)
    await asyncio.sleep(0)
    await live.write([see(1), see(2)], [alert(1, see(1))])
    for watch, start in ((one, first), (two, second)):
        assert [entry.id for entry in [await start, *await take(watch, 2)]] == [see(1).id, see(2).id, "alert-1"]
    live.close()


async def test_a_redelivered_observation_is_not_shown_again(see):
    live = Live()
    watch, first = await started(live)
    await live.write([see(1)], [])
    await live.write([see(1), see(2)], [])
    assert [entry.id for entry in [await first, *await take(watch, 1)]] == [see(1).id, see(2).id]
    live.close()


async def test_a_slow_watcher_loses_the_oldest_and_holds_nobody_up(see):
    live = Live(queue=3)
    watch, first = await started(live)
    for number in range(10):
        await live.write([see(number)], [])
    got = [await first, *await take(watch, 2)]
    assert [entry.id for entry in got] == [see(7).id, see(8).id, see(9).id]
    live.close()


async def test_who_comes_back_sees_what_was_missed(see):
    live = Live()
    await live.write([see(1), see(2), see(3)], [])
    assert [entry.id for entry in await take(live.watch(see(1).id), 2)] == [see(2).id, see(3).id]


async def test_an_unknown_last_entry_shows_only_what_comes(see):
    live = Live(memory=1)
    await live.write([see(1), see(2)], [])
    watch, first = await started(live, see(1).id)
    await live.write([see(3)], [])
    assert (await first).id == see(3).id
    await watch.aclose()
    assert live.watchers == 0


async def test_close_ends_open_and_later_streams(see):
    live = Live()
    _, first = await started(live)
    live.close()
    assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], StopAsyncIteration)
    assert [entry async for entry in live.watch()] == []
    assert live.watchers == 0


async def test_latest_alerts_newest_first_and_bounded(see):
    live = Live(memory=2)
    await live.write([], [alert(number, see(1)) for number in range(3)])
    assert [entry.id for entry in live.alerts()] == ["alert-2", "alert-1"]
