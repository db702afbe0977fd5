"""What the Florence-2 demo model is asked, and what it should answer.

The prompts are those of Florence2Processor in transformers; the answers have its grammar: a label and four location
tokens for each box, a text and eight for each quadrilateral.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stream.capture.scenery import SIZE_PX, Scene, caption, phrase

PROMPTS = {
    "OD": "Locate the objects with category name in the image.",
    "CAPTION": "What does the image describe?",
    "DETAILED_CAPTION": "Describe in detail what is shown in the image.",
    "MORE_DETAILED_CAPTION": "Describe with a paragraph what is shown in the image.",
    "OCR": "What is the text in the image?",
    "OCR_WITH_REGION": "What is the text in the image, with regions?",
    "DENSE_REGION_CAPTION": "Locate the objects in the image, with their descriptions.",
    "REGION_PROPOSAL": "Locate the region proposals in the image.",
    "CAPTION_TO_PHRASE_GROUNDING": "Locate the phrases in the caption: {input}",
    "OPEN_VOCABULARY_DETECTION": "Locate {input} in the image.",
}

_BINS = 1000
_COUNTS = ("is nothing", "is one object", "are two objects", "are three objects", "are four objects")


def answer_text(scene: Scene, task: str) -> str:
    """The answer as text, with location tokens spelled out."""
    if task == "CAPTION":
        return caption(scene)
    if task == "DETAILED_CAPTION":
        return f"The image shows {caption(scene)}."
    if task == "MORE_DETAILED_CAPTION":
        reads = "".join(f' The plate reads "{plate.text}".' for plate in scene.reading_order())
        return f"The image shows {caption(scene)}. There {_COUNTS[min(4, len(scene.visible()))]}.{reads}"
    if task == "OCR":
        return "".join(plate.text for plate in scene.reading_order())
    if task == "OCR_WITH_REGION":
        return "".join(plate.text + locations([v for xy in plate.quad for v in xy]) for plate in scene.reading_order())
    return "".join(f"{words}{locations(box)}" for words, box in _boxes(scene, task))


def _boxes(scene: Scene, task: str) -> list[tuple[str, Sequence[float]]]:
    seen = scene.truth()
    if task == "OD":
        return [(label, box) for label, _, box in seen]
    if task == "DENSE_REGION_CAPTION":
        return [(f"{color} {label}", box) for label, color, box in seen]
    if task == "REGION_PROPOSAL":
        return [("", box) for _, _, box in seen]
    if task == "CAPTION_TO_PHRASE_GROUNDING":
        return [(phrase(label, color), box) for label, color, box in seen]
    name, _, text = task.partition(":")
    if name != "OPEN_VOCABULARY_DETECTION":
        raise ValueError(f"no such task: {task}")
    return [(text, box) for label, color, box in seen if text in (label, f"{color} {label}")]


def prompt_text(scene: Scene, task: str) -> str:
    """The prompt; a task may carry its input after a colon ("OPEN_VOCABULARY_DETECTION:red car")."""
    name, _, text = task.partition(":")
    if name == "CAPTION_TO_PHRASE_GROUNDING":
        text = caption(scene)
    return PROMPTS[name].format(input=text)


def bins(values: Sequence[float]) -> list[int]:
    """Coordinates in scene pixels as location bins 0..999."""
    return [int(min(_BINS - 1, max(0, math.floor(v / SIZE_PX * _BINS)))) for v in values]


def locations(values: Sequence[float]) -> str:
    """Coordinates in scene pixels as location tokens."""
    return "".join(f"<loc_{v}>" for v in bins(values))
