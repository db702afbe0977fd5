"""Films: which frames come out, where they are in time, and what a break leaves."""

from __future__ import annotations

import gc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import pytest

from stream.decode import MediaDecoder, video_duration_s
from stream.errors import BadMedia, NotFound
from stream.types import FileEvent, Frame, Pixels, Span
from tests.decode.media import corners, encode, film, quadrants, sound, texture, turned

MODIFIED = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Cuts:
    """A cut wherever the mean brightness jumps."""

    def __init__(self) -> None:
        self._last: float | None = None
        self.asked = 0

    def update(self, luma: Pixels, pts_s: float) -> bool:
        last, self._last = self._last, float(luma.mean())
        self.asked += 1
        return last is not None and abs(self._last - last) > 20


def event(path: Path, span: Span | None = None) -> FileEvent:
    return FileEvent("e1", "uploads", path.as_uri(), modified_at=MODIFIED, span=span)


def frames(path: Path, span: Span | None = None, **options: object) -> list[Frame]:
    return list(MediaDecoder([path.parent], **options).decode(event(path, span)))  # type: ignore[arg-type]


def numbered(count: int) -> list[Pixels]:
    """Pictures that carry their number as eight black or white bars, so that no codec can blur it."""
    bars = [[255 * (number >> bit & 1) for bit in range(8)] for number in range(count)]
    return [np.repeat(np.repeat(np.uint8([row]), 40, axis=1), 180, axis=0)[..., None].repeat(3, axis=2) for row in bars]


def number(frame: Frame) -> int:
    return sum(1 << bit for bit in range(8) if frame.rgb()[90, 40 * bit + 20].mean() > 127)


