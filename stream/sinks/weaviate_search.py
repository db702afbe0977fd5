"""Search in Weaviate: its own hybrid search over frames, nearest regions beside it, the rankings fused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from uuid import UUID

import weaviate
from weaviate.classes.query import Filter, HybridFusion, MetadataQuery, Sort

from stream.errors import Misconfigured
from stream.sinks import ranking
from stream.sinks import weaviate_rows as rows
from stream.sinks.weaviate_schema import VECTOR, Place
from stream.types import Hit, Query

Ranking = list[tuple[UUID, float]]
"""(observation's uuid, score), best first, higher is better."""

_TEXTS = ["caption", "objects", "text", "transcript"]
_MOST = 1_000


class Search:
    """One query being answered; remembers the observations that it meets."""

    def __init__(self, client: weaviate.WeaviateAsyncClient, places: Mapping[str, Place], query: Query) -> None:
        self._client, self._places, self._query = client, places, query
        self._filters = rows.filters(query)
        self._depth = min(_MOST, max(100, 5 * query.limit))
        self._bodies: dict[UUID, str] = {}

    async def run(self, alpha: float) -> list[Hit]:
        """Best first. Without text and vector: the newest that pass the filters.

        Raises: Misconfigured, when the query's vector has another length than its model's.
        """
        query = self._query
        words = " ".join(ranking.terms(query.text or ""))
        mine = self._places.get(query.model or "") if query.vector is not None else None
        if not words and query.vector is None:
            return [] if query.text else await self._newest()
        if mine is not None and len(self._vector()) != mine.dims:
            raise Misconfigured(
                f"vectors of {query.model} have {mine.dims} values here, the query's has {len(self._vector())}"
            )
        rankings = await self._rankings(mine, words, alpha)
        best = ranking.fuse(*rankings)[: query.limit]
        return [Hit(rows.observation(self._bodies[uuid]), score) for uuid, score in best]

    async def _rankings(self, mine: Place | None, words: str, alpha: float) -> list[Ranking]:
        """`mine` are the collections of the vector's model, None where there is no vector to compare."""
        if mine is None:
            return [await self._texts(self._places.values(), words)] if words else []
        if words:
            others = [place for place in self._places.values() if place is not mine]
            jobs = self._hybrid(mine, words, alpha), self._regions(mine), self._texts(others, words)
            return list(await asyncio.gather(*jobs))
        # frames and regions by one measure: the best of each observation's vectors
        found = await asyncio.gather(self._frames(mine), self._regions(mine))
        return [_best(found[0] + found[1])]

    async def _hybrid(self, place: Place, words: str, alpha: float) -> Ranking:
        found = await self._client.collections.use(place.frames).query.hybrid(
            words,
            vector={VECTOR: self._vector()},
            target_vector=VECTOR,
            alpha=alpha,
            fusion_type=HybridFusion.RANKED,
            query_properties=_TEXTS,
            filters=self._filters,
            limit=self._depth,
            return_properties=["body"],
            return_metadata=MetadataQuery(score=True),
        )
        return [(self._met(o.uuid, o.properties["body"]), o.metadata.score or 0.0) for o in found.objects]

    async def _texts(self, places: Iterable[Place], words: str) -> Ranking:
        """BM25 over the collections of several models; their scores are comparable enough to rank by."""
        answers = await asyncio.gather(
            *(
                self._client.collections.use(place.frames).query.bm25(
                    words,
                    query_properties=_TEXTS,
                    filters=self._filters,
                    limit=self._depth,
                    return_properties=["body"],
                    return_metadata=MetadataQuery(score=True),
                )
                for place in places
            )
        )
        return _best(
            [
                (self._met(o.uuid, o.properties["body"]), o.metadata.score or 0.0)
                for found in answers
                for o in found.objects
            ]
        )

    async def _frames(self, place: Place) -> Ranking:
        found = await self._client.collections.use(place.frames).query.near_vector(
            self._vector(),
            target_vector=VECTOR,
            filters=self._filters,
            limit=self._depth,
            return_properties=["body"],
            return_metadata=MetadataQuery(distance=True),
        )
        return [(self._met(o.uuid, o.properties["body"]), -(o.metadata.distance or 0.0)) for o in found.objects]

    async def _regions(self, place: Place) -> Ranking:
        """The observations of the nearest regions, without regions that a redelivery did not find again."""
        found = await self._client.collections.use(place.regions).query.near_vector(
            self._vector(),
            target_vector=VECTOR,
            filters=self._filters,
            limit=self._depth,
            return_properties=["observation", "number"],
            return_metadata=MetadataQuery(distance=True),
        )
        met = [
            (
                rows.uuid_of(str(o.properties["observation"])),
                int(str(o.properties["number"])),
                o.metadata.distance or 0.0,
            )
            for o in found.objects
        ]
        await self._fetch(place, {uuid for uuid, _, _ in met} - self._bodies.keys())
        return _best(
            [
                (uuid, -distance)
                for uuid, number, distance in met
                if uuid in self._bodies and rows.has_region(self._bodies[uuid], number)
            ]
        )

    async def _newest(self) -> list[Hit]:
        answers = await asyncio.gather(
            *(
                self._client.collections.use(place.frames).query.fetch_objects(
                    filters=self._filters,
                    sort=Sort.by_property("captured_at", ascending=False),
                    limit=min(self._query.limit, 10_000),
                    return_properties=["body"],
                )
                for place in self._places.values()
            )
        )
        found = [rows.observation(str(o.properties["body"])) for answer in answers for o in answer.objects]
        found.sort(key=lambda observation: observation.captured_at, reverse=True)
        return [Hit(observation, 0.0) for observation in found[: self._query.limit]]

    async def _fetch(self, place: Place, uuids: set[UUID]) -> None:
        if not uuids:
            return
        found = await self._client.collections.use(place.frames).query.fetch_objects(
            filters=Filter.by_id().contains_any(list(uuids)), limit=len(uuids), return_properties=["body"]
        )
        for o in found.objects:
            self._met(o.uuid, o.properties["body"])

    def _met(self, uuid: UUID, body: object) -> UUID:
        key = UUID(str(uuid))  # the client has a uuid class of its own
        self._bodies[key] = str(body)
        return key

    def _vector(self) -> list[float]:
        assert self._query.vector is not None
        return [float(value) for value in self._query.vector]


def _best(found: Ranking) -> Ranking:
    """Each observation once, with its best score; best first."""
    best: dict[UUID, float] = {}
    for uuid, score in found:
        best[uuid] = max(score, best.get(uuid, score))
    return sorted(best.items(), key=lambda item: -item[1])
