"""S3 event notifications, as AWS, MinIO and Ceph send them (event message structure 2.x).

MinIO wraps the same `Records` in `EventName` and `Key`, and writes the event's name with a leading `s3:`. Object keys
are URL-encoded with `+` for a space. MinIO's Kafka key is bucket and object, so the source is the bucket.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import unquote_plus

from stream.errors import BadRecord
from stream.types import FileEvent, Op, Record
from stream.wire import cloudevents as ce
from stream.wire.ids import file_event_id

# What does not change an object's bytes (access, tags, ACL, replication, restore requests, the test event) is not here.
_OPS = {"ObjectCreated": "created", "ObjectRemoved": "deleted", "LifecycleExpiration": "deleted"}


def is_notification(body: dict[str, Any]) -> bool:
    """Whether a JSON object is an S3 notification and not one of ours."""
    return isinstance(body.get("Records"), list) or body.get("Event") == "s3:TestEvent"


def parse(body: dict[str, Any], record: Record) -> list[FileEvent]:
    """The file events in a notification, in its order; none where it is not about an object's bytes.

    Raises: BadRecord.
    """
    if "Records" not in body:
        return []
    try:
        named = ({"eventName": body["EventName"], **item} if "EventName" in body else item for item in body["Records"])
        return [event for item in named if (event := _event(item, record)) is not None]
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise BadRecord(f"{ce.where(record)}: S3 notification whose bucket or key is unreadable: {error!r}") from error


def _event(item: dict[str, Any], record: Record) -> FileEvent | None:
    op = _OPS.get(item["eventName"].removeprefix("s3:").split(":")[0])
    if op is None:
        return None
    bucket, thing = item["s3"]["bucket"]["name"], item["s3"]["object"]
    key = unquote_plus(thing["key"], errors="strict")
    if not isinstance(bucket, str) or not bucket or not bucket.isprintable() or len(bucket) > ce.MAX_SOURCE:
        raise KeyError("bucket")
    if not key or "\0" in key:
        raise KeyError("key")
    when = None if item.get("eventTime") is None else ce.instant(str(item["eventTime"]), "eventTime", record)
    size = thing.get("size")
    size = size if type(size) is int and size >= 0 else None
    kind = thing.get("contentType")
    uri = f"s3://{bucket}/{key}"
    return FileEvent(
        id=file_event_id(uri, size, when),
        source=bucket,
        uri=uri,
        media_type=kind if isinstance(kind, str) else None,
        size_bytes=size,
        modified_at=when,
        op=cast(Op, op),
        record=record,
    )