@pytest.mark.parametrize(
    ("ending", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4"), ("ts", "libx264")]
)
def test_a_frame_at_least_every_n_seconds(tmp_path: Path, ending: str, codec: str) -> None:
    path = film(tmp_path / f"f.{ending}", numbered(80), fps=10, codec=codec)
    found = frames(path, every_s=2.0)
    assert [frame.index for frame in found] == list(range(len(found)))
    times = [frame.pts_s for frame in found]
    assert times[0] == pytest.approx(0.0, abs=0.11)
    gaps = np.diff([*times, 7.9])
    assert gaps.max() <= 2.001
    assert gaps[:-1].min() > 1.5
    assert [number(frame) for frame in found] == pytest.approx([10 * t for t in times if t is not None], abs=1.5)


def test_every_second_of_zero_gives_every_frame(tmp_path: Path) -> None:
    path = film(tmp_path / "f.mp4", numbered(30), options={"bf": "2"})
    found = frames(path, every_s=0)
    assert [number(frame) for frame in found] == list(range(30))
    assert [frame.pts_s for frame in found] == pytest.approx([n / 10 for n in range(30)])
    assert not any(frame.cut for frame in found)


def test_a_scene_change_gives_a_frame_and_is_marked(tmp_path: Path) -> None:
    dark, light = np.full((180, 320, 3), 30, np.uint8), np.full((180, 320, 3), 200, np.uint8)
    path = film(tmp_path / "f.mp4", [dark] * 13 + [light] * 12 + [dark] * 5)
    found = frames(path, every_s=60, cut_detector=Cuts)
    assert [frame.pts_s for frame in found] == pytest.approx([0.0, 1.3, 2.5])
    assert [frame.cut for frame in found] == [False, True, True]
    assert [frame.cut for frame in frames(path, every_s=0, cut_detector=Cuts)].count(True) == 2


def test_times_grow_where_a_recording_s_own_do_not(tmp_path: Path) -> None:
    """Two recordings joined: the second one's clock starts again."""
    path = film(tmp_path / "f.ts", numbered(20))
    path.write_bytes(path.read_bytes() * 2)
    found = frames(path, every_s=0)
    times = [frame.pts_s for frame in found]
    assert len(found) == 40
    assert times == sorted(set(times))  # type: ignore[type-var]
    assert times[-1] == pytest.approx(3.9, abs=0.05)


def test_each_film_has_a_cut_detector_of_its_own(tmp_path: Path) -> None:
    path = film(tmp_path / "f.mp4", numbered(5))
    made: list[Cuts] = []

    def make() -> Cuts:
        made.append(Cuts())
        return made[-1]

    decoder = MediaDecoder([tmp_path], cut_detector=make)
    for _ in range(2):
        list(decoder.decode(event(path)))
    assert len(made) == 2
    assert made[0] is not made[1]
    assert made[0].asked >= 3


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_spans_together_give_each_frame_once(tmp_path: Path, ending: str) -> None:
    path = film(tmp_path / f"f.{ending}", numbered(50), options={"bf": "2"})
    spans = [Span(0.0, 1.7), Span(1.7, 3.3), Span(3.3, None)]
    found = [frame for span in spans for frame in frames(path, span, every_s=0)]
    assert [number(frame) for frame in found] == list(range(50))
    assert [frame.pts_s for frame in found] == pytest.approx([n / 10 for n in range(50)], abs=0.002)
    middle = frames(path, spans[1], every_s=0)
    assert [frame.index for frame in middle] == list(range(16))


def test_capture_time_is_the_recording_s_start_plus_offset(tmp_path: Path) -> None:
    path = film(tmp_path / "f.mp4", numbered(30))
    assert [frame.captured_at for frame in frames(path, every_s=1)][1] == MODIFIED + timedelta(seconds=1)
    stamped = film(tmp_path / "s.mp4", numbered(30), metadata={"creation_time": "2020-02-03T04:05:06Z"})
    assert frames(stamped, every_s=1)[1].captured_at == datetime(2020, 2, 3, 4, 5, 7, tzinfo=UTC)
    clockless = film(tmp_path / "c.mp4", numbered(30), metadata={"creation_time": "1970-01-01T00:00:01Z"})
    assert frames(clockless, every_s=1)[0].captured_at == MODIFIED


def test_a_film_held_upright_is_turned(tmp_path: Path) -> None:
    path = turned(film(tmp_path / "f.mp4", [quadrants(640, 400)] * 5))
    frame = frames(path)[0]
    assert (frame.width, frame.height) == (400, 640)
    assert corners(frame.rgb()) == ["blue", "red", "white", "green"]
    assert frame.luma.shape == (320, 200)
    assert [frame.luma[80, 50] < 90, frame.luma[240, 50] > 200] == [True, True]  # blue is dark, white is light


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "ending"),
    [
        ("libx264", "yuv444p", "mp4"),
        ("libx264", "yuv422p10le", "mp4"),
        ("libx264", "gray", "mp4"),
        ("mjpeg", "yuvj420p", "avi"),
        ("ffv1", "bgr0", "mkv"),
        ("rawvideo", "nv12", "mkv"),
        ("libx265", "yuv420p10le", "mp4"),
        ("libvpx-vp9", "yuv420p", "webm"),
    ],
)
def test_pixel_formats_and_codecs(tmp_path: Path, codec: str, pix_fmt: str, ending: str) -> None:
    path = film(tmp_path / f"f.{ending}", [quadrants(640, 360)] * 3, codec=codec, pix_fmt=pix_fmt)
    frame = frames(path)[0]
    assert frame.rgb().shape == (360, 640, 3)
    assert frame.luma.shape == (180, 320)
    if pix_fmt != "gray":
        assert corners(frame.rgb()) == ["red", "green", "blue", "white"]
    assert frame.luma[130, 240] > frame.luma[45, 240] > frame.luma[130, 80]  # white, green, blue


def test_pixels_stay_valid_after_the_film_was_closed(tmp_path: Path) -> None:
    path = film(tmp_path / "f.mp4", numbered(40))
    found = frames(path, every_s=1)
    gc.collect()
    assert [number(frame) for frame in found] == pytest.approx([0, 10, 20, 30], abs=1)


def test_luma_does_not_keep_the_planes(tmp_path: Path) -> None:
    frame = frames(film(tmp_path / "f.mp4", numbered(3)))[0]
    assert frame.luma.base is None
    assert frame.luma.shape == (180, 320)


def test_leaving_early_closes_the_file(tmp_path: Path) -> None:
    path = film(tmp_path / "f.mp4", numbered(40))
    frames_left = MediaDecoder([tmp_path], every_s=0).decode(event(path))
    next(frames_left)
    assert _open(path)
    frames_left.close()  # type: ignore[attr-defined]
    assert not _open(path)


