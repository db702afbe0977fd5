"""The poison corpus: records that can never be processed, each for a reason of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson

from stream.wire import Outgoing
from tests.faults.stage import Spoil


def _value(value: bytes | None) -> Spoil:
    return lambda out: out._replace(value=value)


def _header(name: str, value: bytes | None) -> Spoil:
    def spoil(out: Outgoing) -> Outgoing:
        kept = [pair for pair in out.headers if pair[0] != name]
        return out._replace(headers=kept if value is None else [*kept, (name, value)])

    return spoil


def _body(**fields: object) -> Spoil:
    return lambda out: out._replace(value=orjson.dumps({**orjson.loads(out.value or b"{}"), **fields}))


def corpus(folder: Path) -> list[Spoil]:
    """At least 60 records for the files topic; what they point to lies in `folder`."""
    made: dict[str, bytes] = {
        "empty.jpg": b"",
        "text.jpg": b"I am not a picture",
        "cut.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
        "cut.png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        "huge.png": _huge_png(),
        "cut.webp": b"RIFF\xff\xff\xff\x7fWEBPVP8 ",
        "no.mp4": b"\x00\x00\x00\x18ftypmp42",
        "zeros.mp4": bytes(4096),
        "noise.mkv": bytes(range(256)) * 16,
        "page.pdf": b"%PDF-1.4 broken",
    }
    for name, content in made.items():
        (folder / name).write_bytes(content)
    values: list[bytes | None] = [
        None, b"", b"\x00", b"{", b"[]", b"null", b"7", b'"text"', b"{}", b"\xff\xfe", b"\xff\xd8\xff picture",
        b'{"uri": ""}', b'{"uri": 7}', b'{"uri": null}', b'{"uri": ["a"]}', b'{"uri": "a\\u0000b"}', b'{"uri": "\xff"}',
        b'{"Records": [7]}', b'{"Records": [{}]}', b'{"Records": [{"eventName": "ObjectCreated:Put"}]}',
        b'{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": "%ff"}}}]}',
        b"{" * 200, b"[" * 5000,
    ]  # fmt: skip
    bodies: list[dict[str, object]] = [
        {"op": "moved"}, {"op": 7}, {"size": -1}, {"size": "big"}, {"size": True}, {"size": 1.5},
        {"sha256": "abc"}, {"sha256": 7}, {"modified_at": "noon"}, {"modified_at": "2026-13-01T00:00:00Z"},
        {"modified_at": 7}, {"media_type": 7}, {"span": 7}, {"span": {"start_s": -1}}, {"span": {"start_s": "a"}},
        {"span": {"start_s": 5, "end_s": 1}}, {"uri": "/etc/passwd"}, {"uri": "/nowhere/at/all.jpg"},
        {"uri": str(folder / "vanished.jpg")}, {"uri": str(folder / ".." / ".." / "settings.yaml")},
        {"uri": f"file://{folder}/vanished.png"}, {"uri": "gopher://host/a.jpg"}, {"uri": str(folder)},
        *({"uri": str(folder / name), "media_type": None} for name in made),
    ]  # fmt: skip
    headers: list[tuple[str, bytes | None]] = [
        ("ce_id", None), ("ce_id", b""), ("ce_id", b"\xff"), ("ce_id", b"x" * 2000), ("ce_type", None),
        ("ce_source", b"\xfe"), ("ce_source", None), ("ce_specversion", None), ("ce_specversion", b"0.3"),
        ("ce_time", b"\xff"), ("content-type", b"application/cloudevents+json"),
    ]  # fmt: skip
    keys: list[Callable[[Outgoing], Outgoing]] = [
        lambda out: out._replace(key=b"\xff"),
        lambda out: out._replace(key=b"a\nb"),
        lambda out: out._replace(key=b"k" * 300),
    ]
    return [
        *(_value(value) for value in values),
        *(_body(**fields) for fields in bodies),
        *(_header(name, value) for name, value in headers),
        *keys,
    ]


def _huge_png() -> bytes:
    """20,000 x 20,000 pixels in its head, which is all a decoder may need to refuse it."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
