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


def page_of(worker: Worker) -> Any:
    from stream.app.process import now
    from stream.web import Live, page

    assert worker.store is not None
    store, engine = worker.store, worker.engine
    worker.live = Live()

    async def embed_text(text: str) -> Any:
        assert engine is not None
        return (await asyncio.to_thread(engine.siglip.embed_text, [text]))[0]

    def outputs_wait() -> str | None:
        return worker.process.outbox.trouble if worker.process else None

    def broker_away() -> str | None:
        return worker.process.away() if worker.process else None

    async def store_answers() -> str | None:
        await store.recent(limit=1)
        return None

    return page(
        store,
        embed_text if engine else None,
        worker.settings.data_dir / "snapshots",
        live=worker.live,
        model=engine.siglip.manifest.version if engine else None,
        demo=bool(worker.scheduler and worker.scheduler.models.demo),
        liveness={"loop": lambda: worker.unhealthy(now())},
        readiness={
            "broker": broker_away,
            "outputs": outputs_wait,
            "store": store_answers,
            "models": worker.models_trouble,
        },
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

    listener = _listen(worker.settings.web.host, worker.settings.web.port, any_port)
    config = uvicorn.Config(app, lifespan="off", log_level="warning", timeout_graceful_shutdown=2)
    server = worker.server = Server(config)
    task = asyncio.create_task(server.serve([listener]), name="web")
    host = worker.settings.web.host
    worker.address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"

    async def finish() -> None:
        server.should_exit = True
        await asyncio.wait([task], timeout=3)
        listener.close()

    stack.push_async_callback(finish)


def _listen(host: str, port: int, any_port: bool) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # so that whoever reads the address is not refused, and who comes second finds it taken
        return listener
    except OSError as error:
        listener.close()
        if any_port and error.errno == errno.EADDRINUSE:
            return _listen(host, 0, False)
        raise errors.Misconfigured(
            f"the page cannot listen on {host}:{port}: {error.strerror}; choose another web.port"
        ) from error
