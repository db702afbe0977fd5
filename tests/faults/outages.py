"""What happens around the workers: broker, network and store fail, the log is truncated."""

from __future__ import annotations

import asyncio

from tests.faults.oracle import judge
from tests.faults.run import Run, moved
from tests.faults.stage import Stage


async def broker(run: Run) -> None:
    """The broker killed and restarted, and frozen."""
    stage = run.stage
    stage.workers.arguments = ("--model-ms", "20")
    stage.workers.start(2)
    await stage.produce(run.records // 2, frames=0.3)
    await stage.wait(lambda: moved(stage), 60, "first commits")
    await asyncio.to_thread(stage.kafka.restart)
    stage.kills += 1
    await stage.produce(run.records // 4, frames=0.3)
    await stage.pause(5)
    stage.kafka.freeze()
    await stage.pause(15 if run.quick else 90)
    stage.kafka.thaw()
    stage.kills += 1
    await stage.produce(run.records - run.records // 2 - run.records // 4, frames=0.3)
    await stage.finished(run.limit_s)


async def network(run: Run) -> None:
    """Latency, half-open connections and resets, towards broker and store."""
    stage = run.stage
    proxies = [proxy for proxy in (run.broker_proxy, *run.store_proxies) if proxy]
    stage.workers.arguments = ("--model-ms", "10")
    stage.workers.start(2)
    stage.spawn(stage.produce(run.records, frames=0.3, per_s=run.records / (20 if run.quick else 60)))
    await stage.wait(lambda: moved(stage), 60, "first commits")
    for proxy in proxies:
        proxy.delay_s = 0.05
    await stage.pause(5 if run.quick else 20)
    for proxy in proxies:
        proxy.delay_s = 0.0
    for proxy in proxies:
        for _ in range(2 if run.quick else 5):
            proxy.reset()
            await stage.pause(2)
    for proxy in proxies:
        proxy.silence()
        await stage.pause(6 if run.quick else 20)
        proxy.reset()
        proxy.speak()
        stage.kills += 1
    await stage.wait(lambda: len(stage.sources) >= run.records and not _pending(stage), 120, "everything produced")
    await stage.finished(run.limit_s)


def _pending(stage: Stage) -> bool:
    return any(not task.done() for task in stage._background)


async def store(run: Run) -> None:
    """The store killed for a while, restarted with its data; then restarted empty."""
    stage = run.stage
    assert stage.weaviate is not None
    # A watermark that stood still for so long for any other reason would end the worker.
    stage.workers.arguments = ("--model-ms", "10", "--stall-s", "5" if run.quick else "30")
    stage.workers.start(2)
    # A rebalance while the store is away hands over what only the output has: duplicates as after a kill.
    await stage.wait(lambda: stage.members() == 4, 120, "two members of both groups")
    await stage.produce(run.records // 2, frames=0.3)
    await stage.wait(lambda: moved(stage, run.records // 8), 60, "commits under load")
    stage.weaviate.kill()
    await stage.pause(8 if run.quick else 120)
    await asyncio.to_thread(stage.weaviate.restart)
    await stage.finished(run.limit_s)
    run.expect(not stage.workers.ended, f"workers ended in the store's outage: {stage.workers.ended}")
    before = set(stage.sources)
    verdict = await judge(stage)
    run.lost += verdict.lost
    run.problems += verdict.problems
    await asyncio.to_thread(lambda: stage.weaviate.restart(empty=True))  # type: ignore[union-attr]
    await stage.produce(run.records - run.records // 2, frames=0.3)
    await stage.finished(run.limit_s)
    run.in_store = set(stage.sources) - before


async def retention(run: Run) -> None:
    """The log is truncated under the consumer: counted as absent, never silent."""
    stage = run.stage
    stage.workers.arguments = ("--model-ms", "5")
    stage.workers.start()
    await stage.produce(run.records // 2, frames=0.3)
    await stage.finished(run.limit_s)
    await stage.workers.stop()
    await stage.produce(run.records - run.records // 2, frames=0.3)
    committed, ends = await stage.committed(), await stage.ends()
    for (topic, partition), end in ends.items():
        begin = committed.get((topic, partition), 0)
        before = begin + (end - begin) // 2
        if before > begin:
            await asyncio.to_thread(stage.kafka.truncate, topic, partition, before)
            run.absent_may += before - begin
    stage.workers.start()
    await stage.finished(run.limit_s)
