"""Output topics: Observation and Alert <-> JSON."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from stream.errors import BadRecord
from stream.types import (
    Admission,
    Alert,
    Box,
    Detection,
    Digest,
    Media,
    Observation,
    Provenance,
    Reason,
    TextRead,
    Vector,
)
from stream.wire import cloudevents as ce
from stream.wire.ids import isoformat

if TYPE_CHECKING:
    from stream.wire import shapes

_TURNED_AWAY = {Reason.STILL, Reason.LIGHT, Reason.CLUTTER, Reason.BUSY}


def observation_dict(observation: Observation, vectors: bool = False) -> shapes.ObservationJson:
    """The observation as JSON types. Vectors are named with their size; `vectors` adds their values as float16."""
    o = observation
    m, p = o.media, o.provenance
    return {
        "id": o.id,
        "source": o.source,
        "kind": o.kind,
        "captured_at": isoformat(o.captured_at),
        "media": {"uri": m.uri, "index": m.index, "offset_s": m.offset_s, "width": m.width, "height": m.height},
        "objects": [{"label": d.label, "score": d.score, "box": list(d.box)} for d in o.objects],
        "caption": o.caption,
        "text": [{"text": t.text, "quad": None if t.quad is None else list(t.quad), "score": t.score} for t in o.text],
        "transcript": o.transcript,
        "gate": {"reason": o.gate.reason.value, "score": o.gate.score, "boxes": [list(box) for box in o.gate.boxes]},
        "vectors": [_vector(vector, vectors) for vector in o.vectors],
        "snapshot": o.snapshot,
        "derived_from": o.derived_from,
        "provenance": {
            "topic": p.topic,
            "partition": p.partition,
            "offset": p.offset,
            "sha256": str(p.sha256),
            "pipeline": p.pipeline,
            "models": dict(p.models),
            "demo": p.demo,
            "provider": p.provider,
        },
    }


def observation_json(observation: Observation) -> bytes:
    """The observation as JSON without its vectors' values; made once, because every output wants it. On a thread: it
    makes the picture's digest."""
    if observation._json is None:
        object.__setattr__(observation, "_json", orjson.dumps(observation_dict(observation)))
    assert observation._json is not None
    return observation._json


def _vector(vector: Vector, values: bool) -> shapes.VectorJson:
    box = None if vector.box is None else list(vector.box)
    made: shapes.VectorJson = {"model": vector.model, "box": box, "dims": int(vector.values.shape[0])}
    if values:
        made["float16"] = base64.b64encode(vector.values.astype("<f2").tobytes()).decode()
    return made


def encode_observation(observation: Observation, topic: str, vectors: bool = False) -> ce.Outgoing:
    """The record for the detections topic, keyed by source.

    Its timestamp is left to the producer: an archive filled in years later must not fall under the topic's retention.
    """
    value = orjson.dumps(observation_dict(observation, vectors)) if vectors else observation_json(observation)
    pairs = ce.headers("observation", observation.source, observation.id, observation.captured_at, "application/json")
    return ce.Outgoing(topic, observation.source.encode(), value, pairs)


def parse_observation(value: bytes | Mapping[str, Any]) -> Observation:
    """An observation from its JSON. Vectors that came without their values are left out.

    Raises: BadRecord.
    """
    body = _load(value, "an observation")
    try:
        return Observation(
            id=_text(body["id"]),
            source=_text(body["source"]),
            kind=body["kind"],
            captured_at=_when(body["captured_at"]),
            media=Media(**body["media"]),
            gate=_gate(body["gate"]),
            provenance=_provenance(body["provenance"]),
            objects=tuple(Detection(d["label"], d["score"], Box(*d["box"])) for d in body["objects"]),
            caption=body["caption"],
            text=tuple(TextRead(t["text"], t["score"], None if t["quad"] is None else _quad(t)) for t in body["text"]),
            transcript=body["transcript"],
            vectors=tuple(_read_vector(v) for v in body["vectors"] if v["dims"] and "float16" in v),
            snapshot=body["snapshot"],
            derived_from=body["derived_from"],
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadRecord(f"this JSON is not an observation: {error!r}") from error


def _gate(body: Mapping[str, Any]) -> Admission:
    reason = Reason(body["reason"])
    return Admission(reason not in _TURNED_AWAY, reason, body["score"], tuple(Box(*box) for box in body["boxes"]))


def _provenance(body: Mapping[str, Any]) -> Provenance:
    return Provenance(**{**body, "sha256": Digest(_text(body["sha256"]))})


def _quad(body: Mapping[str, Any]) -> tuple[float, float, float, float, float, float, float, float]:
    x1, y1, x2, y2, x3, y3, x4, y4 = body["quad"]
    return x1, y1, x2, y2, x3, y3, x4, y4


def _read_vector(body: Mapping[str, Any]) -> Vector:
    values = np.frombuffer(base64.b64decode(body["float16"], validate=True), dtype="<f2").astype(np.float32)
    if values.shape != (body["dims"],):
        raise ValueError(f"vector of {values.shape[0]} values says dims {body['dims']!r}")
    return Vector(body["model"], values, None if body.get("box") is None else Box(*body["box"]))


def alert_dict(alert: Alert) -> shapes.AlertJson:
    """The alert as JSON types."""
    return {
        "id": alert.id,
        "rule": alert.rule,
        "source": alert.source,
        "captured_at": isoformat(alert.captured_at),
        "observation": alert.observation,
        "message": alert.message,
        "label": alert.label,
        "score": alert.score,
        "box": None if alert.box is None else list(alert.box),
        "snapshot": alert.snapshot,
        "demo": alert.demo,
    }


def encode_alert(alert: Alert, topic: str) -> ce.Outgoing:
    """The record for the alerts topic, keyed by rule."""
    pairs = ce.headers("alert", alert.source, alert.id, alert.captured_at, "application/json")
    return ce.Outgoing(topic, alert.rule.encode(), orjson.dumps(alert_dict(alert)), pairs)


def parse_alert(value: bytes | Mapping[str, Any]) -> Alert:
    """An alert from its JSON.

    Raises: BadRecord.
    """
    body = dict(_load(value, "an alert"))
    try:
        box = body.pop("box")
        when = _when(body.pop("captured_at"))
        return Alert(captured_at=when, box=None if box is None else Box(*box), **body)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadRecord(f"this JSON is not an alert: {error!r}") from error


def _load(value: bytes | Mapping[str, Any], what: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    try:
        body = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise BadRecord(f"not JSON, where {what} was expected: {error}") from error
    if not isinstance(body, dict):
        raise BadRecord(f"not a JSON object, where {what} was expected")
    return body


def _when(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"time {text!r} has no offset from UTC")
    return when.astimezone(UTC)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
