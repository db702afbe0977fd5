"""The faults: each does its worst to a stage with load on it, and waits until the workers have recovered."""

from __future__ import annotations

import asyncio
import signal
import statistics
from collections.abc import Awaitable, Callable

import psutil

from tests.faults import outages, poison
from tests.faults.oracle import generations
from tests.faults.run import Run, all_ready, moved
from tests.faults.told import told_by


async def sigkill(run: Run) -> None:
    """SIGKILL by itself at fail points: after inference, output, store and dead-letter acknowledgements."""
    stage = run.stage
    kills = 4 if run.quick else 20
    bad = [lambda out: out._replace(value=b"{")] * max(8, run.records // 100)
    await stage.produce(run.records, frames=0.3, bad=bad)
    step = max(3, run.records // (kills * 8))
    counts = {"inference": step, "output": max(2, step // 4), "store": max(2, step // 4), "dead": 1}
    stage.workers.plans = [
        ("--die", f"{point}:{counts[point]}")
        for _ in range(kills // 4)
        for point in ("inference", "output", "store", "dead")
    ]
    stage.workers.start()

    async def killed() -> bool:
        return stage.workers.ended.count(-signal.SIGKILL) >= kills

    await stage.wait(killed, run.limit_s, f"{kills} kills at fail points")
    stage.kills = kills
    await stage.finished(run.limit_s)


async def sigstop(run: Run) -> None:
    """Frozen past its session timeout, then thawed: the zombie cannot commit."""
    stage = run.stage
    stage.workers.arguments = ("--model-ms", "20")
    stage.workers.start(2)
    await stage.produce(run.records, frames=0.3)
    await stage.wait(lambda: moved(stage), 60, "first commits")
    for _ in range(1 if run.quick else 3):
        zombie = stage.workers.running[0]
        zombie.send_signal(signal.SIGSTOP)
        await stage.pause(12)
        zombie.send_signal(signal.SIGCONT)
        stage.kills += 1
        await stage.pause(3)
        stage.workers.running.append(stage.workers.running.pop(0))
    await stage.finished(run.limit_s)


async def scale(run: Run) -> None:
    """From 1 to 4 workers and back under load."""
    stage = run.stage
    stage.workers.arguments = ("--model-ms", "30")
    stage.workers.start()
    await stage.produce(run.records, frames=0.3)
    for change in (1, 1, 1, -1, -1, -1):
        if change > 0:
            stage.workers.start()
        else:
            await all_ready(stage)
            codes = await stage.workers.stop([stage.workers.running[0]])
            run.expect(codes == [0], f"a worker that was scaled in ended with {codes}")
            stage.kills += 1
        await stage.pause(4 if run.quick else 10)
    await stage.finished(run.limit_s)


async def slow(run: Run) -> None:
    """A model call slower than the poll interval: nobody is evicted."""
    stage = run.stage
    stage.workers.arguments = ("--poll-s", "5", "--slow-at", "20", "--slow-s", "20")
    stage.workers.start()
    await stage.produce(min(run.records, 500), frames=0.3)
    await stage.finished(run.limit_s)
    found = await generations(stage)
    run.expect(max(found) == min(found), f"the group was rebalanced: generations {sorted(found)}")
    run.expect(not stage.workers.ended, f"workers ended: {stage.workers.ended}")


async def sigterm(run: Run) -> None:
    """SIGTERM under load drains and exits with 0; a second one ends at once. Both lose nothing."""
    stage = run.stage
    stage.workers.arguments = ("--model-ms", "20")
    stage.workers.start()
    await stage.produce(run.records, frames=0.3)
    for number in range(2 if run.quick else 6):
        await all_ready(stage)
        await stage.pause(2)
        [process] = stage.workers.running
        if number % 2:
            stage.workers.restart = False
            process.terminate()
            process.terminate()
            await asyncio.to_thread(process.wait, 10)
            run.expect(process.returncode in (143, -15, 0), f"a second SIGTERM ended with {process.returncode}")
            stage.workers.running.remove(process)
            stage.workers.restart = True
            stage.kills += 1
        else:
            codes = await stage.workers.stop([process])
            run.expect(codes == [0], f"SIGTERM under load ended with {codes}")
        stage.workers.start()
    await stage.finished(run.limit_s)


async def poisoned(run: Run) -> None:
    """Records that cannot be processed, among good ones: one dead letter each, their neighbours pass, once each."""
    stage = run.stage
    corpus = poison.corpus(stage.folder / "in")
    run.expect(len(corpus) >= 60, f"the corpus has {len(corpus)} records")
    await stage.produce(max(run.records, 4 * len(corpus)), bad=corpus)
    stage.workers.start()
    await stage.finished(run.limit_s)
    run.expect(not stage.workers.ended, f"workers ended: {stage.workers.ended}")


async def device(run: Run) -> None:
    """The device out of memory, and a call that never returns: the process ends as unhealthy, its successor goes on."""
    stage = run.stage
    stage.workers.arguments = ("--stall-s", "10")
    stage.workers.plans = [("--break-at", "30"), ("--hang-at", "40")]
    stage.workers.start()
    await stage.produce(run.records, frames=0.3)
    await stage.wait(lambda: len(stage.workers.ended) >= 2, 120, "two unhealthy ends")
    run.expect(all(code == 1 for code in stage.workers.ended), f"exit codes {stage.workers.ended}")
    stage.kills = len(stage.workers.ended)
    await stage.finished(run.limit_s)


async def soak(run: Run) -> None:
    """Load for a long time, 40 records a second: memory, tasks and descriptors stay where they were."""
    stage = run.stage
    seconds = run.records / 40
    stage.workers.start()
    feed = stage.spawn(stage.produce(run.records, frames=0.5, per_s=40))
    loop = asyncio.get_running_loop()
    start = loop.time()
    while not feed.done():
        await stage.pause(min(30.0, seconds / 6))
        process = psutil.Process(stage.workers.running[0].pid)
        run.table.append(
            {
                "minute": round((loop.time() - start) / 60, 1),
                "rss_mb": round(process.memory_info().rss / 1e6, 1),
                "descriptors": process.num_fds(),
                "threads": process.num_threads(),
                "tasks": told_by(stage.folder, process.pid).tasks,
            }
        )
    await stage.finished(run.limit_s)
    if not run.quick:
        warm, last = _medians(run.table[len(run.table) // 6 : len(run.table) // 3]), _medians(run.table[-10:])
        run.expect(last["rss_mb"] <= 1.02 * warm["rss_mb"], f"memory grew: {warm} to {last}")
        run.expect(last["descriptors"] <= warm["descriptors"] + 5, f"descriptors grew: {warm} to {last}")
        run.expect(last["tasks"] <= warm["tasks"] + 5, f"tasks grew: {warm} to {last}")


def _medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Of each column: how many tasks there are at one moment depends on what has just been fetched."""
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


FAULTS: dict[str, Callable[[Run], Awaitable[None]]] = {
    "sigkill": sigkill,
    "sigstop": sigstop,
    "scale": scale,
    "broker": outages.broker,
    "network": outages.network,
    "store": outages.store,
    "slow": slow,
    "sigterm": sigterm,
    "poison": poisoned,
    "device": device,
    "retention": outages.retention,
    "soak": soak,
}
QUICK = 600  # records, where the time is short
RECORDS = {"sigkill": 10_000, "slow": 500, "poison": 1_000, "device": 2_000, "soak": 72_000}
