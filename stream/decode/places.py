"""Where bytes lie: paths and URIs, opened only below the allowed roots.

A record on a topic can name any path, so a name is trusted only after symbolic links are resolved. Remote places
(s3:// and whatever else fsspec knows) must start with one of the roots, which keeps a record from making this process
fetch from addresses inside the network.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Protocol, cast
from urllib.parse import unquote_to_bytes, urlsplit

from stream.errors import BadMedia, Forbidden, Misconfigured, NotFound, SeestreamError, Unavailable

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
_CLOSED_TO_US = {errno.EACCES, errno.EPERM, errno.ELOOP}


def is_remote(place: str) -> bool:
    """Whether a path or URI is fsspec's business rather than the file system's."""
    scheme = _SCHEME.match(place)
    return scheme is not None and not place.startswith("/") and scheme[1].lower() != "file"


def local_path(place: str) -> Path:
    """The absolute path that a path or `file:` URI names; a URI's percent-escapes may hold any bytes but NUL.

    Raises: errors.Forbidden for a relative path, another host, or a NUL.
    """
    path = place
    if not place.startswith("/") and _SCHEME.match(place):
        host, _, rest = place[5:].removeprefix("//").partition("/") if place[5:7] == "//" else ("", "", place[6:])
        if host not in ("", "localhost"):
            raise Forbidden(f"{shown(place)} is on host {host!r}: mount it here and send its local path")
        path = os.fsdecode(unquote_to_bytes("/" + rest))
    if not path.startswith("/") or "\0" in path:
        raise Forbidden(f"{shown(place)} is not an absolute path: send one, or a file:// or s3:// URI")
    return Path(path)


def shown(place: str) -> str:
    """A path or URI fit for a message: on one line, shortened, without user or password."""
    if is_remote(place):
        place = re.sub(r"(?<=://)[^/@]*@", "", place.partition("?")[0])
    return repr(place if len(place) <= 300 else place[:300] + "…")


class Places:
    """Opens what an event names. `roots` are folders, or URLs such as `s3://bucket/uploads`, below which it may lie."""

    def __init__(self, roots: Sequence[Path | str]) -> None:
        self._folders = tuple(local_path(str(root)) for root in roots if not is_remote(str(root)))
        self._urls = tuple(str(root).rstrip("/") for root in roots if is_remote(str(root)))

    def open(self, place: str) -> IO[bytes]:
        """The file, open for reading and seeking; the caller closes it.

        Raises: errors.NotFound, errors.Forbidden, errors.BadMedia (not a file), errors.Unavailable (the mount or
        service does not answer), errors.Misconfigured (no library for this kind of place).
        """
        return self._open_remote(place) if is_remote(place) else self._open_local(place)

    def _open_local(self, place: str) -> IO[bytes]:
        path = local_path(place)
        try:
            real = os.path.realpath(path)
            if not any(_below(real, os.path.realpath(root)) for root in self._folders):
                raise Forbidden(f"{shown(place)} lies outside the allowed roots: move it, or add its folder to `roots`")
            # The real path has no link left, so one that appears now was put there in between. O_NONBLOCK: opening a
            # pipe must not wait for its writer.
            handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _of_ours(error, place) from error
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise BadMedia(f"{shown(place)} is a folder, pipe or device: send the files themselves")
        return _guarded(os.fdopen(handle, "rb"), place)

    def _open_remote(self, place: str) -> IO[bytes]:
        parts = place.partition("://")[2].split("/")
        allowed = any(_below(place, root) for root in self._urls)
        # fsspec reads "::" as a chain of file systems, of which only the first would be below a root.
        if not allowed or "::" in place or ".." in parts or "." in parts:
            raise Forbidden(f"{shown(place)} lies outside the allowed roots: add its bucket or prefix to `roots`")
        from fsspec.core import url_to_fs  # only here: 60 ms to import, and most installations have local files only

        try:
            files, path = url_to_fs(place)
            return _guarded(files.open(path, "rb"), place)
        except (ImportError, ValueError) as error:
            scheme = urlsplit(place).scheme
            raise Misconfigured(f"{scheme}:// cannot be read ({error}): install fsspec's library for it") from error
        except Exception as error:  # every fsspec backend brings its own error classes
            raise _of_ours(error, place) from error


def _below(place: str, root: str) -> bool:
    return place.startswith(root.rstrip("/") + "/")


def _of_ours(error: Exception, place: str) -> SeestreamError:
    if isinstance(error, SeestreamError):
        return error
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, FileNotFoundError) or number in _GONE:
        return NotFound(f"{shown(place)} is not there (any more): it was moved or deleted before it was read")
    if isinstance(error, PermissionError) or number in _CLOSED_TO_US:
        return Forbidden(f"{shown(place)} may not be read by this process: give its user read permission")
    if number == errno.EISDIR:
        return BadMedia(f"{shown(place)} is a folder: send the files themselves")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return Unavailable(f"{shown(place)} cannot be read now: {reason}; check the mount, network and credentials")


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...
    def close(self) -> None: ...


def _guarded(file: Any, place: str) -> IO[bytes]:
    return cast("IO[bytes]", _Guarded(file, place))


class _Guarded:
    """A file whose faults are errors of ours: a mount can vanish at any read, far away from where it was opened."""

    mode = "rb"

    def __init__(self, file: _Readable, place: str) -> None:
        self._file = file
        self.name = shown(place)
        self._place = place

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except Exception as error:  # see _open_remote
            raise _of_ours(error, self._place) from error

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except Exception as error:  # see _open_remote
            raise _of_ours(error, self._place) from error

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> _Guarded:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
