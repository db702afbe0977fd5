"""Events to frames."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import fsspec
import numpy as np
import pytest

from stream.decode import MediaDecoder
from stream.errors import BadMedia, BadRecord, Forbidden, NotFound
from stream.types import FileEvent, FrameEvent, Record
from tests.decode.media import corners, encode, quadrants

AT = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)


def test_a_picture_in_the_record_becomes_one_frame() -> None:
    data = encode(quadrants(640, 400), "JPEG", orientation=6)
    (frame,) = MediaDecoder([]).decode(FrameEvent("e1", "garage", AT, image=data))
    assert (frame.event_id, frame.source, frame.index, frame.captured_at) == ("e1", "garage", 0, AT)
    assert (frame.width, frame.height, frame.luma.shape) == (400, 640, (320, 200))
    assert frame.encoded == data
    assert frame.media_type == "image/jpeg"
    assert frame.pts_s is None
    assert not frame.cut
    assert corners(frame.rgb()) == ["blue", "red", "white", "green"]


def test_pixels_can_be_dropped_and_had_again() -> None:
    (frame,) = MediaDecoder([]).decode(FrameEvent("e1", "garage", AT, image=encode(quadrants(), "PNG")))
    first = frame.rgb()
    assert frame.rgb() is first
    frame.drop()
    assert frame.rgb() is not first
    assert np.array_equal(frame.rgb(), first)


def test_a_frame_s_size_counts_all_that_it_holds() -> None:
    data = encode(quadrants(640, 400), "JPEG")
    (frame,) = MediaDecoder([]).decode(FrameEvent("e1", "garage", AT, image=data))
    assert frame.size_bytes == 640 * 400 * 3 + 320 * 200 + len(data)


def test_a_picture_by_reference_is_read_from_the_blob_folder_only(tmp_path: Path) -> None:
    blobs, roots = tmp_path / "blobs", tmp_path / "uploads"
    for folder in (blobs, roots):
        folder.mkdir()
        (folder / "p.png").write_bytes(encode(quadrants(), "PNG"))
    decoder = MediaDecoder([roots], blobs=blobs)
    (frame,) = decoder.decode(FrameEvent("e1", "garage", AT, uri=(blobs / "p.png").as_uri()))
    assert frame.media_type == "image/png"
    assert frame.encoded == (blobs / "p.png").read_bytes()
    with pytest.raises(Forbidden):
        list(decoder.decode(FrameEvent("e2", "garage", AT, uri=(roots / "p.png").as_uri())))
    with pytest.raises(Forbidden):
        list(decoder.decode(FileEvent("e3", "uploads", (blobs / "p.png").as_uri())))
    with pytest.raises(NotFound):
        list(decoder.decode(FrameEvent("e4", "garage", AT, uri=(blobs / "gone.png").as_uri())))


def test_a_picture_by_reference_may_be_remote() -> None:
    fsspec.filesystem("memory").pipe("/blobs/2026/p.jpg", encode(quadrants(), "JPEG"))
    (frame,) = MediaDecoder([], blobs="memory://blobs").decode(
        FrameEvent("e", "g", AT, uri="memory://blobs/2026/p.jpg")
    )
    assert frame.width == 320


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (FrameEvent("e", "g", AT), BadRecord),
        (FrameEvent("e", "g", AT, image=b""), BadMedia),
        (FrameEvent("e", "g", AT, image=b"garage.jpg"), BadMedia),
        (FrameEvent("e", "g", AT, uri="/anywhere/p.jpg"), Forbidden),
    ],
)
def test_bad_frame_events_are_one_clear_error(event: FrameEvent, error: type[Exception]) -> None:
    with pytest.raises(error):
        list(MediaDecoder([]).decode(event))


@pytest.mark.parametrize("name", ["a picture.jpg", "line\nbreak", "日本 ü.PNG", "wrong-ending.mp4"])
def test_a_picture_file_of_any_name_becomes_one_forced_frame(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encode(quadrants(), "WEBP", quality=95))
    (frame,) = MediaDecoder([tmp_path]).decode(FileEvent("e", "up", path.as_uri(), modified_at=AT))
    assert (frame.captured_at, frame.media_type, frame.cut) == (AT, "image/webp", True)
    assert corners(frame.rgb()) == ["red", "green", "blue", "white"]


def test_capture_time_falls_back_to_the_record_and_then_to_now(tmp_path: Path) -> None:
    path = tmp_path / "p.jpg"
    path.write_bytes(encode(quadrants(), "JPEG"))
    decoder = MediaDecoder([tmp_path], now=lambda: AT)
    (frame,) = decoder.decode(FileEvent("e", "up", str(path)))
    assert frame.captured_at == AT
    record = Record("files", 0, 1, None, b"", (), datetime(2026, 1, 1, tzinfo=UTC))
    (frame,) = decoder.decode(FileEvent("e", "up", str(path), record=record))
    assert frame.captured_at == record.timestamp


def test_a_deleted_file_has_no_frames(tmp_path: Path) -> None:
    assert list(MediaDecoder([tmp_path]).decode(FileEvent("e", "up", str(tmp_path / "gone.jpg"), op="deleted"))) == []


@pytest.mark.parametrize("data", [b"", b"some notes", b"%PDF-1.7 ...", bytes(1000)])
def test_a_file_that_is_no_media_names_itself_and_the_reason(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(data)
    with pytest.raises(BadMedia, match=r"holiday\.jpg.*neither a picture nor a film: it"):
        list(MediaDecoder([tmp_path]).decode(FileEvent("e", "up", str(path))))


def test_a_picture_file_of_too_many_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.jpg"
    path.write_bytes(encode(quadrants(), "JPEG") + bytes(100_000))
    with pytest.raises(BadMedia, match="more than 100000 bytes"):
        list(MediaDecoder([tmp_path], max_image_bytes=100_000).decode(FileEvent("e", "up", str(path))))
