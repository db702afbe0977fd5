"""The page of a process: what it is made of, and the server beside the loop."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from stream import errors

if TYPE_CHECKING:
    from stream.app.worker import Worker


def app_of(worker: Worker) -> Any:
    """What the process serves: the page, the probes alone where a port is set for them, or None."""
    if "web" in worker.roles:
        return _page(worker)
    if worker.settings.web.probe_port is None:
        return None
    from stream.web import probes

    return probes(*_checks(worker))


def _checks(worker: Worker) -> tuple[dict[str, Any], dict[str, Any]]:
    """Liveness and readiness, of what the roles of this process need."""
    from stream.app.process import now

    def outputs_wait() -> str | None:
        return worker.process.outbox.trouble if worker.process else None

    def broker_away() -> str | None:
        return worker.process.away() if worker.process else None

    async def store_answers() -> str | None:
        if worker.store is not None:
            await worker.store.recent(limit=1)
        return None

    readiness = {
        "broker": broker_away,
        "outputs": outputs_wait,
        "store": store_answers,
        "models": worker.models_trouble,
    }
    return {"loop": lambda: worker.unhealthy(now())}, readiness


def _page(worker: Worker) -> Any:
    from stream.web import Live, page

    assert worker.store is not None
    store, engine = worker.store, worker.engine
    worker.live = Live()

    async def embed_text(text: str) -> Any:
        assert engine is not None
        return (await asyncio.to_thread(engine.siglip.embed_text, [text]))[0]

    liveness, readiness = _checks(worker)
    return page(
        store,
        embed_text if engine else None,
        worker.settings.data_dir / "snapshots",
        live=worker.live,
        model=engine.siglip.manifest.version if engine else None,
        demo=bool(worker.scheduler and worker.scheduler.models.demo),
        liveness=liveness,
        readiness=readiness,
    )


async def serve(worker: Worker, app: Any, stack: AsyncExitStack, any_port: bool = False) -> None:
    """The HTTP server beside the loop; `any_port`: on a free port where the one of the settings is taken.

    Raises: Misconfigured in one line when it cannot listen.
    """
    import uvicorn

    class Server(uvicorn.Server):
        """Signals belong to the worker: it drains first."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    web = worker.settings.web
    port, name = (web.port, "web.port") if "web" in worker.roles else (web.probe_port or 0, "web.probe_port")
    listener = _listen(web.host, port, any_port, name)
    config = uvicorn.Config(app, lifespan="off", log_level="warning", timeout_graceful_shutdown=2)
    server = worker.server = Server(config)
    task = asyncio.create_task(server.serve([listener]), name="web")
    worker.address = f"http://{f'[{web.host}]' if ':' in web.host else web.host}:{listener.getsockname()[1]}"

    async def finish() -> None:
        server.should_exit = True
        await asyncio.wait([task], timeout=3)
        listener.close()

    stack.push_async_callback(finish)


def _listen(host: str, port: int, any_port: bool, name: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # so that whoever reads the address is not refused, and who comes second finds it taken
        return listener
    except OSError as error:
        listener.close()
        if any_port and error.errno == errno.EADDRINUSE:
            return _listen(host, 0, False, name)
        what = "the page" if name == "web.port" else "what serves the probes"
        raise errors.Misconfigured(
            f"{what} cannot listen on {host}:{port}: {error.strerror}; choose another {name}"
        ) from error
