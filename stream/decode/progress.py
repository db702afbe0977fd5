"""How far the decoding of a film came, and what was wrong on the way."""

from __future__ import annotations

import av
from av.error import FFmpegError

from stream.decode.sniff import Format
from stream.errors import BadMedia
from stream.types import Span

_MISSING_S = 2.0
_MISSING_SHARE = 0.05
"""A film is cut short when it ends earlier than its header says by more than both: headers round, and tracks differ."""


class Progress:
    """Follows one pass over a film. `at_s`: time of the frame that was decoded last, from the start of the file."""

    def __init__(self, form: Format, duration_s: float | None, at_s: float) -> None:
        self.at_s = at_s
        self._form = form
        self._duration_s = duration_s
        self._end_s = 0.0
        self._faults = 0
        self._first = ""

    def saw(self, packet: av.Packet) -> None:
        """A packet of any stream was read: where sound goes on, the file does too."""
        if packet.pts is not None and packet.time_base is not None:
            self._end_s = max(self._end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))

    def fault(self, error: FFmpegError) -> None:
        """A packet could not be read or decoded."""
        self._note(error.strerror or type(error).__name__)

    def ended(self, start_s: float, span: Span) -> None:
        """The file has no more packets, before the span's end if that has one."""
        if self._faults or not (self._form.states_length and self._duration_s):
            return
        wanted_s = min(self._duration_s, span.end_s or self._duration_s)
        missing_s = wanted_s - max(span.start_s, self._end_s - start_s)
        if missing_s > max(_MISSING_S, _MISSING_SHARE * wanted_s):
            self._note(f"the file ends, {missing_s:.1f} s of {wanted_s:.1f} s are missing")

    def report(self, frames: int, *, whole: bool) -> None:
        """Raises errors.BadMedia when anything was wrong, or when a whole film had no frame in it."""
        if self._faults:
            more = f"; {self._faults} places in all" if self._faults > 1 else ""
            raise BadMedia(f"the {self._form.name} film breaks at {self._first}{more}; {frames} good frames were read")
        if not frames and whole:
            raise BadMedia(f"the {self._form.name} film has no frame in its moving picture: it is truncated or damaged")

    def _note(self, what: str) -> None:
        self._faults += 1
        if self._faults == 1:
            self._first = f"{max(0.0, self.at_s):.2f} s: {what}"
