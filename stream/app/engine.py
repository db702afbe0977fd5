"""Opens the models by settings: Florence-2 to describe, SigLIP to embed, one scheduler over both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.config import ModelSettings
    from stream.infer import Florence2, MicroBatcher, Siglip


@dataclass(frozen=True, slots=True)
class Engine:
    """What answers: the scheduler, and the text tower that queries need."""

    scheduler: MicroBatcher
    siglip: Siglip
    describe: Path
    embed: Path


def folders(settings: ModelSettings) -> tuple[Path, Path]:
    """The model folders that describe and embed; the bundled demo models where none is set."""
    from stream.infer import bundled

    return (
        (settings.describe or bundled() / "florence2-demo").expanduser(),
        (settings.embed or bundled() / "siglip-demo").expanduser(),
    )


def load(settings: ModelSettings) -> tuple[Florence2, Siglip]:
    """Both models, loaded and verified; blocking. Raises: Misconfigured, BadModel."""
    return load_describer(settings), load_embedder(settings)


def load_describer(settings: ModelSettings) -> Florence2:
    """Florence-2, loaded and verified; blocking. Raises: Misconfigured, BadModel."""
    from stream.infer import Florence2

    florence = Florence2.load(folders(settings)[0], **_options(settings))
    florence.check(settings.tasks, prompted=False)
    return florence


def load_embedder(settings: ModelSettings) -> Siglip:
    """SigLIP or CLIP, loaded and verified; blocking. Raises: Misconfigured, BadModel."""
    from stream.infer import Siglip

    return Siglip.load(folders(settings)[1], **_options(settings))


def _options(settings: ModelSettings) -> dict[str, Any]:
    return {"provider": settings.provider, "precision": settings.precision, "threads": settings.threads}


@asynccontextmanager
async def open_engine(settings: ModelSettings) -> AsyncIterator[Engine]:
    """Loads on a thread, warms up, and closes with the context."""
    from stream.infer import MicroBatcher

    florence, siglip = await asyncio.to_thread(load, settings)
    async with MicroBatcher(
        florence,
        siglip,
        max_images=settings.max_batch,
        max_wait_s=settings.max_wait_ms / 1e3,
        deadline_s=settings.deadline_s,
    ) as scheduler:
        yield Engine(scheduler, siglip, *folders(settings))
