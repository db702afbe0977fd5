"""Florence-2's tasks: the token a user names, the sentence the model was trained on, and how its answer is read.

Prompts are those of `processing_florence2.py` in transformers 4.57 and of Microsoft's own processor.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from stream.errors import InferenceFailed, Misconfigured
from stream.types import Box


class Reading(StrEnum):
    """How the generated tokens are read."""

    TEXT = "text"
    BOXES = "boxes"  # label, then four coordinates for each of its boxes
    BARE_BOXES = "bare boxes"  # coordinates without labels
    PHRASES = "phrases"  # as boxes, without the banned phrases
    QUADS = "quads"  # text, then eight coordinates
    POLYGONS = "polygons"  # coordinates without labels
    OPEN = "open"  # polygons with labels where there are any, else boxes


class Task(NamedTuple):
    """One task. `max_tokens` caps a generation that never ends; it is several times what an honest answer needs."""

    token: str
    prompt: str  # `{input}` where the task takes text
    reading: Reading
    max_tokens: int

    @property
    def takes_input(self) -> bool:
        return "{input}" in self.prompt


_TABLE = (
    Task("<CAPTION>", "What does the image describe?", Reading.TEXT, 64),
    Task("<DETAILED_CAPTION>", "Describe in detail what is shown in the image.", Reading.TEXT, 160),
    Task("<MORE_DETAILED_CAPTION>", "Describe with a paragraph what is shown in the image.", Reading.TEXT, 384),
    Task("<OD>", "Locate the objects with category name in the image.", Reading.BOXES, 384),
    Task("<DENSE_REGION_CAPTION>", "Locate the objects in the image, with their descriptions.", Reading.BOXES, 512),
    Task("<REGION_PROPOSAL>", "Locate the region proposals in the image.", Reading.BARE_BOXES, 384),
    Task("<OCR>", "What is the text in the image?", Reading.TEXT, 512),
    Task("<OCR_WITH_REGION>", "What is the text in the image, with regions?", Reading.QUADS, 768),
    Task("<CAPTION_TO_PHRASE_GROUNDING>", "Locate the phrases in the caption: {input}", Reading.PHRASES, 384),
    Task("<OPEN_VOCABULARY_DETECTION>", "Locate {input} in the image.", Reading.OPEN, 512),
    Task("<REFERRING_EXPRESSION_SEGMENTATION>", "Locate {input} in the image with mask", Reading.POLYGONS, 768),
    Task("<REGION_TO_SEGMENTATION>", "What is the polygon mask of region {input}", Reading.POLYGONS, 768),
    Task("<REGION_TO_CATEGORY>", "What is the region {input}?", Reading.TEXT, 32),
    Task("<REGION_TO_DESCRIPTION>", "What does the region {input} describe?", Reading.TEXT, 128),
    Task("<REGION_TO_OCR>", "What text is in the region {input}?", Reading.TEXT, 128),
)

TASKS = {task.token: task for task in _TABLE}

_BANNED_WORDS = (
    "it I me mine you your yours he him his she her hers they them their theirs one oneself we us our ours its myself "
    "yourself himself herself itself ourselves yourselves themselves this that these those who whom whose which what "
    "all another any anybody anyone anything each everybody everyone everything few many nobody none several some "
    "somebody someone something image images the a an lots"
)
BANNED_PHRASES = frozenset(
    [*_BANNED_WORDS.split(), "each other", "one another", "the image", "a group", "other objects", "a set"]
)
"""Phrases that grounding does not report: the processor configuration of the published checkpoints."""


def task_named(token: str) -> Task:
    """Raises Misconfigured for a token that is in no table."""
    if token not in TASKS:
        raise Misconfigured(f"{token!r} is not a Florence-2 task; there are {', '.join(TASKS)}")
    return TASKS[token]


def prompt(task: Task, text: str = "") -> str:
    """The sentence for a task and its text input.

    Raises:
        InferenceFailed: the task needs text and got none, or takes none and got some.
    """
    text = text.strip()
    if task.takes_input and not text:
        raise InferenceFailed(f"{task.token} needs a text input, and none was given")
    if text and not task.takes_input:
        raise InferenceFailed(f"{task.token} takes no text input, and {text!r} was given")
    return task.prompt.replace("{input}", text)


def region(box: Box, width: int, height: int) -> str:
    """A box in source pixels as the text input of the region tasks: four of the thousand location tokens."""

    def place(value: float, size: int) -> int:
        return min(999, max(0, int(value * 1000 / size)))

    bins = (place(box.x1, width), place(box.y1, height), place(box.x2, width), place(box.y2, height))
    return "".join(f"<loc_{n}>" for n in bins)
