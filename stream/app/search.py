"""`seestream search "a red car"`: ranked observations from the store, by description, by picture, or both."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream import errors
from stream.app import common
from stream.app.records import printable

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from stream.config import Settings
    from stream.infer import Siglip
    from stream.types import Store
    from stream.web import Ask, Found, Group


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
    parser.add_argument("--json", action="store_true", help="one hit a line: {score, picture, observation, more}")
    parser.add_argument(
        "--all", action="store_true", help="each frame for itself: frames close in time are one hit else"
    )


def run(args: argparse.Namespace) -> int:
    """Prints the hits, best first. Raises: Misconfigured, NotFound, BadMedia, StoreUnavailable."""
    settings = common.settings_of(args)
    ask = _ask(args, datetime.now(UTC))
    found = asyncio.run(_find(settings, ask, Path(args.like).expanduser() if ask.picture else None))
    if found.note:
        print(f"seestream: {found.note}", file=sys.stderr)
    _print(found.groups, settings.data_dir / "snapshots", as_json=args.json)
    return 0


def _ask(args: argparse.Namespace, now: datetime) -> Ask:
    from stream.web import Ask, BadAsk

    text = " ".join(args.text).strip()
    like = args.like if args.like and not Path(args.like).expanduser().exists() else None
    if like and ("/" in like or "." in like):
        raise errors.NotFound(f"--like {like}: there is no such picture")
    given = {"q": text, "like": like, "source": args.source, "label": args.label, "limit": str(args.limit)}
    given |= {"since": args.since, "until": args.until, "all": "1" if args.all else None}
    try:
        asked = Ask.from_params({name: value for name, value in given.items() if value}, now)
    except BadAsk as error:
        raise errors.Misconfigured(str(error)) from error
    return replace(asked, picture=bool(args.like and not like))


async def _find(settings: Settings, ask: Ask, picture: Path | None) -> Found:
    from stream.app.engine import load_embedder
    from stream.web import BadAsk, answer, find

    async with _store(settings) as store:
        siglip = None
        if ask.text or picture:
            try:
                siglip = await asyncio.to_thread(load_embedder, settings.models)
            except errors.Misconfigured as error:
                if picture:
                    raise
                print(f"seestream: {error}", file=sys.stderr)
        if picture is not None and siglip is not None:
            vector = await asyncio.to_thread(_embed_picture, siglip, picture)
            hits = await store.search(ask.query(vector=vector, model=siglip.manifest.version))
            return answer(ask, hits)

        async def embed_text(text: str) -> Any:
            assert siglip is not None
            return (await asyncio.to_thread(siglip.embed_text, [text]))[0]

        try:
            return await find(ask, store, embed_text if siglip else None, siglip.manifest.version if siglip else None)
        except BadAsk as error:
            raise errors.NotFound(str(error)) from error


def _store(settings: Settings) -> AbstractAsyncContextManager[Store]:
    """The store by settings; an embedded one is opened beside its writer, and never made by a search."""
    from stream.app import parts
    from stream.sinks import SqliteStore

    store: Any = parts.store(settings)
    found: AbstractAsyncContextManager[Store] = (
        SqliteStore(store.path, readonly=True) if isinstance(store, SqliteStore) else store
    )
    return found


def _embed_picture(siglip: Siglip, path: Path) -> NDArray[np.float32]:
    """(dims,) unit norm. Raises: NotFound, BadMedia."""
    import numpy as np

    from stream.app.look import read

    return np.asarray(siglip.embed_images([read(path).rgb()])[0], np.float32)


def _print(groups: Sequence[Group], snapshots: Path, *, as_json: bool) -> None:
    from stream.app.board import DEMO_NOTICE

    if as_json:
        for each in groups:
            sys.stdout.write(json_line(each, snapshots) + "\n")
    elif groups:
        from rich.console import Console

        console = Console()
        # Without a terminal there is no width to keep to: nothing is cut off for whoever reads the file.
        console = console if console.is_terminal else Console(width=160)
        console.print(table(groups, snapshots))
    else:
        print("seestream: nothing was found", file=sys.stderr)
    if any(each.best.observation.provenance.demo for each in groups):
        print(DEMO_NOTICE, file=sys.stderr)


def json_line(group: Group, snapshots: Path) -> str:
    """`{score, picture, observation, more}`: `picture` is the snapshot's whole path or null, `more` ids of like frames."""
    import orjson

    from stream import wire

    hit = group.best
    picture = hit.observation.snapshot and str(snapshots / hit.observation.snapshot)
    body: dict[str, Any] = {
        "score": hit.score,
        "picture": picture,
        "observation": wire.observation_dict(hit.observation),
    }
    body["more"] = [other.observation.id for other in group.more]
    return orjson.dumps(body).decode()


def table(groups: Sequence[Group], snapshots: Path) -> Table:
    """Best first: score, time in the machine's zone, source, objects, caption; below it more and the snapshot."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name, ratio in (("score", None), ("time", None), ("source", None), ("objects", 2), ("caption", 5)):
        shown.add_column(name, no_wrap=ratio is None, ratio=ratio, overflow="fold")
    for group in groups:
        seen = group.best.observation
        when = f"{seen.captured_at.astimezone():%Y-%m-%d %H:%M:%S}"
        if seen.media.offset_s is not None:
            when += f" +{seen.media.offset_s:.1f}s"
        objects = ", ".join(f"{item.label} {item.score:.2f}" for item in seen.objects) or "-"
        words = Text(printable(seen.caption or "(no caption)"))
        if seen.text:
            words.append(" " + printable(" ".join(f"“{item.text}”" for item in seen.text)))
        if group.more:
            words.append(f"\n+{len(group.more)} from {_clock(group.first)} to {_clock(group.last)}")
        if seen.snapshot:
            words.append("\n" + printable(str(snapshots / seen.snapshot)), style="dim")
        cells = (f"{group.best.score:.3f}", when, printable(seen.source), printable(objects))
        shown.add_row(*(Text(cell) for cell in cells), words)
    return shown


def _clock(when: datetime) -> str:
    return f"{when.astimezone():%H:%M:%S}"
