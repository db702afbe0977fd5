"""Hypothesis strategies for records of the log and of the wire."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import strategies as st

from stream.types import (
    Admission,
    Alert,
    Box,
    Detection,
    Digest,
    FileEvent,
    FrameEvent,
    LedgerEntry,
    Media,
    Observation,
    Provenance,
    Reason,
    Record,
    Span,
    TextRead,
    Vector,
)

JPEG = b"\xff\xd8\xff\xe0 a picture"
PNG = b"\x89PNG\r\n\x1a\n a picture"
WEBP = b"RIFF\x00\x00\x00\x00WEBP a picture"
NOON = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)

text = st.text(st.characters(codec="utf-8"), max_size=40)
sources = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=60)
ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
times = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
millis = times.map(lambda when: when.replace(microsecond=when.microsecond // 1000 * 1000))
unit = st.floats(0, 1)
boxes = st.builds(Box, *[st.floats(0, 10_000)] * 4)
quads = st.tuples(*[st.floats(-100, 10_000)] * 8)
counts = st.integers(0, 2**53)


def record(
    value: bytes | None = None,
    key: bytes | None = b"garage",
    headers: tuple[tuple[str, bytes | None], ...] = (),
    timestamp: datetime = NOON,
    topic: str = "frames",
    offset: int = 41,
) -> Record:
    return Record(topic, 3, offset, key, value, headers, timestamp)


header_names = st.one_of(
    st.sampled_from(["ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time", "ce_dataref", "content-type"]),
    st.text(max_size=10),
)
header_values = st.one_of(st.none(), st.binary(max_size=20), st.sampled_from([b"1.0", b"x", b"2026-01-01T00:00:00Z"]))
_NAMES = ["uri", "op", "size", "span", "start_s", "end_s", "sha256", "modified_at", "media_type"]
_NAMES += ["Records", "eventName", "eventTime", "s3", "bucket", "object", "name", "key", "Event"]
bodies = st.one_of(
    st.none(),
    st.binary(max_size=60),
    st.binary(max_size=20).map(lambda tail: JPEG + tail),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), text),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(_NAMES),
                inner,
                max_size=5,
            ),
        ),
        max_leaves=12,
    ).map(lambda body: __import__("json").dumps(body).encode()),
)
records = st.builds(
    Record,
    topic=st.just("frames"),
    partition=st.integers(0, 47),
    offset=counts,
    key=st.one_of(st.none(), st.binary(max_size=10), sources.map(str.encode)),
    value=bodies,
    headers=st.lists(st.tuples(header_names, header_values), max_size=8).map(tuple),
    timestamp=times,
)

frame_events = st.one_of(
    st.builds(FrameEvent, ids, sources, times, image=st.sampled_from([JPEG, PNG, WEBP]), uri=st.none()),
    st.builds(
        FrameEvent, ids, sources, times, image=st.none(), uri=text.filter(lambda uri: uri != "" and "\0" not in uri)
    ),
)
spans = st.one_of(st.builds(Span, st.floats(0, 1e6)), st.builds(Span, st.floats(0, 1e6), st.floats(1.1e6, 2e6)))
file_events = st.builds(
    FileEvent,
    id=ids,
    source=sources,
    uri=text.filter(lambda uri: uri != "" and "\0" not in uri),
    media_type=st.one_of(st.none(), text),
    size_bytes=st.one_of(st.none(), counts),
    modified_at=st.one_of(st.none(), times),
    sha256=st.one_of(st.none(), st.text("0123456789abcdef", min_size=64, max_size=64)),
    op=st.sampled_from(["created", "updated", "deleted"]),
    span=st.one_of(st.none(), spans),
)

vectors = st.builds(
    Vector,
    text,
    st.lists(st.integers(-100, 100), min_size=1, max_size=8).map(lambda values: np.float32(values) / 128),
    st.one_of(st.none(), boxes),
)
observations = st.builds(
    Observation,
    id=ids,
    source=sources,
    kind=st.sampled_from(["frame", "image", "video", "document", "audio"]),
    captured_at=times,
    media=st.builds(Media, counts, counts, counts, st.one_of(st.none(), text), st.one_of(st.none(), st.floats(0, 1e6))),
    gate=st.builds(
        lambda reason, score, around: Admission(reason not in REFUSALS, reason, score, tuple(around)),
        st.sampled_from(Reason),
        unit,
        st.lists(boxes, max_size=3),
    ),
    provenance=st.builds(
        Provenance,
        text,
        counts,
        counts,
        st.builds(Digest, text),
        text,
        st.dictionaries(text, text, max_size=2),
        st.booleans(),
        text,
    ),
    objects=st.lists(st.builds(Detection, text, unit, boxes), max_size=3).map(tuple),
    caption=st.one_of(st.none(), text),
    text=st.lists(st.builds(TextRead, text, unit, st.one_of(st.none(), quads)), max_size=2).map(tuple),
    transcript=st.one_of(st.none(), text),
    vectors=st.lists(vectors, max_size=2).map(tuple),
    snapshot=st.one_of(st.none(), text),
    derived_from=st.one_of(st.none(), text),
)
REFUSALS = {Reason.STILL, Reason.LIGHT, Reason.CLUTTER, Reason.BUSY}
alerts = st.builds(
    Alert,
    id=ids,
    rule=text,
    source=sources,
    captured_at=times,
    observation=ids,
    message=text,
    label=st.one_of(st.none(), text),
    score=st.one_of(st.none(), unit),
    box=st.one_of(st.none(), boxes),
    snapshot=st.one_of(st.none(), text),
    demo=st.booleans(),
)
entries = st.builds(
    LedgerEntry,
    *[text] * 2,
    *[counts] * 9,
    shed_offsets=st.lists(st.tuples(counts, counts), max_size=3).map(tuple),
)
