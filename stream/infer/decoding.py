"""Continuous batching: rows enter free slots at any step and leave when they end; the others never notice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stream.errors import InferenceFailed
from stream.infer.generate import Feed, Rules, Search
from stream.infer.layout import Layout, Seat, Seen
from stream.infer.tasks import Task


@dataclass(slots=True, eq=False)
class Row:
    """One task on one picture, from prompt to tokens. `owner` is the caller's."""

    image: int  # index in the vision pass it reads
    ids: Sequence[int]
    task: Task
    max_tokens: int
    owner: Any = None
    search: Search | None = field(default=None, repr=False)
    slots: list[int] = field(default_factory=list, repr=False)
    error: InferenceFailed | None = None

    @property
    def done(self) -> bool:
        return self.error is not None or (self.search is not None and self.search.done)


class Decoding:
    """Rows in the slots of one layout. Runs on one thread; its calls raise what the layout's raise."""

    def __init__(self, layout: Layout, rules: Rules) -> None:
        self.layout, self.rules = layout, rules
        self._free = list(range(layout.slots))  # the lowest first: a step computes up to the highest in use
        self._rows: list[Row] = []

    @property
    def width(self) -> int:
        """Slots a row takes: the number of beams."""
        return self.rules.beams

    @property
    def free(self) -> int:
        """Rows that can be admitted now."""
        return len(self._free) // self.width

    @property
    def active(self) -> int:
        """Rows being decoded."""
        return len(self._rows)

    @property
    def capacity(self) -> int:
        """Rows that can be decoded at once."""
        return self.layout.slots // self.width

    @property
    def rows(self) -> Sequence[Row]:
        """The rows being decoded."""
        return tuple(self._rows)

    def admit(self, seen: Seen, rows: Sequence[Row]) -> None:
        """Encodes the prompts of at most `free` rows and puts them into slots. On an error none of them is in."""
        if not rows:
            return
        taken = sorted(self._free)[: len(rows) * self.width]
        seats = []
        for at, row in enumerate(rows):
            row.slots = taken[at * self.width : (at + 1) * self.width]
            row.search = self.rules.search(row.max_tokens)
            seats.append(Seat(row.image, row.ids, row.slots))
        self.layout.admit(seen, seats)
        self._free = [slot for slot in self._free if slot not in taken]
        self._rows.extend(rows)

    def step(self) -> list[Row]:
        """One token for every row; the rows that have ended with it, their slots free again."""
        if not self._rows:
            return []
        feeds: dict[int, Feed] = {}
        for row in self._rows:
            assert row.search is not None
            feeds.update(zip(row.slots, row.search.feeds(), strict=True))
        guess = self.layout.step(feeds, self.rules.beams > 1)
        moves: dict[int, int] = {}
        at = 0
        for row in self._rows:
            moves |= self._advance(row, guess, slice(at, at + len(row.slots)))
            at += len(row.slots)
        self.layout.reorder(moves)
        ended = [row for row in self._rows if row.done]
        self._rows = [row for row in self._rows if not row.done]
        for row in ended:
            self.layout.release(row.slots, clean=row.error is None)
            self._free.extend(row.slots)
        return ended

    def abandon(self) -> list[Row]:
        """Empties every slot; the rows that were in them."""
        rows, self._rows = self._rows, []
        for row in rows:
            self._free.extend(row.slots)
        return rows

    def _advance(self, row: Row, guess: Any, here: slice) -> dict[int, int]:
        """Tells a row what came out; slot -> source slot, where its beams changed places."""
        assert row.search is not None
        logits = None if guess.logits is None else guess.logits[here]
        try:
            sources = row.search.advance(guess.ids[here], guess.logprobs[here], logits)
        except InferenceFailed as error:
            row.error = error
            return {}
        if sources is None or row.search.done:
            return {}
        return {slot: row.slots[source] for slot, source in zip(row.slots, sources, strict=True)}
