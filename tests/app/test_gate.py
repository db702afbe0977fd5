"""`seestream gate VIDEO`: a line for every frame, boxes in source pixels, a painted film of as many frames."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import pytest

from stream.__main__ import main
from stream.app.gate import _Painter
from stream.types import Admission, Box, Reason
from tests.gate.scenes import HEIGHT, WIDTH, frames, person

FRAMES = 60


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Someone walks in at frame 20, 4 px a frame, ten frames a second."""
    path = tmp_path_factory.mktemp("film") / "walk.mp4"
    pictures = frames(FRAMES, lambda image, i: person(image, -14 + 4 * (i - 20)) if i >= 20 else None, sigma=0.5)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "12", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for luma in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(luma, format="gray")))
        container.mux(stream.encode(None))
    return path


def test_a_line_is_printed_for_every_frame(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", str(film), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["index"] for line in lines] == list(range(FRAMES))
    assert all(set(line) == {"index", "pts_s", "admitted", "reason", "score", "boxes", "ms"} for line in lines)
    assert lines[0]["reason"] == "first" and not any(line["admitted"] for line in lines[3:19])
    last = lines[-1]
    assert last["reason"] == "motion" and last["pts_s"] == pytest.approx((FRAMES - 1) / 10) and last["ms"] > 0
    x = -14 + 4 * (FRAMES - 1 - 20)
    assert any(Box(*box).iou(Box(x, 80, x + 14, 120)) > 0.4 for box in last["boxes"])


def test_a_mask_is_given_in_shares_of_the_picture(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", str(film), "--json", "--mask", "0,0.3 1,0.3 1,1 0,1"]) == 0
    assert not any(json.loads(line)["admitted"] for line in capsys.readouterr().out.splitlines()[3:])


def test_the_painted_film_has_every_frame(film: Path, tmp_path: Path) -> None:
    painted = tmp_path / "painted.mp4"
    assert main(["gate", str(film), "--draw", str(painted)]) == 0
    with av.open(str(painted)) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES


def test_a_film_whose_stamps_go_back_is_painted_too(tmp_path: Path) -> None:
    painted = tmp_path / "painted.mp4"
    word = Admission(True, Reason.MOTION, 0.1, (Box(2, 2, 20, 20),))
    with _Painter(painted) as painter:
        for index, (luma, stamp) in enumerate(zip(frames(6), (0, 2, 1, 3, 3, 5), strict=True)):
            picture = av.VideoFrame.from_ndarray(luma, format="gray")
            picture.pts, picture.time_base = stamp, Fraction(1, 10)
            painter.add(picture, index / 10, word)
    with av.open(str(painted)) as container:
        stamps = [picture.pts for picture in container.decode(video=0)]
    assert len(stamps) == 6 and stamps == sorted(set(stamps))


def test_what_is_no_film_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no film")
    assert main(["gate", str(text)]) != 0
    assert "notes.txt" in capsys.readouterr().err
    assert main(["gate", str(text), "--draw", str(tmp_path / "x.mp4")]) != 0
    assert list(tmp_path.iterdir()) == [text]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--draw", "/nowhere/at/all/x.mp4"], "cannot write /nowhere/at/all/x.mp4"),
        (["--draw", "OUT/x.txt"], "ends in .mp4"),
        (["--every-s", "-3"], "--every-s -3: must be 0"),
        (["--zone", "0,0 2,2"], "a polygon needs at least 3"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    assert main(["gate", str(film), *(flag.replace("OUT", str(tmp_path)) for flag in flags)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("seestream: ") and says in error and len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
