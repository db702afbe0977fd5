"""Observations as Weaviate's objects and back. Plain functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import numpy as np
import orjson
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter
from weaviate.collections.classes.filters import FilterReturn

from stream import wire
from stream.sinks.weaviate_schema import NO_MODEL, VECTOR
from stream.types import Box, Observation, Query, Vector

_NAMESPACE = UUID("5d1f0f5e-0f0b-5c5e-9a3e-2f6f3c1f7a10")

_NOISE = 2.0**-16  # most that a vector's value is changed by, relative to itself; the index keeps 8 bits of each

Object = DataObject[Mapping[str, Any], None]


def uuid_of(observation_id: str, number: int | None = None) -> UUID:
    """The object's uuid: the observation's own id where that is one; a region's follows from it."""
    if number is not None:
        return uuid5(_NAMESPACE, f"{observation_id}/{number}")
    try:
        return UUID(observation_id)
    except ValueError:
        return uuid5(_NAMESPACE, observation_id)


def model_of(observation: Observation) -> str:
    """The model whose collections it belongs to: that of its first vector."""
    return observation.vectors[0].model if observation.vectors else NO_MODEL


def all_objects(
    observations: Sequence[Observation], stored_at: datetime, noise: np.random.Generator
) -> tuple[list[Object], list[Object]]:
    """The observations' objects, and those of all of their regions. On a thread: it makes the pictures' digests."""
    made = [objects(observation, stored_at, noise) for observation in observations]
    return [frame for frame, _ in made], [region for _, regions in made for region in regions]


def objects(observation: Observation, stored_at: datetime, noise: np.random.Generator) -> tuple[Object, list[Object]]:
    """The observation's object, and one for each of its regions' vectors.

    `noise` makes the vectors differ at each try, by less than the index keeps (`weaviate_write` says why).
    """
    labels = sorted({detection.label for detection in observation.objects})
    common: dict[str, Any] = {
        "source": observation.source,
        "captured_at": observation.captured_at,
        "stored_at": stored_at,
        "labels": [label.casefold() for label in labels],
    }
    words = {
        "caption": observation.caption or "",
        "objects": " ".join(labels),
        "text": " ".join(read.text for read in observation.text),
        "transcript": observation.transcript or "",
        "body": wire.observation_json(observation).decode(),
    }
    model = model_of(observation)
    vectors = [(n, v) for n, v in enumerate(observation.vectors) if v.model == model]
    frame = next((_named(vector, noise) for _, vector in vectors if vector.box is None), None)
    regions: list[Object] = [
        DataObject(
            properties={**common, "observation": observation.id, "number": number},
            uuid=uuid_of(observation.id, number),
            vector=_named(vector, noise),
        )
        for number, vector in vectors
        if vector.box is not None
    ]
    return DataObject(properties={**common, **words}, uuid=uuid_of(observation.id), vector=frame), regions


def observation(body: str, vectors: Mapping[int, Sequence[float]] | None = None) -> Observation:
    """From its JSON, and its vectors by their number where they are wanted."""
    told = orjson.loads(body)
    found = wire.parse_observation(told)
    if vectors is None:
        return found
    made = tuple(
        Vector(v["model"], np.asarray(vectors[n], dtype=np.float32), None if v["box"] is None else Box(*v["box"]))
        for n, v in enumerate(told["vectors"])
        if n in vectors
    )
    return dataclasses.replace(found, vectors=made)


def frame_number(body: str) -> int:
    """The place of the frame's own vector among the observation's vectors."""
    return next((n for n, vector in enumerate(orjson.loads(body)["vectors"]) if vector["box"] is None), 0)


def has_region(body: str, number: int) -> bool:
    """Whether the observation, as last written, has that region: a redelivery may have found fewer of them."""
    vectors = orjson.loads(body)["vectors"]
    return number < len(vectors) and vectors[number]["box"] is not None


def filters(query: Query) -> FilterReturn | None:
    """The query's conditions; `since` is included, `until` is not."""
    wanted: list[FilterReturn] = []
    if query.source is not None:
        wanted.append(Filter.by_property("source").equal(query.source))
    if query.since is not None:
        wanted.append(Filter.by_property("captured_at").greater_or_equal(query.since))
    if query.until is not None:
        wanted.append(Filter.by_property("captured_at").less_than(query.until))
    if query.label is not None:
        wanted.append(Filter.by_property("labels").contains_any([query.label.casefold()]))
    return Filter.all_of(wanted) if wanted else None


def _named(vector: Vector, noise: np.random.Generator) -> dict[str, list[float]]:
    factors = 1 + _NOISE * noise.random(vector.values.shape, dtype=np.float32)
    return {VECTOR: (vector.values * factors).tolist()}
