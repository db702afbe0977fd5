from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.sinks.ranking import MAX_TERMS, RRF_K, fuse, terms


def test_terms_leave_stop_words_out_unless_there_are_no_others() -> None:
    assert terms("A red car, at night: the RED one") == ["red", "car", "night", "one"]
    assert terms("to be or on") == ["to", "be", "or", "on"]
    assert terms('"" - *') == []
    assert len(terms(" ".join(f"word{n}" for n in range(500)))) == MAX_TERMS


def test_a_key_of_both_rankings_wins() -> None:
    fused = fuse([("a", 9.0), ("b", 8.0)], [("c", 0.9), ("b", 0.8)])
    assert fused[0] == ("b", pytest.approx(2 / (RRF_K + 2)))
    assert {key for key, _ in fused[1:]} == {"a", "c"}


def test_equal_scores_share_a_rank() -> None:
    same = [(f"frame-{n}", 1.5) for n in range(50)]
    fused = dict(fuse(same, [("frame-49", 0.9), ("frame-0", 0.1)]))
    assert fused["frame-1"] == fused["frame-48"] == pytest.approx(1 / (RRF_K + 1))
    assert fused["frame-49"] > fused["frame-0"] > fused["frame-1"]


@given(st.lists(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 1)), unique_by=lambda pair: pair[0]), max_size=4))
def test_fusing_keeps_every_key_once_in_falling_order(rankings: list[list[tuple[int, float]]]) -> None:
    ordered = [sorted(ranking, key=lambda pair: -pair[1]) for ranking in rankings]
    fused = fuse(*ordered)
    assert sorted(key for key, _ in fused) == sorted({key for ranking in rankings for key, _ in ranking})
    assert [score for _, score in fused] == sorted((score for _, score in fused), reverse=True)
