"""The Weaviate store: our own vectors, hybrid search, one pair of collections for each embedding model.

Vectors of another model are never compared; texts are found whichever model wrote beside them. `weaviate_schema` makes
the collections, `weaviate_link` the connection, `weaviate_write` says what it takes to lose nothing.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import weaviate
from weaviate.classes.query import Filter
from weaviate.collections.classes.filters import FilterReturn

from stream.errors import Misconfigured, StoreUnavailable
from stream.sinks import weaviate_rows as rows
from stream.sinks import weaviate_schema as schema
from stream.sinks.weaviate_link import Link, SchemaGone
from stream.sinks.weaviate_search import Search
from stream.sinks.weaviate_write import insert, look_for
from stream.types import Alert, Hit, Observation, Query

T = TypeVar("T")

_MOST_REGIONS = 1_000  # of one observation
_GAP_S = 5.0  # a server that was killed is not back sooner


class WeaviateStore:
    """A `types.Store` in Weaviate. Use it as an async context manager.

    It connects when it is first needed and again after a fault, so a Weaviate that is away does not keep the process
    from starting; `check` says whether it is there. Alerts are not kept: they are on their topic.
    """

    def __init__(
        self,
        url: str,
        *,
        grpc_port: int = 50051,
        name: str = "Observation",
        api_key: str | None = None,
        ttl_s: float | None = None,
        alpha: float = 0.5,
        timeout_s: float = 20.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        noise: np.random.Generator | None = None,
        settle_s: float = 1.0,
        wary_s: float = 60.0,
    ) -> None:
        """`name` starts the collections' names and is their alias. With https both ports speak TLS; the environment's
        SSL_CERT_FILE names the authority when it is not a public one. `ttl_s` after they were stored Weaviate deletes
        observations by itself, where its OBJECTS_TTL_DELETE_SCHEDULE is set. `alpha` is the vector's share in hybrid
        search, 0 to 1. `timeout_s` bounds one call of ours.

        For `wary_s` after its start, a failure or a pause each write is looked for, what had failed before `settle_s`
        later. `noise`: see `weaviate_rows.objects`.

        Raises: Misconfigured, for a URL or name that cannot be.
        """
        if not name.isidentifier() or not name[0].isupper() or not name.isascii():
            raise Misconfigured(
                f"store.collection: {name!r} must start with a capital and have letters and digits only"
            )
        self._link = Link(url, grpc_port, api_key, timeout_s)
        self._name, self._ttl_s, self._alpha, self._clock = name, ttl_s, alpha, clock
        self._noise, self._settle_s = noise or np.random.default_rng(), settle_s
        self._wary_s, self._wary_until = wary_s, 0.0
        self._wrote_at: float | None = None  # the last success, by the monotonic clock; None after a failure
        self._doubtful: set[str] = set()  # ids whose last write failed: something of it may be there, or still to come
        self._ensured: dict[str, schema.Place] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._link.close()

    async def check(self) -> str:
        """Reach Weaviate over both ports; its version. Raises: StoreUnavailable, Misconfigured."""
        async with self._link.client() as client:
            version = (await client.get_meta())["version"]
            for place in (await self._known(client)).values():
                await client.collections.use(place.frames).query.fetch_objects(limit=1)
        return str(version)

    async def write(self, observations: Sequence[Observation], alerts: Sequence[Alert]) -> None:
        """Replaces by id. Raises: StoreUnavailable, Misconfigured."""
        if not observations:
            return
        groups: dict[str, list[Observation]] = {}
        for observation in observations:
            groups.setdefault(rows.model_of(observation), []).append(observation)
        for model, group in groups.items():
            ids = {observation.id for observation in group}
            try:
                await self._call(functools.partial(self._write, model, group))
            except BaseException:  # cancelled ones too
                self._doubtful |= ids
                self._wrote_at = None
                raise
            self._doubtful -= ids
            self._wrote_at = time.monotonic()

    async def search(self, query: Query) -> list[Hit]:
        """Hybrid search over texts and the frames' vectors, fused with the regions' vectors.

        Raises: StoreUnavailable; Misconfigured, when the query's vector has another length than its model's;
        ValueError, when it names no model.
        """
        if query.vector is not None and query.model is None:
            raise ValueError("a query with a vector names the vector's model")

        async def job(client: weaviate.WeaviateAsyncClient) -> list[Hit]:
            return await Search(client, await self._known(client), query).run(self._alpha)

        return await self._call(job) if query.limit > 0 else []

    async def get(self, observation_id: str) -> Observation | None:
        """With its vectors. Raises: StoreUnavailable."""

        async def job(client: weaviate.WeaviateAsyncClient) -> Observation | None:
            for place in (await self._known(client)).values():
                if (found := await _get(client, place, observation_id)) is not None:
                    return found
            return None

        return await self._call(job)

    async def recent(self, source: str | None = None, limit: int = 20) -> list[Observation]:
        """Newest first by capture time, without vectors. Raises: StoreUnavailable."""
        return [hit.observation for hit in await self.search(Query(source=source, limit=limit))]

    async def purge(self, before: datetime) -> int:
        """Delete what was captured before that time; the number deleted. Raises: StoreUnavailable."""
        return await self._delete("captured_at", before)

    async def expire(self, before: datetime) -> int:
        """Delete what was stored before that time: retention must not take an archive that was filled in today."""
        return await self._delete("stored_at", before)

    async def trim(self, max_bytes: int) -> int:
        """Weaviate does not say how large a collection is: nothing is deleted by size, 0."""
        return 0

    async def _call(self, job: Callable[[weaviate.WeaviateAsyncClient], Awaitable[T]]) -> T:
        """The job's result; once more from the start when Weaviate had been emptied, or another process made a model's
        collections that we did not know."""
        try:
            async with self._link.client() as client:
                return await job(client)
        except SchemaGone:
            self._ensured.clear()
        async with self._link.client() as client:
            return await job(client)

    async def _known(self, client: weaviate.WeaviateAsyncClient) -> dict[str, schema.Place]:
        """Asked anew each time: another worker may have started with another model. One small request."""
        return await schema.known(client, self._name)

    async def _write(self, model: str, group: list[Observation], client: weaviate.WeaviateAsyncClient) -> None:
        place = self._ensured.get(model)
        if place is None:
            dims = group[0].vectors[0].values.shape[0] if group[0].vectors else 0
            place = await schema.ensure(client, self._name, model, dims, self._ttl_s)
            self._ensured[model] = place
        for observation in group:
            for vector in observation.vectors:
                if vector.model == model and vector.values.shape != (place.dims,):
                    raise Misconfigured(
                        f"model {model} gave vectors of {place.dims} values before and now of {vector.values.shape[0]}:"
                        " give the other model another name"
                    )
        stored_at = self._clock()
        frames, regions = await asyncio.to_thread(rows.all_objects, group, stored_at, self._noise)
        await insert(client, place.regions, regions)  # first, so that an observation that can be seen has its regions
        await insert(client, place.frames, frames)
        doubtful = any(observation.id in self._doubtful for observation in group)
        if self._wary() or doubtful:  # asked in any case: after a failure it begins to be wary
            written = {place.regions: regions, place.frames: frames}
            await look_for(client, written, self._settle_s, at_once=not doubtful)

    def _wary(self) -> bool:
        """Whether the server may have been killed and come back without a call of ours that failed."""
        now = time.monotonic()
        if self._wrote_at is None or now - self._wrote_at > _GAP_S:
            self._wary_until = now + self._wary_s
        return now < self._wary_until

    async def _delete(self, when: str, before: datetime) -> int:
        """A request deletes at most QUERY_MAXIMUM_RESULTS (10,000) objects, so it is repeated until none is left."""
        where = Filter.by_property(when).less_than(before)

        async def job(client: weaviate.WeaviateAsyncClient) -> tuple[int, int]:
            frames = regions = 0
            for place in (await self._known(client)).values():
                regions += await _delete_some(client, place.regions, where)
                frames += await _delete_some(client, place.frames, where)
            return frames, regions

        deleted = 0
        while any(counts := await self._call(job)):
            deleted += counts[0]
        return deleted


async def _get(client: weaviate.WeaviateAsyncClient, place: schema.Place, observation_id: str) -> Observation | None:
    collection = client.collections.use(place.frames)
    wanted = rows.uuid_of(observation_id)
    found: Any = await collection.query.fetch_object_by_id(wanted, include_vector=[schema.VECTOR])  # None: not there
    if found is None:
        return None
    body = str(found.properties["body"])
    regions = await client.collections.use(place.regions).query.fetch_objects(
        filters=Filter.by_property("observation").equal(observation_id),
        include_vector=[schema.VECTOR],
        limit=_MOST_REGIONS,
    )
    vectors: dict[int, Any] = {
        int(str(region.properties["number"])): region.vector[schema.VECTOR]
        for region in regions.objects
        if rows.has_region(body, int(str(region.properties["number"])))
    }
    if schema.VECTOR in found.vector:
        vectors[rows.frame_number(body)] = found.vector[schema.VECTOR]
    return rows.observation(body, vectors)


async def _delete_some(client: weaviate.WeaviateAsyncClient, collection: str, where: FilterReturn) -> int:
    answer = await client.collections.use(collection).data.delete_many(where=where)
    if answer.failed:
        raise StoreUnavailable(f"Weaviate could not delete {answer.failed} objects of {collection}")
    return int(answer.successful)
