"""What a person sees while seestream runs: a live table of observations and a status line, or JSON lines."""

from __future__ import annotations

import sys
import textwrap
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stream.types import Alert, Delivery, Observation, Outcome, Traffic

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table

DEMO_NOTICE = (
    "Demo models: they understand the drawn scenes only, not real pictures. "
    "Real ones: seestream models pull onnx-community/Florence-2-base-ft"
)


@dataclass(slots=True)
class Load:
    """What the status line shows beside the counts; read from the worker at each refresh."""

    lag: int = 0
    batch: float = 0.0  # mean micro-batch lately
    compute_ms: float = 0.0  # mean wall time of a model call lately
    trouble: str | None = None


@dataclass(slots=True)
class Row:
    """A line of the table: an observation, and how many more of its source said the same right after it."""

    observation: Observation  # the latest of them
    alerts: tuple[Alert, ...]
    times: int = 1

    def repeats(self, other: Observation) -> bool:
        """Whether nothing but the time is new in `other`."""
        mine = self.observation
        return _said(mine) == _said(other)


@dataclass(slots=True)
class Board:
    """Collects what ends. Implements the pipeline's watcher; `render` draws it with rich."""

    demo: bool
    load: Callable[[], Load]
    rows: int = 14
    clock: Callable[[], float] = time.monotonic
    outcomes: Counter[tuple[Traffic, Outcome]] = field(default_factory=Counter)
    observations: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    captioned: int = 0
    alerts: list[Alert] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    recent: deque[Row] = field(default_factory=lambda: deque(maxlen=64))
    started: float | None = None

    def seen(self, observation: Observation, alerts: Sequence[Alert]) -> None:
        self.observations += 1
        self.objects.update(found.label for found in observation.objects)
        self.captioned += observation.caption is not None and observation.derived_from is None
        self.reasons[str(observation.gate.reason)] += 1
        self.alerts += alerts
        last = next((row for row in reversed(self.recent) if row.observation.source == observation.source), None)
        if last is not None and not alerts and last.repeats(observation):
            last.observation, last.times = observation, last.times + 1
        else:
            self.recent.append(Row(observation, tuple(alerts)))

    def settled(self, delivery: Delivery, outcome: Outcome) -> None:
        if self.started is None:
            self.started = self.clock()
        self.outcomes[delivery.traffic, outcome] += 1

    def count(self, outcome: Outcome) -> int:
        return sum(number for (_, kind), number in self.outcomes.items() if kind is outcome)

    def status(self) -> str:
        """in, gated, shed, processed, dead, lag, batch size, ms: one line."""
        load = self.load()
        parts = [f"in {self.outcomes.total()}"]
        parts += [f"{outcome} {self.count(outcome)}" for outcome in (Outcome.GATED, Outcome.SHED, Outcome.PROCESSED)]
        if dead := self.count(Outcome.DEAD):
            parts.append(f"dead {dead}")
        parts += [f"lag {load.lag}", f"batch {load.batch:.1f}", f"{load.compute_ms:.0f} ms"]
        if self.alerts:
            parts.append(f"alerts {len(self.alerts)}")
        if load.trouble:
            parts.append(f"[bold red]{_plain(load.trouble)}[/]")
        return " · ".join(parts)

    def render(self, header: str = "") -> RenderableType:
        """Newest observations last, the way a log reads."""
        from rich.text import Text

        top: list[RenderableType] = [Text.from_markup(header)] if header else []
        if self.demo:
            top.append(Text(DEMO_NOTICE, style="black on yellow"))
        return Fitted(top, list(self.recent)[-self.rows :], Text.from_markup(self.status(), style="cyan"))

    def summary(self) -> list[str]:
        """What happened, for the end of a run."""
        took_s = self.clock() - self.started if self.started is not None else 0.0
        total = self.outcomes.total()
        seen = _counts(self.objects)
        lines = [
            f"{total} events in {took_s:.0f} s: "
            + ", ".join(
                f"{self.count(outcome)} {outcome}" for outcome in Outcome if self.count(outcome) or outcome != "dead"
            ),
            f"{self.observations} observations, let through for: {_counts(self.reasons)}",
            f"{self.captioned} captions written; objects seen: {seen}",
            f"alerts: {len(self.alerts)}" + "".join(f"\n  {alert.rule}: {alert.message}" for alert in self.alerts[-5:]),
        ]
        return [*lines, DEMO_NOTICE] if self.demo else lines


