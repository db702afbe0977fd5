"""What the commands share: settings from the common arguments, logging, the Kafka connection, the models, the store."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from stream import errors

if TYPE_CHECKING:
    from stream.config import Settings


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """`-c FILE` and `--data DIR`, the same for every command that needs settings."""
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="settings file (YAML)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="data folder (default: the user's data folder)")


def settings_of(args: argparse.Namespace, **overrides: Any) -> Settings:
    """Settings by file, environment and `--data`. Raises: Misconfigured."""
    from stream import config

    return config.load(args.config, data_dir=args.data.expanduser().resolve() if args.data else None, **overrides)


def set_up_logging(level: str = "INFO", *, ends: bool = False) -> None:
    """One line a message on stderr; libraries speak from WARNING on.

    `ends`: a command that ends by itself, and says then in one line what the Kafka client says in several.
    """
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", handlers=[_Stderr()]
    )
    logging.getLogger("stream").setLevel(os.environ.get("SEESTREAM_LOG", level))
    if ends:
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class _Stderr(logging.StreamHandler[TextIO]):
    """Whatever `sys.stderr` is at the moment: rich puts its own there, which keeps lines out of a live table."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """The base class sets what it took at the start."""


def data_folder(settings: Settings) -> Path:
    """The data folder, made if need be. Raises: Misconfigured when it cannot be written."""
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise errors.Misconfigured(
            f"cannot write to the data folder {folder} ({error.strerror}); choose another with --data DIR"
        ) from error
    return folder
