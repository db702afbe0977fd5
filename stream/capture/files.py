"""From a file in a folder to the events that announce it."""

from __future__ import annotations

import fnmatch
import mimetypes
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from stream.types import FileEvent, Op, Span
from stream.wire import file_event_id

SPAN_S = 600.0
"""Films are announced in parts of ten minutes, so that one upload does not hold its partition for an hour."""

_MOST_SPANS = 1000
"""A damaged header can claim centuries; the last span is open, so nothing is lost beyond."""

Duration = Callable[[Path], float | None]
"""Length of a film in seconds; None for what is no film. Blocking; may raise errors of ours for files that are gone."""

_PASSING = (
    ".*", "*~", "~*", "#*#", "*.tmp", "*.temp", "*.part", "*.partial", "*.filepart", "*.crdownload", "*.download",
    "*.!sync", "*.!qb", "*.swp", "*.lock", "*.upload", "*.uploading", "thumbs.db", "desktop.ini", "@eadir", "#recycle",
    "lost+found", "$recycle.bin", "*.xmp", "*.aae", "*.nfo", "*.srt", "*.vtt", "*.db", "*.ini", "*.log",
)  # fmt: skip
"""Names that programs write for a while before the real one, folders that a NAS keeps for itself, and sidecars."""


def is_passing(path: Path, below: Path) -> bool:
    """Whether a file is temporary, hidden or a sidecar, by its name or that of a folder between it and `below`."""
    parts = path.relative_to(below).parts if path.is_relative_to(below) else (path.name,)
    return any(fnmatch.fnmatchcase(part.lower(), pattern) for part in parts for pattern in _PASSING)


def may_be_media(path: Path) -> bool:
    """Whether the name leaves room for a picture or film. Decoding decides by the bytes; this spares documents."""
    guess = mimetypes.guess_type(path.name)[0]
    return guess is None or guess.startswith(("image/", "video/")) or guess in _MISTAKEN


def media_files(folder: Path) -> Iterator[Path]:
    """The files below a folder that are worth announcing, in order of name. Blocking."""
    for name, folders, files in os.walk(folder):
        here = Path(name)
        folders[:] = sorted(each for each in folders if not is_passing(here / each, folder))
        for each in sorted(files):
            if not is_passing(here / each, folder) and may_be_media(here / each):
                yield here / each


_MISTAKEN = frozenset(
    {"application/octet-stream", "application/mp4", "application/ogg", "text/vnd.trolltech.linguist", "model/vnd.mts"}
)
"""What the tables say of endings that films have too (`.ts` is Qt's translation format to them, `.mts` a 3D model)."""


def events(
    path: Path, source: str, op: Op = "created", *, span_s: float = SPAN_S, duration: Duration | None = None
) -> list[FileEvent]:
    """The events for a file as it is now: one, or several spans when it is a film longer than `span_s`.

    Their ids are made of path, size, time and span: announcing an unchanged file again changes nothing. Blocking.
    Raises: OSError when the file is gone.
    """
    path = path.absolute()
    uri = path.as_uri()
    if op == "deleted":
        return [FileEvent(file_event_id(uri, None, None), source, uri, op=op)]
    status = path.stat()
    modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
    length_s = duration(path) if duration is not None else None
    return [
        FileEvent(
            id=file_event_id(uri, status.st_size, modified_at, span),
            source=source,
            uri=uri,
            media_type=mimetypes.guess_type(path.name)[0],
            size_bytes=status.st_size,
            modified_at=modified_at,
            op=op,
            span=span,
        )
        for span in spans(length_s, span_s)
    ]


def spans(length_s: float | None, span_s: float) -> list[Span | None]:
    """Parts of `span_s` each; a rest shorter than a quarter joins the part before it, and the last one is open.

    [None], the whole, for a film that is no longer than that, or whose length is not known.
    """
    parts = min(_MOST_SPANS, int((length_s or 0.0) / span_s + 0.75))
    if parts < 2:
        return [None]
    starts = [number * span_s for number in range(parts)]
    return [*(Span(start_s, start_s + span_s) for start_s in starts[:-1]), Span(starts[-1])]
