"""A decoded frame of a film as pixels: brightness straight from its Y plane, colour through swscale when asked."""

from __future__ import annotations

import threading

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter

from stream.decode.planes import shrink, upright
from stream.errors import BadMedia
from stream.types import Pixels

_Y_FIRST = frozenset(
    {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "yuv411p", "yuv410p", "yuv440p", "yuvj440p",
     "nv12", "nv21", "nv16", "yuva420p", "gray"}
)  # fmt: skip
"""Pixel formats whose first plane is 8-bit brightness; all others go through swscale."""

_ROTATED = {90: 8, -270: 8, 180: 3, -180: 3, -90: 6, 270: 6}
"""A display rotation (degrees counterclockwise) as the Exif orientation that means the same."""

_own = threading.local()


def size(frame: av.VideoFrame) -> tuple[int, int]:
    """(width, height) of a frame after its rotation."""
    return (frame.height, frame.width) if _turn(frame) >= 5 else (frame.width, frame.height)


def luma(frame: av.VideoFrame, at_least_px: int) -> Pixels:
    """The small brightness picture, (h, w) uint8 upright; values keep the film's own range (16 to 235 or 0 to 255)."""
    if frame.format.name in _Y_FIRST:
        plane = frame.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        whole = rows[: frame.height, : frame.width]
    else:
        whole = _converted(frame, "gray")
    small = upright(shrink(whole, at_least_px), _turn(frame))
    return small if small.base is None else small.copy()  # never a view that keeps the frame's planes alive


def rgb(frame: av.VideoFrame) -> Pixels:
    """The frame as (H, W, 3) uint8 RGB, upright. Raises errors.BadMedia for a pixel format that cannot be converted."""
    return upright(_converted(frame, "rgb24"), _turn(frame))


def _turn(frame: av.VideoFrame) -> int:
    return _ROTATED.get(frame.rotation, 1)


def _converted(frame: av.VideoFrame, pixel_format: str) -> Pixels:
    # One reformatter a thread and format: frame.reformat() makes and leaks one a frame in PyAV 18; none is thread-safe.
    scalers: dict[str, VideoReformatter] = _own.__dict__.setdefault("scalers", {})
    scaler = scalers.setdefault(pixel_format, VideoReformatter())
    try:
        return np.asarray(scaler.reformat(frame, format=pixel_format, threads=1).to_ndarray(), dtype=np.uint8)
    except (FFmpegError, ValueError) as error:
        raise BadMedia(f"a frame of pixel format {frame.format.name} cannot be converted: {error}") from error
