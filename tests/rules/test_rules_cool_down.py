"""Cool-downs in capture time: nobody is alerted twice, whatever is delivered again or starts again."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import Misconfigured
from stream.metrics import REGISTRY
from stream.rules import Rules
from stream.types import Box, Detection

COOL_DOWN_S = 10
CARS = [{"name": "cars", "label": "car", "cool_down_s": COOL_DOWN_S}]
CAR = Detection("car", 0.9, Box(1, 2, 3, 4))
DOG = Detection("dog", 0.9, Box(1, 2, 3, 4))


def times(see, rules, *at_s):
    """The capture times, in seconds, of those that alerted."""
    return [second for second in at_s if rules.apply(see(second, CAR))]


def test_a_second_match_within_the_cool_down_is_silent(see):
    assert times(see, Rules.load(CARS), 0, 1, 9.999, 10, 15, 20) == [0, 10, 20]


def test_what_did_not_match_starts_no_cool_down(see):
    rules = Rules.load(CARS)
    assert rules.apply(see(0, DOG)) == []
    assert len(rules.apply(see(1, CAR))) == 1


def test_each_rule_and_source_cools_down_by_itself(see):
    rules = Rules.load([*CARS, {"name": "dogs", "label": "dog"}])
    both = (CAR, DOG)
    assert [alert.rule for alert in rules.apply(see(0, *both))] == ["cars", "dogs"]
    assert [alert.rule for alert in rules.apply(see(1, *both, source="yard"))] == ["cars", "dogs"]
    assert rules.apply(see(2, *both)) == []


def test_redelivery_gives_the_same_alert_and_the_same_silence(see):
    rules = Rules.load(CARS)
    first = [rules.apply(see(second, CAR)) for second in (0, 5, 12)]
    again = [rules.apply(see(second, CAR)) for second in (0, 5, 12)]
    assert first == again
    assert [len(found) for found in first] == [1, 0, 1]


def test_redelivery_does_not_count_twice(see):
    before = REGISTRY.get_sample_value("seestream_alerts_total", {"rule": "cars"}) or 0
    rules = Rules.load(CARS)
    for _ in range(3):
        rules.apply(see(0, CAR))
    assert REGISTRY.get_sample_value("seestream_alerts_total", {"rule": "cars"}) == before + 1


def test_a_late_observation_just_before_an_alert_is_silent(see):
    assert times(see, Rules.load(CARS), 100, 95, 80) == [100, 80]


def test_a_camera_clock_that_jumped_ahead_does_not_silence_the_rule_after_it_is_put_right(see):
    year_s = 365 * 86400
    assert times(see, Rules.load(CARS), 0, year_s, 11, 12) == [0, year_s, 11]


def test_without_cool_down_every_match_alerts_with_its_own_id(see):
    rules = Rules.load([{"name": "all", "label": "car", "cool_down_s": 0}])
    ids = {rules.apply(see(second, CAR))[0].id for second in (0, 0.001, 0.002)}
    assert len(ids) == 3


def test_another_pipeline_over_the_same_pictures_gives_the_same_alert_ids(see):
    rules = Rules.load(CARS)
    (first,) = rules.apply(see(0, CAR))
    (second,) = rules.apply(see(0, CAR, id="of-another-revision"))
    assert first.id == second.id


def test_a_restart_with_its_state_goes_on_as_if_nothing_happened(see):
    before = Rules.load(CARS)
    assert times(see, before, 0, 5) == [0]
    after = Rules.load(CARS)
    after.restore(before.state())
    assert times(see, after, 5, 9, 10) == [10]


def test_a_worker_that_takes_over_learns_from_the_alerts_topic(see):
    alerts = Rules.load(CARS).apply(see(0, CAR))
    other = Rules.load(CARS)
    other.remember(alerts)
    assert other.apply(see(0, CAR)) == alerts
    assert times(see, other, 5, 9, 10) == [10]


def test_state_of_rules_that_are_gone_is_left_out(see):
    before = Rules.load(CARS)
    before.apply(see(0, CAR))
    other = Rules.load([{"name": "new", "label": "car"}])
    other.restore(before.state())
    assert other.state() == Rules.load([]).state()


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"[]",
        b"{}",
        b'{"version":9,"alerts":[]}',
        b'{"version":1,"alerts":[1]}',
        b'{"version":1,"alerts":[["a","b",["x"]]]}',
    ],
)
def test_damaged_state_is_refused_with_advice(state):
    with pytest.raises(Misconfigured, match="delete it"):
        Rules.load(CARS).restore(state)


def test_a_film_from_long_ago_keeps_its_own_cool_downs(see):
    """Its times are older than all that is remembered of this source, and must not be forgotten first."""
    rules = Rules(Rules.load(CARS).rules, times=4)
    for second in range(0, 1000, 20):
        assert rules.apply(see(1_000_000 + second, CAR))
    assert times(see, rules, 0, 1, 2, 10, 11, 20) == [0, 10, 20]


def test_memory_is_bounded(see):
    rules = Rules(Rules.load([{"name": "all", "label": "*", "cool_down_s": 1}]).rules, memory=8, times=4, pairs=3)
    for number in range(200):
        rules.apply(see(2 * number, CAR, source=f"s{number % 10}"))
    assert len(rules._answers) == 8
    assert len(rules._past) == 3
    assert all(len(past.times) == len(past._by_time) <= 4 for past in rules._past.values())


def test_rules_for_no_camera_are_found():
    rules = Rules.load([*CARS, {"name": "typo", "label": "car", "source": "dirve"}])
    assert rules.unwatched(["drive", "yard"]) == ["typo"]


steps = st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=40)


@given(steps, st.data())
def test_no_two_alerts_are_closer_than_the_cool_down_in_any_order_with_redeliveries_and_restarts(see, plan, data):
    rules, given_before = Rules.load(CARS), {}
    for second, restart in plan:
        if restart:
            state, rules = rules.state(), Rules.load(CARS)
            rules.restore(state)
        found = rules.apply(see(second, CAR))
        if second in given_before:
            assert found == given_before[second] or (not given_before[second] and not found)
        given_before[second] = found
    alerted = sorted(found[0].captured_at for found in given_before.values() if found)
    assert all(later - earlier >= timedelta(seconds=COOL_DOWN_S) for earlier, later in pairwise(alerted))
    assert bool(alerted) == bool(plan)


@given(st.lists(st.integers(0, 100), unique=True).map(sorted), st.integers(0, 100), st.integers(0, 100))
def test_replay_from_the_last_commit_after_a_restart_decides_the_same(see, seconds, committed, saved):
    """The state on disk may be newer than the commit: what comes again still gets the same answer."""
    committed, saved = sorted((committed, saved))
    rules, state, straight = Rules.load(CARS), Rules.load(CARS).state(), []
    for second in seconds:
        straight += rules.apply(see(second, CAR))
        if second <= saved:
            state = rules.state()
    after = Rules.load(CARS)
    after.restore(state)
    replayed = [alert for second in seconds if second > committed for alert in after.apply(see(second, CAR))]
    assert replayed == [alert for alert in straight if alert.captured_at > see(committed).captured_at]
