"""The outbox before all sinks: batches, order, retries; sinks that the tests make refuse."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from stream import wire
from stream.errors import BadMedia, Misconfigured, SeestreamError, StoreUnavailable, Unavailable
from stream.sinks import Outbox, Snapshots
from stream.types import Alert, Frame, Observation
from tests.sinks.made import START, Noted, alert, frame, observation


class Recorder:
    """A sink that raises what it is told to, call by call, and keeps the rest."""

    def __init__(self, *faults: SeestreamError | asyncio.CancelledError) -> None:
        self.faults = list(faults)
        self.calls: list[list[str]] = []
        self.observations: list[Observation] = []
        self.alerts: list[Alert] = []

    async def write(self, observations: Sequence[Observation], alerts: Sequence[Alert]) -> None:
        await asyncio.sleep(0)
        if self.faults:
            raise self.faults.pop(0)
        self.calls.append([seen.id for seen in observations])
        self.observations += observations
        self.alerts += alerts


class Nap:
    """Counts the waits and does not wait."""

    def __init__(self) -> None:
        self.delays_s: list[float] = []

    async def __call__(self, delay_s: float) -> None:
        self.delays_s.append(delay_s)
        await asyncio.sleep(0)


JPEG = frame(b"\xff\xd8\xff", "image/jpeg")


async def test_many_callers_share_batches_in_their_order() -> None:
    sinks = [Recorder(), Recorder()]
    rows = [observation(n) for n in range(100)]
    async with Outbox(sinks, None, max_batch=40) as outbox:
        await asyncio.gather(*(outbox.write(row, [], JPEG) for row in rows))
    for sink in sinks:
        assert [len(call) for call in sink.calls] == [40, 40, 20]
        assert [seen.id for seen in sink.observations] == [row.id for row in rows]


async def test_what_every_sink_needs_is_made_once_on_a_thread() -> None:
    digest, before = Noted(b"picture"), []

    class Reads:
        async def write(self, observations: Sequence[Observation], alerts: Sequence[Alert]) -> None:
            before.append(list(digest.threads))
            assert [wire.parse_observation(wire.observation_json(one)).id for one in observations] == [one.id]

    one = observation()
    one = dataclasses.replace(one, provenance=dataclasses.replace(one.provenance, sha256=digest))
    async with Outbox([Reads(), Reads()], None) as outbox:
        await outbox.write(one, [], frame())
    assert before == [digest.threads] * 2 and len(digest.threads) == 1
    assert digest.threads[0] is not threading.main_thread()


async def test_the_snapshot_is_on_disk_and_named_before_a_sink_sees_it(tmp_path: Path) -> None:
    sink = Recorder()
    async with Outbox([sink], Snapshots(tmp_path)) as outbox:
        await outbox.write(observation(snapshot=None), [alert()], JPEG)
    (seen,), (raised,) = sink.observations, sink.alerts
    assert seen.snapshot == raised.snapshot == f"2026-11-01/12/{seen.id}.jpg"
    assert (tmp_path / seen.snapshot).read_bytes() == JPEG.encoded


async def test_a_sink_that_refuses_is_asked_again_and_the_others_are_not() -> None:
    nap = Nap()
    down, well = Recorder(*(StoreUnavailable("away") for _ in range(12))), Recorder()
    async with Outbox([down, well], None, max_delay_s=30, sleep=nap, jitter=lambda: 1.0) as outbox:
        writing = outbox.write(observation(), [], JPEG)
        while len(nap.delays_s) < 6:
            await asyncio.sleep(0)
        assert not writing.done()
        assert outbox.trouble == "Recorder: away"
        await writing
        assert outbox.trouble is None
    assert nap.delays_s == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 30])
    assert (len(down.calls), len(well.calls)) == (1, 1)


async def test_a_sink_that_is_back_does_not_hide_another_that_is_away() -> None:
    back = asyncio.Event()

    class Longer(Recorder):
        async def write(self, observations: Sequence[Observation], alerts: Sequence[Alert]) -> None:
            if not self.faults:
                await back.wait()
            await super().write(observations, alerts)

    longer, shorter = Longer(StoreUnavailable("store")), Recorder(Unavailable("topic"))
    async with Outbox([longer, shorter], None, sleep=Nap()) as outbox:
        writing = outbox.write(observation(), [], JPEG)
        while not shorter.calls:
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        assert outbox.trouble == "Longer: store"
        back.set()
        await writing
        assert outbox.trouble is None


async def test_jitter_spreads_the_waits() -> None:
    nap = Nap()
    async with Outbox([Recorder(StoreUnavailable("x"))], None, sleep=nap, jitter=lambda: 0.0) as outbox:
        await outbox.write(observation(), [], JPEG)
    assert nap.delays_s == pytest.approx([0.05])


class Picky:
    """A saver that cannot keep one of the pictures."""

    def __init__(self, error: SeestreamError) -> None:
        self.error = error

    def save(self, observation_id: str, frame: Frame) -> str:
        if observation_id == observation(1).id:
            raise self.error
        return observation_id


async def test_a_picture_that_cannot_be_kept_takes_no_neighbour_with_it() -> None:
    sink = Recorder()
    rows = [observation(n) for n in range(3)]
    async with Outbox([sink], Picky(BadMedia("no picture"))) as outbox:
        results = await asyncio.gather(*(outbox.write(row, [], JPEG) for row in rows), return_exceptions=True)
        assert [type(result) for result in results] == [type(None), BadMedia, type(None)]
        assert [seen.id for seen in sink.observations] == [rows[0].id, rows[2].id]
        with pytest.raises(BadMedia):
            await outbox.write(rows[1], [], JPEG)
    assert len(sink.calls) == 1


async def test_a_disk_that_refuses_holds_everything_back() -> None:
    sink, nap, picky = Recorder(), Nap(), Picky(Unavailable("disk full"))
    async with Outbox([sink], picky, sleep=nap) as outbox:
        writing = outbox.write(observation(1), [], JPEG)
        while len(nap.delays_s) < 3:
            await asyncio.sleep(0.001)
        assert sink.calls == []
        assert outbox.trouble == "snapshots: disk full"
        picky.error = BadMedia("and then unreadable")
        with pytest.raises(BadMedia):
            await writing


async def test_what_a_person_must_mend_reaches_every_caller() -> None:
    sink = Recorder(Misconfigured("wrong key"))
    async with Outbox([sink], None) as outbox:
        results = await asyncio.gather(
            *(outbox.write(observation(n), [], JPEG) for n in range(3)), return_exceptions=True
        )
        assert all(isinstance(r, ExceptionGroup) and r.subgroup(Misconfigured) is not None for r in results)
        await outbox.write(observation(9), [], JPEG)
    assert sink.calls == [[observation(9).id]]


async def test_closing_tells_nobody_that_it_was_written() -> None:
    sink = Recorder(*(StoreUnavailable("away") for _ in range(10_000)))
    async with Outbox([sink], None, sleep=Nap()) as outbox:
        writing = [outbox.write(observation(n), [], JPEG) for n in range(2)]
        await asyncio.sleep(0.01)
        later = outbox.write(observation(3, captured_at=START), [], JPEG)
        await asyncio.sleep(0)
    results = await asyncio.wait_for(asyncio.gather(*writing, later, return_exceptions=True), 10)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert sink.calls == []


async def test_a_call_that_the_sinks_own_client_cancels_was_not_written() -> None:
    """As gRPC does where its channel is closed under a call; a task group takes that for a good end."""
    nap = Nap()
    odd, well = Recorder(asyncio.CancelledError()), Recorder()
    seen = observation()
    async with Outbox([odd, well], None, sleep=nap) as outbox:
        await outbox.write(seen, [], JPEG)
    assert odd.calls == well.calls == [[seen.id]] and len(nap.delays_s) == 1
