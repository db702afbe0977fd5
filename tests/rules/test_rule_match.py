"""What a rule matches: label, score, zone, source, words, time of day."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.rules import Rules
from stream.rules.polygon import area, contains, share_inside
from stream.types import Box

LEFT_HALF = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
# A U: its middle, above y = 0.5, is open.
CONCAVE = ((0.0, 0.0), (0.4, 0.0), (0.4, 0.5), (0.6, 0.5), (0.6, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def alerts(observation, **rule):
    return Rules.load([{"name": "r", **rule}]).apply(observation)


def test_alert_names_observation_object_and_demo(see, thing):
    observation = see(0, thing("person", 0.5), thing("car", 0.8, (1, 2, 3, 4)), snapshot="a/b.jpg")
    (alert,) = alerts(observation, label="car")
    assert (alert.rule, alert.source, alert.observation) == ("r", "drive", observation.id)
    assert (alert.label, alert.score, alert.box) == ("car", 0.8, Box(1, 2, 3, 4))
    assert (alert.snapshot, alert.demo, alert.captured_at) == ("a/b.jpg", True, observation.captured_at)
    assert alert.message == "car at drive"


def test_the_object_with_the_highest_score_is_named_in_any_order(see, thing):
    low, high, equal = thing("car", 0.6), thing("van", 0.9), thing("bus", 0.9)
    named = {alerts(see(0, *order), label="*")[0].label for order in [(low, high, equal), (equal, high, low)]}
    assert named == {"van"}


@pytest.mark.parametrize(
    ("label", "seen", "expected"),
    [
        ("car", "car", 1),
        ("car", "Car", 1),
        ("CAR", "car", 1),
        ("car", "red car", 0),
        ("*car", "red car", 1),
        (["dog", "cat"], "cat", 1),
        (["dog", "cat"], "cattle", 0),
    ],
)
def test_label(see, thing, label, seen, expected):
    assert len(alerts(see(0, thing(seen)), label=label)) == expected


def test_score_is_a_lower_bound_that_is_included(see, thing):
    assert alerts(see(0, thing(score=0.5)), label="car", min_score=0.5)
    assert not alerts(see(0, thing(score=0.49)), label="car", min_score=0.5)


@pytest.mark.parametrize(
    ("source", "expected"), [("drive", 1), ("dr*", 1), ("DRIVE", 1), ("*", 1), ("yard", 0), (["yard", "drive"], 1)]
)
def test_source(see, thing, source, expected):
    assert len(alerts(see(0, thing()), label="car", source=source)) == expected


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 100, 100), 1),
        ((900, 0, 1000, 100), 0),
        ((400, 0, 590, 100), 1),  # foot at x = 495
        ((420, 0, 600, 100), 0),  # foot at x = 510
        ((0, 400, 100, 500), 1),  # cut off by the picture's lower edge: stands inside all the same
    ],
)
def test_zone_asks_for_the_foot_point(see, thing, box, expected):
    assert len(alerts(see(0, thing(box=box)), zone=LEFT_HALF)) == expected


def test_zone_looks_at_the_foot_and_not_at_the_head(see, thing):
    lower = [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]
    tall = thing(box=(100, 0, 200, 260))
    assert alerts(see(0, tall), zone=lower)
    assert not alerts(see(0, tall), zone=lower, overlap=0.5)


@pytest.mark.parametrize(("overlap", "expected"), [(0.5, 1), (0.51, 0)])
def test_overlap_asks_for_a_share_of_the_box(see, thing, overlap, expected):
    half = thing(box=(400, 0, 600, 100))
    assert len(alerts(see(0, half), zone=LEFT_HALF, overlap=overlap)) == expected


@pytest.mark.parametrize(
    ("words", "caption", "expected"),
    [
        ("red car", "A red  car passes.", 1),
        ("red car", "a red van and a blue car", 0),
        (["red", "car"], "a red van and a blue car", 1),
        ("red", "a hundred trees", 0),
        ("Tür", "eine TÜR", 1),
        ("a.c", "abc", 0),
        ("red", None, 0),
    ],
)
def test_words_without_objects_are_looked_for_in_the_caption(see, words, caption, expected):
    (*found,) = alerts(see(0, caption=caption), words=words)
    assert len(found) == expected
    assert all(alert.box is None and alert.label is None and caption in alert.message for alert in found)


def test_words_may_be_in_the_objects_own_label(see, thing):
    assert alerts(see(0, thing("red car")), label="*car", words="red")
    assert not alerts(see(0, thing("blue car"), thing("red ball")), label="*car", words="red")


@pytest.mark.parametrize(
    ("between", "hour", "expected"),
    [
        (["09:00", "17:00"], 9, 1),
        (["09:00", "17:00"], 17, 0),
        (["22:00", "06:00"], 23, 1),
        (["22:00", "06:00"], 5, 1),
        (["22:00", "06:00"], 6, 0),
        (["22:00", "06:00"], 12, 0),
    ],
)
def test_time_of_day_may_pass_midnight(see, thing, between, hour, expected):
    when = datetime(2026, 1, 10, hour, tzinfo=UTC)
    found = alerts(see(0, thing(), captured_at=when), label="car", between=between, timezone="UTC")
    assert len(found) == expected


def test_time_of_day_follows_summer_time_of_its_zone(see, thing):
    rule = {"label": "car", "between": ["22:00", "23:00"], "timezone": "Europe/Berlin"}
    winter, summer = datetime(2026, 1, 10, 21, 30, tzinfo=UTC), datetime(2026, 7, 10, 20, 30, tzinfo=UTC)
    assert alerts(see(0, thing(), captured_at=winter), **rule)
    assert alerts(see(0, thing(), captured_at=summer), **rule)
    assert not alerts(see(0, thing(), captured_at=summer + timedelta(hours=1)), **rule)


def test_message_fills_in_its_fields(see, thing):
    (alert,) = alerts(
        see(0, thing("car", 0.876), caption="{source} {0} %s"),
        label="car",
        message="{rule}|{source}|{label}|{score}|{time}|{caption}|{{x}}",
        between=["00:00", "23:59"],
        timezone="Europe/Berlin",
    )
    assert alert.message == "r|drive|car|0.88|2026-05-04 14:00:00|{source} {0} %s|{x}"


def test_concave_zone_has_no_inside_in_its_notch():
    assert contains(CONCAVE, (0.2, 0.2))
    assert not contains(CONCAVE, (0.5, 0.2))
    assert contains(CONCAVE, (0.5, 0.8))
    assert share_inside(Box(0.4, 0.0, 0.6, 1.0), CONCAVE) == pytest.approx(0.5)
    assert share_inside(Box(0.3, 0.0, 0.7, 0.5), CONCAVE) == pytest.approx(0.5)


corner = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(corner, corner, st.booleans())
def test_share_of_a_box_in_a_rectangle_is_the_rectangles_overlap(one, other, turned):
    box = Box(0.2, 0.3, 0.6, 0.9)
    zone = Box(min(one[0], other[0]), min(one[1], other[1]), max(one[0], other[0]), max(one[1], other[1]))
    corners = ((zone.x1, zone.y1), (zone.x2, zone.y1), (zone.x2, zone.y2), (zone.x1, zone.y2))
    share = share_inside(box, corners[::-1] if turned else corners)
    assert share == pytest.approx(box.overlap(zone) / box.area, abs=1e-9)


@given(st.lists(corner, min_size=3, max_size=3), corner)
def test_a_triangle_contains_what_splits_it_without_remainder(triangle, point):
    whole = area(triangle)
    parts = [area([triangle[n], triangle[(n + 1) % 3], point]) for n in range(3)]
    if whole > 1e-3 and min(parts) > 1e-6:  # clear of the border
        assert contains(triangle, point) == (sum(parts) <= whole * (1 + 1e-6) + 1e-9)


def test_box_without_area_has_no_share():
    assert share_inside(Box(0.5, 0.5, 0.5, 0.9), SQUARE) == 0.0
