"""A watched folder: what is put there is announced once it is complete."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

from watchfiles import Change, awatch

from stream.capture.files import SPAN_S, Duration, events, is_passing, may_be_media, media_files
from stream.capture.journal import Journal
from stream.errors import Misconfigured, NotFound, SeestreamError, Unavailable
from stream.types import FileEvent, Op, Publisher

_LOG = logging.getLogger(__name__)
_TICK_MS = 250
_POLL_MS = 1000
_AWAY_S = 1.0

Changes = Callable[[Path, bool], AsyncGenerator[set[tuple[Change, str]], None]]


def watched(path: Path, poll: bool) -> AsyncGenerator[set[tuple[Change, str]], None]:
    """Changes below a folder, and an empty set four times a second without any.

    Polling sees what inotify does not: what other machines write to an NFS or SMB share.
    """
    return awatch(
        path,
        watch_filter=None,
        debounce=_TICK_MS,
        rust_timeout=_TICK_MS,
        yield_on_timeout=True,
        force_polling=poll or None,
        poll_delay_ms=_POLL_MS,
        ignore_permission_denied=True,
    )


@dataclass(slots=True)
class _Growing:
    """A file that was touched and is not announced yet."""

    size_bytes: int = -1
    modified_ns: int = -1
    since_s: float = 0.0  # unchanged since then


class Folder:
    """Announces the files of a folder and all below it: `created`, `updated`, `deleted`.

    A file counts as complete when its size and time stood still for `settle_s`; temporary, hidden, empty and
    non-media files are left alone. Nothing is lost when the broker is away: what could not be published is tried again.
    """

    def __init__(
        self,
        path: Path,
        source: str,
        publisher: Publisher,
        *,
        existing: bool = True,
        poll: bool = False,
        settle_s: float | None = None,
        span_s: float = SPAN_S,
        duration: Duration | None = None,
        journal: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        changes: Changes = watched,
    ) -> None:
        """`existing`: also take what lies there at the start. `settle_s`: default 1, and 5 when polling, because
        a network share shows sizes late. `journal`: a file that remembers across restarts what was announced.
        """
        self.path = path.absolute()
        self.announced = 0
        self._source = source
        self._publisher = publisher
        self._existing = existing
        self._poll = poll
        self._settle_s = settle_s if settle_s is not None else 5.0 if poll else 1.0
        self._span_s = span_s
        self._duration = duration
        self._journal = Journal(journal)
        self._monotonic = monotonic
        self._changes = changes
        self._growing: dict[Path, _Growing] = {}
        self._gone: set[Path] = set()
        self._known: set[Path] = set()

    async def run(self) -> None:
        """Until it is cancelled; a folder that goes away is waited for.

        Raises: errors.Misconfigured when there is no such folder at the start, or it cannot be watched.
        """
        if not await asyncio.to_thread(self.path.is_dir):
            raise Misconfigured(f"{str(self.path)!r} is not a folder that can be watched: create or mount it")
        with self._journal:
            while True:
                try:
                    await self._watch()
                except (OSError, RuntimeError) as error:
                    advice = "raise fs.inotify.max_user_watches, or set `poll`"
                    raise Misconfigured(
                        f"the folder {str(self.path)!r} cannot be watched: {error}; {advice}"
                    ) from error
                _LOG.warning("folder %s: it went away; waiting for it to come back", self.path)
                while not await asyncio.to_thread(self.path.is_dir):
                    await asyncio.sleep(_AWAY_S)

    async def _watch(self) -> None:
        """Returns when the folder is not there any more: a watch does not survive that, even if it comes back."""
        looked = False
        async with contextlib.aclosing(self._changes(self.path, self._poll)) as watching:
            async for changes in watching:
                for change, name in changes:
                    self._note(change, Path(name))
                if (Change.deleted, str(self.path)) in changes:
                    return
                if not looked:  # only now is every later change seen
                    looked = await asyncio.to_thread(self._look_around)
                await self._announce_ready()
                if not await asyncio.to_thread(self.path.is_dir):
                    return

    def _look_around(self) -> bool:
        for path in media_files(self.path):
            if path in self._growing:
                continue
            if self._existing:
                self._growing[path] = _Growing()
            else:
                self._known.add(path)
        self._existing = True  # when the folder went away and came back, what is new in it came meanwhile
        return True

    def _note(self, change: Change, path: Path) -> None:
        if is_passing(path, self.path) or not may_be_media(path):
            return
        if change is not Change.deleted:
            self._gone.discard(path)
            self._growing[path] = _Growing()
            return
        self._growing.pop(path, None)
        if path in self._known:
            self._gone.add(path)
        else:  # perhaps a folder: its files are not reported one by one when it is moved away
            self._gone.update(known for known in self._known if known.is_relative_to(path))

    async def _announce_ready(self) -> None:
        ready = await asyncio.to_thread(self._ready) if self._growing else []
        try:
            for path in ready:
                op: Op = "updated" if path in self._known else "created"
                await self._announce(path, op)
                self._growing.pop(path, None)
            for path in sorted(self._gone):
                if not await asyncio.to_thread(path.exists):
                    await self._announce(path, "deleted")
                self._gone.discard(path)
        except Unavailable as error:
            _LOG.warning("folder %s: %d files wait, the broker is away: %s", self.path, len(self._growing), error)

    def _ready(self) -> list[Path]:
        """The complete ones, oldest first. A folder that was moved in is noted as itself and stands for its files."""
        now_s = self._monotonic()
        ready: list[tuple[int, Path]] = []
        for path, seen in list(self._growing.items()):
            try:
                status = path.stat()
                if path.is_dir():
                    self._growing.pop(path)
                    self._unpack(path)
                    continue
            except OSError:
                self._growing.pop(path)
                continue
            if (status.st_size, status.st_mtime_ns) != (seen.size_bytes, seen.modified_ns):
                self._growing[path] = _Growing(status.st_size, status.st_mtime_ns, now_s)
            elif status.st_size and now_s - seen.since_s >= self._settle_s:
                ready.append((status.st_mtime_ns, path))
        return [path for _, path in sorted(ready)]

    def _unpack(self, folder: Path) -> None:
        for path in media_files(folder):
            self._growing.setdefault(path, _Growing())

    async def _announce(self, path: Path, op: Op) -> None:
        try:
            found = await asyncio.to_thread(
                events, path, self._source, op, span_s=self._span_s, duration=self._duration
            )
        except Unavailable:
            raise
        except (FileNotFoundError, NotFound) as error:
            _LOG.info("folder %s: %r went away before it was announced: %s", self.path, path.name, error)
            return
        except (OSError, SeestreamError) as error:
            _LOG.warning("folder %s: %r is left out: %s", self.path, path.name, error)
            return
        for event in found:
            if op == "deleted" or event.id not in self._journal:
                await self._publish(event)
        (self._known.discard if op == "deleted" else self._known.add)(path)

    async def _publish(self, event: FileEvent) -> None:
        await self._publisher.publish(event)
        self.announced += 1
        if event.op != "deleted":
            self._journal.add(event.id)
