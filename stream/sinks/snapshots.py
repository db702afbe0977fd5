"""Snapshots: the picture of each observation, as original bytes where there are any (encoding again costs 4 ms).

Laid out as `DAY/HOUR/ID.EXT` by capture time in UTC, so that a path follows from the observation alone. Files survive
the end of this process; they are not synced one by one, so a power cut may lose the last seconds' pictures.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stream.errors import BadMedia, Forbidden, Misconfigured, Unavailable
from stream.sinks.removed import Removed
from stream.types import Frame

_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]*")
_FOR_A_PERSON = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


@dataclass(frozen=True, slots=True)
class _Folder:
    """What one hour's folder held when its modification time was `changed_ns`; times are when files were written."""

    changed_ns: int
    oldest: float
    newest: float
    size_bytes: int


class Snapshots:
    """The snapshot folder. Blocking and thread-safe; several processes may share the folder."""

    def __init__(
        self, folder: Path, max_bytes: int | None = None, max_age_s: float | None = None, *, quality: int = 85
    ) -> None:
        """`max_age_s` counts from when a picture was written, so that an archive filled in today is kept as long as
        today's frames. `quality` is for frames that come without encoded bytes."""
        self.folder = folder
        self._max_bytes, self._max_age_s, self._quality = max_bytes, max_age_s, quality
        self._known: dict[Path, _Folder] = {}

    def save(self, observation_id: str, frame: Frame) -> str:
        """Keep the frame's picture; its path below the folder. A second call with the same id changes nothing.

        Raises: Unavailable, when the disk refuses for now; Misconfigured, when a person must act; BadMedia, when the
        frame has no encoded bytes and cannot be decoded.
        """
        if not _NAME.fullmatch(observation_id):
            raise Forbidden(f"{observation_id[:80]!r} cannot be a file name")
        original = frame.encoded if frame.media_type in _SUFFIXES else None
        suffix = _SUFFIXES[frame.media_type or ""] if original is not None else ".jpg"
        relative = f"{frame.captured_at.astimezone(UTC):%Y-%m-%d/%H}/{observation_id}{suffix}"
        path = self.folder / relative
        if not path.exists():
            self._write(path, original if original is not None else _jpeg(frame, self._quality))
        return relative

    def path(self, relative: str) -> Path:
        """Where a snapshot lies. Raises: Forbidden, for a path that leads out of the folder."""
        folder = self.folder.resolve()
        found = (folder / relative).resolve()
        if not found.is_relative_to(folder):
            raise Forbidden(f"{relative[:80]!r} leads out of the snapshot folder")
        return found

    def expire(self, now: datetime) -> Removed:
        """Remove what is too old, then the oldest ones while all are too large together.

        Cheap: an hour's folder is read again only after it changed. Raises: Unavailable.
        """
        removed = Removed()
        try:
            known = self._look()
            if self._max_age_s is not None:
                removed += self._expire_before(known, now.timestamp() - self._max_age_s)
                known = self._look()
            if self._max_bytes is not None:
                removed += self._expire_bytes(known, sum(f.size_bytes for f in known.values()) - self._max_bytes)
            self._remove_empty()
        except OSError as error:
            raise Unavailable(f"snapshots: cannot clear {self.folder}: {error.strerror}") from error
        return removed

    def _expire_before(self, known: dict[Path, _Folder], cutoff: float) -> Removed:
        removed = Removed()
        for path, folder in known.items():
            if folder.oldest < cutoff:
                removed += _remove([file for file in _files(path) if file[0] < cutoff])
        return removed

    def _expire_bytes(self, known: dict[Path, _Folder], excess: int) -> Removed:
        removed = Removed()
        for path, _ in sorted(known.items(), key=lambda item: item[1].newest):
            if removed.size_bytes >= excess:
                break
            removed += _remove(_first_bytes(_files(path), excess - removed.size_bytes))
        return removed

    def _write(self, path: Path, data: bytes) -> None:
        unfinished = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(data)
            unfinished.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            kind = Misconfigured if error.errno in _FOR_A_PERSON else Unavailable
            hint = "make room there" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make it writable"
            raise kind(f"snapshots: cannot write below {self.folder}: {error.strerror}; {hint}") from error

    def _look(self) -> dict[Path, _Folder]:
        """The folders that hold pictures, summed up; taken from memory where a folder has not changed."""
        found = {}
        for path in self.folder.glob("[0-9]*-[0-9]*-[0-9]*/[0-9][0-9]"):
            changed_ns = path.stat().st_mtime_ns
            before = self._known.get(path)
            if before is not None and before.changed_ns == changed_ns:
                found[path] = before
            elif files := _files(path):
                size = sum(file[1] for file in files)
                found[path] = _Folder(changed_ns, files[0][0], files[-1][0], size)
        self._known = found
        return found

    def _remove_empty(self) -> None:
        for pattern in ("[0-9]*-[0-9]*-[0-9]*/[0-9][0-9]", "[0-9]*-[0-9]*-[0-9]*"):
            for folder in self.folder.glob(pattern):
                with os.scandir(folder) as entries:
                    empty = next(entries, None) is None
                if empty:
                    _remove_folder(folder)


def _remove_folder(folder: Path) -> None:
    """A picture that arrives in this moment keeps its folder."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOENT, errno.EEXIST):
            raise


def _files(folder: Path) -> list[tuple[float, int, str]]:
    """(written_at, size_bytes, path) of a folder's files, oldest first."""
    files = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # an unfinished file that was renamed meanwhile
                status = entry.stat()
                files.append((status.st_mtime, status.st_size, entry.path))
    return sorted(files)


def _remove(files: list[tuple[float, int, str]]) -> Removed:
    for _, _, path in files:
        Path(path).unlink(missing_ok=True)
    return Removed(len(files), sum(size for _, size, _ in files))


def _first_bytes(files: list[tuple[float, int, str]], excess: int) -> list[tuple[float, int, str]]:
    """The first files whose sizes add up to at least `excess` bytes."""
    chosen = []
    for file in files:
        if excess <= 0:
            break
        chosen.append(file)
        excess -= file[1]
    return chosen


def _jpeg(frame: Frame, quality: int) -> bytes:
    """The frame's pixels as a JPEG; drops them again, they are 25 MB for 8 megapixels."""
    import cv2

    pixels = frame.rgb()
    try:
        done, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    finally:
        frame.drop()
    if not done:
        raise BadMedia(f"snapshots: OpenCV could not encode a frame of {frame.source}")
    return bytes(data)