def _open(path: Path) -> bool:
    return any(file.path == str(path) for file in psutil.Process().open_files())


def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    """360 frames of 640 x 360: kept, they would be 125 MB of YUV."""
    pictures = [texture(n, 640, 360) for n in range(8)]
    path = film(tmp_path / "f.mp4", (pictures[n % 8] for n in range(360)), fps=30)
    process, sizes = psutil.Process(), []
    for frame in MediaDecoder([tmp_path], every_s=0).decode(event(path)):
        frame.rgb()
        if frame.index % 30 == 29:
            sizes.append(process.memory_info().rss)
    assert len(sizes) == 12
    assert max(sizes[2:]) - sizes[1] < 30_000_000


def test_a_film_without_a_moving_picture_is_refused(tmp_path: Path) -> None:
    for path in (sound(tmp_path / "a.mp4"), sound(tmp_path / "b.mp4", cover=encode(quadrants(), "JPEG"))):
        with pytest.raises(BadMedia, match=r"has no moving picture \(its streams: audio"):
            frames(path)


def test_a_film_that_breaks_in_the_middle_keeps_what_came_before(tmp_path: Path) -> None:
    pictures = [texture(n) for n in range(60)]
    for ending, codec in (("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4")):
        path = film(tmp_path / f"f.{ending}", pictures, codec=codec)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        kept = []
        with pytest.raises(BadMedia, match=r"breaks at [23]\.\d\d s: .*good frames were read") as broken:
            for frame in MediaDecoder([tmp_path], every_s=0).decode(event(path)):
                kept.append(frame)
        assert 25 <= len(kept) <= 35
        assert str(path) in str(broken.value)
        assert kept[-1].rgb().shape == (180, 320, 3)


def test_a_hole_in_the_middle_is_reported_and_the_rest_is_seen(tmp_path: Path) -> None:
    path = film(tmp_path / "f.avi", [texture(n) for n in range(60)], codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    middle = data.index(b"\xff\xd8\xff", len(data) // 2)
    data[middle : middle + 700] = bytes(700)
    path.write_bytes(bytes(data))
    kept = []
    with pytest.raises(BadMedia, match="breaks at"):
        for frame in MediaDecoder([tmp_path], every_s=0).decode(event(path)):
            kept.append(frame)
    assert 57 <= len(kept) <= 59
    assert kept[-1].pts_s == pytest.approx(5.9)


def test_a_film_that_is_all_header_is_refused(tmp_path: Path) -> None:
    path = film(tmp_path / "f.mp4", numbered(30))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"mdat")])
    with pytest.raises(BadMedia):
        frames(path)
    path.write_bytes(whole[:300])
    with pytest.raises(BadMedia):
        frames(path)


def test_the_pixel_limit_holds_for_films(tmp_path: Path) -> None:
    path = film(tmp_path / "f.mp4", [texture(1, 640, 360)] * 3)
    with pytest.raises(BadMedia, match="640 x 360 pixels, more than the limit of 100000"):
        frames(path, max_pixels=100_000)


def test_a_playlist_with_a_film_s_name_opens_nothing(tmp_path: Path) -> None:
    """FFmpeg left to itself would follow it to any file or address."""
    target = film(tmp_path / "target.mp4", numbered(5))
    for name, text in (
        ("list.mp4", f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target.as_uri()}\n#EXT-X-ENDLIST\n"),
        ("script.mp4", f"ffconcat version 1.0\nfile '{target}'\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(BadMedia, match="it is text"):
            frames(tmp_path / name)


def test_duration_is_told_without_decoding(tmp_path: Path) -> None:
    assert video_duration_s(film(tmp_path / "f.mp4", numbered(25))) == pytest.approx(2.5)
    (tmp_path / "p.jpg").write_bytes(encode(quadrants(), "JPEG"))
    assert video_duration_s(tmp_path / "p.jpg") is None
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "f.mp4").read_bytes()[:200])
    assert video_duration_s(tmp_path / "cut.mp4") is None
    with pytest.raises(NotFound):
        video_duration_s(tmp_path / "gone.mp4")
