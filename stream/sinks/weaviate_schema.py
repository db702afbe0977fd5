"""Weaviate's collections: two for each embedding model, named, made and migrated by us.

`Observation_SLUG` holds observations with the frame's vector, `ObservationRegion_SLUG` the vectors of the gate's
regions, each under the named vector `image`; the aliases `Observation` and `ObservationRegion` lead to those of the
model that writes now. Regions are objects of their own, because a nearest-neighbour search over one vector each is what
HNSW does best and answers "which part of the picture" too; several named vectors would need a fixed number of regions,
and ColBERT-style multi-vectors cannot be filtered to one region or compared with a frame's distance.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from datetime import timedelta

import weaviate
from weaviate import exceptions as theirs
from weaviate.classes.config import Configure, DataType, Property, Reconfigure, Tokenization
from weaviate.collections.classes.config import CollectionConfig

from stream.errors import Misconfigured

log = logging.getLogger(__name__)

SCHEMA = 1
VECTOR = "image"
NO_MODEL = "none"
_DESCRIPTION = re.compile(r"seestream schema=(\d+) dims=(\d+) model=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one model's observations lie."""

    model: str
    dims: int  # of its vectors; 0 for NO_MODEL
    frames: str  # collection names
    regions: str


def place(prefix: str, model: str, dims: int) -> Place:
    """The collections of a model. The hash keeps models apart whose names differ in punctuation only."""
    slug = f"{re.sub(r'[^0-9A-Za-z]+', '_', model)[:40].strip('_')}_{hashlib.sha256(model.encode()).hexdigest()[:8]}"
    return Place(model, dims, f"{prefix}_{slug}", f"{prefix}Region_{slug}")


async def known(client: weaviate.WeaviateAsyncClient, prefix: str) -> dict[str, Place]:
    """Model -> its collections, of all that are there. Raises: Misconfigured, when a newer seestream made one."""
    found: dict[str, Place] = {}
    for name, config in (await client.collections.list_all(simple=False)).items():
        told = _DESCRIPTION.fullmatch(config.description or "")
        if told is None:
            continue
        where = place(prefix, told[3], int(told[2]))
        if where.frames != name:
            continue
        if int(told[1]) > SCHEMA:
            raise Misconfigured(f"Weaviate's collection {name} has schema {told[1]}, this seestream knows {SCHEMA}")
        found[told[3]] = where
    return found


async def ensure(
    client: weaviate.WeaviateAsyncClient, prefix: str, model: str, dims: int, ttl_s: float | None
) -> Place:
    """Make or migrate the collections of `model` and lead the aliases there. Several workers may do so at once.

    `dims` counts where they are made; what is there already keeps its own.
    """
    where = (await known(client, prefix)).get(model) or place(prefix, model, dims)
    for name, properties in ((where.frames, _FRAME), (where.regions, _REGION)):
        if not await client.collections.exists(name):
            await _create(client, name, f"seestream schema={SCHEMA} dims={where.dims} model={model}", properties, ttl_s)
        await _migrate(client, name, properties, ttl_s)
    if model != NO_MODEL:
        await _point(client, prefix, where.frames)
        await _point(client, f"{prefix}Region", where.regions)
    return where


def _text(name: str, *, searchable: bool = False, filterable: bool = False, many: bool = False) -> Property:
    return Property(
        name=name,
        data_type=DataType.TEXT_ARRAY if many else DataType.TEXT,
        tokenization=Tokenization.WORD if searchable else Tokenization.FIELD,
        index_searchable=searchable,
        index_filterable=filterable,
    )


def _time(name: str) -> Property:
    return Property(name=name, data_type=DataType.DATE, index_filterable=True, index_range_filters=True)


_COMMON = (
    _text("source", filterable=True),
    _time("captured_at"),
    _time("stored_at"),
    _text("labels", filterable=True, many=True),  # casefolded, for filters
)
_FRAME = (
    *_COMMON,
    _text("caption", searchable=True),
    _text("objects", searchable=True),  # the labels once more, as words to find
    _text("text", searchable=True),
    _text("transcript", searchable=True),
    _text("body"),  # the Observation's JSON, without vectors
)
_REGION = (
    *_COMMON,
    _text("observation", filterable=True),
    Property(name="number", data_type=DataType.INT, index_filterable=False),  # place among the observation's vectors
)


async def _create(
    client: weaviate.WeaviateAsyncClient,
    name: str,
    description: str,
    properties: tuple[Property, ...],
    ttl_s: float | None,
) -> None:
    ttl = None
    if ttl_s is not None:
        ttl = Configure.ObjectTTL.delete_by_date_property("stored_at", ttl_offset=timedelta(seconds=ttl_s))
    vector = Configure.Vectors.self_provided(name=VECTOR, quantizer=Configure.VectorIndex.Quantizer.rq())
    for ttl_config in (ttl, None):
        try:
            await client.collections.create(
                name,
                description=description,
                properties=list(properties),
                vector_config=[vector],
                object_ttl_config=ttl_config,
            )
            return
        except theirs.UnexpectedStatusCodeError as error:
            if "already exists" in str(error):
                return  # another worker was faster
            if ttl_config is None or not _no_scheduler(error):
                raise


async def _migrate(
    client: weaviate.WeaviateAsyncClient, name: str, properties: tuple[Property, ...], ttl_s: float | None
) -> None:
    """Add the properties that are missing, which Weaviate can do in use; nothing else has changed since schema 1."""
    collection = client.collections.use(name)
    config = await collection.config.get()
    if VECTOR not in (config.vector_config or {}):
        raise Misconfigured(
            f"Weaviate's collection {name} was not made by seestream: rename it, or set store.collection"
        )
    there = {made.name for made in config.properties}
    for wanted in properties:
        if wanted.name not in there:
            await collection.config.add_property(wanted)
    if ttl_s is not None and _ttl_of(config) != timedelta(seconds=int(ttl_s)):
        try:
            await collection.config.update(
                object_ttl_config=Reconfigure.ObjectTTL.delete_by_date_property("stored_at", ttl_offset=int(ttl_s))
            )
        except theirs.UnexpectedStatusCodeError as error:
            if not _no_scheduler(error):
                raise
            log.info("Weaviate deletes nothing by itself (OBJECTS_TTL_DELETE_SCHEDULE is not set): retention does")


async def _point(client: weaviate.WeaviateAsyncClient, alias: str, collection: str) -> None:
    present = await client.alias.get(alias_name=alias)
    if present is None:
        try:
            await client.alias.create(alias_name=alias, target_collection=collection)
        except theirs.UnexpectedStatusCodeError as error:
            if "exist" not in str(error):
                raise
    elif present.collection != collection:
        await client.alias.update(alias_name=alias, new_target_collection=collection)


def _ttl_of(config: CollectionConfig) -> timedelta | None:
    ttl = config.object_ttl_config
    if ttl is None or not ttl.enabled or not isinstance(ttl.time_to_live, timedelta):
        return None
    return ttl.time_to_live


def _no_scheduler(error: theirs.UnexpectedStatusCodeError) -> bool:
    return "OBJECTS_TTL_DELETE_SCHEDULE" in str(error)
