"""Back-filling an archive: paths become file events, once."""

from __future__ import annotations

import asyncio
import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stream.capture.files import SPAN_S, Duration, events, media_files
from stream.errors import Misconfigured, Permanent, SeestreamError
from stream.types import FileEvent, Publisher

_IN_FLIGHT = 32
_REASONS = 10


@dataclass(slots=True)
class Tally:
    """How far a submission is; the same object grows, so copy what must stay."""

    files: int = 0  # found
    done: int = 0  # of them announced or passed over
    events: int = 0  # acknowledged; a long film has several
    size_bytes: int = 0  # of the files that were announced
    left_out: int = 0  # that are gone, may not be read, or are no files
    why: list[str] = field(default_factory=list)  # of the first ten that were left out, with their paths


class Submit:
    """Announces every picture and film that PATHs name: files, folders with all below them, or glob patterns with `**`.

    Running it again announces the same ids again, which changes nothing downstream.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        publisher: Publisher,
        *,
        source: str = "uploads",
        span_s: float = SPAN_S,
        duration: Duration | None = None,
        progress: Callable[[Tally], None] = lambda tally: None,
    ) -> None:
        """`progress` is called on the event loop after the search and after each file."""
        self._paths = [str(path) for path in paths]
        self._publisher = publisher
        self._source = source
        self._span_s = span_s
        self._duration = duration
        self._progress = progress

    async def run(self) -> Tally:
        """Returns when the broker has acknowledged all. Raises: errors.Misconfigured for a PATH that names nothing,
        errors.BrokerUnavailable; what was acknowledged before stays."""
        found = await asyncio.to_thread(find, self._paths)
        tally = Tally(files=len(found))
        self._progress(tally)
        places = asyncio.Semaphore(_IN_FLIGHT)
        try:
            async with asyncio.TaskGroup() as group:
                for path in found:
                    await places.acquire()
                    group.create_task(self._announce(path, tally)).add_done_callback(lambda _: places.release())
        except* SeestreamError as faults:
            raise _first(faults) from None
        return tally

    async def _announce(self, path: Path, tally: Tally) -> None:
        announced: list[FileEvent] = []
        try:
            announced = await asyncio.to_thread(
                events, path, self._source, span_s=self._span_s, duration=self._duration
            )
        except (OSError, Permanent) as error:
            tally.left_out += 1
            if len(tally.why) < _REASONS:
                tally.why.append(f"{str(path)!r}: {error.strerror}" if isinstance(error, OSError) else str(error))
        for event in announced:
            await self._publisher.publish(event)
            tally.events += 1
        tally.size_bytes += (announced[0].size_bytes or 0) if announced else 0
        tally.done += 1
        self._progress(tally)


def find(paths: Sequence[str]) -> list[Path]:
    """The files that PATHs name, absolute, each once, in order of PATH and then of name. Blocking.

    A file that is named itself is taken whatever its ending; in folders temporary, hidden and non-media files are not.
    Raises: errors.Misconfigured for a PATH that names nothing.
    """
    found: dict[Path, None] = {}
    for name in paths:
        pattern = str(Path(name).expanduser())
        matches = [name] if os.path.lexists(name) else sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
        if not matches:
            raise Misconfigured(f"{name!r} names no file, folder or pattern with a match: check the spelling")
        for match in matches:
            path = Path(match).absolute()
            found.update(dict.fromkeys(media_files(path) if path.is_dir() else [path]))
    return list(found)


def _first(faults: BaseExceptionGroup[SeestreamError]) -> BaseException:
    fault: BaseException = faults
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault
