"""Pictures and films for the tests, small and made on the spot."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image

from stream.types import Pixels

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 40), (30, 40, 210), (250, 250, 250)


def quadrants(width: int = 320, height: int = 200) -> Pixels:
    """Red, green / blue, white: a picture that shows how it was turned."""
    picture = np.empty((height, width, 3), np.uint8)
    half_w, half_h = width // 2, height // 2
    picture[:half_h, :half_w], picture[:half_h, half_w:] = RED, GREEN
    picture[half_h:, :half_w], picture[half_h:, half_w:] = BLUE, WHITE
    return picture


def corners(picture: Pixels) -> list[str]:
    """Colour names of the four quadrants: upper left, upper right, lower left, lower right."""
    names = {"red": RED, "green": GREEN, "blue": BLUE, "white": WHITE}
    height, width = picture.shape[:2]
    found = []
    for y in (height // 4, 3 * height // 4):
        for x in (width // 4, 3 * width // 4):
            here = picture[y, x].astype(int)
            found.append(min(names, key=lambda name: int(np.abs(here - names[name]).sum())))
    return found


def texture(seed: int, width: int = 320, height: int = 180) -> Pixels:
    """Something that does not compress to nothing."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def encode(picture: Pixels, form: str, *, orientation: int | None = None, mode: str = "RGB", **options: Any) -> bytes:
    """A picture as JPEG, PNG or WebP, with an Exif orientation if asked."""
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    out = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(out, form, **options)
    return out.getvalue()


def huge_png(width: int, height: int) -> bytes:
    """A valid PNG of black pixels of any size: about a thousandth of its pixels in bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height), 1)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)  # one bit a pixel
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def film(
    path: Path,
    pictures: Iterable[Pixels],
    *,
    fps: int = 10,
    codec: str = "libx264",
    form: str | None = None,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Writes a film; its container follows from the path's ending unless `form` names it."""
    settings = {"preset": "ultrafast", "g": "10"} if codec == "libx264" else {}
    with av.open(str(path), "w", format=form, options={"movflags": "faststart"}) as out:
        out.metadata.update(metadata or {})
        stream = None
        for index, picture in enumerate(pictures):
            if stream is None:
                stream = out.add_stream(codec, rate=fps, options={**settings, **(options or {})})
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = pix_fmt
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            out.mux(stream.encode(frame))
        assert stream is not None
        out.mux(stream.encode(None))
    return path


def sound(path: Path, seconds: float = 1.0, cover: bytes | None = None) -> Path:
    """A sound file in a film's container, with a cover picture if asked: no moving picture in it."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=16000, layout="mono")
        art = out.add_stream("mjpeg") if cover is not None else None
        if art is not None:
            art.width, art.height, art.pix_fmt = 320, 200, "yuvj420p"
            art.disposition = av.stream.Disposition.attached_pic
        out.start_encoding()
        if art is not None and cover is not None:
            packet = av.Packet(cover)
            packet.stream = art
            out.mux(packet)
        for index in range(int(seconds * 16000 / 1024)):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, index * 1024, Fraction(1, 16000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def turned(path: Path) -> Path:
    """Rewrites an MP4's display matrix, as a phone held upright does: show it a quarter turn clockwise."""
    one, minus = 0x00010000, 0xFFFF0000
    upright = struct.pack(">9I", one, 0, 0, 0, one, 0, 0, 0, 0x40000000)
    quarter = struct.pack(">9I", 0, one, 0, minus, 0, 0, 0, 0, 0x40000000)
    data = path.read_bytes()
    at = data.index(upright, data.index(b"tkhd"))
    path.write_bytes(data[:at] + quarter + data[at + len(upright) :])
    return path
