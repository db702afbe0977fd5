"""S3 and MinIO notifications, as those services send them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from stream.errors import BadRecord
from stream.types import FileEvent
from stream.wire import parse_files
from tests.wire.strategies import record


def item(name: str, key: Any = "in/red+car%281%29.jpg", **thing: Any) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventName": name,
        "eventTime": "2026-11-23T12:00:00.000Z",
        "s3": {"bucket": {"name": "uploads"}, "object": {"key": key, "size": 1024, "eTag": "d41d", **thing}},
    }


def parsed(body: dict[str, Any]) -> list[FileEvent]:
    return parse_files(record(orjson.dumps(body), key=b"uploads/in/red car(1).jpg", topic="files"))


def test_a_minio_notification_is_taken_as_it_comes() -> None:
    thing = item("s3:ObjectCreated:Put", contentType="image/jpeg")
    body = {"EventName": "s3:ObjectCreated:Put", "Key": "uploads/in/red car(1).jpg", "Records": [thing]}
    [event] = parsed(body)
    assert event.uri == "s3://uploads/in/red car(1).jpg"
    assert (event.source, event.op, event.size_bytes, event.media_type) == ("uploads", "created", 1024, "image/jpeg")
    assert event.modified_at == datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_an_aws_notification_of_several_objects_gives_one_event_each_in_order() -> None:
    body = {"Records": [item("ObjectCreated:CompleteMultipartUpload", "a"), item("ObjectRemoved:Delete", "b")]}
    assert [(event.uri, event.op) for event in parsed(body)] == [
        ("s3://uploads/a", "created"),
        ("s3://uploads/b", "deleted"),
    ]


def test_the_same_notification_twice_gives_the_same_id_and_a_new_state_another() -> None:
    first, again = (parsed({"Records": [item("ObjectCreated:Put")]})[0] for _ in range(2))
    assert first.id == again.id
    assert parsed({"Records": [item("ObjectCreated:Put", size=5)]})[0].id != first.id


@pytest.mark.parametrize(
    "body",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads"},
        {"Records": []},
        {"Records": [item("s3:ObjectAccessed:Get")]},
        {"Records": [item("ObjectTagging:Put")]},
    ],
)
def test_what_is_not_about_an_objects_bytes_gives_nothing(body: dict[str, Any]) -> None:
    assert parsed(body) == []


@pytest.mark.parametrize(
    "thing",
    [
        "text",
        {},
        item("ObjectCreated:Put", key=None),
        item("ObjectCreated:Put", key=""),
        item("ObjectCreated:Put", key="%ff"),
        item("ObjectCreated:Put", key="a%00b"),
        {**item("ObjectCreated:Put"), "eventName": 7},
        {**item("ObjectCreated:Put"), "eventTime": "soon"},
        {**item("ObjectCreated:Put"), "s3": None},
    ],
)
def test_an_unreadable_notification_is_a_bad_record(thing: Any) -> None:
    with pytest.raises(BadRecord, match="files-3@41"):
        parsed({"Records": [thing]})
