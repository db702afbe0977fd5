"""Capture order per source, whatever finishes first and whatever fails."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.rules import Sequencer


def test_what_finished_early_waits_for_its_turn():
    order: Sequencer[str] = Sequencer()
    first, second, third = (order.ticket("a") for _ in range(3))
    assert order.push("a", third, "third") == []
    assert order.push("a", first, "first") == ["first"]
    assert order.push("a", second, "second") == ["second", "third"]
    assert len(order) == 0


def test_a_skipped_one_holds_nobody_up():
    order: Sequencer[str] = Sequencer()
    first, second, third = (order.ticket("a") for _ in range(3))
    assert order.push("a", second, "second") == []
    assert order.skip("a", third) == []
    assert order.skip("a", first) == ["second"]
    assert len(order) == 0


def test_sources_do_not_wait_for_each_other():
    order: Sequencer[int] = Sequencer()
    order.ticket("a")
    assert order.push("b", order.ticket("b"), 1) == [1]


def test_none_is_an_item_like_any_other():
    order: Sequencer[None] = Sequencer()
    assert order.push("a", order.ticket("a"), None) == [None]


@pytest.mark.parametrize("source", ["a", "b"])
def test_a_ticket_is_used_once_and_for_its_own_source(source):
    order: Sequencer[int] = Sequencer()
    order.ticket("a")
    early = order.ticket("a")
    order.ticket("b")
    order.push("a", early, 1)
    for call in (
        lambda: order.push(source, early, 2),
        lambda: order.skip(source, early),
        lambda: order.skip(source, 99),
    ):
        with pytest.raises(LookupError, match="never given out, or is used already"):
            call()


def test_a_forgotten_ticket_becomes_an_error_and_not_a_leak():
    order: Sequencer[int] = Sequencer(limit=3)
    stuck = order.ticket("a")
    for _ in range(2):
        order.push("a", order.ticket("a"), 1)
    with pytest.raises(OverflowError, match=f"'a' is stuck at ticket {stuck}"):
        order.ticket("b")
    assert order.skip("a", stuck) == [1, 1]
    assert order.ticket("b") > stuck


@given(st.lists(st.sampled_from("abc"), max_size=40), st.data())
def test_each_source_comes_out_in_capture_order_and_nothing_is_lost(sources, data):
    order: Sequencer[tuple[str, int]] = Sequencer()
    tickets = [(source, order.ticket(source)) for source in sources]
    out: list[tuple[str, int]] = []
    skipped = set()
    for source, ticket in data.draw(st.permutations(tickets)):
        if data.draw(st.booleans()):
            skipped.add(ticket)
            ready = order.skip(source, ticket)
        else:
            ready = order.push(source, ticket, (source, ticket))
        assert {name for name, _ in ready} <= {source}
        out += ready
    for name in "abc":
        assert [item for item in out if item[0] == name] == [
            item for item in tickets if item[0] == name and item[1] not in skipped
        ]
    assert len(order) == 0
    assert order._lines == {}
