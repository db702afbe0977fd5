"""A worker of the fault suite: `seestream run --role process` with known models, fail points and shorter timeouts."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import itertools
import os
import signal
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import stream.app.process as process
import stream.app.worker as app
from stream import config, wire
from stream.app import common, run
from stream.consume import Consumer, DeadLetterTopic, Ledger, Limits
from stream.consume.pump import Pump
from stream.consume.tracker import Tracker
from stream.errors import DeviceFailed
from stream.gate import Sampler
from stream.infer import MicroBatcher
from stream.sinks import ObservationTopic, SqliteStore, WeaviateStore
from stream.types import Findings, Frame, Outcome, Work
from tests.fakes import KnownModels
from tests.faults.told import Teller

POINTS = ("inference", "output", "store", "dead")
BREACHES = ("positions", "store", "vectors", "names", "letters", "ledger")


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


def arm(point: str, count: int, store: type, models: type) -> None:
    """Set a fail point."""
    owners = {
        "inference": (models, "submit"),
        "output": (ObservationTopic, "write"),
        "store": (store, "write"),
        "dead": (DeadLetterTopic, "put"),
    }
    die_after(*owners[point], count)


def watch(teller: Teller) -> None:
    """Tell, at every fetch and before anyone sees its records, how many records are not committed over all groups."""
    pumps: set[Pump] = set()
    original = Pump._dispatch

    def dispatch(self: Pump, consumer: Any, fetched: Any) -> None:
        pumps.add(self)
        parts = [part for pump in pumps for part in pump._member.open_parts()]
        coming = sum(len(records) for records in fetched.values())
        uncommitted = sum(part.tracker.next_offset - part.committed for part in parts)
        teller.tell(coming + uncommitted, len(asyncio.all_tasks()))
        original(self, consumer, fetched)

    Pump._dispatch = dispatch  # type: ignore[method-assign]


def _tell_ready(teller: Teller) -> None:
    original = app.stop_on_signals

    def told(*args: Any) -> None:
        original(*args)
        teller.ready()

    app.stop_on_signals = told


def breach(how: str) -> None:
    """Break the worker on purpose, to see that the oracle finds it out."""
    if how == "positions":  # what is fetched counts as done, as with a consumer that commits its positions
        deliver = Tracker.deliver

        def delivered(self: Tracker, offset: int) -> int:
            missing = deliver(self, offset)
            self._open[offset].outcome = Outcome.PROCESSED
            self._move()
            return missing

        Tracker.deliver = delivered  # type: ignore[method-assign]
        Tracker.settle = lambda self, offset, outcome: False  # type: ignore[method-assign]
    elif how == "store":  # acknowledged before anything is written

        async def nothing(self: Any, observations: Any, alerts: Any) -> None: ...

        WeaviateStore.write = SqliteStore.write = nothing  # type: ignore[method-assign, assignment]
    elif how == "vectors":  # written, but to no index that a search by vector asks
        whole = WeaviateStore.write

        async def bare(self: WeaviateStore, observations: Any, alerts: Any) -> None:
            await whole(self, [dataclasses.replace(seen, vectors=()) for seen in observations], alerts)

        WeaviateStore.write = bare  # type: ignore[method-assign]
    elif how == "names":  # an id for every try
        wire.observation_id = lambda *_: str(uuid.uuid4())
    elif how == "letters":  # a dead letter that is not put
        Consumer._bury = lambda *_: asyncio.sleep(0)  # type: ignore[method-assign, assignment]
    elif how == "ledger":  # every third entry is dropped
        count = itertools.count()
        write = Ledger.write

        async def some(self: Ledger, entries: Any) -> None:
            await write(self, [entry for entry in entries if next(count) % 3])

        Ledger.write = some  # type: ignore[method-assign]


class ShortLimits:
    """Stands in for `Limits` where the process makes its consumers: the same but for its times."""

    def __init__(self, changes: dict[str, float]) -> None:
        self._changes = changes

    def __call__(self) -> Limits:
        return dataclasses.replace(Limits(), **self._changes)  # type: ignore[arg-type]

    def live(self, max_age_s: float | None = None) -> Limits:
        return dataclasses.replace(Limits.live(max_age_s), **self._changes)  # type: ignore[arg-type]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("--die", default="", metavar="POINT:COUNT")
    parser.add_argument("--breach", default="", choices=["", *BREACHES])
    parser.add_argument("--demo-models", action="store_true", help="the bundled models instead of known answers")
    parser.add_argument("--session-s", type=float, default=6.0)
    parser.add_argument("--poll-s", type=float, default=300.0)
    parser.add_argument("--stall-s", type=float, default=120.0)
    parser.add_argument("--model-ms", type=float, default=5.0)
    parser.add_argument("--break-at", type=int, default=0)
    parser.add_argument("--hang-at", type=int, default=0)
    parser.add_argument("--slow-at", type=int, default=0)
    parser.add_argument("--slow-s", type=float, default=0.0)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    common.set_up_logging()
    settings = config.load(args.config)
    process.Limits = ShortLimits(  # type: ignore[misc, assignment]
        {
            "session_timeout_s": args.session_s,
            "drain_s": min(5.0, args.session_s),
            "rebalance_timeout_s": 15.0,
            "poll_interval_s": args.poll_s,
            "stall_s": args.stall_s,
            # Few enough in flight for "at most in-flight x kills" to say something.
            "in_flight_records": 50,
        }
    )
    # The suite's frames come all at once, of which a camera's share would be shed: nothing would be delivered to test.
    Sampler.wants = lambda *_: True  # type: ignore[method-assign]
    teller = Teller(args.config.parent)
    watch(teller)
    _tell_ready(teller)
    breach(args.breach)
    if args.die:
        point, count = args.die.split(":")
        store = WeaviateStore if settings.store.url.startswith("http") else SqliteStore
        arm(point, int(count), store, MicroBatcher if args.demo_models else Models)
    if not args.demo_models:
        models = Models(args.model_ms, args.break_at, args.hang_at, args.slow_at, args.slow_s)
        app.open_worker = partial(app.open_worker, scheduler=models)  # type: ignore[assignment]
    asyncio.run(run.serve(settings, frozenset({"process"})))


if __name__ == "__main__":
    main()
