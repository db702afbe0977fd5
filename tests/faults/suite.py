"""Runs one fault: services, stage, fault, oracle, and the line that says how it ended."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
import signal
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError

from stream.errors import BrokerUnavailable
from tests.faults.oracle import judge, prefix_holds
from tests.faults.proxy import Proxy
from tests.faults.run import Run
from tests.faults.scenarios import FAULTS, QUICK, RECORDS
from tests.faults.stage import Stage, Unfinished
from tests.services.kafka import Kafka
from tests.services.process import free_ports
from tests.services.weaviate import Weaviate

OWN_KAFKA = {"broker", "network"}  # they are hard on the broker: it is not shared
OWN_WEAVIATE = {"store", "network"}
_LOOK_EVERY_S, _LOOK_WITHIN_S = 5.0, 60.0


@dataclasses.dataclass
class Result:
    """One line of JSON, and the reasons where it failed."""

    fault: str
    records: int
    kills: int
    lost: int
    duplicates: int
    ledger_balances: bool
    seconds: float
    shed: int  # live frames that the ledger names as shed
    looks: int  # how often what was committed was compared with what is out
    problems: list[str]
    table: list[dict[str, float]]

    @property
    def passed(self) -> bool:
        return not self.lost and self.ledger_balances and not self.problems

    def line(self) -> str:
        told: dict[str, Any] = dataclasses.asdict(self)
        for name in ("problems", "table"):
            if not told[name]:
                del told[name]
        return json.dumps(told)


async def run_fault(
    name: str, records: int | None, seed: int, *, quick: bool = False, kafka: Kafka | None = None,
    weaviate: Weaviate | None = None, logs: Path | None = None, always: tuple[str, ...] = (),
) -> Result:  # fmt: skip
    """Run one fault on services of its own, or on those given where the fault leaves them alone.

    The workers' logs are copied into `logs`; `always` are arguments of every worker.
    """
    records = records or (QUICK if quick else RECORDS.get(name, 4_000))
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"faults-{name}-")))
        run = await _open(name, records, seed, quick, folder, kafka, weaviate, stack)
        stage = run.stage
        stage.workers.always = always
        over = asyncio.Event()
        watching = asyncio.create_task(_watch_prefix(run, over))
        try:
            await FAULTS[name](run)
            await _check_prefix(run)
        except Unfinished as error:
            run.problems.append(str(error))
        over.set()  # not cancelled: aiokafka leaves a connection open where a look is cancelled while it connects
        [ended] = await asyncio.gather(watching, return_exceptions=True)
        if ended is not None:
            run.problems.append(f"the look at the committed prefix failed: {ended!r}")
        codes = await stage.workers.stop()
        if any(code not in (0, -signal.SIGTERM) for code in codes):  # the latter had not even started
            run.problems.append(f"workers ended with {codes}")
        verdict = await judge(stage, in_store=run.in_store, absent_may=run.absent_may)
        if name == "retention" and verdict.absent != run.absent_may:
            run.problems.append(f"{run.absent_may} truncated, but the ledger has {verdict.absent} as absent")
        if logs:
            _keep(folder, logs, name)
        seconds = round(time.monotonic() - started, 1)
        return Result(
            name, len(stage.sources), stage.kills, run.lost + verdict.lost, verdict.duplicates,
            verdict.ledger_balances, seconds, verdict.shed, run.looks, run.problems + verdict.problems, run.table,
        )  # fmt: skip


async def _watch_prefix(run: Run, over: asyncio.Event) -> None:
    """Looks every few seconds until the fault is over; where it has to look much, less often."""
    loop = asyncio.get_running_loop()
    took_s = 0.0
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), max(_LOOK_EVERY_S, 5 * took_s))
        if over.is_set():
            return
        start = loop.time()
        try:
            async with asyncio.timeout(_LOOK_WITHIN_S):
                await _check_prefix(run)
        except (BrokerUnavailable, KafkaError, OSError, TimeoutError):
            continue  # the broker is down just now
        took_s = loop.time() - start


async def _check_prefix(run: Run) -> None:
    beyond = await prefix_holds(run.stage)
    run.looks += 1
    if len(beyond) > run.absent_may:
        run.problems.append(f"committed beyond what was verified: {beyond[:5]}")


def _keep(folder: Path, logs: Path, name: str) -> None:
    for log in folder.glob("worker-*.log"):
        shutil.copy(log, logs / f"{name}-{log.name}")


async def _open(
    name: str, records: int, seed: int, quick: bool, folder: Path, kafka: Kafka | None, weaviate: Weaviate | None,
    stack: AsyncExitStack,
) -> Run:  # fmt: skip
    broker_proxy, store_proxies, ports = None, (), None
    if kafka is None or name in OWN_KAFKA:
        settings = {}
        if name == "network":
            [front] = free_ports(1)
            settings["advertised.listeners"] = f"PLAINTEXT://127.0.0.1:{front}"
        kafka = Kafka(settings)
        if name == "network":
            # Before the broker starts: it and its clients find each other by the advertised address.
            broker_proxy = await stack.enter_async_context(Proxy(front, kafka.port))
        await asyncio.to_thread(kafka.start)
        stack.callback(kafka.close)
    if weaviate is None or name in OWN_WEAVIATE:
        weaviate = Weaviate()
        await asyncio.to_thread(weaviate.start)
        stack.callback(weaviate.close)
    if name == "network":
        ports = tuple(free_ports(2))
        store_proxies = (
            await stack.enter_async_context(Proxy(ports[0], weaviate.port)),
            await stack.enter_async_context(Proxy(ports[1], weaviate.grpc_port)),
        )
    stage = Stage(folder, seed, kafka, weaviate, ports)
    await stage.open()
    stack.push_async_callback(stage.close)
    return Run(stage, records, quick, broker_proxy, store_proxies)
