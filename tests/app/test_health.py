"""Health, tested by breaking what it speaks of: the store, the models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from stream import config
from stream.app.worker import Worker, open_worker
from stream.errors import DeviceFailed
from stream.types import Findings, Frame, FrameEvent, Work
from tests import PATIENCE_S
from tests.app.test_bad_input import Ends, jpeg
from tests.fakes import KnownModels


class Stuck(KnownModels):
    """Models that hang when told to, and say so."""

    def __init__(self) -> None:
        self.hangs = False

    def healthy(self) -> str | None:
        return "a model call has not returned for 120 s" if self.hangs else None

    async def submit(self, frame: Frame, work: Work) -> Findings:
        if self.hangs:
            await asyncio.Event().wait()
        return await super().submit(frame, work)


@asynccontextmanager
async def running(
    folder: Path, models: KnownModels, *roles: str
) -> AsyncIterator[tuple[Worker, Ends, asyncio.Task[None]]]:
    ends = Ends()
    settings = config.load(data_dir=folder, gate={"enabled": False}, web={"port": 0, "probe_port": 0})
    async with open_worker(settings, frozenset(roles or ("process", "web")), lambda worker: ends, models) as worker:
        task = asyncio.create_task(worker.run())
        try:
            yield worker, ends, task
        finally:
            worker.stop.set()
            await asyncio.wait({task}, timeout=PATIENCE_S)


async def publish(worker: Worker, number: int) -> None:
    await worker.publisher.publish(FrameEvent(f"frame-{number}", "yard", datetime.now(UTC), jpeg(number)))


async def ask(worker: Worker, path: str) -> tuple[int, dict[str, Any]]:
    assert worker.address is not None
    async with httpx.AsyncClient(base_url=worker.address, timeout=PATIENCE_S) as client:
        answer = await client.get(path)
    return answer.status_code, answer.json()


async def until(worker: Worker, path: str, status: int) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            got, body = await ask(worker, path)
            if got == status:
                return body
            await asyncio.sleep(0.05)


async def test_a_store_that_refuses_makes_it_unready_and_nothing_is_lost(tmp_path: Path) -> None:
    async with running(tmp_path, KnownModels()) as (worker, ends, _):
        await publish(worker, 0)
        await until(worker, "/readyz", 200)
        blocker = apsw.Connection(str(tmp_path / "store.db"))
        blocker.set_busy_timeout(int(PATIENCE_S * 1000))  # the store may be writing the first one
        blocker.execute("BEGIN EXCLUSIVE")
        for number in range(1, 6):
            await publish(worker, number)
        body = await until(worker, "/readyz", 503)
        assert "SqliteStore" in body["checks"]["outputs"]
        assert {name for name, said in body["checks"].items() if said == "ok"} >= {"loop", "broker", "models"}
        consumers = worker.process.consumers  # type: ignore[union-attr]
        assert all(consumer._member.outputs_wait() for consumer in consumers), "no watermark has to move"
        assert (await ask(worker, "/healthz"))[0] == 200, "a restart would not help: liveness stays well"
        blocker.execute("ROLLBACK")
        blocker.close()
        await until(worker, "/readyz", 200)
        assert not any(consumer._member.outputs_wait() for consumer in consumers)
        async with asyncio.timeout(PATIENCE_S):
            while len(ends.outcomes) < 6:
                await asyncio.sleep(0.02)
        stored = await worker.store.recent(limit=10)  # type: ignore[union-attr]
    assert len(stored) == 6 and {str(outcome) for _, outcome in ends.outcomes} == {"processed"}


async def test_a_process_without_the_page_has_probes_where_a_port_is_set_for_them(tmp_path: Path) -> None:
    models = Stuck()
    async with running(tmp_path, models, "process") as (worker, _, _):
        body = await until(worker, "/readyz", 200)
        assert set(body["checks"]) == {"loop", "broker", "outputs", "store", "models"}
        assert worker.address is not None
        async with httpx.AsyncClient(base_url=worker.address, timeout=PATIENCE_S) as client:
            assert "seestream_lag_records" in (await client.get("/metrics")).text
            assert (await client.get("/")).status_code == 404
        models.hangs = True
        assert "has not returned" in (await until(worker, "/healthz", 503))["checks"]["loop"]


async def test_a_process_without_the_page_serves_nothing_unless_asked(tmp_path: Path) -> None:
    settings = config.load(data_dir=tmp_path, web={"port": 0})
    async with open_worker(settings, frozenset({"capture"}), lambda worker: Ends(), KnownModels()) as worker:
        assert worker.address is None


async def test_a_model_that_hangs_ends_the_process_and_leaves_its_event_unsettled(tmp_path: Path) -> None:
    models = Stuck()
    async with running(tmp_path, models) as (worker, ends, task):
        await publish(worker, 0)
        async with asyncio.timeout(PATIENCE_S):
            while not ends.outcomes:
                await asyncio.sleep(0.02)
        models.hangs = True
        await publish(worker, 1)
        body = await until(worker, "/healthz", 503)
        assert "has not returned" in body["checks"]["loop"]
        assert "has not returned" in (await ask(worker, "/readyz"))[1]["checks"]["models"]
        with pytest.raises(ExceptionGroup) as raised:
            await asyncio.wait_for(asyncio.shield(task), PATIENCE_S)
        assert raised.value.subgroup(DeviceFailed)
    assert len(ends.outcomes) == 1
