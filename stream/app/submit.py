"""`seestream submit PATH…`: publishes a file event for every picture and film, with a progress bar; idempotent."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stream.app import common

if TYPE_CHECKING:
    from stream.capture import Tally
    from stream.config import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="file, folder or glob (** goes down)")
    parser.add_argument("--source", default="uploads", help="the source's name on every topic (default: uploads)")
    common.add_settings_arguments(parser)


def run(args: argparse.Namespace) -> int:
    common.set_up_logging("WARNING", ends=True)
    settings = common.settings_of(args)
    tally = asyncio.run(_submit(args, settings))
    print(
        f"{tally.events} events for {tally.files} files are on the topic"
        + (f", {tally.left_out} files were left out" if tally.left_out else "")
    )
    for why in tally.why:
        print(f"seestream: {why}", file=sys.stderr)
    for path in outside(args.paths, settings):
        print(
            f"seestream: {path} lies outside the roots of these settings; a worker with the same ones makes dead letters"
            " of it: add its folder to `roots` there",
            file=sys.stderr,
        )
    return 0


def outside(paths: Sequence[str], settings: Settings) -> list[str]:
    """The paths that lie below no root and no watched folder; only a warning, because a worker may have other roots."""
    from stream.app.demo import UPLOADS

    places: list[Path | str] = [settings.data_dir / UPLOADS, *(folder.path for folder in settings.folders)]
    places += [root for root in settings.roots if "://" not in root]
    roots = [_real(place) for place in places]
    return [path for path in paths if not any(_real(path).is_relative_to(root) for root in roots)]


def _real(path: Path | str) -> Path:
    return Path(os.path.realpath(Path(path).expanduser()))


async def _submit(args: argparse.Namespace, settings: Settings) -> Tally:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from stream.app import parts, service
    from stream.capture import Submit
    from stream.decode import video_duration_s

    async with service.connected(settings) as broker:
        columns = TextColumn("submitting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, transient=True) as progress:
            bar = progress.add_task("submit", total=None)
            return await Submit(
                args.paths,
                parts.publisher(settings, broker),
                source=args.source,
                duration=video_duration_s,
                progress=lambda tally: progress.update(bar, total=tally.files, completed=tally.done),
            ).run()
