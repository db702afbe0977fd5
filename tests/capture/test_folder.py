"""A watched folder: with the real watcher, and step by step with changes that the tests make up."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from watchfiles import Change

from stream.capture import Folder
from stream.decode import video_duration_s
from stream.errors import BrokerUnavailable, Misconfigured
from stream.types import FileEvent, Span
from tests import PATIENCE_S
from tests.capture.conftest import Kept


class Steps:
    """The watcher and the clock in the test's hand: each step is one round, `seconds` after the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = 0.0
        self._rounds: asyncio.Queue[set[tuple[Change, str]]] = asyncio.Queue()
        self._idle = asyncio.Event()

    def monotonic(self) -> float:
        return self.seconds

    async def changes(self, path: Path, poll: bool) -> AsyncGenerator[set[tuple[Change, str]], None]:
        while True:
            self._idle.set()
            round_ = await self._rounds.get()
            yield round_

    async def step(self, seconds: float = 1.0, **changed: Change) -> None:
        self.seconds += seconds
        await asyncio.wait_for(self._idle.wait(), PATIENCE_S)
        self._idle.clear()
        self._rounds.put_nowait(
            {(change, str(self.folder / name.replace("__", "."))) for name, change in changed.items()}
        )
        await asyncio.wait_for(self._idle.wait(), PATIENCE_S)


@pytest.fixture
async def steps(tmp_path: Path) -> Steps:
    (tmp_path / "in").mkdir()
    return Steps(tmp_path / "in")


def folder(steps: Steps, publisher: Any, **options: Any) -> Folder:
    return Folder(steps.folder, "nas", publisher, monotonic=steps.monotonic, changes=steps.changes, **options)


def names(kept: Kept) -> list[tuple[str, str]]:
    return [(event.op, event.uri.rpartition("/")[2]) for event in kept.events]


async def test_a_file_is_announced_once_it_stands_still(steps: Steps, kept: Kept, running: Any) -> None:
    path = steps.folder / "film.mp4"
    async with running(folder(steps, kept, settle_s=1.5)):
        await steps.step()
        with path.open("wb") as file:
            for _ in range(4):  # a slow upload: every look finds more
                file.write(b"x" * 1000)
                file.flush()
                await steps.step(film__mp4=Change.added)
                await steps.step()
                assert kept.events == []
        await steps.step(film__mp4=Change.modified)
        await steps.step(1.0)
        assert kept.events == []
        await steps.step(0.6)
    (event,) = kept.events
    assert (event.op, event.uri, event.size_bytes) == ("created", path.as_uri(), 4000)


async def test_growth_that_the_watcher_does_not_tell_is_seen(steps: Steps, kept: Kept, running: Any) -> None:
    path = steps.folder / "a.jpg"
    async with running(folder(steps, kept, settle_s=5)):
        path.write_bytes(b"1")
        await steps.step(a__jpg=Change.added)
        for size in range(2, 6):
            await steps.step(4)
            path.write_bytes(b"1" * size)
        assert kept.events == []
        await steps.step(4)
        await steps.step(5)
    assert [event.size_bytes for event in kept.events] == [5]


async def test_created_updated_deleted(steps: Steps, kept: Kept, running: Any) -> None:
    path = steps.folder / "a.jpg"
    async with running(folder(steps, kept)):
        path.write_bytes(b"1")
        await steps.step(a__jpg=Change.added)
        for _ in range(2):
            await steps.step()
        path.write_bytes(b"22")
        await steps.step(a__jpg=Change.modified)
        for _ in range(2):
            await steps.step()
        path.unlink()
        await steps.step(a__jpg=Change.deleted)
    assert names(kept) == [("created", "a.jpg"), ("updated", "a.jpg"), ("deleted", "a.jpg")]
    assert len({event.id for event in kept.events}) == 3


async def test_what_is_there_at_the_start(steps: Steps, running: Any) -> None:
    for number, name in enumerate(("late.jpg", "early.jpg")):
        (steps.folder / name).write_bytes(b"1")
        os.utime(steps.folder / name, (1000 - number, 1000 - number))
    for existing, expected in ((True, [("created", "early.jpg"), ("created", "late.jpg")]), (False, [])):
        kept = Kept()
        async with running(folder(steps, kept, existing=existing)):
            for _ in range(4):
                await steps.step()
        assert names(kept) == expected


async def test_a_restart_announces_only_what_is_new(steps: Steps, tmp_path: Path, running: Any) -> None:
    journal = tmp_path / "state" / "announced"
    for name in ("a.jpg", "b.jpg"):
        (steps.folder / name).write_bytes(b"1")
        kept = Kept()
        async with running(folder(steps, kept, journal=journal)):
            for _ in range(4):
                await steps.step()
        assert names(kept) == [("created", name)]
    journal.write_bytes(journal.read_bytes()[:-10])  # the process was killed while it wrote
    kept = Kept()
    async with running(folder(steps, kept, journal=journal)):
        for _ in range(4):
            await steps.step()
    assert names(kept) == [("created", "b.jpg")]


