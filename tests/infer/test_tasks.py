"""Prompts are the reference's sentences, and wrong inputs are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import InferenceFailed, Misconfigured
from stream.infer.tasks import TASKS, prompt, region, task_named
from stream.types import Box


@pytest.mark.parametrize(
    ("token", "text", "expected"),
    [
        ("<OD>", "", "Locate the objects with category name in the image."),
        ("<CAPTION_TO_PHRASE_GROUNDING>", " a red car ", "Locate the phrases in the caption: a red car"),
        ("<OPEN_VOCABULARY_DETECTION>", "wheels", "Locate wheels in the image."),
        ("<REGION_TO_SEGMENTATION>", "<loc_1><loc_2>", "What is the polygon mask of region <loc_1><loc_2>"),
        ("<OPEN_VOCABULARY_DETECTION>", "a {b}", "Locate a {b} in the image."),
    ],
)
def test_a_task_becomes_its_sentence(token: str, text: str, expected: str) -> None:
    assert prompt(TASKS[token], text) == expected


def test_there_are_the_references_fifteen_tasks() -> None:
    assert len(TASKS) == 15
    assert all(task.token == token and 0 < task.max_tokens <= 1024 for token, task in TASKS.items())


def test_an_unknown_task_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Misconfigured, match=r"'<ODD>' is not a Florence-2 task; there are .*<OD>"):
        task_named("<ODD>")


def test_text_for_a_task_that_takes_none_is_refused() -> None:
    with pytest.raises(InferenceFailed, match="takes no text"):
        prompt(TASKS["<OD>"], "cars")


@pytest.mark.parametrize("text", ["", "  "])
def test_no_text_for_a_task_that_needs_it_is_refused(text: str) -> None:
    with pytest.raises(InferenceFailed, match="needs a text"):
        prompt(TASKS["<REGION_TO_OCR>"], text)


def test_a_region_is_four_of_the_thousand_places() -> None:
    assert region(Box(0, 0, 32, 24), 64, 48) == "<loc_0><loc_0><loc_500><loc_500>"


@given(st.floats(-50, 2000), st.floats(-50, 2000), st.integers(1, 4000), st.integers(1, 4000))
def test_a_region_outside_the_picture_stays_within_the_places(x: float, y: float, width: int, height: int) -> None:
    places = region(Box(x, y, x, y), width, height).removeprefix("<loc_").removesuffix(">").split("><loc_")
    assert len(places) == 4
    assert all(0 <= int(place) <= 999 for place in places)
