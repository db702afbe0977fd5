"""Rankings: query text into terms, and several rankings into one. Shared by the stores, so that they answer alike."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)

RRF_K = 60
"""Cormack, Clarke, Büttcher: Reciprocal Rank Fusion (SIGIR 2009) found 60 best, and the results not sensitive to it."""

_WORD = re.compile(r"\w+")
_STOP = frozenset(
    word
    for line in (
        ("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "in", "is", "it", "its"),
        ("of", "on", "or", "that", "the", "there", "this", "to", "was", "were", "with"),
    )
    for word in line
)
MAX_TERMS = 32


def terms(text: str) -> list[str]:
    """The words of a query worth looking up: lower case, no stop words (unless there are no others), no duplicates."""
    words = list(dict.fromkeys(_WORD.findall(text.lower())))
    return ([word for word in words if word not in _STOP] or words)[:MAX_TERMS]


def fuse(*rankings: Sequence[tuple[Key, float]]) -> list[tuple[Key, float]]:
    """Reciprocal rank fusion of (key, score) rankings, each best first with higher scores better; best first again.

    Equal scores share a rank: a thousand frames with the same caption must not be ranked by chance. A key that is in
    several rankings gains from each; the order of keys with the same fused score is that of the first ranking.
    """
    fused: dict[Key, float] = {}
    for ranking in rankings:
        rank, last = 0, float("nan")
        for place, (key, score) in enumerate(ranking, start=1):
            if score != last:
                rank, last = place, score
            fused[key] = fused.get(key, 0.0) + 1.0 / (RRF_K + rank)
    return sorted(fused.items(), key=lambda item: -item[1])
