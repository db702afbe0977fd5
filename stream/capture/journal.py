"""Which files were announced already, so that a restart does not send a whole archive through the models again."""

from __future__ import annotations

from pathlib import Path

from stream.errors import Misconfigured


class Journal:
    """A set of event ids, on disk when it has a path: one id a line, only ever appended to. A context manager.

    A line that was cut off by a crash costs one repeated announcement, which its id makes harmless.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: set[str] = set()

    def __enter__(self) -> Journal:
        if self._path is None:
            return self
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            text = self._path.read_text("utf-8", errors="replace") if self._path.exists() else ""
            self._file = self._path.open("a", encoding="utf-8")
            if text and not text.endswith("\n"):
                self._file.write("\n")
        except OSError as error:
            raise Misconfigured(
                f"the journal {self._path} cannot be used: {error.strerror}; choose a writable folder"
            ) from error
        self._known.update(text.split())
        return self

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            self._file.close()

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._known

    def add(self, event_id: str) -> None:
        """Remember an event whose publication was acknowledged."""
        if event_id in self._known:
            return
        self._known.add(event_id)
        if self._path is not None:
            self._file.write(event_id + "\n")
            self._file.flush()
