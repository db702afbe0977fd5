"""An event becomes frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from stream.decode.film import CutDetector, Wanted, open_film
from stream.decode.images import MAX_PIXELS, read_picture
from stream.decode.places import Places, shown
from stream.decode.planes import LUMA_PX
from stream.decode.sniff import HEAD_BYTES, Format, describe, sniff
from stream.errors import BadMedia, BadRecord
from stream.types import Event, FileEvent, Frame, FrameEvent, Span

_MAX_IMAGE_BYTES = 128 * 1024 * 1024


def _now() -> datetime:
    return datetime.now(UTC)


class MediaDecoder:
    """Implements types.Decoder for pictures and films. Keeps no state between events; threads may share it."""

    def __init__(
        self,
        roots: Sequence[Path | str],
        *,
        blobs: Path | str | None = None,
        every_s: float = 2.0,
        cut_detector: Callable[[], CutDetector] | None = None,
        max_pixels: int = MAX_PIXELS,
        max_image_bytes: int = _MAX_IMAGE_BYTES,
        luma_height: int = LUMA_PX,
        now: Callable[[], datetime] = _now,
    ) -> None:
        """`roots`: folders and URL prefixes below which file events may point; `blobs`: where frame events may.

        `every_s` 0 yields every frame of a film; `cut_detector` makes a detector for each film; `luma_height`: the luma
        picture's short side is at least that, if the source's is.
        """
        self._files = Places(roots)
        self._blobs = Places([blobs] if blobs is not None else [])
        self._every_s = every_s
        self._cut_detector = cut_detector
        self._max_pixels = max_pixels
        self._max_image_bytes = max_image_bytes
        self._luma_px = luma_height
        self._now = now

    def decode(self, event: Event) -> Iterator[Frame]:
        """Frames in stream order, made as they are asked for; a `deleted` event has none. Leaving early: close it.

        `Frame.pixels` stays valid after later frames were taken; a film's frame holds its YUV planes (1.5 bytes a
        pixel) until it is let go.

        Raises: errors.BadMedia (after the frames that could be decoded), errors.NotFound, errors.Forbidden,
        errors.BadRecord, errors.Unavailable (try again), errors.Misconfigured (no library for this kind of URL).
        """
        if isinstance(event, FrameEvent):
            yield self._frame_event(event)
        elif event.op != "deleted":
            with self._files.open(event.uri) as file:
                try:
                    yield from self._file_event(event, file)
                except BadMedia as error:
                    raise BadMedia(f"{shown(event.uri)}: {error}") from error

    def _frame_event(self, event: FrameEvent) -> Frame:
        data = event.image
        if data is None:
            if event.uri is None:
                raise BadRecord(f"frame event {event.id} of {event.source} has neither picture nor reference")
            with self._blobs.open(event.uri) as file:
                data = self._read_all(file)
        return self._picture(event, data, event.captured_at, cut=False)

    def _file_event(self, event: FileEvent, file: IO[bytes]) -> Iterator[Frame]:
        head = file.read(HEAD_BYTES)
        file.seek(0)
        found = sniff(head)
        if found is not None and found.kind == "image":
            yield self._picture(event, self._read_all(file), self._moment(event), cut=True)
        elif found is not None and found.kind == "video":
            yield from self._film(event, file, found)
        else:
            raise BadMedia(f"this is neither a picture nor a film: {describe(head, found)}")

    def _picture(self, event: Event, data: bytes, captured_at: datetime, *, cut: bool) -> Frame:
        picture = read_picture(data, self._max_pixels, self._luma_px)
        return Frame(
            event_id=event.id,
            source=event.source,
            index=0,
            captured_at=captured_at,
            width=picture.width,
            height=picture.height,
            luma=picture.luma,
            pixels=picture.pixels,
            encoded=data,
            media_type=picture.media_type,
            cut=cut,
        )

    def _film(self, event: FileEvent, file: IO[bytes], found: Format) -> Iterator[Frame]:
        wanted = Wanted(self._every_s, event.span or Span(0.0), self._luma_px, self._max_pixels)
        cuts = self._cut_detector() if self._cut_detector is not None else None
        with open_film(file, found, self._max_pixels) as film:
            began = film.recorded_at or self._moment(event)
            for index, still in enumerate(film.stills(wanted, cuts)):
                yield Frame(
                    event_id=event.id,
                    source=event.source,
                    index=index,
                    captured_at=began + timedelta(seconds=still.pts_s),
                    width=still.width,
                    height=still.height,
                    luma=still.luma,
                    pixels=still.pixels,
                    pts_s=still.pts_s,
                    cut=still.cut,
                )

    def _moment(self, event: FileEvent) -> datetime:
        return event.modified_at or (event.record.timestamp if event.record is not None else self._now())

    def _read_all(self, file: IO[bytes]) -> bytes:
        data = file.read(self._max_image_bytes + 1)
        if len(data) > self._max_image_bytes:
            raise BadMedia(f"the picture's file has more than {self._max_image_bytes} bytes: send a smaller one")
        return data


def video_duration_s(place: Path | str) -> float | None:
    """Length of a local or remote film as its header states it; None when it is no film or does not say.

    Raises: errors.NotFound, errors.Forbidden (may not be read), errors.Unavailable.
    """
    file_name = str(place)
    roots = [file_name.rpartition("/")[0] or "/"]
    with Places(roots).open(file_name) as file:
        found = sniff(file.read(HEAD_BYTES))
        if found is None or found.kind != "video":
            return None
        file.seek(0)
        try:
            with open_film(file, found) as film:
                return film.duration_s
        except BadMedia:
            return None
