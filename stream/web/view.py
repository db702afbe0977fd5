"""What a template shows of an observation: plain values, so that templates hold no logic."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from stream.types import Alert, Box, Observation
from stream.web.ask import MAX_LIMIT
from stream.web.groups import Group

_HUES = 6
"""How many box colours the style sheet has."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A box drawn over the picture, in source pixels."""

    x: float
    y: float
    width: float
    height: float
    name: str
    hue: int  # 0 to 5: one label has one colour everywhere
    text_y: float  # base line of the name: above the box, or inside where there is no room


@dataclass(frozen=True, slots=True)
class Card:
    """One observation on the page."""

    id: str
    source: str
    caption: str
    iso: str  # machine-readable capture time; the script shows it in the browser's zone
    time: str  # for people without the script: the server's zone
    width: int
    height: int
    text_px: float  # size of the names in the picture, in source pixels
    snapshot: str | None  # URL path, quoted
    link: str
    marks: list[Mark] = field(default_factory=list)
    regions: list[Mark] = field(default_factory=list)  # the gate's
    labels: list[tuple[str, int, str, int]] = field(default_factory=list)  # name, count, best score, hue
    reading: str = ""
    reason: str = ""
    offset: str = ""
    demo: bool = False
    borrowed: bool = False  # the caption is an earlier observation's
    score: str | None = None
    more: int = 0  # frames of the same recording close in time, which this one stands for
    more_iso: tuple[str, str] = ("", "")  # their first and last capture time, this one's included
    more_times: tuple[str, str] = ("", "")
    more_link: str = ""  # to all of them


def result(found: Group, root: str, *, ranked: bool) -> Card:
    """The best of a group as a card that says how many more there are, and from when to when."""
    best = found.best
    shown = card(best.observation, root, best.score if ranked else None)
    if not found.more:
        return shown
    first, last = found.first, found.last
    until = (last + timedelta(microseconds=1)).astimezone(UTC).isoformat()
    asked = {"source": best.observation.source, "since": first.astimezone(UTC).isoformat(), "until": until}
    return replace(
        shown,
        more=len(found.more),
        more_iso=(_iso(first), _iso(last)),
        more_times=(f"{first.astimezone():%H:%M:%S}", f"{last.astimezone():%H:%M:%S}"),
        more_link=f"{root}/?{urlencode(asked | {'limit': str(MAX_LIMIT)})}",
    )


def card(observation: Observation, root: str, score: float | None = None, *, large: bool = False) -> Card:
    """`root` is the path the app is mounted at, without a slash at its end; `large` is for a page of its own."""
    media = observation.media
    text_px = max(media.width, media.height) / (36 if large else 26)
    return Card(
        id=observation.id,
        source=observation.source,
        caption=observation.caption or "",
        iso=_iso(observation.captured_at),
        time=local(observation.captured_at),
        width=media.width,
        height=media.height,
        text_px=round(text_px, 1),
        snapshot=None if observation.snapshot is None else f"{root}/snapshots/{quote(observation.snapshot)}",
        link=f"{root}/observations/{quote(observation.id, safe='')}",
        marks=[_mark(item.box, f"{item.label} {item.score:.2f}", item.label, text_px) for item in observation.objects],
        regions=[_mark(box, "", "", text_px) for box in observation.gate.boxes],
        labels=_labels(observation),
        reading=" · ".join(item.text for item in observation.text),
        reason=str(observation.gate.reason),
        offset="" if media.offset_s is None else _clock(media.offset_s),
        demo=observation.provenance.demo,
        borrowed=observation.derived_from is not None,
        score=None if score is None else f"{score:.3f}",
    )


def _mark(box: Box, name: str, label: str, text_px: float) -> Mark:
    above = box.y1 - 0.3 * text_px
    return Mark(
        x=round(box.x1, 1),
        y=round(box.y1, 1),
        width=round(max(0.0, box.x2 - box.x1), 1),
        height=round(max(0.0, box.y2 - box.y1), 1),
        name=name,
        hue=hue(label),
        text_y=round(above if above > text_px else box.y1 + 1.1 * text_px, 1),
    )


def _labels(observation: Observation) -> list[tuple[str, int, str, int]]:
    scores: dict[str, list[float]] = {}
    for item in observation.objects:
        scores.setdefault(item.label, []).append(item.score)
    order = sorted(scores.items(), key=lambda pair: -max(pair[1]))
    return [(label, len(found), f"{max(found):.2f}", hue(label)) for label, found in order]


def hue(label: str) -> int:
    """The colour of a label, the same in every process."""
    return sum(label.casefold().encode()) % _HUES


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds")


def local(when: datetime) -> str:
    """For people: the server's zone, with its name."""
    return f"{when.astimezone():%Y-%m-%d %H:%M:%S %Z}"


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert on the page."""

    id: str
    rule: str
    message: str
    source: str
    iso: str
    time: str
    link: str


def notice(alert: Alert, root: str) -> Notice:
    """`root` as for `card`."""
    return Notice(
        id=alert.id,
        rule=alert.rule,
        message=alert.message,
        source=alert.source,
        iso=_iso(alert.captured_at),
        time=local(alert.captured_at),
        link=f"{root}/observations/{quote(alert.observation, safe='')}",
    )
