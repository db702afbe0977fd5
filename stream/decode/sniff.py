"""What bytes are, by their first bytes. A name's ending, a header or a media type is a claim; only this table decides.

Sources: the formats' own specifications as collected in libmagic's `magic/Magdir` and in FFmpeg's probes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HEAD_BYTES = 512
"""How much of a file `sniff` wants to see: three packets of an MPEG transport stream are the farthest look."""


@dataclass(frozen=True, slots=True)
class Format:
    """A row of the table: `marks` are (offset, bytes) that must all be there."""

    name: str
    kind: Literal["image", "video", "refused"]
    marks: tuple[tuple[int, bytes], ...]
    media_type: str = "application/octet-stream"
    demuxer: str | None = None  # FFmpeg's name: never probed, so that no file can ask for a playlist or script demuxer
    states_length: bool = False  # the header says how long the film is, so that a missing end can be told

    def matches(self, head: bytes) -> bool:
        return all(head.startswith(mark, offset) for offset, mark in self.marks)


def _brands(name: str, media_type: str, *brands: bytes) -> tuple[Format, ...]:
    """ISO base media files that hold pictures: refused by the brand that follows `ftyp`."""
    return tuple(Format(name, "refused", ((4, b"ftyp" + brand),), media_type) for brand in brands)


def _film(name: str, demuxer: str, media_type: str, *marks: tuple[int, bytes], states_length: bool = False) -> Format:
    return Format(name, "video", marks, media_type, demuxer, states_length)


FORMATS: tuple[Format, ...] = (
    Format("JPEG", "image", ((0, b"\xff\xd8\xff"),), "image/jpeg"),
    Format("PNG", "image", ((0, b"\x89PNG\r\n\x1a\n"),), "image/png"),
    Format("WebP", "image", ((0, b"RIFF"), (8, b"WEBP")), "image/webp"),
    Format("GIF", "refused", ((0, b"GIF8"),), "image/gif"),
    Format("TIFF", "refused", ((0, b"II*\x00"),), "image/tiff"),
    Format("TIFF", "refused", ((0, b"MM\x00*"),), "image/tiff"),
    Format("BMP", "refused", ((0, b"BM"), (6, b"\x00\x00\x00\x00")), "image/bmp"),
    Format("JPEG XL", "refused", ((0, b"\xff\x0a"),), "image/jxl"),
    Format("JPEG XL", "refused", ((4, b"JXL \r\n\x87\n"),), "image/jxl"),
    Format("PDF", "refused", ((0, b"%PDF-"),), "application/pdf"),
    *_brands("HEIC", "image/heic", b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"),
    *_brands("AVIF", "image/avif", b"avif", b"avis"),
    _film("MP4", "mp4", "video/mp4", (4, b"ftyp"), states_length=True),
    *(
        _film("QuickTime", "mov", "video/quicktime", (4, atom), states_length=True)
        for atom in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
    ),
    _film("Matroska", "matroska", "video/x-matroska", (0, b"\x1a\x45\xdf\xa3"), states_length=True),
    _film("AVI", "avi", "video/x-msvideo", (0, b"RIFF"), (8, b"AVI "), states_length=True),
    _film("MPEG-TS", "mpegts", "video/mp2t", (0, b"G"), (188, b"G"), (376, b"G")),
    _film("MPEG-TS", "mpegts", "video/mp2t", (4, b"G"), (196, b"G"), (388, b"G")),
    _film("MPEG-PS", "mpeg", "video/mpeg", (0, b"\x00\x00\x01\xba")),
    _film("FLV", "flv", "video/x-flv", (0, b"FLV\x01")),
    _film("ASF", "asf", "video/x-ms-wmv", (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11")),
    _film("Ogg", "ogg", "video/ogg", (0, b"OggS")),
    _film("DHAV", "dhav", "video/x-dhav", (0, b"DHAV")),
)


def sniff(head: bytes) -> Format | None:
    """The format of a file that starts with `head` (at least `HEAD_BYTES` of it, if it has so many); None: unknown."""
    return next((known for known in FORMATS if known.matches(head)), None)


def describe(head: bytes, found: Format | None) -> str:
    """For an error message: what these bytes are instead of a picture or film, and what to do."""
    if not head:
        return "it is empty: nothing was written, or only a part of the upload arrived"
    if found is not None:
        return f"it is {found.name}, which cannot be read: send JPEG, PNG, WebP or a film ({found.media_type})"
    if _is_text(head):
        return "it is text: send the encoded picture itself (JPEG, PNG or WebP), not a path, JSON or base64"
    return f"its format is unknown (first bytes {head[:8].hex(' ')}): send JPEG, PNG, WebP or a film"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not merely a letter cut in two by the end of the head
            return False
        text = head[: error.start].decode("utf-8")
    return all(letter.isprintable() or letter in "\r\n\t\f" for letter in text)
