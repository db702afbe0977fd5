"""The blob folder: payloads that are too large for a record, shared by all workers, with a lifetime of their own.

A blob's name is its content's hash below the hour it was put: the same bytes twice in an hour are stored once, and a
whole hour expires at a time, without looking at its blobs.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from stream.errors import Forbidden, Misconfigured, NotFound, Unavailable
from stream.sinks.removed import Removed

_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
_HOUR = "%Y-%m-%dT%H"
_SETTLED = timedelta(hours=1, minutes=5)  # after its start nobody writes into an hour any more


class Blobs:
    """A folder by path or fsspec URL (`s3://bucket/blobs`). Blocking: call it on a thread."""

    def __init__(
        self,
        root: str | Path,
        *,
        max_age_s: float = 86_400.0,
        max_bytes: int | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`max_age_s` must exceed the longest time a record waits for its reader; hours are the resolution.

        Raises: Misconfigured, when the root cannot be understood or its file system is not installed.
        """
        import fsspec  # 60 ms: only processes that publish or expire blobs pay

        self._max_age = timedelta(seconds=max_age_s)
        self._max_bytes = max_bytes
        self._clock = clock
        self._local = not (isinstance(root, str) and "://" in root) or str(root).startswith("file://")
        self._root = str(Path(str(root).removeprefix("file://")).expanduser().resolve()) if self._local else str(root)
        self._root = self._root.rstrip("/")
        self._sizes: dict[str, int] = {}  # of hours that are over, in bytes
        self._fs: Any
        try:
            self._fs, self._base = fsspec.url_to_fs(self._root)
        except (ImportError, ValueError) as error:
            raise Misconfigured(f"blobs: cannot use {_shown(self._root)}: {error}") from error

    def put(self, data: bytes, media_type: str | None = None) -> str:
        """Store bytes; the URI that every worker can read. Raises: Unavailable, Misconfigured."""
        name = hashlib.sha256(data).hexdigest() + _SUFFIXES.get(media_type or "", "")
        hour = f"{self._base}/{self._clock().astimezone(UTC).strftime(_HOUR)}"
        path = f"{hour}/{name}"
        try:
            if not self._fs.exists(path):
                self._write(hour, path, data)
        except PermissionError as error:
            raise Misconfigured(f"blobs: {_shown(self._root)} may not be written: {error}") from error
        except OSError as error:
            raise Unavailable(f"blobs: cannot write to {_shown(self._root)}: {error}") from error
        if self._local:
            return Path(path).as_uri()
        return self._root + path.removeprefix(self._base)

    def get(self, uri: str) -> bytes:
        """The bytes of a blob. Raises: Forbidden (not one of ours), NotFound (expired), Unavailable."""
        place = self._place(uri)
        inside = place.removeprefix(f"{self._base}/")
        if inside == place or any(part in ("", ".", "..") for part in inside.split("/")):
            raise Forbidden(f"{_shown(uri)} is not below the blob folder {_shown(self._root)}")
        try:
            return bytes(self._fs.cat_file(place))
        except FileNotFoundError as error:
            raise NotFound(f"blob {_shown(uri)} is gone; blobs are kept for {self._max_age}") from error
        except OSError as error:
            raise Unavailable(f"blobs: cannot read {_shown(uri)}: {error}") from error

    def expire(self, now: datetime) -> Removed:
        """Remove the hours that are past their lifetime, then the oldest ones while all are too large together.

        Cheap: an hour that is over is measured once. Raises: Unavailable.
        """
        try:
            self._fs.invalidate_cache()
            removed = Removed()
            kept: list[tuple[str, int]] = []
            for path, started in sorted(self._hours()):
                size = self._size(path, finished=started + _SETTLED <= now)
                if started + timedelta(hours=1) + self._max_age <= now:
                    removed += self._remove(path, size)
                else:
                    kept.append((path, size))
            total = sum(size for _, size in kept)
            while self._max_bytes is not None and total > self._max_bytes and len(kept) > 1:
                path, size = kept.pop(0)  # the present hour always stays: its readers are on their way
                removed += self._remove(path, size)
                total -= size
        except FileNotFoundError:
            return Removed()  # nothing was ever put
        except OSError as error:
            raise Unavailable(f"blobs: cannot expire below {_shown(self._root)}: {error}") from error
        return removed

    def _place(self, uri: str) -> str:
        """The path in the file system; fsspec takes a `file:` URI's percent-escapes for part of the name."""
        if self._local and uri.startswith("file:"):
            return unquote(urlsplit(uri).path)
        return str(self._fs._strip_protocol(uri))

    def _write(self, hour: str, path: str, data: bytes) -> None:
        if not self._local:
            self._fs.pipe_file(path, data)  # object stores show a complete object or none
            return
        Path(hour).mkdir(parents=True, exist_ok=True)
        unfinished = Path(f"{path}.{os.getpid()}-{threading.get_ident()}.part")
        unfinished.write_bytes(data)
        unfinished.replace(path)

    def _hours(self) -> list[tuple[str, datetime]]:
        found = []
        for path in self._fs.ls(self._base, detail=False):
            try:
                name = str(path).rstrip("/").rsplit("/", 1)[-1]
                found.append((str(path), datetime.strptime(name, _HOUR).replace(tzinfo=UTC)))
            except ValueError:
                continue  # not ours
        return found

    def _size(self, path: str, finished: bool) -> int:
        size = self._sizes.get(path)
        if size is None:
            size = sum(int(entry["size"] or 0) for entry in self._fs.ls(path, detail=True))
            if finished:
                self._sizes[path] = size
        return size

    def _remove(self, path: str, size: int) -> Removed:
        count = len(self._fs.ls(path, detail=False))
        self._fs.rm(path, recursive=True)
        self._sizes.pop(path, None)
        return Removed(count, size)


def _shown(root: str) -> str:
    """A root or URI without user, password and query."""
    parts = urlsplit(root)
    if not parts.scheme or not parts.netloc:
        return root
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
