"""The embedded store's search: full text and vectors, each a ranking, fused. Plain functions over one connection."""

from __future__ import annotations

import json
from typing import Any

import apsw

from stream import wire
from stream.errors import Misconfigured
from stream.sinks import ranking
from stream.sinks.sqlite_rows import micros, packed, signs
from stream.types import Hit, Observation, Query

CANDIDATES = 2_000
"""Vectors whose signs are nearest go on to exact comparison; up to that many are compared exactly anyway. Measured on
50,000 clustered 768-d vectors: the 20 nearest are all among the 512 nearest by sign, and signs are 8 times faster."""


def search(connection: apsw.Connection, query: Query) -> list[Hit]:
    """Best first. Without text and vector: the newest that pass the filters."""
    if query.limit < 1:
        return []
    rankings: list[list[tuple[int, float]]] = []
    depth = max(100, 5 * query.limit)
    words = ranking.terms(query.text or "")
    if words:
        rankings.append(_by_text(connection, query, words, depth))
    if query.vector is not None:
        rankings.append(_by_vector(connection, query, depth))
    if rankings:
        best = ranking.fuse(*rankings)[: query.limit]
    elif query.text:
        best = []  # text without a single word
    else:
        best = [(row, 0.0) for row in _newest(connection, query)]
    return [Hit(_observation(connection, row), score) for row, score in best]


def recent(connection: apsw.Connection, source: str | None, limit: int) -> list[Observation]:
    """Newest first by capture time."""
    return [_observation(connection, row) for row in _newest(connection, Query(source=source, limit=max(0, limit)))]


def _by_text(connection: apsw.Connection, query: Query, words: list[str], depth: int) -> list[tuple[int, float]]:
    """Any of the words; BM25 puts those with more and rarer ones first, then the newer ones."""
    where, values = _filters(query, "o", "o.row")
    match = " OR ".join(f'"{word}"' for word in words)
    found = connection.execute(
        "SELECT words.rowid, bm25(words) FROM words JOIN observations o ON o.row = words.rowid"
        f" WHERE words MATCH ?{where} ORDER BY bm25(words), o.captured_at DESC LIMIT ?",
        (match, *values, depth),
    )
    return [(row, -score) for row, score in found]


def _by_vector(connection: apsw.Connection, query: Query, depth: int) -> list[tuple[int, float]]:
    """By the best of an observation's vectors: the frame's or a region's. Only vectors of the query's model count."""
    assert query.vector is not None
    if query.model is None:
        raise ValueError("a query with a vector names the vector's model")
    model = connection.execute("SELECT model, dims, kind FROM models WHERE name = ?", (query.model,)).fetchone()
    if model is None:
        return []
    number, dims, kind = model
    if query.vector.shape != (dims,):
        raise Misconfigured(f"vectors of {query.model} have {dims} values here, the query's has {query.vector.shape}")
    where, values = _filters(query, "v", "v.observation")
    size = connection.execute("SELECT max(id) FROM vectors").get or 0
    nearest = connection.execute(
        f"SELECT v.id FROM vectors v WHERE v.model = ?{where}"
        " ORDER BY vec_distance_hamming(vec_bit(v.bits), vec_bit(?)) LIMIT ?",
        (number, *values, signs(query.vector), max(CANDIDATES, depth, size // 100)),
    )
    wrap = "vec_int8" if kind == "int8" else "vec_f32"
    found = connection.execute(
        f"SELECT v.observation, min(vec_distance_cosine({wrap}(e.value), {wrap}(?1))) AS distance"
        " FROM vectors v JOIN embeddings e USING (id) WHERE v.id IN (SELECT value FROM json_each(?2))"
        " GROUP BY v.observation ORDER BY distance LIMIT ?3",
        (packed(query.vector, kind), json.dumps([row for (row,) in nearest]), depth),
    )
    return [(row, -distance) for row, distance in found]


def _newest(connection: apsw.Connection, query: Query) -> list[int]:
    where, values = _filters(query, "o", "o.row")
    found = connection.execute(
        f"SELECT o.row FROM observations o WHERE true{where} ORDER BY o.captured_at DESC, o.row DESC LIMIT ?",
        (*values, query.limit),
    )
    return [row for (row,) in found]


def _filters(query: Query, table: str, row: str) -> tuple[str, list[Any]]:
    """SQL conditions, each with a leading AND, and their values. `since` is included, `until` is not."""
    where = ""
    values: list[Any] = []
    if query.source is not None:
        where += f" AND {table}.source = (SELECT source FROM sources WHERE name = ?)"
        values.append(query.source)
    if query.since is not None:
        where += f" AND {table}.captured_at >= ?"
        values.append(micros(query.since))
    if query.until is not None:
        where += f" AND {table}.captured_at < ?"
        values.append(micros(query.until))
    if query.label is not None:
        where += f" AND {row} IN (SELECT row FROM labels WHERE label = ?)"
        values.append(query.label.casefold())
    return where, values


def _observation(connection: apsw.Connection, row: int) -> Observation:
    return wire.parse_observation(connection.execute("SELECT body FROM observations WHERE row = ?", (row,)).get)
