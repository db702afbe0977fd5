"""One hit for what passed once: like frames of one recording that are close in time, the best of them shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from stream.types import Hit, Observation

CLOSE_S = 30.0
"""Frames so near to the best one are the same event to a person; not chained, or a busy street would be one hit."""


@dataclass(frozen=True, slots=True)
class Group:
    """The best hit, and the others of the same recording around it, in their order."""

    best: Hit
    more: tuple[Hit, ...] = ()

    @property
    def first(self) -> datetime:
        """Capture time of the earliest frame."""
        return min(hit.observation.captured_at for hit in (self.best, *self.more))

    @property
    def last(self) -> datetime:
        """Capture time of the latest frame."""
        return max(hit.observation.captured_at for hit in (self.best, *self.more))


def group(hits: Sequence[Hit]) -> list[Group]:
    """Hits, best first, into groups, best first. A hit joins the best one of its recording and labels within `CLOSE_S`.

    Labels are compared because a search by vector ranks everything: who walks by after the car is no frame of the car.
    A recording is a camera, or a film; a picture that was uploaded stands for itself.
    """
    heads: dict[tuple[str, str, frozenset[str]], list[int]] = {}
    groups: list[tuple[Hit, list[Hit]]] = []
    for hit in hits:
        near = heads.setdefault(_alike(hit.observation), [])
        place = next((number for number in near if _close(groups[number][0], hit)), None)
        if place is None:
            near.append(len(groups))
            groups.append((hit, []))
        else:
            groups[place][1].append(hit)
    return [Group(best, tuple(more)) for best, more in groups]


def _alike(seen: Observation) -> tuple[str, str, frozenset[str]]:
    labels = frozenset(found.label for found in seen.objects)
    if seen.kind == "frame":
        return seen.source, "", labels
    return seen.source, (seen.media.uri if seen.kind == "video" else None) or seen.id, labels


def _close(best: Hit, other: Hit) -> bool:
    apart = best.observation.captured_at - other.observation.captured_at
    return abs(apart.total_seconds()) <= CLOSE_S
