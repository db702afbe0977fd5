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
    from rich.console import RenderableType

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
    recent: deque[tuple[Observation, tuple[Alert, ...]]] = field(default_factory=lambda: deque(maxlen=64))
    started: float | None = None

    def seen(self, observation: Observation, alerts: Sequence[Alert]) -> None:
        self.observations += 1
        self.objects.update(found.label for found in observation.objects)
        self.captioned += observation.caption is not None and observation.derived_from is None
        self.alerts += alerts
        self.recent.append((observation, tuple(alerts)))

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
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(expand=True, box=None, pad_edge=False, header_style="bold")
        table.add_column("time", no_wrap=True, width=8)
        table.add_column("source", no_wrap=True, min_width=8, max_width=14)
        table.add_column("why", no_wrap=True, min_width=7, max_width=9)
        table.add_column("objects", ratio=3, overflow="fold")
        table.add_column("caption", ratio=4, overflow="fold")
        for observation, alerts in list(self.recent)[-self.rows :]:
            table.add_row(*(_plain(cell) for cell in cells(observation)), style="bold yellow" if alerts else "")
            for alert in alerts:
                table.add_row("", "", "alert", f"[bold red]{_plain(alert.rule)}[/]", _plain(alert.message))
        lines: list[RenderableType] = [Text.from_markup(header)] if header else []
        if self.demo:
            lines.append(Text(DEMO_NOTICE, style="black on yellow"))
        return Group(*lines, table, Text.from_markup(self.status(), style="cyan"))

    def summary(self) -> list[str]:
        """What happened, for the end of a run."""
        took_s = self.clock() - self.started if self.started is not None else 0.0
        total = self.outcomes.total()
        seen = ", ".join(f"{label} {number}" for label, number in self.objects.most_common(8)) or "nothing"
        lines = [
            f"{total} events in {took_s:.0f} s: "
            + ", ".join(
                f"{self.count(outcome)} {outcome}" for outcome in Outcome if self.count(outcome) or outcome != "dead"
            ),
            f"{self.observations} observations, {self.captioned} captions written; objects seen: {seen}",
            f"{len(self.alerts)} alerts" + "".join(f"\n  {alert.rule}: {alert.message}" for alert in self.alerts[-5:]),
        ]
        return [*lines, DEMO_NOTICE] if self.demo else lines


def cells(observation: Observation) -> tuple[str, str, str, str, str]:
    """time, source, why, objects with scores, caption and what was read."""
    objects = ", ".join(f"{found.label} {found.score:.2f}" for found in observation.objects) or "-"
    read = " ".join(f"“{text.text}”" for text in observation.text)
    caption = textwrap.shorten(observation.caption or "", 200, placeholder=" …")
    if observation.derived_from:
        caption = f"{caption} (as before)" if caption else "(as before)"
    when = observation.captured_at.astimezone().strftime("%H:%M:%S")
    return when, observation.source, str(observation.gate.reason), objects, f"{caption} {read}".strip()


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


class JsonLines:
    """Prints one Observation a line instead of a table; same counts for the summary on stderr."""

    def __init__(self, board: Board, write: Callable[[str], Any] = sys.stdout.write) -> None:
        self.board = board
        self._write = write

    def seen(self, observation: Observation, alerts: Sequence[Alert]) -> None:
        import orjson

        from stream import wire

        self.board.seen(observation, alerts)
        self._write(orjson.dumps(wire.observation_dict(observation)).decode() + "\n")
        sys.stdout.flush()

    def settled(self, delivery: Delivery, outcome: Outcome) -> None:
        self.board.settled(delivery, outcome)
