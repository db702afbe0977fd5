"""`seestream demo`: everything embedded, a synthetic camera and an upload folder, a live table of what is seen."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream import errors
from stream.app import common

if TYPE_CHECKING:
    from stream.app.board import Board
    from stream.app.worker import Worker
    from stream.config import Settings
    from stream.pipeline import Watcher

RULES: list[dict[str, Any]] = [
    {"name": "person at the house", "label": "person", "min_score": 0.5, "cool_down_s": 20},
]
UPLOADS = "demo-uploads"
DRAIN_S = 2.0
"""Ctrl-C ends within 3 s: what is not done by then is left unsettled, as after a crash."""

QUIET_S = 2.0
"""A film is over when for so long no record waited: longer than a fetch and a commit take."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_settings_arguments(parser)
    parser.add_argument("--seconds", type=float, metavar="N", help="end after N seconds with a summary")
    parser.add_argument("--json", action="store_true", help="print one Observation a line")
    footage = parser.add_mutually_exclusive_group()
    footage.add_argument("--video", metavar="FILE", help="film a video file instead of the drawn scene")
    footage.add_argument("--camera", metavar="URL", help="film a real camera (rtsp://, http://)")
    parser.add_argument("--port", type=int, metavar="N", help="port of the page (default 8765, or a free one)")
    parser.add_argument("--seed", type=int, default=1, help="of the drawn scene")


def run(args: argparse.Namespace) -> int:
    if args.seconds is not None and not args.seconds > 0:
        raise errors.Misconfigured(f"--seconds {args.seconds:g}: must be more than 0")
    if args.port is not None and not 0 <= args.port <= 65535:
        raise errors.Misconfigured(f"--port {args.port}: a port is a number from 0 (a free one) to 65535")
    if args.video:
        film = Path(args.video).expanduser()
        if not film.is_file():
            raise errors.Misconfigured(f"--video {args.video}: no such file")
        args.video = str(film)
    common.set_up_logging("WARNING" if not os.environ.get("SEESTREAM_LOG") else "INFO")
    settings = _settings(args)
    (common.data_folder(settings) / UPLOADS).mkdir(exist_ok=True)
    asyncio.run(_demo(args, settings))
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    """The user's settings with the demo's camera, folder, rule and port."""
    from stream.config import CameraSettings, FolderSettings

    settings = common.settings_of(args)
    changes: dict[str, Any] = {}
    uploads = settings.data_dir / UPLOADS
    changes["folders"] = (*settings.folders, FolderSettings(path=uploads, source="uploads"))
    if args.camera:
        changes["cameras"] = (CameraSettings(name="camera", url=args.camera, fps=5),)
    if args.video:
        changes["cameras"] = ()  # the film is a job of its own, at whose end the demo ends
    if not settings.rules:
        changes["rules"] = tuple(RULES)
    if args.port is not None:
        changes["web"] = settings.web.model_copy(update={"port": args.port})
    return settings.model_copy(update=changes)


async def _demo(args: argparse.Namespace, settings: Settings) -> None:
    from stream.app.board import Board, JsonLines
    from stream.app.worker import ROLES, open_worker, stop_on_signals

    boards: list[Board] = []

    def watcher(worker: Worker) -> Watcher:
        demo = bool(worker.scheduler and worker.scheduler.models.demo)
        boards.append(Board(demo, worker.load))
        return JsonLines(boards[0]) if args.json else boards[0]

    async with open_worker(settings, frozenset(ROLES), watcher, any_port=args.port is None) as worker:
        stop_on_signals(worker.stop, lambda: os._exit(130))
        if args.video:
            worker.jobs.append(partial(_play, worker, args.video))
        elif not args.camera:
            worker.jobs.append(partial(_film_the_drawn_scene, worker, args.seed))
            worker.jobs.append(partial(_fill_the_folder, settings.data_dir / UPLOADS, args.seed))
        if args.seconds:
            worker.jobs.append(partial(_stop_after, worker, args.seconds))
        running = asyncio.create_task(worker.run())
        await _show(args, worker, boards[0], running)
        await asyncio.wait({running}, timeout=DRAIN_S)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    last = "search what was seen: " + _command(args, 'search "a red car"')
    print("\n".join([*boards[0].summary(), last]), file=sys.stderr if args.json else sys.stdout)


def _command(args: argparse.Namespace, words: str) -> str:
    """What to type here for a command on the same data: the script beside this Python where it is not on the PATH."""
    script = Path(sys.executable).with_name("seestream")
    on_path = shutil.which("seestream")
    name = "seestream"
    if not on_path or Path(on_path).resolve() != script.resolve():
        name = os.path.relpath(script) if script.is_relative_to(Path.cwd()) else str(script)
    given = [*(["-c", str(args.config)] if args.config else []), *(["--data", str(args.data)] if args.data else [])]
    return " ".join([name, words, *(shlex.quote(word) for word in given)])


async def _show(args: argparse.Namespace, worker: Worker, board: Board, running: asyncio.Task[None]) -> None:
    """The live table until the end of the run or a signal."""
    ending = asyncio.create_task(worker.stop.wait())
    if args.json:
        await asyncio.wait({running, ending}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        return
    from rich.console import Console
    from rich.live import Live

    header = f"[bold]seestream[/] · page {worker.address} · broker {worker.bootstrap} · Ctrl-C ends"
    console = Console()
    with Live(board.render(header), console=console, auto_refresh=False) as live:
        while not (running.done() or ending.done()):
            await asyncio.wait({running, ending}, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
            if console.is_terminal:
                live.update(board.render(header), refresh=True)
        live.update(board.render(header), refresh=True)
    if not console.is_terminal:
        console.print()  # there the table does not end its last line
    ending.cancel()


async def _stop_after(worker: Worker, seconds: float) -> None:
    await asyncio.sleep(seconds)
    worker.stop.set()


async def _play(worker: Worker, film: str) -> None:
    """Films a video file once, and ends the demo when nothing of it has been waiting for a while."""
    from stream.capture import Camera

    await Camera("camera", film, worker.publisher, fps=5).run()
    assert worker.process is not None
    quiet_s = 0.0
    while quiet_s < QUIET_S:
        await asyncio.sleep(0.25)
        quiet_s = 0.0 if worker.process.lag() else quiet_s + 0.25
    worker.stop.set()


async def _film_the_drawn_scene(worker: Worker, seed: int) -> None:
    from stream.capture import SyntheticCamera
    from stream.capture.scenery import DrivewayCamera

    await SyntheticCamera("driveway", worker.publisher, driveway=DrivewayCamera(seed)).run()


async def _fill_the_folder(folder: Path, seed: int) -> None:
    """Puts pictures and a short film into the watched folder, as a person would."""
    from stream.app.samples import write_film, write_picture

    await asyncio.sleep(3)
    for number in range(3):
        await asyncio.to_thread(write_picture, folder / f"picture-{seed}-{number}.jpg", seed * 100 + number)
        await asyncio.sleep(3)
    await asyncio.to_thread(write_film, folder / f"film-{seed}.mp4", seed)
