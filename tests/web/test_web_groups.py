"""Frames of one drive-by are one hit; other things, other cameras, other times and other pictures are not."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from stream.types import Box, Detection, Hit, Media
from stream.web import Ask, find
from stream.web.groups import CLOSE_S, group

from .conftest import NOW, seen


def at(number, seconds, **changes):
    """An observation so many seconds after noon."""
    return seen(number, captured_at=NOW + timedelta(seconds=seconds), **{"source": "drive", **changes})


def ids(groups):
    return [[int(hit.observation.id[-3:]) for hit in (each.best, *each.more)] for each in groups]


def test_frames_close_to_the_best_one_are_one_hit_with_its_time_span():
    hits = [Hit(at(n, seconds), 1 / n) for n, seconds in ((1, 10), (2, 40), (3, -20), (4, 41), (5, 12))]
    groups = group(hits)
    assert ids(groups) == [[1, 2, 3, 5], [4]], "40 s and -20 s are within 30 s of the best, 41 s is not"
    assert (groups[0].first, groups[0].last) == (NOW - timedelta(seconds=20), NOW + timedelta(seconds=40))
    assert groups[1].first == groups[1].last == hits[3].observation.captured_at


def test_another_camera_another_film_and_another_picture_stand_for_themselves():
    hits = [
        at(1, 0),
        at(2, 1, source="yard"),
        at(3, 2, kind="video", media=Media(640, 480, uri="file:///a.mp4")),
        at(4, 3, kind="video", media=Media(640, 480, uri="file:///b.mp4")),
        at(5, 4, kind="video", media=Media(640, 480, uri="file:///a.mp4")),
        at(6, 5, kind="image", media=Media(640, 480, uri="file:///c.jpg")),
        at(7, 6, kind="image", media=Media(640, 480, uri="file:///c.jpg")),
        at(8, 7),
    ]
    assert ids(group([Hit(one, 1.0) for one in hits])) == [[1, 8], [2], [3, 5], [4], [6], [7]]


def test_who_walks_by_after_the_car_is_no_frame_of_the_car():
    person = (Detection("person", 0.9, Box(1, 2, 30, 40)),)
    hits = [Hit(one, 1.0) for one in (at(1, 0), at(2, 1, objects=person), at(3, 2, objects=person), at(4, 3))]
    assert ids(group(hits)) == [[1, 4], [2, 3]]


@given(st.lists(st.tuples(st.sampled_from(["drive", "yard"]), st.integers(0, 300)), max_size=40))
def test_no_hit_is_lost_and_none_is_far_from_its_best(places):
    hits = [Hit(at(n, seconds, source=source), 1.0) for n, (source, seconds) in enumerate(places)]
    groups = group(hits)
    assert sorted(number for each in ids(groups) for number in each) == list(range(len(hits)))
    for each in groups:
        for hit in each.more:
            assert hit.observation.source == each.best.observation.source
            apart = hit.observation.captured_at - each.best.observation.captured_at
            assert abs(apart.total_seconds()) <= CLOSE_S


async def test_a_long_drive_by_does_not_fill_the_answer(store, see, embed):
    store.rows = {row.id: row for row in (at(n, n / 2, caption="a red car") for n in range(40))}
    store.rows[see(90).id] = see(90, caption="another red car", vectors=())
    found = await find(Ask("red car", limit=5), store, None, None)
    assert [len(each.more) for each in found.groups] == [39, 0]
    assert len((await find(Ask("red car", limit=5, all=True), store, None, None)).hits) == 5
    seen_then = await find(Ask(since=NOW, limit=50), store, None, None)
    assert len(seen_then.hits) == 40, "what was seen in a time is shown whole"
