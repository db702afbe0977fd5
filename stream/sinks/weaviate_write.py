"""Writing to Weaviate so that what was acknowledged is found, also by one that was killed in the middle of a batch.

Weaviate (1.39) keeps objects, inverted indexes and vectors in separate logs, and some of its habits lose objects:

- Killed in a batch, it may have kept an object whose properties and vector are in no index. When the object is written
  again with a vector that is equal to the last bit, it takes that for an update (`determineInsertStatus`): it indexes
  what has changed of the properties and leaves the vector index alone. So no search and no filter ever finds the object.
  Hence `rows.objects` makes vectors differ at each try, and what has no vector is deleted first: the object is then a
  new document, indexed as a whole.
- It acknowledges a batch when its vectors are in memory; their log is written out with the next batch
  (`objectsBatcher.Objects`). Hence a batch is followed by one object of it once more, which changes nothing.
- After it was killed it may take a repeated object and still not find it, one or two of 64 in some runs, until it is
  written once more. And a request that was given up may still be at work and overtake the one that repeats it. Hence
  what may be a repetition is looked for before it is acknowledged, what surely is one a moment later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import weaviate
from weaviate import exceptions as theirs
from weaviate.classes.query import Filter
from weaviate.collections.classes.batch import BatchObjectReturn

from stream.errors import StoreUnavailable
from stream.sinks import weaviate_rows as rows
from stream.sinks.weaviate_link import SchemaGone, is_schema_gone
from stream.sinks.weaviate_schema import VECTOR

_DELETES = 8  # requests at once
_LOOKS = 5


async def insert(client: weaviate.WeaviateAsyncClient, collection: str, objects: Sequence[rows.Object]) -> None:
    """All or an error; all are then in files of the server. After an error the caller repeats the whole call.

    Raises: StoreUnavailable (SchemaGone), and what the client raises.
    """
    if not objects:
        return
    data = client.collections.use(collection).data
    without = [_uuid(made) for made in objects if made.vector is None]
    for start in range(0, len(without), _DELETES):
        await asyncio.gather(*(data.delete_by_id(uuid) for uuid in without[start : start + _DELETES]))
    await _send(data, collection, objects)
    if indexed := [made for made in objects if made.vector is not None]:
        await _send(data, collection, indexed[-1:])


async def look_for(
    client: weaviate.WeaviateAsyncClient,
    written: Mapping[str, Sequence[rows.Object]],
    settle_s: float,
    *,
    at_once: bool,
) -> None:
    """Each is found by its id, and where it has a vector by that too; looks several times, `settle_s` apart.

    Not only once: a server with ASYNC_INDEXING takes its time. Raises: StoreUnavailable, if one is not found at last.
    """
    told = ""
    for number in range(_LOOKS):
        if number or not at_once:
            await asyncio.sleep(settle_s)
        for collection, objects in written.items():
            if missing := await _missing(client, collection, objects):
                told = f"Weaviate does not find {missing} of {len(objects)} objects of {collection} that it took"
                break
        else:
            return
    raise StoreUnavailable(told)


async def _missing(client: weaviate.WeaviateAsyncClient, collection: str, objects: Sequence[rows.Object]) -> int:
    query = client.collections.use(collection).query
    count = 0
    for indexed in (True, False):
        wanted = {_uuid(made): made for made in objects if (made.vector is not None) is indexed}
        if not wanted:
            continue
        by_id = Filter.by_id().contains_any(list(wanted))
        found: Any
        if indexed:
            any_vector: Any = next(iter(wanted.values())).vector
            found = await query.near_vector(
                any_vector[VECTOR], target_vector=VECTOR, filters=by_id, limit=len(wanted), return_properties=["source"]
            )
        else:
            found = await query.fetch_objects(filters=by_id, limit=len(wanted), return_properties=["source"])
        count += len(wanted.keys() - {UUID(str(one.uuid)) for one in found.objects})
    return count


async def _send(data: Any, collection: str, objects: Sequence[rows.Object]) -> None:
    try:
        answer: BatchObjectReturn = await data.insert_many(list(objects))
        messages = {error.message for error in answer.errors.values()}
        count = len(answer.errors)
    except theirs.WeaviateInsertManyAllFailedError as error:
        messages, count = {str(error)}, len(objects)
    if not messages:
        return
    told = "; ".join(sorted(" ".join(message.split())[:200] for message in messages)[:3])
    if any(is_schema_gone(message) for message in messages):
        raise SchemaGone(f"Weaviate lost the collection {collection}: {told}")
    raise StoreUnavailable(f"Weaviate did not take {count} of {len(objects)} objects: {told}")


def _uuid(made: rows.Object) -> UUID:
    return UUID(str(made.uuid))
