"""A camera's stream or a film read packet by packet, its frames as JPEG. Blocking: runs on the camera's own thread."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from stream.capture.address import Secret
from stream.errors import Unavailable

_TURNS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    -270: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    -180: cv2.ROTATE_180,
    -90: cv2.ROTATE_90_CLOCKWISE,
    270: cv2.ROTATE_90_CLOCKWISE,
}
_HINTS = {
    "HTTPUnauthorizedError": "it refuses the user name or password",
    "HTTPForbiddenError": "the user may not see this stream",
    "HTTPNotFoundError": "it has no such stream: check the path in its URL",
    "ConnectionRefusedError": "nothing listens there: check host and port",
    "TimeoutError": "it does not answer in time",
    "ExitError": "it does not answer in time",
    "FileNotFoundError": "there is no such file",
    "InvalidDataError": "nothing that can be read came from it in time",
}


class Shot(NamedTuple):
    """A frame of the footage; `jpeg` encodes when called, at once or never: the decoder goes on afterwards."""

    pts_s: float | None  # stream time from the start; None until the stream has told
    jpeg: Callable[[], bytes]


class Encoder:
    """Frames to JPEG. swscale and libjpeg-turbo take 2 ms for 720p; FFmpeg's own MJPEG encoder takes 9 (measured)."""

    def __init__(self, quality: int) -> None:
        self._options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        self._scaler = VideoReformatter()  # shared: frame.reformat() leaks one a frame in PyAV 18

    def film_frame(self, frame: av.VideoFrame) -> bytes:
        """A decoded frame, upright."""
        pixels = self._scaler.reformat(frame, format="bgr24", threads=1).to_ndarray()
        turn = _TURNS.get(frame.rotation)
        return self._encode(pixels if turn is None else cv2.rotate(pixels, turn))

    def rgb(self, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
        """A (H, W, 3) uint8 RGB picture."""
        return self._encode(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))

    def _encode(self, bgr: object) -> bytes:
        _, data = cv2.imencode(".jpg", bgr, self._options)
        return bytes(data)


def shots(address: Secret, encoder: Encoder, timeout_s: float) -> Generator[Shot, None, None]:
    """Every frame of a stream or film, until it ends: a server that is killed ends its stream like a film does.

    Motion JPEG is passed on as it comes. Raises: errors.Unavailable when it cannot be opened, breaks, or is silent for
    `timeout_s`; the message names the address without its secrets.
    """
    av.logging.set_level(None)  # FFmpeg's own lines print the password
    try:
        with av.open(
            address.url, options=_options(timeout_s), timeout=(2 * timeout_s, timeout_s), metadata_errors="replace"
        ) as container:
            yield from _shots(container, _moving_picture(container, address), encoder)
    except (FFmpegError, ValueError) as error:
        # Not chained: the library's own message holds the URL with the password.
        raise Unavailable(f"{address}: {address.hide(_reason(error))}") from None


def _options(timeout_s: float) -> dict[str, str]:
    """Without a time limit a server that stalls would block for ever; a protocol passes over what is not its own."""
    microseconds = str(int(timeout_s * 1e6))
    return {
        "rtsp_transport": "tcp",
        "allowed_media_types": "video",
        "timeout": microseconds,
        "rw_timeout": microseconds,
        "max_delay": "500000",
    }


def _moving_picture(container: InputContainer, address: Secret) -> VideoStream:
    stream = next((found for found in container.streams.video if found.codec_context is not None), None)
    if stream is None:
        raise Unavailable(f"{address}: it has no moving picture that can be decoded")
    stream.codec_context.thread_count = 1
    return stream


def _shots(container: InputContainer, stream: VideoStream, encoder: Encoder) -> Iterator[Shot]:
    start = stream.start_time or 0
    for packet in container.demux(stream):
        if stream.codec_context.name == "mjpeg" and _is_whole(data := bytes(packet)):
            yield Shot(_pts_s(packet.pts, start, stream), partial(bytes, data))
            continue
        for frame in _decoded(stream, packet):
            if not frame.is_corrupt:
                yield Shot(_pts_s(frame.pts, start, stream), partial(encoder.film_frame, frame))


def _decoded(stream: VideoStream, packet: av.Packet) -> list[av.VideoFrame]:
    try:
        return stream.codec_context.decode(packet)
    except FFmpegError:
        return []  # joined between key frames, or a packet was damaged: the next key frame heals it


def _is_whole(data: bytes) -> bool:
    """A JPEG with its own Huffman tables: some webcams leave them out, and then not every reader can read it."""
    return data.startswith(b"\xff\xd8") and b"\xff\xc4" in data[:4096]


def _pts_s(pts: int | None, start: int, stream: VideoStream) -> float | None:
    return None if pts is None or stream.time_base is None else float((pts - start) * stream.time_base)


def _reason(error: FFmpegError | ValueError) -> str:
    said = error.strerror if isinstance(error, FFmpegError) else str(error)
    hint = _HINTS.get(type(error).__name__)
    return f"{hint} ({said})" if hint else str(said)
