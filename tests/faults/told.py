"""What a worker tells about itself, in a file that survives its SIGKILL: three numbers, written in place."""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import NamedTuple

_FORM = struct.Struct("<qqq")


class Told(NamedTuple):
    """`peak` is the most records that were handed out or settled and not committed; `tasks` are asyncio's, now;
    `ready` is 1 once SIGTERM drains."""

    peak: int = 0
    tasks: int = 0
    ready: int = 0


class Teller:
    """Written by the worker. `peak` must be told before the records that it counts can leave a trace."""

    def __init__(self, folder: Path) -> None:
        path = folder / f"told-{os.getpid()}"
        path.write_bytes(_FORM.pack(*Told()))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _FORM.size)
        self._told = Told()

    def tell(self, uncommitted: int, tasks: int) -> None:
        self._write(self._told._replace(peak=max(self._told.peak, uncommitted), tasks=tasks))

    def ready(self) -> None:
        self._write(self._told._replace(ready=1))

    def _write(self, told: Told) -> None:
        self._told = told
        self._map[:] = _FORM.pack(*told)


def told_by(folder: Path, pid: int) -> Told:
    """Nothing yet where it has not begun."""
    path = folder / f"told-{pid}"
    return Told(*_FORM.unpack(path.read_bytes())) if path.exists() else Told()


def peak_of_all(folder: Path) -> int:
    """The most that any one worker had in flight."""
    return max((Told(*_FORM.unpack(path.read_bytes())).peak for path in folder.glob("told-*")), default=0)
