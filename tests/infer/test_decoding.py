"""Continuous batching changes nothing: whoever shares the slots, a row says what it says alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.infer.decoding import Row
from stream.infer.florence2 import Florence2
from stream.infer.static import StaticLayout
from tests.infer.conftest import picture

PROMPTS = [
    ("<OD>", ""),
    ("<CAPTION>", ""),
    ("<OCR_WITH_REGION>", ""),
    ("<OPEN_VOCABULARY_DETECTION>", "a red car, a dog"),
]
Load = Callable[..., Florence2]
Wish = tuple[int, int, int]  # picture, prompt, cap


@cache
def prepared(seed: int, side: int) -> Any:
    from PIL import Image

    return np.asarray(Image.fromarray(picture(seed)).resize((side, side)))


def row_of(model: Florence2, wish: Wish, image: int) -> Row:
    _, prompt, cap = wish
    row = model.row(image, *PROMPTS[prompt], owner=wish)
    row.max_tokens = cap
    return row


def alone(model: Florence2, wish: Wish) -> list[int]:
    seen = model.see([prepared(wish[0], model.preprocess.width)])
    row = row_of(model, wish, 0)
    model.decoding.admit(seen, [row])
    while model.decoding.active:
        model.decoding.step()
    return [token.id for token in model.tokens(row)]


SOLO: dict[Any, list[int]] = {}


def solo(load: Load, layout: str, beams: int, wish: Wish) -> list[int]:
    if (layout, beams, wish) not in SOLO:
        SOLO[layout, beams, wish] = alone(load(layout=layout, beams=beams, slots=beams), wish)
    return SOLO[layout, beams, wish]


def together(model: Florence2, groups: list[list[Wish]], gaps: list[int]) -> dict[int, tuple[Wish, list[int]]]:
    """Groups arrive one vision pass each, some steps apart; rows wait for slots. What each row said."""
    said: dict[int, tuple[Wish, list[int]]] = {}
    count = 0

    def step() -> None:
        nonlocal count
        for row in model.decoding.step():
            assert row.error is None
            said[count] = (row.owner, [token.id for token in model.tokens(row)])
            count += 1

    for group, gap in zip(groups, gaps, strict=True):
        images = sorted({wish[0] for wish in group})
        seen = model.see([prepared(image, model.preprocess.width) for image in images])
        waiting = [row_of(model, wish, images.index(wish[0])) for wish in group]
        while waiting:
            free = model.decoding.free
            if free:
                model.decoding.admit(seen, waiting[:free])
                waiting = waiting[free:]
            step()
        for _ in range(gap):
            step()
    while model.decoding.active:
        step()
    return said


WISHES = st.tuples(st.integers(0, 3), st.integers(0, len(PROMPTS) - 1), st.sampled_from([2, 5, 9, 14]))
ARRIVALS = st.lists(st.tuples(st.lists(WISHES, min_size=1, max_size=5), st.integers(0, 6)), min_size=1, max_size=4)


@pytest.mark.parametrize(("layout", "beams"), [("static", 1), ("published", 1), ("static", 3), ("published", 3)])
@settings(max_examples=20, deadline=None)
@given(arrivals=ARRIVALS)
def test_continuous_batching_equals_solo_runs_token_for_token(
    load_florence2: Load, layout: str, beams: int, arrivals: list[tuple[list[Wish], int]]
) -> None:
    model = load_florence2(layout=layout, beams=beams, slots=4 * beams)
    said = together(model, [group for group, _ in arrivals], [gap for _, gap in arrivals])
    assert len(said) == sum(len(group) for group, _ in arrivals)
    for wish, tokens in said.values():
        assert tokens == solo(load_florence2, layout, beams, wish)
    assert model.decoding.free == 4


@pytest.mark.parametrize("beams", [1, 3])
def test_both_layouts_say_the_same(load_florence2: Load, beams: int) -> None:
    for wish in [(0, 0, 30), (1, 1, 30), (2, 3, 30)]:
        assert solo(load_florence2, "static", beams, wish) == solo(load_florence2, "published", beams, wish)


def test_rows_say_different_things(load_florence2: Load) -> None:
    """Or the property above would hold for a model that ignores its input."""
    answers = {
        tuple(solo(load_florence2, "static", 1, (image, prompt, 14))) for image in range(4) for prompt in range(4)
    }
    assert len(answers) > 4


def test_several_tasks_share_one_vision_pass(load_florence2: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_florence2(layout="static", beams=1, slots=2)
    passes = []
    see = model.see
    monkeypatch.setattr(model, "see", lambda images: passes.append(len(images)) or see(images))
    answers = model.look(picture(0), ["<OD>", "<CAPTION>", "<OCR>", "<REGION_PROPOSAL>"])
    assert list(answers) == ["<OD>", "<CAPTION>", "<OCR>", "<REGION_PROPOSAL>"]
    assert passes == [1]


def test_long_rows_and_long_prompts_make_the_caches_grow_without_a_change(load_florence2: Load) -> None:
    model = load_florence2(layout="static", beams=1, slots=3)
    prompt = "a red car and a dog " * 5
    short, long = row_of(model, (0, 0, 14), 0), model.row(1, "<OPEN_VOCABULARY_DETECTION>", prompt)
    long.max_tokens = 110
    seen = model.see([prepared(0, model.preprocess.width), prepared(1, model.preprocess.width)])
    model.decoding.admit(seen, [short])
    model.decoding.step()
    model.decoding.admit(seen, [long])
    while model.decoding.active:
        model.decoding.step()
    assert [token.id for token in model.tokens(short)] == solo(load_florence2, "static", 1, (0, 0, 14))
    other = load_florence2(layout="published", beams=1, slots=1)
    again = other.row(0, "<OPEN_VOCABULARY_DETECTION>", prompt)
    again.max_tokens = 110
    other.decoding.admit(other.see([prepared(1, model.preprocess.width)]), [again])
    while other.decoding.active:
        other.decoding.step()
    assert [token.id for token in model.tokens(long)] == [token.id for token in other.tokens(again)]


def test_a_slot_that_held_nan_is_clean_for_the_next_row(load_florence2: Load) -> None:
    """Attention gives NaN at a masked place a weight of zero, and zero times NaN is NaN."""
    model = load_florence2(layout="static", beams=1, slots=1)
    layout = model.decoding.layout
    assert isinstance(layout, StaticLayout)
    expected = solo(load_florence2, "static", 1, (0, 0, 14))
    seen = model.see([prepared(1, model.preprocess.width)])
    bad = row_of(model, (1, 0, 14), 0)
    model.decoding.admit(seen, [bad])
    for buffer in (*layout._caches.own.values(), *layout._caches.cross.values()):
        buffer.read()[...] = np.nan
    assert model.decoding.step() == [bad]
    assert bad.error is not None and "NaN" in str(bad.error)
    assert alone(model, (0, 0, 14)) == expected


def test_beams_that_change_places_through_a_second_set_of_caches_say_the_same(load_florence2: Load) -> None:
    """The way of a GPU, walked on the CPU."""
    model = load_florence2(layout="static", beams=3, slots=6)
    layout = model.decoding.layout
    assert isinstance(layout, StaticLayout)
    from stream.infer.session import open_session

    graph = open_session(model.manifest.graph("static_reorder", "fp32"), provider="cpu", threads=1)
    swapping = StaticLayout(layout._vision, layout._encoder, layout._decoder, graph, slots=6, swap=True)
    before, model.decoding.layout, model._layout = model.decoding.layout, swapping, swapping
    try:
        wishes = [(0, 0, 14), (1, 1, 14), (2, 2, 9), (3, 3, 14)]
        for wish, tokens in together(model, [wishes[:2], wishes[2:]], [2, 0]).values():
            assert tokens == solo(load_florence2, "static", 3, wish)
    finally:
        model.decoding.layout, model._layout = before, before
