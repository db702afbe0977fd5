"""The watermark, against a plain model of what is done."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.consume.tracker import Tally, Tracker
from stream.types import Outcome

outcomes = st.sampled_from(Outcome)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.integers(0, 3)),  # so many offsets are missing before it
        st.tuples(st.just("skip"), st.integers(0, 4)),
        st.tuples(st.just("advance"), st.integers(0, 4)),
        st.tuples(st.just("settle"), st.integers(0, 20), outcomes),
        st.tuples(st.just("abandon"), st.integers(0, 20)),
        st.tuples(st.just("take")),
    ),
    max_size=60,
)


@given(st.integers(0, 1000), steps)
def test_the_watermark_is_the_end_of_the_contiguous_prefix_that_is_done(start: int, doings: list[tuple]) -> None:
    tracker = Tracker(start)
    done: dict[int, Outcome | None] = {}  # offset -> how it ended; None: never there
    flying: list[int] = []
    taken: list[Tally] = []
    upcoming = start
    for doing, *how in doings:
        if doing == "deliver":
            done.update(dict.fromkeys(range(upcoming, upcoming + how[0])))
            upcoming += how[0]
            assert tracker.deliver(upcoming) == how[0]
            flying.append(upcoming)
            upcoming += 1
        elif doing in ("skip", "advance"):
            ended = Outcome.SHED if doing == "skip" else None
            done.update(dict.fromkeys(range(upcoming, upcoming + how[0]), ended))
            upcoming += how[0]
            assert getattr(tracker, doing)(upcoming) == how[0]
        elif doing in ("settle", "abandon") and flying:
            offset = flying.pop(how[0] % len(flying))
            if doing == "settle":
                done[offset] = how[1]
                tracker.settle(offset, how[1])
            else:
                tracker.abandon(offset)
        elif doing == "take" and (tally := tracker.take()) is not None:
            taken.append(tally)
        expected = next((offset for offset in range(start, upcoming) if offset not in done), upcoming)
        assert tracker.watermark == expected
        assert tracker.next_offset == upcoming
        assert tracker.in_flight == len(flying)
    if (tally := tracker.take()) is not None:
        taken.append(tally)
    assert_account(taken, start, tracker.watermark, done)
    assert tracker.take() is None


def assert_account(taken: list[Tally], start: int, end: int, done: dict[int, Outcome | None]) -> None:
    """The tallies follow on from one another and say of every offset what became of it."""
    at = start
    for tally in taken:
        assert tally.start == at < tally.end
        at = tally.end
        ended = [done[offset] for offset in range(tally.start, tally.end)]
        assert tally.absent == ended.count(None)
        for outcome in Outcome:
            assert tally.counts[outcome] == ended.count(outcome)
        shed = [offset for first, last in tally.shed_offsets for offset in range(first, last + 1)]
        assert shed == [offset for offset in range(tally.start, tally.end) if done[offset] is Outcome.SHED]
    assert at == end


def test_a_log_that_goes_back_is_refused() -> None:
    tracker = Tracker(10)
    tracker.deliver(12)
    with pytest.raises(ValueError, match="the log went back"):
        tracker.deliver(12)


def test_settling_what_is_not_in_flight_is_an_error() -> None:
    tracker = Tracker(0)
    tracker.deliver(0)
    tracker.settle(0, Outcome.GATED)
    with pytest.raises(KeyError):
        tracker.settle(0, Outcome.GATED)


def test_neighbouring_shed_offsets_are_one_range() -> None:
    tracker = Tracker(0)
    for offset in range(4):
        tracker.deliver(offset)
    for offset, outcome in ((0, Outcome.SHED), (1, Outcome.SHED), (2, Outcome.GATED), (3, Outcome.SHED)):
        tracker.settle(offset, outcome)
    tally = tracker.take()
    assert tally is not None
    assert tally.shed_offsets == ((0, 1), (3, 3))
