"""The table: rows that say the same are one, and on a small terminal the newest rows and the status line are seen."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from stream.app.board import Board, Load
from stream.types import Admission, Alert, Box, Detection, Digest, Media, Observation, Provenance, Reason

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
ORIGIN = Provenance("frames", 0, 0, Digest(""), "p", {}, demo=True, provider="CPU")


def seen(number: int, caption: str, source: str = "yard") -> Observation:
    return Observation(
        id=str(number),
        source=source,
        kind="frame",
        captured_at=AT + timedelta(seconds=number),
        media=Media(640, 480, uri=f"/blobs/{number}.jpg"),
        gate=Admission(True, Reason.MOTION),
        provenance=ORIGIN,
        objects=(Detection("car", 0.5, Box(0, 0, 9, 9)),),
        caption=caption,
    )


def board() -> Board:
    return Board(demo=True, load=Load)


def printed(shown: Board, width: int, height: int, terminal: bool = True) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=terminal, color_system=None)
    console.print(shown.render("head"))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_frames_of_a_source_that_say_the_same_are_one_row_with_a_count() -> None:
    shown = board()
    for number in range(3):
        shown.seen(seen(number, "a red car"), ())
        shown.seen(seen(number, "a cat", "porch"), ())
    shown.seen(seen(9, "a blue car"), ())
    lines = printed(shown, 120, 40)
    assert [line.count("a red car (×3)") for line in lines].count(1) == 1
    assert sum("yard" in line for line in lines) == 2 and shown.observations == 7


def test_an_alert_is_a_row_of_its_own() -> None:
    shown = board()
    shown.seen(seen(0, "a red car"), ())
    alert = Alert("1", "red cars", "yard", AT, "1", "car at yard")
    shown.seen(seen(1, "a red car"), (alert,))
    assert sum("a red car" in line for line in printed(shown, 120, 40)) == 2


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 12), (200, 50), (50, 20)])
def test_a_terminal_of_any_size_shows_the_newest_row_and_the_status(width: int, height: int) -> None:
    shown = board()
    for number in range(40):
        shown.seen(seen(number, f"car number {number} on the long drive to the house during the day"), ())
    lines = printed(shown, width, height)
    assert len(lines) < height and "in 0 · " in "".join(lines[-2:])
    text = " ".join(" ".join(lines).split())
    assert "39" in text and "Demo models" in text


def test_without_a_terminal_no_row_is_left_out() -> None:
    shown = board()
    for number in range(shown.rows):
        shown.seen(replace(seen(number, f"car {number} of many")), ())
    lines = printed(shown, 80, 10, terminal=False)
    assert sum(" of many" in line for line in lines) == shown.rows


def test_the_summary_says_why_frames_were_let_through() -> None:
    shown = board()
    shown.seen(seen(0, "a red car"), ())
    assert any("let through for: motion 1" in line for line in shown.summary())
