"""`seestream gate VIDEO`: the motion gate alone over a film, a line for every frame."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from stream.errors import BadMedia, Misconfigured, NotFound
from stream.gate import GateSettings, MotionGate
from stream.types import Admission, Frame, Pixels, Reason

_COLORS = {Reason.MOTION: (60, 200, 60), Reason.SETTLED: (60, 160, 240), Reason.STILL: (150, 150, 150)}
_EPOCH = datetime.fromtimestamp(0, UTC)  # films have a stream time only
_PAINT_FPS, _PAINT_TICKS = 60, 90_000  # ticks a second, as in MPEG


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The gate's settings as flags; polygons are `x,y x,y x,y` in shares of the picture."""
    parser.add_argument("video", type=Path, help="a film that FFmpeg can read")
    parser.add_argument("--json", action="store_true", help="a JSON object for every frame")
    parser.add_argument("--draw", type=Path, metavar="OUT.mp4", help="write the film with the gate's boxes")
    parser.add_argument("--every-s", type=float, default=0.0, metavar="S", help="judge a frame every S seconds only")
    parser.add_argument("--interval-s", type=float, default=0.0, metavar="S", help="heartbeat: admit at least so often")
    parser.add_argument("--hold-s", type=float, default=60.0, metavar="S", help="how long a standing object is known")
    parser.add_argument("--threshold", type=int, default=8, metavar="LEVELS", help="least difference that counts")
    parser.add_argument(
        "--min-size", type=float, default=0.0, metavar="SHARE", help="smallest object, share of the area"
    )
    parser.add_argument(
        "--max-size", type=float, default=1.0, metavar="SHARE", help="largest object, share of the area"
    )
    parser.add_argument("--zone", action="append", default=[], metavar="X,Y X,Y …", help="only here (may be repeated)")
    parser.add_argument("--mask", action="append", default=[], metavar="X,Y X,Y …", help="never here (may be repeated)")


def run(args: argparse.Namespace) -> int:
    """Judges every frame and prints what the gate said of it; without `--json` one line for each stretch of frames.

    Raises:
        NotFound: there is no such file.
        BadMedia: it is no film, or it breaks off; what was judged before has been printed.
    """
    if args.every_s < 0:
        raise Misconfigured(f"--every-s {args.every_s:g}: must be 0, every frame, or more")
    gate = MotionGate(_settings(args))
    report = _Lines() if args.json else _Stretches()
    with ExitStack() as stack:
        painter = stack.enter_context(_Painter(args.draw)) if args.draw else None
        for index, pts_s, picture in _frames(args.video, args.every_s):
            frame = _frame(args.video, index, pts_s, picture)
            started = time.perf_counter()
            word = gate.admit(frame)
            report.add(index, pts_s, word, (time.perf_counter() - started) * 1000)
            if painter:
                painter.add(picture, pts_s, word)
    report.end()
    return 0


def _settings(args: argparse.Namespace) -> GateSettings:
    return GateSettings(
        zones=tuple(_polygon(text) for text in args.zone),
        masks=tuple(_polygon(text) for text in args.mask),
        min_size=args.min_size,
        max_size=args.max_size,
        interval_s=args.interval_s,
        hold_s=args.hold_s,
        threshold=args.threshold,
    )


def _frame(film: Path, index: int, pts_s: float, picture: VideoFrame) -> Frame:
    return Frame(
        event_id=str(film),
        source=film.stem,
        index=index,
        captured_at=_EPOCH,
        width=picture.width,
        height=picture.height,
        luma=_luma(picture),
        pixels=partial(_rgb, picture),
        pts_s=pts_s,
    )


