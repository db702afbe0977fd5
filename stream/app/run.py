"""`seestream run`: the real thing, until a signal ends it."""

from __future__ import annotations

import argparse
import asyncio
import os
from typing import TYPE_CHECKING

from stream import errors
from stream.app import common

if TYPE_CHECKING:
    from stream.config import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_settings_arguments(parser)
    parser.add_argument("--role", default="capture,process,web", help="which roles, by comma (default: all)")
    parser.add_argument("--backfill", action="store_true", help="when idle, look at shed frames still on the topic")


def run(args: argparse.Namespace) -> int:
    from stream.app.worker import ROLES

    roles = frozenset(role.strip() for role in args.role.split(",") if role.strip())
    if not roles or roles - set(ROLES):
        raise errors.Misconfigured(f"--role {args.role}: the roles are {', '.join(ROLES)}")
    common.set_up_logging()
    settings = settings_of(args)
    if settings.kafka.bootstrap == "embedded" and "process" not in roles:
        raise errors.Misconfigured(
            f"--role {args.role}: the embedded broker lives in the process that runs `process`; "
            "roles in processes of their own need a real Kafka: set kafka.bootstrap"
        )
    asyncio.run(serve(settings, roles))
    return 0


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings file's, with what the command line says over them."""
    settings = common.settings_of(args)
    if args.backfill:
        settings = settings.model_copy(update={"sampling": settings.sampling.model_copy(update={"backfill": True})})
    return settings


async def serve(settings: Settings, roles: frozenset[str]) -> None:
    """Runs the roles until SIGTERM; a second one ends the process at once with exit code 143."""
    import logging

    from stream.app.board import DEMO_NOTICE
    from stream.app.worker import GRACE_S, Quiet, open_worker, stop_on_signals

    log = logging.getLogger("stream")
    async with open_worker(settings, roles, lambda worker: Quiet()) as worker:
        stop_on_signals(worker.stop, lambda: os._exit(143))
        log.info("%s on %s", ", ".join(sorted(roles)), worker.bootstrap)
        if worker.address:
            log.info("%s: %s", "page" if "web" in roles else "probes", worker.address)
        if worker.scheduler and worker.scheduler.models.demo:
            log.warning(DEMO_NOTICE)
        running = asyncio.create_task(worker.run())
        stopping = asyncio.create_task(worker.stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        done, _ = await asyncio.wait({running}, timeout=GRACE_S)
        if not done:
            log.warning("not drained within %.0f s; what is unsettled is delivered again", GRACE_S)
            running.cancel()
        await running
