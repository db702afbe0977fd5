"""The HTTP API: the same answers as the page, as JSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from typing import Any

import orjson
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from stream import wire
from stream.types import Alert, Observation, Store
from stream.web.ask import Ask, EmbedText, find
from stream.web.live import Live, Seen


def json(body: Any, status: int = 200) -> Response:
    """A JSON response that nothing keeps."""
    return Response(orjson.dumps(body), status, media_type="application/json", headers={"Cache-Control": "no-store"})


class Api:
    """`/api/...`; errors are `{error}`."""

    def __init__(
        self, store: Store, embed_text: EmbedText | None, model: str | None, live: Live, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._embed_text = embed_text
        self._model = model
        self._live = live
        self._now = now

    async def search(self, request: Request) -> Response:
        """Parameters of `Ask` -> `{hits: [{score, observation, more}], note}`, best first; `more` are ids of like frames."""
        found = await find(
            Ask.from_params(request.query_params, self._now()), self._store, self._embed_text, self._model
        )
        hits = [
            {
                "score": each.best.score,
                "observation": wire.observation_dict(each.best.observation),
                "more": [hit.observation.id for hit in each.more],
            }
            for each in found.groups
        ]
        return json({"hits": hits, "note": found.note})

    async def observation(self, request: Request) -> Response:
        """One observation; `?vectors=1` with the values of its vectors (float16, little-endian, base64)."""
        found = await self._store.get(request.path_params["id"])
        if found is None:
            raise HTTPException(404, "no observation has this id (any more)")
        return json(wire.observation_dict(found, vectors=request.query_params.get("vectors") == "1"))

    async def recent(self, request: Request) -> Response:
        """`?source=&limit=` -> `{observations: [...]}`, newest first."""
        ask = Ask.from_params({k: v for k, v in request.query_params.items() if k in ("source", "limit")}, self._now())
        latest = await self._store.recent(ask.source, ask.limit)
        return json({"observations": [wire.observation_dict(observation) for observation in latest]})

    async def live(self, request: Request) -> Response:
        """Server-sent events `observation` and `alert` with the topics' JSON; `?source=` for one source only."""
        return stream(self._live, request, lambda entry: orjson.dumps(_dict(entry)).decode())


def _dict(entry: Seen) -> Any:
    return wire.alert_dict(entry) if isinstance(entry, Alert) else wire.observation_dict(entry)


def stream(live: Live, request: Request, show: Callable[[Seen], str]) -> EventSourceResponse:
    """Server-sent events of what is seen from now on, or from the event the browser had last."""
    source = request.query_params.get("source")
    last = request.headers.get("last-event-id") or request.query_params.get("after")

    async def events() -> AsyncGenerator[ServerSentEvent, None]:
        # Something must come at once, or a proxy may hold back the headers until the first picture.
        yield ServerSentEvent(comment="watching", retry=2000)
        async for entry in live.watch(last):
            if not source or entry.source == source:
                name = "observation" if isinstance(entry, Observation) else "alert"
                yield ServerSentEvent(show(entry), event=name, id=entry.id)

    return EventSourceResponse(events(), send_timeout=20, ping=15)
