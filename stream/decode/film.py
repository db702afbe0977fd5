"""A film: which of its frames are worth having, decoded one by one and forgotten as the reader goes on.

Two choices bound memory and cost: one decoding thread a film (parallelism is the pool's business, and FFmpeg's frame
threads hold pictures of their own), and a chosen frame stays as the decoder left it, YUV at 1.5 bytes a pixel, for as
long as someone holds it; RGB exists only from `Frame.rgb` to `Frame.drop`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, NamedTuple, Protocol

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from stream.decode import planar
from stream.decode.images import MAX_PIXELS
from stream.decode.planes import LUMA_PX
from stream.decode.progress import Progress
from stream.decode.sniff import Format
from stream.errors import BadMedia
from stream.types import Pixels, Span

_BUFFER_BYTES = 256 * 1024  # each read is a call into Python; the default of 32 KiB makes eight times as many
_MARGINS_S = (0.0, 5.0, 30.0, 120.0, math.inf)  # how far before a span to look for its key frame
_SANE_YEARS = range(1995, 2100)  # cameras without a clock write 1904 or 1970


class CutDetector(Protocol):
    """Tells scene changes from the luma pictures of one film, given in order; one object a film."""

    def update(self, luma: Pixels, pts_s: float) -> bool:
        """Whether this (h, w) uint8 picture begins a new scene. Called for every decoded frame, the first one too."""
        ...


_WHOLE = Span(0.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which frames a reader asks for, and the limits."""

    every_s: float = 2.0  # a frame at least every so many seconds; 0: every frame
    span: Span = _WHOLE
    luma_px: int = LUMA_PX
    max_pixels: int = MAX_PIXELS


class Still(NamedTuple):
    """A chosen frame. `pixels` may be called at any later time and from another thread, by one thread at a time."""

    pts_s: float  # from the start of the file, whatever the span
    width: int  # after rotation
    height: int
    luma: Pixels  # (h, w) uint8
    pixels: Callable[[], Pixels]  # (H, W, 3) uint8 RGB
    cut: bool  # a scene begins here


@contextmanager
def open_film(file: IO[bytes], form: Format, max_pixels: int = MAX_PIXELS) -> Iterator[Film]:
    """Opens a film in an open file (which the caller closes) by the demuxer of `form`, and closes it again.

    Raises: errors.BadMedia when there is no film in it or no moving picture in the film.
    """
    av.logging.set_level(None)  # FFmpeg's own lines are noise beside the errors raised here
    try:
        container = av.open(
            file,
            format=form.demuxer,
            options={"max_pixels": str(max_pixels)},  # the decoders refuse a larger frame before they allocate it
            metadata_errors="replace",
            buffer_size=_BUFFER_BYTES,
            io_open=_refuse_others,
        )
    except (FFmpegError, ValueError) as error:
        reason = error.strerror if isinstance(error, FFmpegError) else error
        raise BadMedia(f"the {form.name} film cannot be opened, it is truncated or damaged: {reason}") from error
    with container:
        yield Film(container, form)


def _refuse_others(url: str, flags: int, options: dict[str, str]) -> IO[bytes]:
    """A film may name further files, even on other hosts: none of them is ours to open."""
    raise BadMedia("the film refers to other files or addresses: send one that contains its pictures")