def _frames(path: Path, every_s: float) -> Iterator[tuple[int, float, VideoFrame]]:
    """Index, stream time in seconds and picture of the first video stream."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BadMedia(f"{path} has no video stream")
            container.streams.video[0].thread_type = "AUTO"
            rate = container.streams.video[0].guessed_rate
            step_s = float(1 / rate) if rate else 0.04
            next_s, last_s = float("-inf"), -step_s
            for index, picture in enumerate(container.decode(video=0)):
                pts_s = picture.time
                if pts_s is None or pts_s <= last_s:  # interlaced films carry stamps of reordered fields
                    pts_s = last_s + step_s
                last_s = pts_s
                if pts_s >= next_s:
                    next_s = pts_s + every_s if every_s else next_s
                    yield index, pts_s, picture
    except av.FFmpegError as error:
        raise BadMedia(f"{path} cannot be decoded as a film: {error}") from error


def _rgb(picture: VideoFrame) -> Pixels:
    return np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)


def _luma(picture: VideoFrame) -> NDArray[np.uint8]:
    """(h, w) uint8: the Y plane as it lies in memory where there is one."""
    if not picture.format.name.startswith(("yuv4", "yuvj4", "nv12", "gray")) or picture.format.components[0].bits != 8:
        return np.asarray(picture.to_ndarray(format="gray"), np.uint8)
    plane = picture.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * picture.height].reshape(
        picture.height, plane.line_size
    )
    return np.ascontiguousarray(rows[:, : picture.width])


def _polygon(text: str) -> tuple[tuple[float, float], ...]:
    try:
        corners = [tuple(float(number) for number in corner.split(",")) for corner in text.split()]
        return tuple((x, y) for x, y in corners)
    except ValueError as error:
        raise Misconfigured(
            f"a polygon is written as 'x,y x,y x,y' with shares of the picture, got {text!r}"
        ) from error


class _Lines:
    """One JSON object a frame."""

    def add(self, index: int, pts_s: float, word: Admission, ms: float) -> None:
        boxes = [[round(float(v), 1) for v in box] for box in word.boxes]
        line = {
            "index": index,
            "pts_s": round(pts_s, 4),
            "admitted": word.admitted,
            "reason": word.reason.value,
            "score": round(word.score, 5),
            "boxes": boxes,
            "ms": round(ms, 3),
        }
        sys.stdout.write(json.dumps(line) + "\n")

    def end(self) -> None:
        sys.stdout.flush()


class _Stretches:
    """One line for each run of frames with the same reason, and a sum."""

    def __init__(self) -> None:
        self._reason: Reason | None = None
        self._from_s = self._until_s = 0.0
        self._count = self._admitted = self._frames = 0
        self._ms: list[float] = []

    def add(self, index: int, pts_s: float, word: Admission, ms: float) -> None:
        if word.reason is not self._reason:
            self._flush()
            self._reason, self._from_s, self._count = word.reason, pts_s, 0
        self._until_s = pts_s
        self._count += 1
        self._frames += 1
        self._admitted += word.admitted
        self._ms.append(ms)

    def end(self) -> None:
        self._flush()
        if self._frames:
            print(f"{self._admitted} of {self._frames} frames admitted, median {np.median(self._ms):.2f} ms a frame")

    def _flush(self) -> None:
        if self._reason is not None:
            print(f"{self._from_s:9.2f} - {self._until_s:9.2f} s  {self._reason.value:9s} {self._count} frames")


class _Painter:
    """Writes the film with the gate's boxes and reasons; closed when left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: Any = None
        self._last_pts = -1

    def __enter__(self) -> _Painter:
        try:
            self._container = av.open(str(self._path), "w")
            self._path.open("ab").close()  # FFmpeg would try only when the first frame comes
        except (OSError, ValueError) as error:
            raise Misconfigured(f"cannot write {self._path}: {error}; --draw takes a path that ends in .mp4") from error
        return self

    def __exit__(self, *fault: object) -> None:
        try:
            if self._stream is not None:
                self._write(None)
        finally:
            self._container.close()
            if self._stream is None and not self._path.stat().st_size:
                self._path.unlink()  # nothing came to paint

    def _write(self, painted: VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(painted))
        except av.FFmpegError as error:
            raise Misconfigured(f"cannot write {self._path}: {error.strerror}") from error

    def add(self, picture: VideoFrame, pts_s: float, word: Admission) -> None:
        width, height = picture.width // 2 * 2, picture.height // 2 * 2
        if self._stream is None:
            self._stream = self._container.add_stream(
                "libx264", rate=_PAINT_FPS, options={"crf": "23", "preset": "veryfast"}
            )
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
            self._stream.time_base = Fraction(1, _PAINT_TICKS)
            self._stream.codec_context.time_base = Fraction(1, _PAINT_TICKS)
        pixels = cv2.resize(
            picture.to_ndarray(format="bgr24")[:height, :width], (self._stream.width, self._stream.height)
        )
        color = _COLORS.get(word.reason, (60, 60, 230))
        for x1, y1, x2, y2 in word.boxes:
            cv2.rectangle(pixels, (round(x1), round(y1)), (round(x2) - 1, round(y2) - 1), color, 2)
        cv2.putText(pixels, word.reason.value, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, color, 2, cv2.LINE_AA)
        painted = av.VideoFrame.from_ndarray(pixels, format="bgr24")
        # the stream time, not the picture's own stamp: films with reordered fields would be refused
        self._last_pts = max(self._last_pts + 1, round(pts_s * _PAINT_TICKS))
        painted.pts, painted.time_base = self._last_pts, Fraction(1, _PAINT_TICKS)
        self._write(painted)
