"""The ASGI application: routes, headers, errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream.errors import StoreUnavailable
from stream.types import Store
from stream.web import files
from stream.web.api import Api, json
from stream.web.ask import BadAsk, EmbedText
from stream.web.health import Check, Health
from stream.web.html import Pages, describe
from stream.web.live import Live

_HEADERS = {
    # Nothing from elsewhere and nothing inline: even text that got past the escaping could not run.
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page(
    store: Store,
    embed_text: EmbedText | None,
    snapshots: Path,
    *,
    live: Live,
    model: str | None = None,
    demo: bool = False,
    liveness: Mapping[str, Check] | None = None,
    readiness: Mapping[str, Check] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """The page, `/api/...`, `/snapshots/...`, `/healthz`, `/readyz` and `/metrics` as one ASGI app.

    `embed_text` gives vectors of `model` (the name that the stored vectors carry); without it only text is searched.
    `live` is written to by the caller and must be closed before the server stops. `demo` says that the models that run
    now are the demo ones. The app has no lifespan of its own and may be mounted below any path.
    """
    api = Api(store, embed_text, model, live, now)
    pages = Pages(store, embed_text, model, live, demo, now)
    health = Health(liveness or {}, readiness or {})

    async def failed(request: Request, error: Exception) -> Response:
        if request.scope["path"].removeprefix(request.scope.get("root_path", "")).startswith("/api/"):
            status, text = describe(error)
            return json({"error": text}, status)
        return await pages.error(request, error)

    return Starlette(
        routes=_routes(api, pages, health, snapshots),
        middleware=[Middleware(_Headers)],
        exception_handlers={404: failed, 405: failed, 500: failed, BadAsk: failed, StoreUnavailable: failed},
    )


def probes(liveness: Mapping[str, Check], readiness: Mapping[str, Check]) -> Starlette:
    """`/healthz`, `/readyz` and `/metrics` alone, for a process without the page."""
    return Starlette(routes=_probes(Health(liveness, readiness)))


def _probes(health: Health) -> list[Route]:
    return [
        Route("/healthz", health.healthz),
        Route("/readyz", health.readyz),
        Route("/metrics", health.metrics),
    ]


def _routes(api: Api, pages: Pages, health: Health, snapshots: Path) -> list[Route]:
    return [
        Route("/", pages.home),
        Route("/observations/{id}", pages.observation),
        Route("/live", pages.live),
        Route("/api/search", api.search),
        Route("/api/recent", api.recent),
        Route("/api/live", api.live),
        Route("/api/observations/{id}", api.observation),
        Route("/snapshots/{path:path}", _endpoint(files.snapshots(snapshots))),
        Route("/static/{path:path}", _endpoint(files.static())),
        *_probes(health),
    ]


def _endpoint(served: files.Files) -> Callable[[Request], object]:
    async def endpoint(request: Request) -> Response:
        return await served(request)

    return endpoint


class _Headers:
    """Adds the security headers. Not BaseHTTPMiddleware: that one would buffer between us and a live stream."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
