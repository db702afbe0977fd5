"""Searches obey their rules, whatever the graph says."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import InferenceFailed
from stream.infer.generate import Rules, Search

VOCABULARY = 12


def scores(seed: int, tokens: tuple[int, ...]) -> np.ndarray:
    """Logits that depend on everything said so far, as a model's do."""
    rng = np.random.default_rng([seed, *tokens])
    return rng.normal(0, 3, VOCABULARY).astype(np.float32)


def run(rules: Rules, max_tokens: int, seed: int) -> list[int]:
    """Drives a search by `scores`, as a decoder would."""
    search = rules.search(max_tokens)
    pasts: list[tuple[int, ...]] = [()] * search.width
    steps = 0
    while not search.done:
        feeds = search.feeds()
        pasts = [(*past, feed.token) for past, feed in zip(pasts, feeds, strict=True)]
        assert [feed.position for feed in feeds] == [steps] * search.width
        logits = np.stack([scores(seed, past) for past in pasts])
        allowed = logits.copy()
        for row, feed in enumerate(feeds):
            allowed[row, list(feed.banned)] = -np.inf
        ids = allowed.argmax(-1)
        shifted = logits - logits.max(-1, keepdims=True)
        logprobs = (shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))[np.arange(len(ids)), ids]
        sources = search.advance(ids, logprobs, logits if search.reads_logits else None)
        if sources is not None:
            pasts = [pasts[source] for source in sources]
        steps += 1
        assert steps <= max_tokens
    return [token.id for token in search.tokens]


@given(
    st.integers(0, 10**6), st.integers(2, 24), st.sampled_from([1, 2, 3, 4]), st.sampled_from([True, False, "never"])
)
def test_every_search_starts_ends_and_repeats_no_three_tokens(
    seed: int, max_tokens: int, beams: int, early: bool | str
) -> None:
    said = run(Rules(beams=beams, early_stopping=early), max_tokens, seed)
    assert said[0] == 0
    assert said[-1] == 2 and said.index(2) == len(said) - 1
    assert len(said) <= max_tokens
    whole = [2, *said[:-1]]
    threes = list(zip(whole, whole[1:], whole[2:], strict=False))
    assert len(threes) == len(set(threes))


@given(st.integers(0, 10**6), st.integers(2, 24))
def test_greedy_takes_the_likeliest_token_that_is_allowed(seed: int, max_tokens: int) -> None:
    rules, said = Rules(beams=1), [2]
    while len(said) < max_tokens and (len(said) == 1 or said[-1] != 2):
        logits = scores(seed, tuple(said))
        logits[rules.banned(said)] = -np.inf
        said.append(0 if len(said) == 1 else int(logits.argmax()))
    if said[-1] != 2 or len(said) == 1:
        said.append(2)
    assert run(rules, max_tokens, seed) == said[1:]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_with_enough_beams_nothing_scores_better(seed: int) -> None:
    """Against every possible answer of three free tokens, by sum of log probabilities over length."""
    max_tokens = 4

    def answers(past: tuple[int, ...], total: float) -> list[tuple[float, tuple[int, ...]]]:
        if past[-1] == 2 and len(past) > 1:
            return [(total / (len(past) - 1), past)]
        if len(past) == max_tokens:
            return [(total / len(past), (*past, 2))]
        logits = scores(seed, past).astype(np.float64)
        logs = logits - np.log(np.exp(logits).sum())
        return [one for token in range(VOCABULARY) for one in answers((*past, token), total + logs[token])]

    best = max(answers((2, 0), 0.0))
    assert run(Rules(beams=200, ngram=0, early_stopping=False), max_tokens, seed) == list(best[1][1:])


@given(st.lists(st.integers(0, 3), max_size=30))
def test_the_ban_is_the_tokens_that_would_repeat_three(tokens: list[int]) -> None:
    threes = set(zip(tokens, tokens[1:], tokens[2:], strict=False))
    expected = {last for first, middle, last in threes if [first, middle] == tokens[-2:]}
    assert set(Rules().banned(tokens)) == expected
    assert Rules(ngram=0).banned(tokens) == []
    pairs = {last for first, last in pairwise(tokens) if tokens[-1:] == [first]}
    assert set(Rules(ngram=2).banned(tokens)) == pairs


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(beams: int, value: float) -> None:
    search: Search = Rules(beams=beams).search(8)
    logits = np.zeros((beams, VOCABULARY), np.float32)
    with pytest.raises(InferenceFailed, match="NaN"):
        search.advance(np.zeros(beams, np.int64), np.full(beams, value, np.float32), logits)


def test_rules_come_from_the_generation_config_then_from_the_model_config() -> None:
    config = {"text_config": {"forced_bos_token_id": 7, "no_repeat_ngram_size": 5}, "eos_token_id": 9}
    rules = Rules.of({"no_repeat_ngram_size": 4, "num_beams": 2, "early_stopping": False}, config)
    assert (rules.ngram, rules.bos, rules.eos, rules.beams, rules.early_stopping) == (4, 7, 9, 2, False)
    assert Rules.of({}, {}) == Rules()
