"""One rule: what must be seen, where and when. `match` is pure; cool-downs are kept by `Rules`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time
from fnmatch import translate
from functools import lru_cache
from zoneinfo import ZoneInfo

from stream.rules.polygon import Polygon, contains, share_inside
from stream.types import Box, Detection, Media, Observation


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob.casefold()))


def _any_glob(globs: tuple[str, ...], text: str) -> bool:
    return any(_pattern(glob).match(text.casefold()) for glob in globs)


@lru_cache(maxsize=4096)
def _phrase(words: str) -> re.Pattern[str]:
    """Finds the words one after the other, whole, whatever their case and the space between them."""
    return re.compile(r"(?<!\w)" + r"\s+".join(map(re.escape, words.casefold().split())) + r"(?!\w)")


@dataclass(frozen=True, slots=True)
class Rule:
    """All conditions that are given must hold. Without label, zone and min_score only its words are looked for."""

    name: str
    source: tuple[str, ...] = ("*",)  # globs, case-insensitive, any of them
    label: tuple[str, ...] = ()  # globs, case-insensitive, any of them; empty: any object
    min_score: float = 0.0  # the object's score is at least this, 0 to 1
    zone: Polygon | None = None  # relative corners
    overlap: float | None = None  # share of the box inside the zone; None: its foot point lies inside
    words: tuple[str, ...] = ()  # each of these phrases is in the caption or in the object's label
    between: tuple[time, time] | None = None  # time of day, first included, second not; may pass midnight
    timezone: ZoneInfo | None = None  # of `between`; None: this machine's
    cool_down_s: float = 60.0  # between two alerts of this rule for one source, in capture time
    message: str = ""  # with {rule}, {source}, {label}, {score}, {caption}, {time}

    def watches(self, source: str) -> bool:
        """Whether the rule is about this source."""
        return _any_glob(self.source, source)

    @property
    def wants_object(self) -> bool:
        return bool(self.label) or self.zone is not None or self.min_score > 0

    def match(self, observation: Observation) -> tuple[bool, Detection | None]:
        """Whether the observation matches, and by which object (the one with the highest score; None: by its words)."""
        if not self.watches(observation.source) or not self.is_time(observation.captured_at):
            return False, None
        caption = observation.caption or ""
        if not self.wants_object:
            return self._says(caption), None
        found = [item for item in observation.objects if self._is_it(item, observation)]
        found = [item for item in found if self._says(f"{caption}\n{item.label}")]
        # The box breaks a tie, so that a redelivery names the same object in whatever order the model lists them.
        best = max(found, key=lambda item: (item.score, item.label, item.box), default=None)
        return best is not None, best

    def is_time(self, captured_at: datetime) -> bool:
        """Whether the time of day lies in the window, on the clock of the rule's time zone."""
        if self.between is None:
            return True
        now = captured_at.astimezone(self.timezone).time()
        first, last = self.between
        return first <= now < last if first < last else now >= first or now < last

    def text(self, observation: Observation, item: Detection | None) -> str:
        """The alert's message."""
        values = {
            "rule": self.name,
            "source": observation.source,
            "label": item.label if item else "",
            "score": f"{item.score:.2f}" if item else "",
            "caption": observation.caption or "",
            "time": f"{observation.captured_at.astimezone(self.timezone):%Y-%m-%d %H:%M:%S}",
        }
        return (self.message or ("{label} at {source}" if item else "{source}: {caption}")).format_map(values)

    def _is_it(self, item: Detection, observation: Observation) -> bool:
        if item.score < self.min_score or (self.label and not _any_glob(self.label, item.label)):
            return False
        return self.zone is None or _in_zone(item.box, observation.media, self.zone, self.overlap)

    def _says(self, text: str) -> bool:
        return all(_phrase(words).search(text.casefold()) for words in self.words)


def _in_zone(box: Box, media: Media, zone: Polygon, overlap: float | None) -> bool:
    width, height = max(1, media.width), max(1, media.height)
    if overlap is not None:
        part = Box(box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height)
        return share_inside(part, zone) >= overlap - 1e-9  # rounding of the divisions above
    # The middle of the box's last row of pixels: an object that the picture's lower edge cuts off stands inside it.
    x, y = (box.x1 + box.x2) / 2, min(box.y2, height) - 0.5
    return contains(zone, (x / width, y / height))
