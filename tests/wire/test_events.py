"""Input records: what parses to which event, what is refused, and that nothing else can happen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given

from stream.errors import BadRecord
from stream.types import FileEvent, FrameEvent, Record
from stream.wire import encode_event, file_event_id, image_type, parse_files, parse_frame
from stream.wire.cloudevents import Outgoing
from tests.wire import strategies as some
from tests.wire.strategies import JPEG, NOON, PNG, WEBP, record

CE: tuple[tuple[str, bytes | None], ...] = (
    ("ce_specversion", b"1.0"),
    ("ce_type", b"com.example.frame"),
    ("ce_source", b"yard"),
    ("ce_id", b"one"),
)


def arrived(outgoing: Outgoing, timestamp: datetime = NOON) -> Record:
    """The record as a consumer will see it."""
    return Record(outgoing.topic, 0, 0, outgoing.key, outgoing.value, tuple(outgoing.headers), timestamp)


@given(some.frame_events)
def test_a_frame_event_comes_back_as_it_went(event: FrameEvent) -> None:
    back = parse_frame(arrived(encode_event(event, "frames")))
    assert replace(back, record=None) == event


@given(some.file_events)
def test_a_file_event_comes_back_as_it_went(event: FileEvent) -> None:
    [back] = parse_files(arrived(encode_event(event, "files")))
    assert replace(back, record=None) == event


@given(some.records)
def test_a_frame_record_gives_one_sound_event_or_bad_record(given_record: Record) -> None:
    try:
        event = parse_frame(given_record)
    except BadRecord as error:
        assert f"-{given_record.partition}@{given_record.offset}" in str(error)
        return
    assert event.source and event.id and event.captured_at.tzinfo is UTC
    assert (event.image is None) != (event.uri is None)
    assert event.image is None or image_type(event.image) is not None
    assert event.record is given_record


@given(some.records)
def test_a_file_record_gives_sound_events_or_bad_record(given_record: Record) -> None:
    try:
        events = parse_files(given_record)
    except BadRecord:
        return
    for event in events:
        assert event.id and event.source and event.uri
        assert event.modified_at is None or event.modified_at.tzinfo is UTC
        assert event.record is given_record


@pytest.mark.parametrize("image", [JPEG, PNG, WEBP])
def test_a_bare_image_is_a_frame_of_the_key_at_the_records_time(image: bytes) -> None:
    event = parse_frame(record(image))
    assert (event.source, event.captured_at, event.image) == ("garage", NOON, image)


def test_a_bare_images_id_is_made_from_time_and_content() -> None:
    first = parse_frame(record(JPEG, offset=1)).id
    assert parse_frame(record(JPEG, offset=2)).id == first
    assert parse_frame(record(JPEG + b".")).id != first
    assert parse_frame(record(JPEG, timestamp=NOON.replace(second=9))).id != first


def test_the_key_names_the_source_and_ce_source_stands_in_for_it() -> None:
    assert parse_frame(record(JPEG, headers=CE)).source == "garage"
    assert parse_frame(record(JPEG, key=None, headers=CE)).source == "yard"


def test_ce_time_is_the_capture_time_in_utc() -> None:
    event = parse_frame(record(JPEG, headers=(*CE, ("ce_time", b"2026-11-23t14:30:00.5+02:00"))))
    assert event.captured_at == datetime(2026, 11, 23, 12, 30, 0, 500_000, tzinfo=UTC)
    assert event.captured_at.tzinfo is UTC


def test_dataref_stands_in_for_an_empty_value_and_yields_to_an_image() -> None:
    headers = (*CE, ("ce_dataref", b"s3://blobs/1.jpg"))
    for nothing in (None, b""):
        event = parse_frame(record(nothing, headers=headers))
        assert (event.uri, event.image) == ("s3://blobs/1.jpg", None)
    assert parse_frame(record(JPEG, headers=headers)).uri is None


def test_headers_of_other_names_may_be_any_bytes() -> None:
    event = parse_frame(record(JPEG, headers=(("x-trace", b"\xff\xfe"), ("y", None))))
    assert event.image == JPEG


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (record(None), "tombstone"),
        (record(b""), "empty value"),
        (record(b"hello, I am a text"), "no JPEG"),
        (record(b"GIF89a......"), "no JPEG"),
        (record(JPEG, key=None), "no source"),
        (record(JPEG, key=b"\xff"), "UTF-8"),
        (record(JPEG, key=b"a\nb"), "printable"),
        (record(JPEG, key=b"a" * 256), "255"),
        (record(JPEG, headers=(*CE[:3], ("ce_id", b"\xff\xfe"))), "'ce_id' is not UTF-8"),
        (record(JPEG, headers=CE[:2]), "ce_source, ce_id"),
        (record(JPEG, headers=(("ce_specversion", b"0.3"), *CE[1:])), "0.3"),
        (record(JPEG, headers=(*CE, ("ce_time", b"yesterday"))), "yesterday"),
        (record(JPEG, headers=(*CE, ("ce_time", b"2026-11-23T12:00:00"))), "RFC 3339"),
        (record(JPEG, headers=(*CE, ("ce_time", b"0001-01-01T00:00:00+10:00"))), "RFC 3339"),
        (record(b"{}", headers=(("content-type", b"application/cloudevents+json"),)), "structured"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_frame_record_says_what_is_wrong(bad: Record, says: str) -> None:
    with pytest.raises(BadRecord, match=r"frames-3@41: ") as caught:
        parse_frame(bad)
    assert says in str(caught.value)


def body(**fields: object) -> Record:
    return record(orjson.dumps({"uri": "file:///films/a.mp4", **fields}), topic="files")


@pytest.mark.parametrize(
    "bad",
    [
        record(None, topic="files"),
        record(b"{", topic="files"),
        record(b"[]", topic="files"),
        record(b'{"uri": "a\xff"}', topic="files"),
        record(b"{}", topic="files"),
        body(uri=""),
        body(uri="a\0b"),
        body(uri=7),
        body(size=-1),
        body(size=True),
        body(size=1.5),
        body(sha256="abc"),
        body(op="moved"),
        body(op=[]),
        body(modified_at="noon"),
        body(modified_at=12),
        body(media_type=7),
        body(span=[0, 1]),
        body(span={"start_s": -1}),
        body(span={"start_s": 5, "end_s": 5}),
        body(span={"start_s": True}),
    ],
)
def test_a_bad_file_record_is_refused_with_its_place(bad: Record) -> None:
    with pytest.raises(BadRecord, match=r"^files-3@41: "):
        parse_files(bad)


def test_a_path_may_hold_spaces_newlines_and_any_letters() -> None:
    [event] = parse_files(body(uri="/films/été 1\n2.mp4"))
    assert event.uri == "/films/été 1\n2.mp4"


def test_a_file_without_ce_id_has_the_same_id_each_time_it_is_submitted() -> None:
    [first], [again], [other] = (parse_files(body(size=size)) for size in (3, 3, 4))
    assert first.id == again.id == file_event_id("file:///films/a.mp4", 3, None)
    assert other.id != first.id


def test_a_frame_is_stamped_with_its_capture_time_and_a_file_is_not() -> None:
    frame = encode_event(FrameEvent("1", "yard", NOON, JPEG), "frames")
    assert frame.timestamp_ms == round(NOON.timestamp() * 1000)
    assert encode_event(FileEvent("1", "yard", "/a"), "files").timestamp_ms is None
