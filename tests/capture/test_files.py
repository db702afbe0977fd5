"""From files to events: ids, spans, and what is left alone."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.capture.files import events, is_passing, may_be_media, media_files, spans
from stream.types import Span


def test_an_event_says_what_the_file_is(tmp_path: Path) -> None:
    path = tmp_path / "two words\nü.jpg"
    path.write_bytes(b"12345")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    (event,) = events(path, "nas")
    assert (event.source, event.uri, event.size_bytes, event.op) == ("nas", path.as_uri(), 5, "created")
    assert event.modified_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert event.media_type == "image/jpeg"
    assert event.span is None


def test_ids_follow_the_content_not_the_moment(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"12345")
    first = events(path, "nas")[0].id
    assert events(path, "nas")[0].id == first
    assert events(path, "nas", "updated")[0].id == first
    path.write_bytes(b"123456")
    assert events(path, "nas")[0].id != first


def test_a_deleted_file_needs_no_file(tmp_path: Path) -> None:
    (event,) = events(tmp_path / "gone.jpg", "nas", "deleted")
    assert (event.op, event.uri) == ("deleted", (tmp_path / "gone.jpg").as_uri())
    with pytest.raises(FileNotFoundError):
        events(tmp_path / "gone.jpg", "nas")


def test_a_long_film_is_cut_into_spans_of_their_own_id(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    found = events(path, "nas", duration=lambda path: 1500.0, span_s=600)
    assert [event.span for event in found] == [Span(0, 600), Span(600, 1200), Span(1200, None)]
    assert len({event.id for event in found}) == 3
    assert len({event.uri for event in found}) == 1


@pytest.mark.parametrize(
    ("length_s", "expected"),
    [
        (None, [None]),
        (30.0, [None]),
        (600.0, [None]),
        (740.0, [None]),
        (760.0, [Span(0, 600), Span(600)]),
        (1340.0, [Span(0, 600), Span(600)]),
        (1360.0, [Span(0, 600), Span(600, 1200), Span(1200)]),
    ],
)
def test_short_rests_join_the_part_before(length_s: float | None, expected: list[Span | None]) -> None:
    assert spans(length_s, 600) == expected


def test_a_header_that_claims_centuries_gives_a_bounded_number_of_spans() -> None:
    found = spans(1e12, 600)
    assert len(found) == 1000
    assert found[-1] == Span(999 * 600)


@given(st.floats(0, 1e5), st.floats(200, 1e4))
def test_spans_touch_and_cover_everything(length_s: float, span_s: float) -> None:
    found = spans(length_s, span_s)
    if found == [None]:
        assert length_s <= 1.2500001 * span_s
        return
    parts = [span for span in found if span is not None]
    assert parts[0].start_s == 0
    assert parts[-1].end_s is None
    assert all(a.end_s == pytest.approx(b.start_s) for a, b in pairwise(parts))
    assert 0.24 * span_s < length_s - parts[-1].start_s < 1.26 * span_s


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.jpg", "film.mp4.part", "x.crdownload", "a.jpg~", "~lock.jpg", ".syncthing.a.jpg.tmp", "@eaDir/a.jpg",
        ".stversions/a.jpg", "#recycle/b.mp4", "Thumbs.db", "clip.mp4.filepart", "IMG_1.AAE", "a.XMP",
    ],
)  # fmt: skip
def test_passing_names(name: str) -> None:
    assert is_passing(Path("/data") / name, Path("/data"))


def test_only_names_below_the_folder_count() -> None:
    assert not is_passing(Path("/mnt/.cache/watched/a.jpg"), Path("/mnt/.cache/watched"))
    assert not is_passing(Path("/data/Part 1/a.tmp.jpg"), Path("/data"))


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("a.jpg", True), ("a.HEIC", True), ("a.mkv", True), ("a.ts", True), ("a.mts", True), ("a.dav", True),
        ("no-ending", True), ("a.txt", False), ("a.json", False), ("a.pdf", False), ("a.py", False), ("a.mp3", False),
    ],
)  # fmt: skip
def test_names_that_leave_room_for_media(name: str, may: bool) -> None:
    assert may_be_media(Path(name)) is may


def test_a_folder_is_searched_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/1.mp4", "a.png", "c.txt", ".git/x.jpg", "b/@eaDir/thumb.jpg", "d.jpg.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in media_files(tmp_path)] == ["a.png", "b/1.mp4", "b/2.jpg"]
