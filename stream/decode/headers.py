"""Size and orientation of a picture from its header: a few microseconds, and its claims allocate nothing.

JPEG: ITU-T T.81 annex B. PNG: W3C PNG 3rd edition. WebP: RFC 9649. Orientation: Exif 3.0, tag 0x0112.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stream.errors import BadMedia


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says of itself; width and height are those of the stored pixels, before orientation."""

    width: int
    height: int
    orientation: int = 1  # Exif: 1 upright, 3 upside down, 6 and 8 a quarter turn, the even-odd rest mirrored
    scan: int = 0  # JPEG: where the compressed data starts
    progressive: bool = False

    @property
    def turned(self) -> bool:
        """Width and height change places when the picture is shown upright."""
        return self.orientation >= 5

    @property
    def shown(self) -> tuple[int, int]:
        """(width, height) after orientation."""
        return (self.height, self.width) if self.turned else (self.width, self.height)


def read_header(name: str, data: bytes) -> Header:
    """The header of a picture in the format that `sniff` named. Raises errors.BadMedia: cut off or senseless."""
    try:
        header = _READERS[name](data)
    except (struct.error, IndexError) as error:
        raise BadMedia(f"the {name} picture ends within its header ({len(data)} bytes): it is truncated") from error
    if header.width < 1 or header.height < 1:
        raise BadMedia(f"the {name} picture claims {header.width} x {header.height} pixels")
    return header


_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))  # markers without a length


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment's payload, up to the first scan."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise BadMedia(f"the JPEG picture has no marker at byte {at}: it is damaged")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        at += 2
        if marker in _ALONE:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2:
            raise BadMedia(f"the JPEG picture has a segment of {length} bytes at byte {at}: it is damaged")
        yield marker, at + 2, at + length
        if marker == 0xDA:
            return
        at += length


def _jpeg(data: bytes) -> Header:
    size: tuple[int, int] | None = None
    orientation, progressive = 1, False
    for marker, start, end in _segments(data):
        if marker in _SOF:
            height, width = struct.unpack_from(">HH", data, start + 1)
            size, progressive = (width, height), marker in (0xC2, 0xCA)
        elif marker == 0xE1 and data.startswith(b"Exif\0\0", start):
            orientation = _orientation(data[start + 6 : end])
        elif marker == 0xDA and size:
            return Header(*size, orientation, scan=end, progressive=progressive)
    raise BadMedia("the JPEG picture has compressed data before it says its size: it is damaged")


def _png(data: bytes) -> Header:
    if data[12:16] != b"IHDR":
        raise BadMedia("the PNG picture does not start with its header chunk: it is damaged")
    width, height = struct.unpack_from(">II", data, 16)
    orientation, at = 1, 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"eXIf":
            orientation = _orientation(data[at + 8 : at + 8 + length])
        if kind in (b"eXIf", b"IEND"):
            break
        at += length + 12
    return Header(width, height, orientation)


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8X":
        flags = data[20]
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        if len(data) < 30:
            raise IndexError
        return Header(width, height, _webp_orientation(data) if flags & 0x08 else 1)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Header(width & 0x3FFF, height & 0x3FFF)
    raise BadMedia("the WebP picture starts with no known chunk: it is damaged")


def _webp_orientation(data: bytes) -> int:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            exif = data[at + 8 : at + 8 + length]
            return _orientation(exif.removeprefix(b"Exif\0\0"))
        at += 8 + length + (length & 1)
    return 1


def _orientation(tiff: bytes) -> int:
    """Tag 0x0112 of the first directory; 1 where there is none or it is damaged: the pixels are still good."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, at)
        for entry in range(min(entries, 256)):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, at + 2 + 12 * entry)
            if tag == 0x0112:
                return value if kind == 3 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


_READERS: dict[str, Callable[[bytes], Header]] = {"JPEG": _jpeg, "PNG": _png, "WebP": _webp}
