"""`seestream submit PATH…`: publishes a file event for every picture and film, with a progress bar; idempotent."""

from __future__ import annotations

import argparse
import asyncio
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
    common.set_up_logging("WARNING")
    tally = asyncio.run(_submit(args, common.settings_of(args)))
    print(
        f"{tally.events} events for {tally.files} files are on the topic"
        + (f", {tally.vanished} files vanished" if tally.vanished else "")
    )
    return 0


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
