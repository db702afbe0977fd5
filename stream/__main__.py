"""The command line, parsing only: `seestream COMMAND …`, also `python -m stream`.

Only the chosen command's module is imported, so `seestream --help` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import TYPE_CHECKING

from stream import __version__
from stream.errors import SeestreamError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "demo": "see it work: a synthetic camera, broker, store and demo models in this process",
    "run": "the real thing: capture, process and web by settings",
    "submit": "publish file events for files, folders or globs",
    "search": "find observations by description, picture or words",
    "tail": "follow a topic readably",
    "look": "run the models on one picture",
    "gate": "run only the motion gate over a video",
    "models": "list, pull, export and check models",
    "dead": "list, show and retry dead letters",
    "audit": "account for every offset from the ledger",
    "check": "validate settings, reach every service, forecast what this machine can do",
    "schema": "print the AsyncAPI document and the JSON Schemas",
}


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser; only `command` gets its own arguments, the others are listed."""
    parser = argparse.ArgumentParser(
        prog="seestream",
        description="Camera frames and uploaded files on Kafka become searchable descriptions of what was seen.",
    )
    parser.add_argument("--version", action="version", version=f"seestream {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == command:
            importlib.import_module(f"stream.app.{name}").add_arguments(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 1 a fault (one line on stderr), 2 wrong usage, 130 Ctrl-C."""
    words = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in words if not word.startswith("-")), None)
    args = build_parser(command if command in COMMANDS else None).parse_args(words)
    try:
        return int(importlib.import_module(f"stream.app.{args.command}").run(args))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SeestreamError as error:
        print(f"seestream: {error}", file=sys.stderr)
        return 1
    except ExceptionGroup as group:
        known, unknown = group.split(SeestreamError)
        for leaf in _leaves(known):
            print(f"seestream: {leaf}", file=sys.stderr)
        if unknown is not None:
            raise unknown from None
        return 1


def _leaves(group: BaseException | None) -> list[BaseException]:
    if isinstance(group, BaseExceptionGroup):
        return [leaf for error in group.exceptions for leaf in _leaves(error)]
    return [group] if group is not None else []


if __name__ == "__main__":
    sys.exit(main())
