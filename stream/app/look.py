"""`seestream look IMAGE`: the models on one picture, without broker or store."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream import errors
from stream.app import common

if TYPE_CHECKING:
    from stream.infer import Answer
    from stream.types import Frame

_COLORS = ((230, 80, 60), (60, 160, 230), (90, 190, 90), (230, 180, 50), (180, 110, 220))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path, metavar="IMAGE", help="JPEG, PNG or WebP")
    parser.add_argument(
        "--task", action="append", metavar="TASK", help='such as "<OD>", repeatable (default: by settings)'
    )
    parser.add_argument("--prompt", default="", help="text input for the tasks that take one")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--draw", type=Path, metavar="OUT", help="write the picture with what was found drawn on it")
    common.add_settings_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from stream.app.engine import load_describer

    common.set_up_logging("WARNING")
    settings = common.settings_of(args)
    frame = read(args.image)
    florence = load_describer(settings.models)
    tasks = tuple(args.task or settings.models.tasks)
    answers = florence.look(frame.rgb(), tasks, dict.fromkeys(tasks, args.prompt) if args.prompt else None)
    if args.draw:
        draw(frame, answers, args.draw)
    if args.json:
        body: dict[str, Any] = {task: answer.plain() for task, answer in answers.items()}
        body |= {"width": frame.width, "height": frame.height, "demo": florence.manifest.demo}
        print(json.dumps(body, ensure_ascii=False))
        return 0
    _print(answers, florence.manifest.demo)
    return 0


def read(path: Path) -> Frame:
    """One picture from a file. Raises: NotFound, BadMedia."""
    from stream.decode import MediaDecoder
    from stream.types import FileEvent

    path = path.expanduser().absolute()
    event = FileEvent(str(path), "look", str(path))
    frame = next(iter(MediaDecoder([path.parent]).decode(event)), None)
    if frame is None:
        raise errors.BadMedia(f"{path} has no picture")
    return frame


def _print(answers: dict[str, Answer], demo: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from stream.app.board import DEMO_NOTICE

    console = Console()
    if demo:
        console.print(Text(DEMO_NOTICE, style="black on yellow"))
    table = Table(box=None, header_style="bold")
    for column in ("task", "what", "score", "where"):
        table.add_column(column, overflow="fold")
    for task, answer in answers.items():
        if answer.text or not answer.found:
            table.add_row(Text(task), Text(answer.text or "nothing"), f"{answer.score:.2f}", "")
        for one in answer.found:
            place = one.box or one.quad or ()
            table.add_row(Text(task), Text(one.label), f"{one.score:.2f}", ", ".join(f"{value:.0f}" for value in place))
    console.print(table)


def draw(frame: Frame, answers: dict[str, Answer], out: Path) -> None:
    """Boxes, quads and labels on the picture; the format by `out`'s ending. Raises: Misconfigured."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(frame.rgb())
    pen = ImageDraw.Draw(picture)
    width = max(2, frame.height // 250)
    for number, one in enumerate(one for answer in answers.values() for one in answer.found):
        color = _COLORS[number % len(_COLORS)]
        shape = one.quad or (
            one.box and (one.box[0], one.box[1], one.box[2], one.box[1], one.box[2], one.box[3], one.box[0], one.box[3])
        )
        if not shape:
            continue
        points = list(zip(shape[::2], shape[1::2], strict=True))
        pen.line([*points, points[0]], fill=color, width=width)
        label = f"{one.label} {one.score:.2f}"
        left, top, right, bottom = pen.textbbox(points[0], label, anchor="lb", font_size=max(12, frame.height // 40))
        pen.rectangle((left - 2, top - 2, right + 2, bottom + 2), fill=color)
        pen.text(points[0], label, fill="white", anchor="lb", font_size=max(12, frame.height // 40))
    try:
        picture.save(out)
    except (OSError, ValueError) as error:
        raise errors.Misconfigured(f"--draw {out}: {error}") from error