async def test_temporary_empty_and_other_files_are_left_alone(steps: Steps, kept: Kept, running: Any) -> None:
    async with running(folder(steps, kept)):
        for name in ("a.jpg.part", "notes.txt", ".b.jpg"):
            (steps.folder / name).write_bytes(b"1")
        (steps.folder / "empty.jpg").touch()
        changed = dict.fromkeys(("a__jpg__part", "notes__txt", "__b__jpg", "empty__jpg"), Change.added)
        await steps.step(**changed)
        for _ in range(5):
            await steps.step()
        assert kept.events == []
        (steps.folder / "a.jpg.part").rename(steps.folder / "a.jpg")
        await steps.step(a__jpg__part=Change.deleted, a__jpg=Change.added)
        for _ in range(3):
            await steps.step()
    assert names(kept) == [("created", "a.jpg")]


async def test_a_folder_that_is_moved_in_and_out(steps: Steps, kept: Kept, tmp_path: Path, running: Any) -> None:
    (tmp_path / "trip").mkdir()
    for name in ("1.jpg", "2.jpg", "notes.txt"):
        (tmp_path / "trip" / name).write_bytes(b"1")
    async with running(folder(steps, kept)):
        await steps.step()
        shutil.move(tmp_path / "trip", steps.folder / "trip")
        await steps.step(trip=Change.added)
        for _ in range(4):
            await steps.step()
        assert sorted(names(kept)) == [("created", "1.jpg"), ("created", "2.jpg")]
        shutil.move(steps.folder / "trip", tmp_path / "away")
        await steps.step(trip=Change.deleted)
    assert sorted(names(kept)[2:]) == [("deleted", "1.jpg"), ("deleted", "2.jpg")]


async def test_a_broker_that_is_away_loses_nothing(steps: Steps, kept: Kept, running: Any) -> None:
    class Flaky:
        away = True

        async def publish(self, event: FileEvent) -> None:
            if self.away:
                raise BrokerUnavailable("nobody listens on localhost:9092")
            await kept.publish(event)

    publisher = Flaky()
    for name in ("a.jpg", "b.jpg"):
        (steps.folder / name).write_bytes(b"1")
    async with running(folder(steps, publisher)):
        for _ in range(5):
            await steps.step()
        publisher.away = False
        for _ in range(2):
            await steps.step()
    assert sorted(names(kept)) == [("created", "a.jpg"), ("created", "b.jpg")]


async def test_long_films_are_announced_in_spans(steps: Steps, kept: Kept, running: Any) -> None:
    (steps.folder / "long.mp4").write_bytes(b"1")
    async with running(folder(steps, kept, duration=lambda path: 1300.0)):
        for _ in range(4):
            await steps.step()
    assert [event.span for event in kept.events] == [Span(0, 600), Span(600)]


async def test_a_file_that_vanishes_again_is_forgotten(steps: Steps, kept: Kept, running: Any) -> None:
    def vanish(path: Path) -> None:
        path.unlink()
        raise FileNotFoundError(path)

    (steps.folder / "a.jpg").write_bytes(b"1")
    (steps.folder / "b.jpg").write_bytes(b"1")
    async with running(folder(steps, kept, duration=lambda path: vanish(path) if path.name == "a.jpg" else None)):
        for _ in range(5):
            await steps.step()
    assert names(kept) == [("created", "b.jpg")]


async def test_a_link_to_the_outside_is_left_out_with_a_warning_that_says_why(
    steps: Steps, kept: Kept, tmp_path: Path, running: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (steps.folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (steps.folder / "honest.jpg").write_bytes(b"x")
    async with running(folder(steps, kept, duration=video_duration_s)):
        for _ in range(3):
            await steps.step(2.0)
    assert names(kept) == [("created", "honest.jpg")]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"folder {steps.folder}: 'link.jpg' is left out: {str(steps.folder / 'link.jpg')!r} lies outside the allowed"
        " roots: move it, or add its folder to `roots`"
    ]


async def test_a_missing_folder_is_said_at_once(tmp_path: Path, kept: Kept) -> None:
    with pytest.raises(Misconfigured, match="not a folder that can be watched"):
        await Folder(tmp_path / "nosuch", "nas", kept).run()


@pytest.mark.parametrize("poll", [False, True])
async def test_the_real_watcher_sees_files_come_and_go(tmp_path: Path, kept: Kept, running: Any, poll: bool) -> None:
    (tmp_path / "there.jpg").write_bytes(b"1")
    async with running(Folder(tmp_path, "nas", kept, poll=poll, settle_s=0.1)):
        assert (await kept.next()).uri == (tmp_path / "there.jpg").as_uri()
        (tmp_path / "new folder").mkdir()
        (tmp_path / "new folder" / "zwölf.jpg").write_bytes(b"22")
        event = await kept.next()
        assert (event.op, event.uri) == ("created", (tmp_path / "new folder" / "zwölf.jpg").as_uri())
        (tmp_path / "there.jpg").unlink()
        event = await kept.next()
        assert (event.op, event.uri) == ("deleted", (tmp_path / "there.jpg").as_uri())


async def test_a_folder_that_goes_away_and_comes_back_is_watched_again(
    tmp_path: Path, kept: Kept, running: Any
) -> None:
    watched = tmp_path / "mount"
    watched.mkdir()
    (watched / "1.jpg").write_bytes(b"1")
    async with running(Folder(watched, "nas", kept, settle_s=0.1)):
        await kept.next()
        shutil.rmtree(watched)
        (tmp_path / "next").mkdir()
        (tmp_path / "next" / "2.jpg").write_bytes(b"22")
        (tmp_path / "next").rename(watched)
        while (event := await kept.next()).op == "deleted":
            pass
        assert event.uri == (watched / "2.jpg").as_uri()
