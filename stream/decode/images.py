"""A still picture: a cheap look at its brightness first, the pixels only when someone asks.

JPEG goes through OpenCV (libjpeg-turbo scales while it decodes, and colour is a third faster than Pillow's); PNG and
WebP go through Pillow, which is strict about truncation and silent about the rest.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, PngImagePlugin, WebPImagePlugin

from stream.decode.headers import Header, read_header
from stream.decode.planes import LUMA_PX, halvings, shrink, upright
from stream.decode.sniff import HEAD_BYTES, describe, sniff
from stream.errors import BadMedia
from stream.types import Pixels

MAX_PIXELS = 64_000_000
"""Largest picture that is decoded: a 50-megapixel phone photo passes; its pixels are 150 MB, a PNG peaks at 4 times."""

_MAX_SCANS = 500
"""A progressive JPEG can ask for any number of passes over all its blocks with a few bytes each:
libjpeg-turbo's fuzzers stop at 500, encoders write 10."""

_REDUCED = (
    cv2.IMREAD_GRAYSCALE,
    cv2.IMREAD_REDUCED_GRAYSCALE_2,
    cv2.IMREAD_REDUCED_GRAYSCALE_4,
    cv2.IMREAD_REDUCED_GRAYSCALE_8,
)
_PILLOW: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    # Called directly, not through Image.open: the size is checked here, before the WebP one allocates its canvas.
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}
_PILLOW_FAULTS = (OSError, SyntaxError, ValueError, EOFError, LookupError, OverflowError, struct.error, zlib.error)


@dataclass(frozen=True, slots=True)
class Picture:
    """A still picture whose header was read and whose luma was decoded. Width and height are after orientation."""

    width: int
    height: int
    luma: Pixels  # (h, w) uint8
    pixels: Callable[[], Pixels]  # decodes at every call: (H, W, 3) uint8 RGB; raises errors.BadMedia
    media_type: str


def read_picture(data: bytes, max_pixels: int = MAX_PIXELS, luma_px: int = LUMA_PX) -> Picture:
    """The picture in these bytes. A JPEG is decoded to brightness only, at 1/8 to full size; PNG and WebP once in full.

    Raises: errors.BadMedia when it is not JPEG, PNG or WebP, too large, truncated or damaged.
    """
    found = sniff(data[:HEAD_BYTES])
    if found is None or found.kind != "image":
        raise BadMedia(f"this is not a picture: {describe(data[:HEAD_BYTES], found)}")
    header = read_header(found.name, data)
    if header.width * header.height > max_pixels:
        raise BadMedia(
            f"the {found.name} picture has {header.width} x {header.height} pixels, the limit is {max_pixels} in all: "
            "send a smaller one"
        )
    if found.name == "JPEG":
        _check_scans(data, header)
        luma = _jpeg_luma(data, header, luma_px)
    else:
        luma = shrink(_grey(_open(found.name, data)), luma_px)
    width, height = header.shown

    def pixels() -> Pixels:
        stored = _jpeg_rgb(data) if found.name == "JPEG" else _rgb(_open(found.name, data))
        return upright(stored, header.orientation)

    return Picture(width, height, upright(luma, header.orientation), pixels, found.media_type)


def luma_of_jpeg(data: bytes, luma_px: int = LUMA_PX, max_pixels: int = MAX_PIXELS) -> tuple[Pixels, int, int]:
    """(luma, width, height) of a JPEG: the gate's picture and the size of the whole one. Raises errors.BadMedia."""
    picture = read_picture(data, max_pixels, luma_px)
    return picture.luma, picture.width, picture.height


def _check_scans(data: bytes, header: Header) -> None:
    """Libraries fill a truncated JPEG up with grey; within compressed data FF D9 cannot occur, so its absence tells."""
    if data.rfind(b"\xff\xd9", header.scan) < 0:
        raise BadMedia(f"the JPEG picture has no end after {len(data)} bytes: it is truncated")
    if header.progressive and data.count(b"\xff\xda", header.scan) > _MAX_SCANS:
        raise BadMedia(f"the progressive JPEG picture has more than {_MAX_SCANS} scans: it is damaged or hostile")


def _jpeg_luma(data: bytes, header: Header, luma_px: int) -> Pixels:
    steps = min(3, halvings(min(header.width, header.height), luma_px))
    return shrink(_imdecode(data, _REDUCED[steps]), luma_px)


def _jpeg_rgb(data: bytes) -> Pixels:
    return _imdecode(data, cv2.IMREAD_COLOR_RGB)


def _imdecode(data: bytes, flags: int) -> Pixels:
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise BadMedia(f"the JPEG picture cannot be decoded: {error.err or 'damaged'}") from error
    if decoded is None:
        raise BadMedia(f"the JPEG picture of {len(data)} bytes cannot be decoded: it is truncated or damaged")
    return np.asarray(decoded, dtype=np.uint8)


def _open(name: str, data: bytes) -> Image.Image:
    try:
        image = _PILLOW[name](io.BytesIO(data))
        image.load()
    except _PILLOW_FAULTS as error:
        raise BadMedia(f"the {name} picture cannot be decoded, it is truncated or damaged: {error}") from error
    return image


def _flat(image: Image.Image) -> Image.Image:
    """8 bits a channel and no transparency: what is transparent is white, as on the page it was drawn for."""
    if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion clips instead of scaling
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image.convert("RGBA"))
    return paper


def _grey(image: Image.Image) -> Pixels:
    return np.asarray(_flat(image).convert("L"), dtype=np.uint8)


def _rgb(image: Image.Image) -> Pixels:
    return np.asarray(_flat(image).convert("RGB"), dtype=np.uint8)
