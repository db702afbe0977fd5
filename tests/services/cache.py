"""Where the services are kept, and what every part of the harness says and shares."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parents[2] / "services"


class Unobtainable(Exception):
    """A service cannot be obtained or started here; the message is one line that says why and what to do."""


def root() -> Path:
    """The cache folder: `SEESTREAM_SERVICES`, else `seestream/services` in the XDG cache. Never inside the tree."""
    chosen = os.environ.get("SEESTREAM_SERVICES")
    if chosen:
        return Path(chosen).expanduser().resolve()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser().resolve() / "seestream" / "services"


def say(line: str) -> None:
    """One progress line on standard error."""
    print(f"services: {line}", file=sys.stderr, flush=True)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Only one process at a time obtains `name`; the others wait and then find it there."""
    folder = root()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def stamp(folder: Path, version: str, files: Mapping[str, Path]) -> None:
    """Record what was obtained and verified; written last, so that an interrupted download never looks complete."""
    content = {"version": version, "sha256": {name: digest(path) for name, path in sorted(files.items())}}
    unfinished = folder / "stamp.json.part"
    unfinished.write_text(json.dumps(content, indent=1))
    unfinished.replace(folder / "stamp.json")


def stamped(folder: Path, version: str) -> bool:
    """Whether `folder` holds that version and every file is as it was when it was verified."""
    try:
        content = json.loads((folder / "stamp.json").read_text())
        return content["version"] == version and all(
            digest(folder / name) == expected for name, expected in content["sha256"].items()
        )
    except (OSError, ValueError, KeyError):
        return False
