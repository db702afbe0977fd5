"""The pages: a search box, results, what is seen now, one observation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from stream import wire
from stream.errors import StoreUnavailable
from stream.types import Alert, Observation, Store
from stream.web.api import stream
from stream.web.ask import Ask, BadAsk, EmbedText, Found, find
from stream.web.live import Live, Seen
from stream.web.view import card, local, notice, result

TIMES = (
    ("", "any time"),
    ("1h", "last hour"),
    ("24h", "last 24 hours"),
    ("7d", "last 7 days"),
    ("30d", "last 30 days"),
)
_SHOWN = 12


class Pages:
    """HTML that works without a script; with it, what is seen now comes by itself."""

    def __init__(
        self,
        store: Store,
        embed_text: EmbedText | None,
        model: str | None,
        live: Live,
        demo: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._store, self._live = store, live
        self._embed_text, self._model = embed_text, model
        self._demo, self._now = demo, now
        # Autoescape is on for every template: captions, labels, sources and rules are other people's text.
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def home(self, request: Request) -> Response:
        """The search box; the results of `?q=` or `?like=`; what is seen now."""
        params, root = request.query_params, request.scope.get("root_path", "")
        asked = any(params.get(name, "").strip() for name in ("q", "like", "label", "since", "source"))
        found, fault = Found([]), None
        try:
            ask = Ask.from_params(params, self._now())
            if asked:
                found = await find(ask, self._store, self._embed_text, self._model)
        except BadAsk as error:
            fault = str(error)
        latest = [] if asked else await self._store.recent(None, _SHOWN)
        ranked = bool(params.get("q", "").strip() or params.get("like", "").strip())
        results = [result(each, root, ranked=ranked) for each in found.groups]
        return self._show(
            "home.html",
            request,
            400 if fault else 200,
            asked=asked,
            fault=fault,
            note=found.note,
            results=results,
            latest=[card(observation, root) for observation in latest],
            alerts=[notice(alert, root) for alert in self._live.alerts()[:5]],
            sources=sorted({hit.observation.source for hit in found.hits} | {seen.source for seen in latest}),
            shown=_SHOWN,
            demo=self._demo or _any_demo([hit.observation for hit in found.hits]) or _any_demo(latest),
        )

    async def observation(self, request: Request) -> Response:
        """One observation with all that is known of it."""
        found = await self._store.get(request.path_params["id"])
        if found is None:
            raise HTTPException(404, "This observation is not in the store (any more).")
        raw = orjson.dumps(wire.observation_dict(found), option=orjson.OPT_INDENT_2).decode()
        root = request.scope.get("root_path", "")
        return self._show(
            "observation.html",
            request,
            card=card(found, root, large=True),
            observation=found,
            raw=raw,
            can_compare=any(vector.box is None for vector in found.vectors),
            demo=self._demo or found.provenance.demo,
        )

    async def live(self, request: Request) -> Response:
        """Server-sent events with cards as HTML, for the page's own script."""
        root = request.scope.get("root_path", "")

        def show(entry: Seen) -> str:
            if isinstance(entry, Alert):
                return self._render("notice.html", notice=notice(entry, root))
            return self._render("card.html", card=card(entry, root))

        return stream(self._live, request, show)

    async def error(self, request: Request, error: Exception) -> Response:
        """Every error as a page, with what to do where we know it."""
        status, text = describe(error)
        headers = getattr(error, "headers", None)
        response = self._show("error.html", request, status, status=status, text=text, demo=False)
        response.headers.update(headers or {})
        return response

    def _show(self, name: str, request: Request, code: int = 200, **values: Any) -> Response:
        params, root = request.query_params, request.scope.get("root_path", "")
        shared = {"root": root, "params": params, "times": TIMES, "sources": [], "now": local(self._now())}
        body = self._render(name, **{**shared, **values})
        return HTMLResponse(body, code, headers={"Cache-Control": "no-store"})

    def _render(self, name: str, **values: Any) -> str:
        return self._templates.get_template(name).render(**values)


def describe(error: Exception) -> tuple[int, str]:
    """Status and a sentence for whoever asked; nothing of what is inside."""
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail)
    if isinstance(error, BadAsk):
        return 400, str(error)
    if isinstance(error, StoreUnavailable):
        return 503, f"The store cannot be reached: {error}"
    return 500, "Something went wrong here; the log says what."


def _any_demo(observations: Sequence[Observation]) -> bool:
    return any(observation.provenance.demo for observation in observations)
