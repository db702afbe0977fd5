"""What people ask for, and the store's answer. The page, the HTTP API and the command line ask the same way."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from stream.errors import SeestreamError, StoreUnavailable
from stream.types import Hit, Query, Store
from stream.web.groups import Group, group

EmbedText = Callable[[str], Awaitable[NDArray[np.float32]]]
"""Text to a unit-norm vector of shape (dims,), in the space of the pictures' vectors."""

MAX_LIMIT = 200
MAX_TEXT = 500
_DEPTH, _DEEPEST = 10, 400
"""So many hits are read for each group asked for, so that one that passed slowly does not fill the answer."""

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class BadAsk(ValueError):
    """The question cannot be understood; the message is for whoever asked."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question. With neither text nor `like`: what was seen last."""

    text: str | None = None
    like: str | None = None  # id of an observation that the results shall resemble
    source: str | None = None
    label: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 24
    all: bool = False  # every frame for itself
    picture: bool = False  # the results shall resemble a picture, whose vector comes with the query

    @property
    def grouped(self) -> bool:
        """Whether frames of one recording that are close in time are one hit; what was seen in a time is shown whole."""
        return not self.all and bool(self.text or self.like or self.label or self.picture)

    @classmethod
    def from_params(cls, params: Mapping[str, str], now: datetime) -> Ask:
        """From URL parameters `q, like, source, label, since, until, limit, all`; empty ones count as left out.

        Raises: BadAsk.
        """
        given = {name: value.strip() for name, value in params.items() if value.strip()}
        text, limit = given.get("q"), given.get("limit", "24")
        if text and len(text) > MAX_TEXT:
            raise BadAsk(f"the description is longer than {MAX_TEXT} characters")
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= MAX_LIMIT:
            raise BadAsk(f"limit must be a whole number from 1 to {MAX_LIMIT}, not {limit!r:.20}")
        return cls(
            text=text,
            like=given.get("like"),
            source=given.get("source"),
            label=given.get("label"),
            since=parse_time(given["since"], now) if "since" in given else None,
            until=parse_time(given["until"], now) if "until" in given else None,
            limit=int(limit),
            all=given.get("all", "0") != "0",
        )

    def query(self, *, vector: NDArray[np.float32] | None = None, model: str | None = None, extra: int = 0) -> Query:
        """For the store; `extra` hits more than asked for, and enough of them to group."""
        limit = max(self.limit, min(_DEPTH * self.limit, _DEEPEST)) if self.grouped else self.limit
        return Query(
            text=self.text,
            vector=vector,
            model=None if vector is None else model,
            source=self.source,
            since=self.since,
            until=self.until,
            label=self.label,
            limit=limit + extra,
        )


def parse_time(text: str, now: datetime) -> datetime:
    """A time in UTC from `90s, 30m, 2h, 7d, 1w` before `now`, or ISO 8601 (without an offset in the machine's zone).

    Raises: BadAsk.
    """
    found = _AGO.fullmatch(text.strip().lower())
    try:
        if found:
            return now - timedelta(seconds=float(found[1]) * _UNIT_S[found[2]])
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadAsk(f"{text!r:.40} is no time: write 30m, 2h, 7d, or 2026-05-04 or 2026-05-04T18:30") from error


@dataclass(frozen=True, slots=True)
class Found:
    """The answer, best first; `note` says what could not be taken into account."""

    groups: list[Group]
    note: str | None = None

    @property
    def hits(self) -> list[Hit]:
        """The best of each group."""
        return [each.best for each in self.groups]


def answer(ask: Ask, hits: Sequence[Hit], note: str | None = None) -> Found:
    """The store's hits as they were asked for: grouped or not, and no more than the limit."""
    groups = group(hits) if ask.grouped else [Group(hit) for hit in hits]
    return Found(groups[: ask.limit], note)


async def find(ask: Ask, store: Store, embed_text: EmbedText | None, model: str | None) -> Found:
    """Searches by description (`model` is what the vectors in the store are named after), or by likeness.

    Raises: BadAsk when the observation to resemble is unknown, StoreUnavailable.
    """
    if ask.like is not None:
        return await _find_like(ask, store)
    if ask.text is None:
        return answer(ask, await _latest(ask, store))
    vector, note = None, None
    try:
        vector = None if embed_text is None else await embed_text(ask.text)
    except StoreUnavailable:
        raise
    except SeestreamError as error:
        note = f"The text model cannot answer ({error}): only captions, labels and text read were searched."
    if embed_text is None:
        note = "No text model is loaded: only captions, labels and text read were searched."
    return answer(ask, await store.search(ask.query(vector=vector, model=model)), note)


async def _find_like(ask: Ask, store: Store) -> Found:
    given = await store.get(ask.like or "")
    if given is None:
        raise BadAsk("the observation to compare with is not in the store (any more)")
    whole = next((vector for vector in given.vectors if vector.box is None), None)
    if whole is None:
        raise BadAsk("the observation to compare with was stored without a vector")
    hits = await store.search(ask.query(vector=whole.values, model=whole.model, extra=1))
    return answer(ask, [hit for hit in hits if hit.observation.id != given.id])


async def _latest(ask: Ask, store: Store) -> list[Hit]:
    if ask.label is None and ask.since is None and ask.until is None:
        return [Hit(observation, 0.0) for observation in await store.recent(ask.source, ask.limit)]
    return await store.search(ask.query())
