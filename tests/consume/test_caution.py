"""What a commit's metadata says of the past, whoever wrote it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.consume.caution import Past

pasts = st.builds(
    Past,
    st.booleans(),
    st.integers(0, 2**31),
    st.one_of(st.none(), st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**31))),
)


@given(pasts)
def test_the_past_comes_back_as_it_was_written_and_fits_into_a_commit(past: Past) -> None:
    assert Past.load(past.dump()) == past
    assert len(past.dump()) < 4096


@given(st.one_of(st.none(), st.text(), st.just("{}"), st.just('{"open":true,"crashes":"x","alone":[1]}')))
def test_what_others_wrote_counts_as_nothing(metadata: str | None) -> None:
    assert Past.load(metadata) == Past()
