"""The table of formats decides by bytes alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.decode.sniff import FORMATS, HEAD_BYTES, describe, sniff
from tests.decode.media import encode, film, quadrants, texture


@pytest.mark.parametrize(("form", "media_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
def test_pictures_are_known_by_their_bytes(form: str, media_type: str) -> None:
    found = sniff(encode(quadrants(), form)[:HEAD_BYTES])
    assert found is not None
    assert (found.kind, found.media_type) == ("image", media_type)


@pytest.mark.parametrize(
    ("ending", "name", "codec"),
    [
        ("mp4", "MP4", "libx264"),
        ("mov", "MP4", "libx264"),  # FFmpeg's QuickTime files carry a brand: the same demuxer
        ("mkv", "Matroska", "libx264"),
        ("webm", "Matroska", "libvpx"),
        ("avi", "AVI", "mpeg4"),
        ("ts", "MPEG-TS", "libx264"),
        ("m2ts", "MPEG-TS", "libx264"),
        ("mpg", "MPEG-PS", "mpeg1video"),
        ("flv", "FLV", "libx264"),
        ("asf", "ASF", "mpeg4"),
    ],
)
def test_films_are_known_by_their_bytes(ending: str, name: str, codec: str, tmp_path: Path) -> None:
    path = film(tmp_path / f"film.{ending}", [texture(1)] * 3, fps=25, codec=codec)
    found = sniff(path.rename(tmp_path / "no-ending").read_bytes()[:HEAD_BYTES])
    assert found is not None
    assert (found.name, found.kind) == (name, "video")
    assert found.demuxer is not None


def test_pictures_in_film_containers_are_refused_by_name() -> None:
    head = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"
    found = sniff(head)
    assert found is not None
    assert (found.name, found.kind) == ("HEIC", "refused")
    assert "HEIC, which cannot be read: send JPEG" in describe(head, found)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"", "it is empty"),
        (b"a car in the yard\n", "it is text"),
        ("ein Wagen im Hof: \u00fc".encode()[:-1], "it is text"),  # a letter cut in two by the end of the head
        (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", "it is text"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "it is text"),
        (b"\x00\x01\x02\x03\xfe", "its format is unknown (first bytes 00 01 02 03 fe)"),
    ],
)
def test_what_is_no_media_is_described(head: bytes, says: str) -> None:
    assert sniff(head) is None
    assert says in describe(head, None)


@given(st.binary(max_size=HEAD_BYTES))
def test_any_bytes_give_a_row_of_the_table_or_none(head: bytes) -> None:
    found = sniff(head)
    assert found is None or (found in FORMATS and found.matches(head))
    assert describe(head, found)


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: f"{known.name}-{known.marks[0][1].hex()}")
def test_each_row_can_be_reached(known: object) -> None:
    """A row behind a more general one would be dead."""
    head = bytearray(HEAD_BYTES)
    for offset, mark in known.marks:  # type: ignore[attr-defined]
        head[offset : offset + len(mark)] = mark
    assert sniff(bytes(head)) is known
