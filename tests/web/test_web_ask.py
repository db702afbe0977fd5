"""Questions: times, limits, likeness, and what happens without a text model."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import DeviceFailed, StoreUnavailable
from stream.web import Ask, BadAsk, find, parse_time

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        (" 1.5 H ", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("1w", timedelta(days=7)),
    ],
)
def test_time_before_now(text, ago):
    assert parse_time(text, NOW) == NOW - ago


def test_iso_times():
    assert parse_time("2026-05-04T10:00:00+02:00", NOW) == datetime(2026, 5, 4, 8, tzinfo=UTC)
    assert parse_time("2026-05-04T10:00:00Z", NOW) == datetime(2026, 5, 4, 10, tzinfo=UTC)
    assert parse_time("2026-05-04", NOW) == datetime(2026, 5, 4).astimezone(UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2x", "-3h", "99999999999w", "2026-13-01", "h"])
def test_a_bad_time_is_refused_with_examples(text):
    with pytest.raises(BadAsk, match="write 30m, 2h, 7d"):
        parse_time(text, NOW)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_refused(text):
    with contextlib.suppress(BadAsk):
        assert parse_time(text, NOW).tzinfo is not None


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1.5", "٣", "9" * 400])
def test_a_bad_limit_is_refused(limit):
    with pytest.raises(BadAsk, match="limit must be"):
        Ask.from_params({"limit": limit}, NOW)


def test_empty_parameters_count_as_left_out():
    assert Ask.from_params({"q": " ", "source": "", "since": ""}, NOW) == Ask()


async def test_description_is_searched_by_vector_and_text(store, embed):
    found = await find(Ask("a red car", limit=3), store, embed, "demo")
    assert [hit.observation.caption for hit in found.hits] == ["A red car is parked on the driveway."] * 3
    (query,) = store.queries
    assert (query.text, query.model) == ("a red car", "demo")
    assert query.limit >= 3, "more are read than shown: frames close in time are one hit"
    assert found.note is None


async def test_without_a_text_model_only_text_is_searched_and_said(store):
    found = await find(Ask("blue"), store, None, None)
    assert {hit.observation.caption for hit in found.hits} == {"A blue car is parked on the driveway."}
    assert found.note is not None and "only captions" in found.note
    assert store.queries[0].vector is None and store.queries[0].model is None


async def test_a_broken_text_model_does_not_stop_the_search(store):
    async def broken(text):
        raise DeviceFailed("the session is gone")

    found = await find(Ask("blue"), store, broken, "demo")
    assert found.hits and "the session is gone" in (found.note or "")


async def test_likeness_leaves_out_the_picture_itself(store, see, embed):
    found = await find(Ask(like=see(1).id, limit=3), store, embed, "demo")
    assert len(found.hits) == 3
    assert see(1).id not in [hit.observation.id for hit in found.hits]
    assert {hit.observation.caption for hit in found.hits} == {see(1).caption}


async def test_likeness_to_what_is_gone_or_has_no_vector_is_refused(store, see, embed):
    with pytest.raises(BadAsk, match="not in the store"):
        await find(Ask(like="gone"), store, embed, "demo")
    store.rows["bare"] = see(20, id="bare", vectors=())
    with pytest.raises(BadAsk, match="without a vector"):
        await find(Ask(like="bare"), store, embed, "demo")


async def test_nothing_asked_gives_what_was_seen_last(store, see, embed):
    found = await find(Ask(limit=2, source="drive"), store, embed, "demo")
    assert [hit.observation.id for hit in found.hits] == [see(1).id, see(3).id]


async def test_a_store_that_is_down_is_no_empty_answer(store, embed):
    store.broken = StoreUnavailable("no route")
    with pytest.raises(StoreUnavailable):
        await find(Ask("red"), store, embed, "demo")
