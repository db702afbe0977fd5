"""`seestream search "a red car"`: ranked observations from the store, by description, by picture, or both."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream import errors
from stream.app import common

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from numpy.typing import NDArray
    from rich.table import Table

    from stream.config import Settings
    from stream.infer import Siglip
    from stream.types import Hit, Store
    from stream.web import Ask, Found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to look for, where and when, and how to print it."""
    common.add_settings_arguments(parser)
    parser.add_argument("text", nargs="*", metavar="TEXT", help="a description, such as: a red car at night")
    parser.add_argument("--like", metavar="IMAGE", help="a picture (or the id of an observation) to look alike")
    parser.add_argument("--source", help="only this camera or upload source")
    parser.add_argument("--label", help="only with this object")
    parser.add_argument("--since", metavar="WHEN", help="30m, 2h, 7d ago, or 2026-05-04, or 2026-05-04T18:30")
    parser.add_argument("--until", metavar="WHEN", help="likewise")
    parser.add_argument("--limit", type=int, default=10, metavar="N", help="most hits (default: 10, at most 200)")
    parser.add_argument("--json", action="store_true", help="one hit a line: {score, picture, observation}")


def run(args: argparse.Namespace) -> int:
    """Prints the hits, best first. Raises: Misconfigured, NotFound, BadMedia, StoreUnavailable."""
    settings = common.settings_of(args)
    ask = _ask(args, datetime.now(UTC))
    found = asyncio.run(_find(settings, ask, Path(args.like).expanduser() if args.like and not ask.like else None))
    if found.note:
        print(f"seestream: {found.note}", file=sys.stderr)
    _print(found.hits, settings.data_dir / "snapshots", as_json=args.json)
    return 0


def _ask(args: argparse.Namespace, now: datetime) -> Ask:
    from stream.web import Ask, BadAsk

    text = " ".join(args.text).strip()
    like = args.like if args.like and not Path(args.like).expanduser().exists() else None
    if like and ("/" in like or "." in like):
        raise errors.NotFound(f"--like {like}: there is no such picture")
    given = {"q": text, "like": like, "source": args.source, "label": args.label, "limit": str(args.limit)}
    given |= {"since": args.since, "until": args.until}
    try:
        return Ask.from_params({name: value for name, value in given.items() if value}, now)
    except BadAsk as error:
        raise errors.Misconfigured(str(error)) from error


async def _find(settings: Settings, ask: Ask, picture: Path | None) -> Found:
    from stream.web import BadAsk, Found, find

    texts = _Texts(settings)
    async with _store(settings) as store:
        if picture is not None:
            return Found(await store.search(await _query(texts, ask, picture)))
        try:
            return await find(ask, store, texts.embed, texts.model)
        except BadAsk as error:
            raise errors.NotFound(str(error)) from error


class _Texts:
    """The embedding model by settings, loaded when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._siglip: Siglip | None = None

    async def load(self) -> Siglip:
        if self._siglip is None:
            from stream.app.engine import embedder

            self._siglip = await asyncio.to_thread(embedder, self._settings.models)
        return self._siglip

    async def embed(self, text: str) -> NDArray[Any]:
        siglip = await self.load()
        vectors: NDArray[Any] = siglip.embed_text([text])
        return vectors[0]
