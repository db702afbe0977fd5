"""A worker of the fault suite: `seestream run --role process` with known models, fail points and shorter timeouts."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import itertools
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import stream.app.process as process
import stream.app.worker as app
from stream import config
from stream.app import common, run
from stream.consume import DeadLetterTopic, Limits
from stream.errors import DeviceFailed
from stream.sinks import ObservationTopic
from stream.types import Findings, Frame, Work
from tests.fakes import KnownModels

POINTS = ("inference", "output", "store", "dead")


class Models(KnownModels):
    """Known answers after a known time; may break the device, or never answer, at a given call."""

    def __init__(self, model_ms: float, break_at: int, hang_at: int, slow_at: int, slow_s: float) -> None:
        self._delay_s = model_ms / 1000
        self._break_at, self._hang_at = break_at, hang_at
        self._slow_at, self._slow_s = slow_at, slow_s
        self._calls = itertools.count(1)

    async def submit(self, frame: Frame, work: Work) -> Findings:
        call = next(self._calls)
        if call == self._break_at:
            raise DeviceFailed("CUDA out of memory (injected)")
        if call == self._hang_at:
            await asyncio.Event().wait()
        await asyncio.sleep(self._slow_s if call == self._slow_at else self._delay_s)
        return await super().submit(frame, work)


def die_after(owner: Any, method: str, count: int) -> None:
    """SIGKILL this process when `method` has returned for the `count`th time: after the acknowledgement."""
    original: Callable[..., Awaitable[Any]] = getattr(owner, method)
    calls = itertools.count(1)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        if next(calls) >= count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, method, wrapped)


def arm(point: str, count: int, store: type) -> None:
    """Set a fail point."""
    owners = {
        "inference": (Models, "submit"),
        "output": (ObservationTopic, "write"),
        "store": (store, "write"),
        "dead": (DeadLetterTopic, "put"),
    }
    die_after(*owners[point], count)


class ShortLimits:
    """Stands in for `Limits` where the process makes its consumers: the same but for its times."""

    def __init__(self, changes: dict[str, float]) -> None:
        self._changes = changes

    def __call__(self) -> Limits:
        return dataclasses.replace(Limits(), **self._changes)  # type: ignore[arg-type]

    def live(self, max_age_s: float | None = None) -> Limits:
        return dataclasses.replace(Limits.live(max_age_s), **self._changes)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("--die", default="", metavar="POINT:COUNT")
    parser.add_argument("--session-s", type=float, default=4.0)
    parser.add_argument("--poll-s", type=float, default=300.0)
    parser.add_argument("--stall-s", type=float, default=120.0)
    parser.add_argument("--model-ms", type=float, default=5.0)
    parser.add_argument("--break-at", type=int, default=0)
    parser.add_argument("--hang-at", type=int, default=0)
    parser.add_argument("--slow-at", type=int, default=0)
    parser.add_argument("--slow-s", type=float, default=0.0)
    args = parser.parse_args()
    common.set_up_logging()
    settings = config.load(args.config)
    process.Limits = ShortLimits(  # type: ignore[misc, assignment]
        {
            "session_timeout_s": args.session_s,
            "drain_s": min(5.0, args.session_s),
            "rebalance_timeout_s": 15.0,
            "poll_interval_s": args.poll_s,
            "stall_s": args.stall_s,
        }
    )
    if args.die:
        from stream.sinks import SqliteStore, WeaviateStore

        point, count = args.die.split(":")
        arm(point, int(count), WeaviateStore if settings.store.url.startswith("http") else SqliteStore)
    models = Models(args.model_ms, args.break_at, args.hang_at, args.slow_at, args.slow_s)
    app.open_worker = partial(app.open_worker, scheduler=models)  # type: ignore[assignment]
    asyncio.run(run.serve(settings, frozenset({"process"})))


if __name__ == "__main__":
    main()
