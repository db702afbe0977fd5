"""Queries for the SigLIP demo model: what they say, and which scenes they are true of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stream.capture.scenery import CLASS_COLORS, CLASSES, PLACES, Scene, phrase
from stream.capture.scenery.captions import PLACE_WORDS, time_words

Wanted = tuple[str, str | None]
"""A class, and a colour or any."""


@dataclass(frozen=True)
class Query:
    """What must be in the scene; `place` and `night` are None when any will do, no objects at all means empty."""

    wanted: tuple[Wanted, ...]
    place: str | None = None
    night: bool | None = None

    def text(self) -> str:
        """The query in the words of the captions."""
        phrases = [phrase(label, color) for label, color in self.wanted]
        joint = " with " if len(phrases) == 2 and self.wanted[0][0] == "person" else " and "
        words = [joint.join(phrases) if phrases else "nothing"]
        if self.place:
            words.append(PLACE_WORDS[self.place])
        if self.night is not None:
            words.append(time_words(self.night))
        return " ".join(words)

    def matches(self, scene: Scene) -> bool:
        """It is true of the scene; two wanted things need two different objects."""
        if (self.place and scene.place != self.place) or (self.night is not None and scene.night != self.night):
            return False
        left = [(thing.label, thing.color) for thing in scene.visible()]
        if not self.wanted:
            return not left
        for label, color in sorted(self.wanted, key=lambda wanted: wanted[1] is None):
            found = next((one for one in left if one[0] == label and color in (None, one[1])), None)
            if found is None:
                return False
            left.remove(found)
        return True


ATTRIBUTES: tuple[Wanted, ...] = (
    *((label, None) for label in CLASSES),
    *((label, color) for label in CLASSES for color in CLASS_COLORS[label]),
)
SIMPLE = tuple(Query((wanted,)) for wanted in ATTRIBUTES)
""""a car", "a red car": every class, alone and with each of its colours."""


def query_about(rng: np.random.Generator, scene: Scene, near_miss: float = 0.0, two: float = 0.4) -> Query:
    """A query that is true of the scene; with probability `near_miss` one thing in it is changed."""
    seen = scene.visible()
    count = min(len(seen), 1 + int(rng.random() < two))
    chosen = [seen[int(at)] for at in rng.permutation(len(seen))[:count]]
    wanted = [(thing.label, thing.color if rng.random() < 0.7 else None) for thing in chosen]
    wanted.sort(key=lambda one: one[0] != "person")
    query = Query(
        tuple(wanted),
        scene.place if rng.random() < 0.35 else None,
        scene.night if rng.random() < 0.35 else None,
    )
    return _changed(rng, query) if rng.random() < near_miss else query


def _changed(rng: np.random.Generator, query: Query) -> Query:
    kind = rng.integers(4)
    if kind == 0 and query.place:
        return replace(query, place=PLACES[int(rng.integers(len(PLACES)))])
    if kind == 1 and query.night is not None:
        return replace(query, night=not query.night)
    if not query.wanted:
        return query
    at = int(rng.integers(len(query.wanted)))
    label = query.wanted[at][0] if kind != 2 else CLASSES[int(rng.integers(len(CLASSES)))]
    color = CLASS_COLORS[label][int(rng.integers(len(CLASS_COLORS[label])))]
    return replace(query, wanted=(*query.wanted[:at], (label, color), *query.wanted[at + 1 :]))


_SYNONYMS = {
    "bicycle": ("bike",),
    "package": ("parcel", "box"),
    "cat": ("kitten",),
    "dog": ("puppy",),
    "person": ("man", "woman", "someone"),
    "gray": ("grey",),
    "lawn": ("grass", "garden"),
    "street": ("road",),
}


def paraphrase(rng: np.random.Generator, text: str) -> str:
    """The same query as somebody else would type it: synonyms, no articles, "photo of"."""
    words = text.split(" ")
    words = [str(rng.choice(_SYNONYMS[w])) if w in _SYNONYMS and rng.random() < 0.4 else w for w in words]
    if rng.random() < 0.5:
        words = [w for w in words if w not in ("a", "an")]
    elif rng.random() < 0.2:
        words = ["the" if w in ("a", "an") else w for w in words]
    text = " ".join(words).replace("someone in", "someone wearing" if rng.random() < 0.5 else "someone in")
    text = text.replace("at night", "in the dark") if rng.random() < 0.2 else text
    if rng.random() < 0.2:
        text = f"{rng.choice(('photo', 'picture'))} of {text}"
    return text
