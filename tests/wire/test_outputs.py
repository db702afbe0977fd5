"""Output records: observations, alerts, ledger entries and dead letters, and their published schemas."""

from __future__ import annotations

import dataclasses

import jsonschema
import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import wire
from stream.errors import BadRecord
from stream.types import Alert, FileEvent, LedgerEntry, Observation, Record
from tests.wire import strategies as some
from tests.wire.strategies import NOON, record

SCHEMAS = {name: jsonschema.Draft202012Validator(schema) for name, schema in wire.schemas().items()}


@given(some.observations)
@settings(max_examples=60)
def test_an_observation_comes_back_as_it_went_and_fits_its_schema(observation: Observation) -> None:
    outgoing = wire.encode_observation(observation, "detections", vectors=True)
    assert outgoing.key == observation.source.encode()
    assert ("ce_id", observation.id.encode()) in outgoing.headers
    body = orjson.loads(outgoing.value or b"")
    SCHEMAS["Observation"].validate(body)
    back = wire.parse_observation(body)
    assert len(back.vectors) == len(observation.vectors)
    for ours, theirs in zip(back.vectors, observation.vectors, strict=True):
        assert (ours.model, ours.box) == (theirs.model, theirs.box)
        np.testing.assert_array_equal(ours.values, theirs.values)
    assert dataclasses.replace(back, vectors=()) == dataclasses.replace(observation, vectors=())


@given(some.observations.filter(lambda observation: bool(observation.vectors)))
@settings(max_examples=20)
def test_the_topic_names_vectors_without_their_values_unless_asked(observation: Observation) -> None:
    body = wire.observation_dict(observation)
    assert [set(vector) for vector in body["vectors"]] == [{"model", "box", "dims"}] * len(observation.vectors)
    assert wire.parse_observation(body).vectors == ()


def test_an_observations_json_has_the_fields_of_the_contract_in_its_order() -> None:
    body = wire.observation_dict(SOUND)
    assert list(body) == [
        *("id", "source", "kind", "captured_at", "media", "objects", "caption", "text", "transcript", "gate"),
        *("vectors", "snapshot", "derived_from", "provenance"),
    ]


@given(some.alerts)
@settings(max_examples=50)
def test_an_alert_comes_back_as_it_went_and_fits_its_schema(alert: Alert) -> None:
    outgoing = wire.encode_alert(alert, "alerts")
    assert outgoing.key == alert.rule.encode()
    SCHEMAS["Alert"].validate(orjson.loads(outgoing.value or b""))
    assert wire.parse_alert(outgoing.value or b"") == alert


def test_an_observations_json_is_made_once_and_anew_for_a_changed_one() -> None:
    first = wire.observation_json(SOUND)
    assert wire.observation_json(SOUND) is first and wire.parse_observation(first) == SOUND
    changed = dataclasses.replace(SOUND, snapshot="a.jpg")
    assert wire.parse_observation(wire.observation_json(changed)).snapshot == "a.jpg"
    assert wire.encode_observation(SOUND, "detections").value is first


@given(some.entries)
@settings(max_examples=50)
def test_a_ledger_entry_comes_back_as_it_went_and_fits_its_schema(entry: LedgerEntry) -> None:
    outgoing = wire.encode_ledger(entry, "ledger")
    assert outgoing.key == f"{entry.topic}-{entry.partition}".encode()
    assert outgoing == wire.encode_ledger(entry, "ledger")
    SCHEMAS["Ledger"].validate(orjson.loads(outgoing.value or b""))
    assert wire.parse_ledger(outgoing.value or b"") == entry


@given(some.file_events)
@settings(max_examples=50)
def test_a_file_events_json_fits_its_schema(event: FileEvent) -> None:
    SCHEMAS["FileEvent"].validate(orjson.loads(wire.encode_event(event, "files").value or b""))


@pytest.mark.parametrize(("name", "shape"), [("Observation", Observation), ("Alert", Alert), ("Ledger", LedgerEntry)])
def test_a_schema_names_every_field_of_its_record(name: str, shape: type) -> None:
    fields = {field.name for field in dataclasses.fields(shape) if field.init}
    renamed = {"start": "from", "end": "to"} if name == "Ledger" else {}
    assert set(wire.schemas()[name]["properties"]) == {renamed.get(field, field) for field in fields}
    assert set(wire.schemas()[name]["required"]) == set(wire.schemas()[name]["properties"])


@given(st.one_of(st.binary(max_size=40), some.bodies.filter(bool)))
@settings(max_examples=200)
def test_any_other_bytes_are_a_bad_record(value: bytes) -> None:
    for parse in (wire.parse_observation, wire.parse_alert, wire.parse_ledger):
        with pytest.raises(BadRecord):
            parse(value)


@pytest.mark.parametrize("field", ["captured_at", "media", "gate", "objects", "vectors", "provenance", "text"])
@pytest.mark.parametrize("value", [None, 7, "x", [7], [{}], {"x": 1}])
def test_an_observation_with_one_wrong_field_is_a_bad_record(field: str, value: object) -> None:
    body = {**wire.observation_dict(SOUND), field: value}
    with pytest.raises(BadRecord):
        wire.parse_observation(body)


def test_a_dead_letter_keeps_the_record_and_adds_connects_headers() -> None:
    original = record(b"\xff\x00", key=b"\xfe", headers=(("h", b"\xff"), ("n", None), ("h", b"2")), topic="files")
    letter = wire.dead_letter(original, BadRecord("files-3@41: no"), "consume", 2, NOON, "dead-letters")
    assert (letter.topic, letter.key, letter.value) == ("dead-letters", b"\xfe", b"\xff\x00")
    assert tuple(letter.headers[:3]) == original.headers
    assert dict(letter.headers[3:]) == {
        "__connect.errors.topic": b"files",
        "__connect.errors.partition": b"3",
        "__connect.errors.offset": b"41",
        "__connect.errors.stage": b"consume",
        "__connect.errors.exception.class.name": b"stream.errors.BadRecord",
        "__connect.errors.exception.message": b"files-3@41: no",
        "x-attempts": b"2",
        "x-first-failure-ts": b"2026-11-23T12:00:00.250000Z",
    }
    assert wire.error_headers(letter.headers)["stage"] == "consume"


@given(some.records)
@settings(max_examples=50)
def test_a_dead_letter_gives_back_the_original_headers_even_of_a_dead_letter(original: Record) -> None:
    first = wire.dead_letter(original, ValueError("\ud800"), "decode", 1, NOON, "dead")
    assert tuple(wire.original_headers(first.headers)) == original.headers
    again = dataclasses.replace(original, headers=tuple(first.headers))
    second = wire.dead_letter(again, ValueError("x"), "decode", 1, NOON, "dead")
    assert wire.original_headers(second.headers) == first.headers


SOUND = Observation(
    id="1",
    source="yard",
    kind="frame",
    captured_at=NOON,
    media=some.Media(640, 480),
    gate=some.Admission(True, some.Reason.MOTION),
    provenance=some.Provenance("frames", 0, 1, some.Digest(""), "", {}, True, "CPUExecutionProvider"),
)
