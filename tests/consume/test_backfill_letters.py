"""A back-filled record that is dead, while the topic of dead letters is away."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from stream.consume import Backfill, Ledger
from stream.consume.errand import Errand
from stream.errors import BadMedia, BrokerUnavailable
from stream.types import DeadLetters, Outcome, Record
from stream.wire import parse_frame

RECORD = Record("frames", 0, 7, b"yard", b"x", (), datetime(2026, 11, 1, tzinfo=UTC))


class Away:
    """Dead letters that are refused so often."""

    def __init__(self, refusals: int) -> None:
        self.refusals, self.kept = refusals, 0

    async def put(self, record: Record, error: BaseException, stage: str, attempts: int) -> None:
        if self.refusals:
            self.refusals -= 1
            raise BrokerUnavailable("away")
        self.kept += 1


def backfill(letters: DeadLetters) -> tuple[Backfill, Errand]:
    ledger = cast(Ledger, None)
    made = Backfill("", "frames", "ledger", ("a", "b"), parse_frame, letters, ledger, lambda: True, every_s=0.001)
    errand = Errand(0, 7, 7)
    errand.records, errand.waiting = [RECORD], {7}
    return made, errand


async def test_a_dead_letter_that_is_refused_is_put_again_and_ends_nothing() -> None:
    letters = Away(3)
    made, errand = backfill(letters)
    settle: Any = made._settle(errand, RECORD)
    await settle(Outcome.DEAD, BadMedia("no picture"))
    assert (letters.refusals, letters.kept, errand.waiting) == (0, 1, set())
    assert errand.entry("b", "frames").dead == 1


async def test_a_process_that_stops_leaves_it_to_the_next_one() -> None:
    letters = Away(1_000_000)
    made, errand = backfill(letters)
    await made.stop()
    settle: Any = made._settle(errand, RECORD)
    await settle(Outcome.DEAD, BadMedia("no picture"))
    assert letters.kept == 0 and errand.waiting == {7}
