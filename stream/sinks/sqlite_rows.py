"""The embedded store's rows: observations in, observations out, and their end. Plain functions over one connection."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import apsw
import numpy as np
import orjson
from numpy.typing import NDArray

from stream import wire
from stream.errors import Misconfigured
from stream.types import Box, Observation, Vector

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_GIVEN = "(SELECT value FROM json_each(?))"
_CHILDREN = (
    f"DELETE FROM embeddings WHERE id IN (SELECT id FROM vectors WHERE observation IN {_GIVEN})",
    f"DELETE FROM vectors WHERE observation IN {_GIVEN}",
    f"DELETE FROM labels WHERE row IN {_GIVEN}",
    f"DELETE FROM words WHERE rowid IN {_GIVEN}",
)


def micros(when: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (when - _EPOCH) // _MICROSECOND


def put(connection: apsw.Connection, observations: Iterable[Observation], stored_at: int, kind: str | None) -> None:
    """Insert or replace by id; inside the caller's transaction. `kind` of new models' vectors; None keeps no vectors.

    Raises: Misconfigured, when a model gives vectors of another length than before.
    """
    models: dict[str, tuple[int, int, str]] = {}
    for observation in observations:
        source = _source(connection, observation.source)
        captured_at = micros(observation.captured_at)
        body = wire.observation_json(observation)
        row = connection.execute("SELECT row FROM observations WHERE id = ?", (observation.id,)).get
        if row is None:
            row = connection.execute(
                "INSERT INTO observations (id, source, captured_at, stored_at, body) VALUES (?, ?, ?, ?, ?)"
                " RETURNING row",
                (observation.id, source, captured_at, stored_at, body),
            ).get
        else:
            _forget(connection, [row])
            connection.execute(
                "UPDATE observations SET source = ?, captured_at = ?, stored_at = ?, body = ? WHERE row = ?",
                (source, captured_at, stored_at, body, row),
            )
        _put_words(connection, row, observation)
        for vector in observation.vectors if kind is not None else ():
            model = models.get(vector.model) or _model(connection, vector, kind or "")
            models[vector.model] = model
            _put_vector(connection, (row, source, captured_at), vector, model)


def delete(connection: apsw.Connection, rows: Sequence[int]) -> None:
    """Remove observations and all that belongs to them; inside the caller's transaction."""
    _forget(connection, rows)
    connection.execute(f"DELETE FROM observations WHERE row IN {_GIVEN}", (json.dumps(rows),))


def get(connection: apsw.Connection, observation_id: str) -> Observation | None:
    """One observation with its vectors."""
    found = connection.execute("SELECT row, body FROM observations WHERE id = ?", (observation_id,)).fetchone()
    if found is None:
        return None
    body = orjson.loads(found[1])
    stored = connection.execute(
        "SELECT m.name, m.kind, v.box, e.value FROM vectors v JOIN models m USING (model) JOIN embeddings e USING (id)"
        " WHERE v.observation = ? ORDER BY v.id",
        (found[0],),
    )
    vectors = tuple(
        Vector(name, unpacked(value, kind), None if box is None else Box(*json.loads(box)))
        for name, kind, box, value in stored
    )
    return dataclasses.replace(wire.parse_observation(body), vectors=vectors)


def packed(values: NDArray[np.float32], kind: str) -> bytes:
    """A vector's bytes. int8 is scaled by the largest value: cosine does not see the scale, and no digit is wasted."""
    if kind == "float32":
        return values.astype("<f4").tobytes()
    largest = float(np.abs(values).max(initial=0.0))
    scaled: NDArray[np.int8] = np.rint(values / (largest or 1.0) * 127.0).astype(np.int8)
    return scaled.tobytes()


def unpacked(value: bytes, kind: str) -> NDArray[np.float32]:
    """(dims,) float32, unit norm again; from int8 its cosine to the original is above 0.9999."""
    values = np.frombuffer(value, dtype="<f4" if kind == "float32" else np.int8).astype(np.float32)
    norm = float(np.linalg.norm(values))
    return values / np.float32(norm) if norm > 0 else values


def signs(values: NDArray[np.float32]) -> bytes:
    """One bit a value: whether it is positive; filled up to whole bytes."""
    return np.packbits(values > 0).tobytes()


def _put_words(connection: apsw.Connection, row: int, observation: Observation) -> None:
    labels = sorted({detection.label for detection in observation.objects})
    connection.executemany(
        "INSERT OR IGNORE INTO labels (label, row) VALUES (?, ?)", ((label.casefold(), row) for label in labels)
    )
    text = " ".join(read.text for read in observation.text)
    connection.execute(
        "INSERT INTO words (rowid, caption, labels, text, transcript) VALUES (?, ?, ?, ?, ?)",
        (row, observation.caption or "", " ".join(labels), text, observation.transcript or ""),
    )


def _put_vector(
    connection: apsw.Connection, place: tuple[int, int, int], vector: Vector, model: tuple[int, int, str]
) -> None:
    number, dims, kind = model
    if vector.values.shape != (dims,):
        raise Misconfigured(
            f"model {vector.model} gave vectors of {dims} values before and now of {vector.values.shape[0]}:"
            " give the other model another name"
        )
    row, source, captured_at = place
    box = None if vector.box is None else json.dumps([float(edge) for edge in vector.box])
    identity = connection.execute(
        "INSERT INTO vectors (observation, model, source, captured_at, box, bits) VALUES (?, ?, ?, ?, ?, ?)"
        " RETURNING id",
        (row, number, source, captured_at, box, signs(vector.values)),
    ).get
    connection.execute("INSERT INTO embeddings (id, value) VALUES (?, ?)", (identity, packed(vector.values, kind)))


def _forget(connection: apsw.Connection, rows: Sequence[int]) -> None:
    for statement in _CHILDREN:
        connection.execute(statement, (json.dumps(rows),))


def _source(connection: apsw.Connection, name: str) -> int:
    connection.execute("INSERT OR IGNORE INTO sources (name) VALUES (?)", (name,))
    return int(connection.execute("SELECT source FROM sources WHERE name = ?", (name,)).get)


def _model(connection: apsw.Connection, vector: Vector, kind: str) -> tuple[int, int, str]:
    connection.execute(
        "INSERT OR IGNORE INTO models (name, dims, kind) VALUES (?, ?, ?)",
        (vector.model, int(vector.values.shape[0]), kind),
    )
    found = connection.execute("SELECT model, dims, kind FROM models WHERE name = ?", (vector.model,)).fetchone()
    assert found is not None
    return int(found[0]), int(found[1]), str(found[2])
