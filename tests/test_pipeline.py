"""The loop: every delivery is settled exactly once, in the right way, whatever goes wrong around it."""

from __future__ import annotations

import asyncio
import hashlib
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
import pytest

from stream import metrics
from stream.errors import BadMedia, DeviceFailed, InferenceFailed, StoreUnavailable
from stream.pipeline import LATER, Limits, Pipeline, Seen
from stream.types import (
    Admission,
    Alert,
    Delivery,
    Digest,
    Event,
    FileEvent,
    Frame,
    FrameEvent,
    Media,
    Observation,
    Outcome,
    Provenance,
    Reason,
    Traffic,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def frame_event(number: int, source: str = "garage") -> FrameEvent:
    return FrameEvent(f"{source}-{number}", source, START + timedelta(seconds=number), image=b"jpeg")


def file_event(name: str, media_type: str = "image/jpeg") -> FileEvent:
    return FileEvent(name, "uploads", f"file:///{name}", media_type, modified_at=START)


def frame_of(event: Event, index: int = 0, pts_s: float | None = None) -> Frame:
    at = event.captured_at if isinstance(event, FrameEvent) else START
    pixels = np.zeros((4, 4, 3), np.uint8)
    return Frame(event.id, event.source, index, at, 4, 4, pixels[..., 0], lambda: pixels, pts_s, b"jpeg")


@dataclass
class Log:
    """A source in memory; remembers how each event was settled."""

    chunks: list[list[Event]]
    traffic: Traffic = Traffic.LIVE
    settled: dict[str, tuple[Outcome, BaseException | None]] = field(default_factory=dict)

    async def deliveries(self) -> AsyncIterator[Sequence[Delivery]]:
        for chunk in self.chunks:
            yield [Delivery(event, self._settle(event), self.traffic) for event in chunk]
            await asyncio.sleep(0)

    def _settle(self, event: Event) -> Callable[..., object]:
        async def settle(outcome: Outcome, error: BaseException | None = None) -> None:
            assert event.id not in self.settled, f"{event.id} settled twice"
            self.settled[event.id] = (outcome, error)

        return settle

    def outcomes(self) -> dict[str, str]:
        return {identity: str(outcome) for identity, (outcome, _) in self.settled.items()}


class Plain:
    """Decodes to one frame; the names of events say what goes wrong."""

    def __init__(self, film_frames: int = 1, breaks: bool = False) -> None:
        self.film_frames, self.breaks = film_frames, breaks

    def decode(self, event: Event) -> Iterator[Frame]:
        if "rubbish" in event.id:
            raise BadMedia("not a picture")
        if isinstance(event, FileEvent) and event.media_type == "video/mp4":
            for index in range(self.film_frames):
                yield frame_of(event, index, float(index))
            if self.breaks:
                raise BadMedia("film breaks at 3 s")
        else:
            yield frame_of(event)


class EveryThird:
    def __init__(self) -> None:
        self.numbers = count()

    def admit(self, frame: Frame) -> Admission:
        return Admission(next(self.numbers) % 3 == 0, Reason.MOTION, 0.5)


class Open:
    def admit(self, frame: Frame) -> Admission:
        return Admission(True, Reason.MOTION, 1.0)


def observe(frame: Frame, admission: Admission) -> Observation:
    return Observation(
        f"obs-{frame.event_id}-{frame.index}", frame.source, "frame", frame.captured_at, Media(4, 4, frame.index),
        admission, Provenance("frames", 0, 0, Digest(""), "", {}, False, "cpu"),
    )  # fmt: skip


class Later:
    """Answers in an order of its own: the newest of what is waiting first."""

    def __init__(self, fail: dict[str, Exception] | None = None) -> None:
        self.waiting: list[asyncio.Event] = []
        self.fail = fail or {}

    async def __call__(self, frame: Frame, admission: Admission, delivery: Delivery) -> Observation:
        mine = asyncio.Event()
        self.waiting.append(mine)
        asyncio.get_running_loop().call_soon(self.release)
        await mine.wait()
        if frame.event_id in self.fail:
            raise self.fail[frame.event_id]
        return observe(frame, admission)

    def release(self) -> None:
        loop = asyncio.get_running_loop()
        if len(self.waiting) > 4:
            self.waiting.pop().set()
            loop.call_soon(self.release)
        else:
            loop.call_later(0.001, lambda: self.waiting.pop().set() if self.waiting else None)


class InOrder:
    """The plainest order: items of a source leave by ticket."""

    def __init__(self) -> None:
        self.next_ticket: dict[str, int] = {}
        self.next_out: dict[str, int] = {}
        self.held: dict[str, dict[int, Seen | None]] = {}

    def ticket(self, source: str) -> int:
        self.next_ticket[source] = self.next_ticket.get(source, 0) + 1
        return self.next_ticket[source] - 1

    def push(self, source: str, ticket: int, item: Seen | None) -> list[Seen]:
        held = self.held.setdefault(source, {})
        held[ticket] = item
        ready = []
        while (number := self.next_out.get(source, 0)) in held:
            out = held.pop(number)
            self.next_out[source] = number + 1
            if out is not None:
                ready.append(out)
        return ready

    def skip(self, source: str, ticket: int) -> list[Seen]:
        return self.push(source, ticket, None)


class Sheet:
    """Outbox that keeps what it was given."""

    def __init__(self) -> None:
        self.rows: list[Observation] = []

    async def write(self, observation: Observation, alerts: Sequence[Alert], frame: Frame) -> None:
        await asyncio.sleep(0)
        self.rows.append(observation)


class Lenient:
    def __init__(self, limit_s: float = 1e9, refuse: str = "") -> None:
        self.limit_s, self.refuse = limit_s, refuse

    def too_old(self, captured_at: datetime, now: datetime) -> bool:
        return (now - captured_at).total_seconds() > self.limit_s

    def wants(self, source: str, admission: Admission, now: datetime) -> bool:
        return source != self.refuse


class Blind:
    """A watcher that only counts."""

    def __init__(self) -> None:
        self.observations = 0
        self.events: list[Outcome] = []

    def seen(self, observation: Observation, alerts: Sequence[Alert]) -> None:
        self.observations += 1

    def settled(self, delivery: Delivery, outcome: Outcome) -> None:
        self.events.append(outcome)


def pipeline(source: Log, sheet: Sheet, **changes: object) -> Pipeline:
    gates: dict[str, object] = {}
    defaults: dict[str, object] = {
        "sources": [source],
        "decoder": Plain(),
        "gate_of": lambda stream, delivery: gates.setdefault(stream, Open()),
        "describe": Later(),
        "scheduler": None,
        "order": InOrder(),
        "rules": lambda observation: [],
        "outbox": sheet,
        "shedding": Lenient(),
        "now": lambda: START,
        "watch": Blind(),
    }
    return Pipeline(**{**defaults, **changes})  # type: ignore[arg-type]


async def test_every_live_frame_is_processed_in_capture_order_although_answers_come_back_in_any() -> None:
    log = Log([[frame_event(10 * chunk + n, source) for n in range(10) for source in "ab"] for chunk in range(5)])
    sheet = Sheet()
    ruled: list[Observation] = []
    await pipeline(log, sheet, rules=lambda seen: ruled.append(seen) or []).run()
    assert set(log.outcomes().values()) == {"processed"} and len(log.settled) == 100
    for source in "ab":
        times = [row.captured_at for row in ruled if row.source == source]
        assert times == sorted(times) and len(times) == 50
    assert len(sheet.rows) == 100


async def test_gated_frames_are_settled_as_gated_and_never_described() -> None:
    log, sheet, gate = Log([[frame_event(n) for n in range(9)]]), Sheet(), EveryThird()
    watch = Blind()
    await pipeline(log, sheet, gate_of=lambda stream, delivery: gate, watch=watch).run()
    assert watch.observations == 3 and sorted(watch.events) == ["gated"] * 6 + ["processed"] * 3
    assert sorted(log.outcomes().values()) == ["gated"] * 6 + ["processed"] * 3
    assert [row.id for row in sheet.rows] == ["obs-garage-0-0", "obs-garage-3-0", "obs-garage-6-0"]


async def test_old_live_frames_are_shed_before_decoding_and_busy_cameras_after_the_gate() -> None:
    events = [frame_event(n) for n in range(4)] + [
        frame_event(3, "street"),
        FrameEvent("rubbish", "garage", START, b"x"),
    ]
    log, sheet = Log([events]), Sheet()
    now = START + timedelta(seconds=12)
    busy = metrics.FRAMES.labels("street", Reason.BUSY)._value.get()
    await pipeline(log, sheet, shedding=Lenient(limit_s=10, refuse="street"), now=lambda: now).run()
    assert metrics.FRAMES.labels("street", Reason.BUSY)._value.get() == busy + 1
    assert log.outcomes() == {
        "garage-0": "shed", "garage-1": "shed", "garage-2": "processed", "garage-3": "processed",
        "street-3": "shed", "rubbish": "shed",
    }  # fmt: skip


async def test_an_upload_is_never_shed() -> None:
    log, sheet = Log([[file_event("old.jpg")]], Traffic.UPLOAD), Sheet()
    await pipeline(log, sheet, shedding=Lenient(limit_s=-1, refuse="uploads")).run()
    assert log.outcomes() == {"old.jpg": "processed"}


async def test_rubbish_becomes_one_dead_letter_and_its_neighbours_go_through() -> None:
    events = [frame_event(0), FrameEvent("rubbish", "garage", START, b"x"), frame_event(1)]
    log, sheet = Log([events]), Sheet()
    failed = {"garage-1": InferenceFailed("NaN in the logits")}
    await pipeline(log, sheet, describe=Later(failed)).run()
    assert log.outcomes() == {"garage-0": "processed", "rubbish": "dead", "garage-1": "dead"}
    assert isinstance(log.settled["rubbish"][1], BadMedia)
    assert isinstance(log.settled["garage-1"][1], InferenceFailed)


async def test_a_failed_frame_does_not_hold_back_the_later_ones_of_its_source() -> None:
    log, sheet = Log([[frame_event(n) for n in range(8)]]), Sheet()
    await pipeline(
        log, sheet, describe=Later({"garage-2": InferenceFailed("x"), "garage-5": ValueError("a bug")})
    ).run()
    assert [row.captured_at.second for row in sheet.rows] == [0, 1, 3, 4, 6, 7]
    assert log.outcomes()["garage-5"] == "dead"


@pytest.mark.parametrize("kind", ["live", "file"])
async def test_a_broken_device_ends_the_loop_and_leaves_its_events_unsettled(kind: str) -> None:
    event = frame_event(0) if kind == "live" else file_event("film", "video/mp4")
    log, sheet = Log([[event]], Traffic.LIVE if kind == "live" else Traffic.UPLOAD), Sheet()
    with pytest.raises(ExceptionGroup) as raised:
        await pipeline(log, sheet, describe=Later({event.id: DeviceFailed("CUDA error")})).run()
    assert raised.value.subgroup(DeviceFailed)
    assert log.settled == {}


async def test_all_frames_of_a_film_are_described_before_its_event_is_settled() -> None:
    log, sheet = Log([[file_event("film", "video/mp4")]], Traffic.UPLOAD), Sheet()
    await pipeline(log, sheet, decoder=Plain(film_frames=37), limits=Limits(step=4)).run()
    assert log.outcomes() == {"film": "processed"}
    assert [row.media.index for row in sheet.rows] == list(range(37))


async def test_a_film_that_breaks_keeps_what_was_decoded_and_reports_the_break() -> None:
    log, sheet = Log([[file_event("film", "video/mp4"), file_event("next")]], Traffic.UPLOAD), Sheet()
    await pipeline(log, sheet, decoder=Plain(film_frames=5, breaks=True)).run()
    assert log.outcomes() == {"film": "dead", "next": "processed"}
    assert "3 s" in str(log.settled["film"][1])
    assert sorted(row.media.index for row in sheet.rows if row.id.startswith("obs-film")) == list(range(5))


async def test_a_deleted_file_is_settled_without_being_opened() -> None:
    event = FileEvent("gone-rubbish", "uploads", "file:///gone", op="deleted")
    log, sheet = Log([[event]], Traffic.UPLOAD), Sheet()
    await pipeline(log, sheet).run()
    assert log.outcomes() == {"gone-rubbish": "processed"} and sheet.rows == []


async def test_rules_that_break_make_one_dead_letter_and_hold_up_nobody() -> None:
    log, sheet = Log([[frame_event(n) for n in range(12)]]), Sheet()

    def rules(observation: Observation) -> list[Alert]:
        if observation.id == "obs-garage-3-0":
            raise ValueError("a bug in a rule")
        return []

    async with asyncio.timeout(20):
        await pipeline(log, sheet, rules=rules).run()
    assert log.outcomes().pop("garage-3") == "dead"
    assert sorted(log.outcomes().values()) == ["dead"] + ["processed"] * 11 and len(sheet.rows) == 11


async def test_rules_that_cannot_keep_their_state_end_the_loop_and_settle_nothing() -> None:
    def rules(observation: Observation) -> list[Alert]:
        raise StoreUnavailable("the disk is full")

    log = Log([[frame_event(n) for n in range(6)]])
    async with asyncio.timeout(20):
        with pytest.raises(ExceptionGroup) as raised:
            await pipeline(log, Sheet(), rules=rules).run()
    assert raised.value.subgroup(StoreUnavailable) and log.settled == {}


async def test_models_that_never_answer_end_the_loop_and_settle_nothing() -> None:
    async def never(frame: Frame, admission: Admission, delivery: Delivery) -> Observation:
        await asyncio.Event().wait()
        raise AssertionError

    log = Log([[frame_event(0)]])
    with pytest.raises(ExceptionGroup) as raised:
        await pipeline(log, Sheet(), describe=never, limits=Limits(patience_s=0.01)).run()
    assert raised.value.subgroup(DeviceFailed) and log.settled == {}


async def test_a_gate_that_breaks_makes_dead_letters_of_its_own_source_only() -> None:
    class Broken:
        def admit(self, frame: Frame) -> Admission:
            raise ValueError("a bug in the gate")

    gates = {"a": Broken(), "b": Open()}
    log, sheet = Log([[frame_event(n, source) for n in range(4) for source in "ab"]]), Sheet()
    await pipeline(log, sheet, gate_of=lambda stream, delivery: gates[stream]).run()
    assert {name: str(end) for name, (end, _) in log.settled.items() if name[0] == "a"} == {
        f"a-{n}": "dead" for n in range(4)
    }
    assert len(sheet.rows) == 4


async def test_large_frames_of_a_film_are_decoded_no_further_ahead_than_the_bytes_allow() -> None:
    ahead = peak = 0

    class Large(Plain):
        def decode(self, event: Event) -> Iterator[Frame]:
            nonlocal ahead, peak
            for index in range(40):
                ahead += 1
                peak = max(peak, ahead)
                frame = frame_of(event, index, float(index))
                frame.width, frame.height = 1000, 1000
                yield frame

    class Counting(Sheet):
        async def write(self, observation: Observation, alerts: Sequence[Alert], frame: Frame) -> None:
            nonlocal ahead
            await super().write(observation, alerts, frame)
            ahead -= 1

    log = Log([[file_event("film", "video/mp4")]], Traffic.UPLOAD)
    limits = Limits(step=8, step_bytes=6_000_000, budget_bytes=7_000_000)
    await pipeline(log, Counting(), decoder=Large(), limits=limits).run()
    assert log.outcomes() == {"film": "processed"} and peak <= 5


async def test_decoded_pixels_leave_the_budget_as_soon_as_the_models_have_answered() -> None:
    class Large(Plain):
        def decode(self, event: Event) -> Iterator[Frame]:
            frame = frame_of(event)
            frame.width, frame.height = 1000, 1000
            yield frame

    class Slow(Sheet):
        def __init__(self) -> None:
            super().__init__()
            self.all_there = asyncio.Event()

        async def write(self, observation: Observation, alerts: Sequence[Alert], frame: Frame) -> None:
            await super().write(observation, alerts, frame)
            if len(self.rows) == 8:
                self.all_there.set()
            await self.all_there.wait()

    log = Log([[frame_event(n) for n in range(8)]])
    async with asyncio.timeout(60):
        await pipeline(log, Slow(), decoder=Large(), limits=Limits(budget_bytes=7_000_000)).run()
    assert set(log.outcomes().values()) == {"processed"} and len(log.settled) == 8


async def test_back_filled_frames_wait_as_uploads_do_beside_their_source_live() -> None:
    streams: list[str] = []

    def gate_of(stream: str, delivery: Delivery) -> Open:
        streams.append(stream)
        return Open()

    later, live = Log([[frame_event(0), frame_event(1)]], Traffic.UPLOAD), Log([[frame_event(2)]])
    shedding = Lenient(limit_s=-1e9, refuse="garage")
    sheet = Sheet()
    await pipeline(later, sheet, sources=[later, live], gate_of=gate_of, shedding=shedding).run()
    assert set(later.outcomes().values()) == {"processed"} and live.outcomes() == {"garage-2": "shed"}
    assert streams == ["garage" + LATER] * 2


def test_a_picture_is_known_by_its_bytes_and_a_films_frame_by_its_luma() -> None:
    picture, frame = frame_of(frame_event(1)), frame_of(frame_event(1))
    frame.encoded = None
    assert str(picture.digest()) == hashlib.sha256(b"jpeg").hexdigest()
    assert str(frame.digest()) == hashlib.sha256(bytes(16)).hexdigest()


def test_a_digest_is_made_once_and_lets_the_picture_go(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes] = []
    sha256 = hashlib.sha256

    def noted(data: bytes) -> Any:
        made.append(data)
        return sha256(data)

    monkeypatch.setattr(hashlib, "sha256", noted)
    luma = np.ones((4, 4), np.uint8)
    alive = weakref.ref(luma)
    digest = Digest(luma[:, ::2])
    del luma
    assert not made and alive() is not None
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: str(digest), range(40))) == {sha256(b"\1" * 8).hexdigest()}
    assert made == [b"\1" * 8] and alive() is None
    assert digest == Digest(str(digest)) != Digest("ab")