class Fitted:
    """The table between its head and the status line; on a terminal only as many of the newest rows as it has room for."""

    def __init__(self, top: Sequence[RenderableType], rows: Sequence[Row], status: RenderableType) -> None:
        self._top, self._rows, self._status = top, rows, status

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [self._lines(console, options, part) for part in (*self._top, table(()), self._status)]
        room = console.height - sum(lines) - 1 if console.is_terminal else sys.maxsize
        shown: list[Row] = []
        for row in reversed(self._rows):
            room -= self._lines(console, options, table((row,))) - 1  # without the table's own head
            if room < 0:
                break
            shown.insert(0, row)
        yield from (*self._top, table(shown), self._status)

    @staticmethod
    def _lines(console: Console, options: ConsoleOptions, part: RenderableType) -> int:
        return len(console.render_lines(part, options.update(height=None), pad=False))


def table(rows: Sequence[Row]) -> Table:
    """Every row in columns that do not depend on the others, so that each can be measured alone."""
    from rich.table import Table

    shown = Table(expand=True, box=None, pad_edge=False, header_style="bold")
    shown.add_column("time", no_wrap=True, width=8)
    shown.add_column("source", no_wrap=True, width=9)
    shown.add_column("why", no_wrap=True, width=8)
    shown.add_column("objects", ratio=3, overflow="fold")
    shown.add_column("caption", ratio=5, overflow="fold")
    for row in rows:
        shown.add_row(*(_plain(cell) for cell in cells(row)), style="bold yellow" if row.alerts else "")
        for alert in row.alerts:
            shown.add_row("", "", "[bold red]alert[/]", f"[bold red]{_plain(alert.rule)}[/]", _plain(alert.message))
    return shown


def cells(row: Row) -> tuple[str, str, str, str, str]:
    """time, source, why, objects with scores, caption and what was read."""
    observation = row.observation
    objects = ", ".join(f"{found.label} {found.score:.2f}" for found in observation.objects) or "-"
    read = " ".join(f"“{text.text}”" for text in observation.text)
    caption = textwrap.shorten(observation.caption or "", 200, placeholder=" …")
    if row.times > 1:
        caption = f"{caption} (×{row.times})"
    when = observation.captured_at.astimezone().strftime("%H:%M:%S")
    return when, observation.source, str(observation.gate.reason), objects, f"{caption} {read}".strip()


def _said(observation: Observation) -> tuple[object, ...]:
    """What a person reads of it. A file is told apart by its name; a camera's frame is not."""
    file = None if observation.kind == "frame" else observation.media.uri
    words = tuple(text.text for text in observation.text)
    return file, observation.caption, words, sorted(found.label for found in observation.objects)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counter.most_common(8)) or "nothing"


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


class JsonLines:
    """Prints one Observation a line instead of a table; same counts for the summary on stderr."""

    def __init__(self, board: Board, write: Callable[[str], Any] = sys.stdout.write) -> None:
        self.board = board
        self._write = write

    def seen(self, observation: Observation, alerts: Sequence[Alert]) -> None:
        from stream import wire

        self.board.seen(observation, alerts)
        self._write(wire.observation_json(observation).decode() + "\n")
        sys.stdout.flush()

    def settled(self, delivery: Delivery, outcome: Outcome) -> None:
        self.board.settled(delivery, outcome)
