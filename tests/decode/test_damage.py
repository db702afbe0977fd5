"""Damaged media, at random: a frame or BadMedia, nothing else, and memory stays bounded."""

from __future__ import annotations

import resource
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.decode import MediaDecoder
from stream.decode.images import read_picture
from stream.errors import BadMedia
from stream.types import FileEvent
from tests.decode.media import encode, film, texture

SETTINGS = settings(
    deadline=None,
    max_examples=120,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Cut the end off, overwrite some bytes, flip some bits, take a piece out, or all of these."""
    keep = draw(st.one_of(st.just(1.0), st.floats(0.0, 1.0)))
    flips = draw(st.lists(st.tuples(st.floats(0, 0.9999), st.integers(0, 7)), max_size=12))
    holes = draw(st.lists(st.tuples(st.floats(0, 0.9999), st.binary(min_size=1, max_size=24)), max_size=2))
    head = draw(st.lists(st.tuples(st.integers(0, 63), st.integers(0, 255)), max_size=3))
    removed = draw(st.one_of(st.none(), st.tuples(st.floats(0, 0.9999), st.integers(1, 200))))

    def damage(data: bytes) -> bytes:
        out = bytearray(data)
        for place, bit in flips:
            out[int(place * len(out))] ^= 1 << bit
        for place, junk in holes:
            at = int(place * len(out))
            out[at : at + len(junk)] = junk
        for at, value in head:
            out[at] = value
        if removed is not None:
            at = int(removed[0] * len(out))
            del out[at : at + removed[1]]
        return bytes(out[: int(keep * len(out))])

    return damage


@cache
def picture(form: str) -> bytes:
    return encode(texture(9, 200, 120), form.removesuffix("-progressive"), orientation=6, **_OPTIONS.get(form, {}))


_OPTIONS: dict[str, dict[str, object]] = {"JPEG-progressive": {"progressive": True}, "WEBP": {"lossless": True}}


@pytest.mark.parametrize("form", ["JPEG", "JPEG-progressive", "PNG", "WEBP"])
@SETTINGS
@given(damage=damages())
def test_a_damaged_picture_gives_pixels_or_bad_media(form: str, damage: Callable[[bytes], bytes]) -> None:
    before = _peak_bytes()
    try:
        found = read_picture(damage(picture(form)), max_pixels=4_000_000)
        assert found.luma.size <= found.width * found.height
        assert found.pixels().shape == (found.height, found.width, 3)
    except BadMedia as error:
        assert str(error)
    assert _peak_bytes() - before < 200_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def films(folder: Path) -> dict[str, bytes]:
    pictures = [texture(n, 160, 90) for n in range(12)]
    paths = {
        "mp4": film(folder / "f.mp4", pictures, options={"bf": "2"}),
        "mkv": film(folder / "f.mkv", pictures),
        "avi": film(folder / "f.avi", pictures, codec="mjpeg", pix_fmt="yuvj420p"),
        "ts": film(folder / "f.ts", pictures, codec="mpeg2video", fps=25),
    }
    return {ending: path.read_bytes() for ending, path in paths.items()}


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "ts"])
@SETTINGS
@given(damage=damages())
def test_a_damaged_film_gives_frames_or_bad_media(
    ending: str, damage: Callable[[bytes], bytes], folder: Path, films: dict[str, bytes]
) -> None:
    path = folder / "damaged"
    path.write_bytes(damage(films[ending]))
    before = _peak_bytes()
    last_index = -1
    try:
        for frame in MediaDecoder([folder], every_s=0, max_pixels=4_000_000).decode(FileEvent("e", "s", str(path))):
            assert frame.index == last_index + 1
            last_index = frame.index
            assert frame.rgb().shape == (frame.height, frame.width, 3)
    except BadMedia as error:
        assert "damaged" in str(error)
    assert _peak_bytes() - before < 200_000_000


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
