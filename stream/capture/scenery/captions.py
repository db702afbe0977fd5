"""The words for a scene."""

from __future__ import annotations

from stream.capture.scenery.objects import Scene

PLACE_WORDS = {
    "driveway": "on the driveway",
    "lawn": "on the lawn",
    "street": "on the street",
    "porch": "on the porch",
}


def with_article(words: str) -> str:
    """The words after "a" or "an"."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def phrase(label: str, color: str | None) -> str:
    """ "a red car", "a person in blue", or without a colour "a dog"."""
    if label == "person":
        return f"a person in {color}" if color else "a person"
    return with_article(f"{color} {label}" if color else label)


def time_words(night: bool) -> str:
    """When it is."""
    return "at night" if night else "during the day"


def caption(scene: Scene) -> str:
    """Every visible object from left to right, the place and the time: "a red car and a dog on the lawn at night"."""
    phrases = [phrase(thing.label, thing.color) for thing in scene.visible()]
    if len(phrases) > 1:
        phrases = [", ".join(phrases[:-1]) + " and " + phrases[-1]]
    things = phrases[0] if phrases else "nothing"
    return f"{things} {PLACE_WORDS[scene.place]} {time_words(scene.night)}"
