"""Submitting an archive: every file once, however the paths overlap and however often it is run."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from pathlib import Path

import pytest

from stream.capture import Submit, Tally
from stream.capture.submit import find
from stream.decode import video_duration_s
from stream.errors import BrokerUnavailable, Misconfigured
from stream.types import FileEvent, Span
from tests.capture.conftest import Kept


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for name in ("a.jpg", "2024/b.png", "2024/ü c.mp4", "2025/d.webp", "2025/notes.txt", ".trash/e.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def found(*paths: object) -> list[str]:
    return [path.name for path in find([str(path) for path in paths])]


def test_files_folders_and_patterns_are_found_once(archive: Path) -> None:
    assert found(archive) == ["a.jpg", "b.png", "ü c.mp4", "d.webp"]
    assert found(archive / "2024", archive / "a.jpg", archive) == ["b.png", "ü c.mp4", "a.jpg", "d.webp"]
    assert found(archive / "*" / "*.png") == ["b.png"]
    assert found(archive / "**" / "*.webp") == ["d.webp"]


def test_a_file_that_is_named_is_taken_whatever_its_ending(archive: Path) -> None:
    assert found(archive / "2025" / "notes.txt") == ["notes.txt"]
    (archive / "odd[1].jpg").write_bytes(b"1")
    assert found(archive / "odd[1].jpg") == ["odd[1].jpg"]


def test_a_relative_path_becomes_absolute(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(archive)
    assert find(["2024/../a.jpg"])[0].is_absolute()


def test_a_path_that_names_nothing_is_an_error(archive: Path) -> None:
    for path in (archive / "nosuch.jpg", archive / "*.gif"):
        with pytest.raises(Misconfigured, match="names no file, folder or pattern"):
            find([str(path)])


async def test_events_and_progress(archive: Path, kept: Kept) -> None:
    tallies: list[Tally] = []
    tally = await Submit(
        [archive], kept, source="nas", duration=video_duration_s, progress=lambda tally: tallies.append(replace(tally))
    ).run()
    assert (tally.files, tally.done, tally.events, tally.left_out) == (4, 4, 4, 0)
    assert tally.size_bytes == sum(
        (archive / name).stat().st_size for name in ("a.jpg", "2024/b.png", "2024/ü c.mp4", "2025/d.webp")
    )
    assert [tally.done for tally in tallies] == [0, 1, 2, 3, 4]
    assert {event.source for event in kept.events} == {"nas"}
    assert sorted(event.uri for event in kept.events) == sorted(path.as_uri() for path in find([str(archive)]))


async def test_submitting_again_gives_the_same_ids(archive: Path) -> None:
    runs = []
    for _ in range(2):
        kept = Kept()
        await Submit([archive], kept).run()
        runs.append({event.uri: event.id for event in kept.events})
    assert runs[0] == runs[1]
    assert len(set(runs[0].values())) == 4


async def test_long_films_are_cut(archive: Path, kept: Kept) -> None:
    await Submit([archive], kept, duration=lambda path: 45.0 if path.suffix == ".mp4" else None, span_s=20).run()
    film = [event for event in kept.events if event.uri.endswith("mp4")]
    assert [event.span for event in film] == [Span(0, 20), Span(20, 40), Span(40)][: len(film)]
    assert len(film) == 3


async def test_a_file_that_vanishes_is_counted_and_the_others_go_on(archive: Path, kept: Kept) -> None:
    def duration(path: Path) -> float | None:
        if path.name == "b.png":
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return None

    tally = await Submit([archive], kept, duration=duration).run()
    assert (tally.done, tally.events, tally.left_out) == (4, 3, 1)
    assert len(tally.why) == 1 and "b.png': No such file or directory" in tally.why[0]


async def test_a_broker_that_is_away_ends_it_with_one_error(archive: Path) -> None:
    class Away:
        async def publish(self, event: FileEvent) -> None:
            raise BrokerUnavailable("nobody listens on localhost:9092")

    with pytest.raises(BrokerUnavailable, match="nobody listens"):
        await Submit([archive], Away()).run()


async def test_no_more_than_32_files_are_in_flight(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number}.jpg").write_bytes(b"1")

    class Counting:
        now = most = 0

        async def publish(self, event: FileEvent) -> None:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.now -= 1

    publisher = Counting()
    tally = await Submit([tmp_path], publisher).run()
    assert tally.events == 100
    assert 1 <= publisher.most <= 32