class Film:
    """An open film."""

    def __init__(self, container: InputContainer, form: Format) -> None:
        self._container = container
        self._form = form
        self._video = _moving_picture(container, form)
        self._start_s = float((self._video.start_time or 0) * (self._video.time_base or 0))

    @property
    def duration_s(self) -> float | None:
        """Length as the header states or the demuxer estimates it; None when neither does."""
        estimate = (self._container.duration or 0) / av.time_base
        rate = self._video.average_rate
        stated = self._video.frames / float(rate) if rate else 0.0  # a cut AVI is estimated by what is left of it
        return max(estimate, stated) or None

    @property
    def recorded_at(self) -> datetime | None:
        """When recording began, timezone-aware, where the file says so and its maker had a clock."""
        try:
            moment = datetime.fromisoformat(self._container.metadata.get("creation_time", ""))
        except ValueError:
            return None
        return moment if moment.tzinfo is not None and moment.year in _SANE_YEARS else None

    def stills(self, wanted: Wanted, cuts: CutDetector | None = None) -> Iterator[Still]:
        """The wanted frames in order of time. Raises errors.BadMedia after the last one that could be decoded."""
        self._prepare(wanted)
        taken_s, before_s = -math.inf, 0.0
        for frame, pts_s in self._frames(wanted):
            small = planar.luma(frame, wanted.luma_px)
            cut = cuts.update(small, pts_s) if cuts is not None else False
            gap_s, before_s = pts_s - before_s, pts_s
            # The next frame is about as far off as this one was: it would come too late.
            due = abs(pts_s - taken_s) + gap_s > wanted.every_s + 1e-6
            if not (cut or due):
                continue
            taken_s = pts_s
            yield Still(pts_s, *planar.size(frame), small, _later(frame), cut)

    def _prepare(self, wanted: Wanted) -> None:
        codec = self._video.codec_context
        if codec.width * codec.height > wanted.max_pixels:
            size = f"{codec.width} x {codec.height}"
            raise BadMedia(f"the film's frames have {size} pixels, more than the limit of {wanted.max_pixels}")
        codec.thread_count = 1
        codec.options = {"max_pixels": str(wanted.max_pixels)}
        if wanted.every_s > 0:
            codec.skip_frame = "NONREF"  # frames that nothing depends on: no scene is so short
        if wanted.span.start_s > 0:
            self._seek(wanted.span.start_s)

    def _seek(self, start_s: float) -> None:
        """To a key frame at or before `start_s`.

        Without an index (MPEG-TS) FFmpeg seeks to a time, where decoding waits for the next key frame: too late then.
        """
        for margin_s in _MARGINS_S:
            target = max(0.0, start_s - margin_s) + self._start_s
            try:
                self._container.seek(int(target / (self._video.time_base or 1)), stream=self._video)
                first = next(self._container.decode(self._video), None)
                self._container.seek(int(target / (self._video.time_base or 1)), stream=self._video)
            except (FFmpegError, EOFError):
                continue
            if first is not None and self._time_s(first, math.inf) <= start_s:
                return

    def _frames(self, wanted: Wanted) -> Iterator[tuple[av.VideoFrame, float]]:
        """(frame, pts_s) within the span."""
        span, step_s = wanted.span, 1 / float(self._video.average_rate or 25)
        progress = Progress(self._form, self.duration_s, at_s=-math.inf if span.start_s > 0 else -step_s)
        count = 0
        for frame in self._decoded(progress):
            # Interlaced films and joined recordings repeat times or jump back; the first frames of some have none.
            next_s = progress.at_s + step_s if math.isfinite(progress.at_s) else span.start_s
            time_s = self._time_s(frame, -math.inf)
            progress.at_s = time_s if time_s > progress.at_s else next_s
            if span.end_s is not None and progress.at_s >= span.end_s:
                break
            if progress.at_s >= span.start_s:
                count += 1
                yield frame, progress.at_s
        else:
            progress.ended(self._start_s, span)
        progress.report(count, whole=span.start_s <= 0)

    def _time_s(self, frame: av.VideoFrame, guess_s: float) -> float:
        """`frame.time` is not used: frames that were flushed out at the end have another time base there."""
        if frame.pts is None or self._video.time_base is None:
            return guess_s
        return max(0.0, float(frame.pts * self._video.time_base) - self._start_s)

    def _decoded(self, progress: Progress) -> Iterator[av.VideoFrame]:
        """Frames in order of time. Damaged packets are passed over: what follows them is often good."""
        decode = self._video.codec_context.decode
        packets = self._container.demux()
        while True:
            try:
                packet = next(packets, None)
                if packet is None or (packet.size == 0 and packet.dts is None):  # the latter: PyAV's flush
                    break
                progress.saw(packet)
                frames = decode(packet) if packet.stream.index == self._video.index else []
            except FFmpegError as error:
                progress.fault(error)
                continue  # a demuxer that failed is at its end
            yield from frames
        try:
            yield from decode(None)
        except FFmpegError as error:
            progress.fault(error)


def _later(frame: av.VideoFrame) -> Callable[[], Pixels]:
    return lambda: planar.rgb(frame)


def _moving_picture(container: InputContainer, form: Format) -> VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "none"
        raise BadMedia(f"the {form.name} file has no moving picture (its streams: {kinds}): send a film or a picture")
    if streams[0].codec_context is None:
        raise BadMedia(f"nothing here decodes this {form.name} film's codec: convert it to H.264 or H.265")
    return streams[0]
