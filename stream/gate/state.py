"""A gate's state as bytes: the background as JPEG, the foliage's thresholds as PNG, a header, a checksum."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

from stream.gate.detector import Detector

VERSION = 2
_HEADER = struct.Struct(
    "<2sBxIIIIffIIII"
)  # mark, version, luma and reduced size, sigma, frame step, frames, lengths, crc
_MARK = b"sg"
_QUALITY = 92  # an error of about 2 levels, below the threshold of 8


def pack(detector: Detector) -> bytes:
    """The state of a detector; empty when it has seen nothing."""
    if not detector.frames:
        return b""
    seen = cv2.imencode(".jpg", detector.back.seen, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    limit = cv2.imencode(".png", cv2.convertScaleAbs(detector.activity.limit))[1].tobytes()
    rows, columns = detector.back.seen.shape
    return (
        _HEADER.pack(
            _MARK,
            VERSION,
            *detector.luma_shape,
            rows,
            columns,
            detector.back.sigma,
            detector.step_s,
            detector.frames,
            len(seen),
            len(limit),
            zlib.crc32(seen + limit),
        )
        + seen
        + limit
    )


def unpack(detector: Detector, state: bytes) -> bool:
    """Put a state into a detector; False, and nothing changed, when it cannot be read."""
    if len(state) < _HEADER.size:
        return False
    mark, version, height, width, rows, columns, sigma, step, frames, n_seen, n_limit, crc = _HEADER.unpack_from(state)
    body = state[_HEADER.size :]
    if mark != _MARK or version != VERSION or len(body) != n_seen + n_limit or zlib.crc32(body) != crc:
        return False
    if detector.reduced((height, width)) != (rows, columns):
        return False
    seen = cv2.imdecode(np.frombuffer(body[:n_seen], np.uint8), cv2.IMREAD_GRAYSCALE)
    limit = cv2.imdecode(np.frombuffer(body[n_seen:], np.uint8), cv2.IMREAD_GRAYSCALE)
    if seen is None or limit is None or seen.shape != (rows, columns) or limit.shape != seen.shape:
        return False
    detector.resume((height, width), seen, limit, sigma, step, frames)
    return True
