"""Bytes and headers <-> records.

Enters: Kafka records as the log gave them, or the records of `stream.types`. Leaves: events, or `Outgoing` records
ready to be produced. May import: `stream.types`, `stream.errors`, itself. Nothing here waits or talks to a service.

Input topics speak CloudEvents 1.0, Kafka binding, binary mode; a bare image and an S3 or MinIO notification are taken
as they come. Whatever the bytes are, parsing gives an event or raises `BadRecord`, never anything else.
"""

from stream.wire.cloudevents import Outgoing, image_type
from stream.wire.dead import dead_letter, error_headers, original_headers
from stream.wire.events import encode_event, parse_files, parse_frame
from stream.wire.ids import alert_id, file_event_id, observation_id, revision
from stream.wire.ledger import encode_ledger, parse_ledger
from stream.wire.observations import (
    alert_dict,
    encode_alert,
    encode_observation,
    observation_dict,
    observation_json,
    parse_alert,
    parse_observation,
)
from stream.wire.schemas import schemas

__all__ = [
    "Outgoing",
    "alert_dict",
    "alert_id",
    "dead_letter",
    "encode_alert",
    "encode_event",
    "encode_ledger",
    "encode_observation",
    "error_headers",
    "file_event_id",
    "image_type",
    "observation_dict",
    "observation_id",
    "observation_json",
    "original_headers",
    "parse_alert",
    "parse_files",
    "parse_frame",
    "parse_ledger",
    "parse_observation",
    "revision",
    "schemas",
]
