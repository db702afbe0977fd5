"""Live and upload traffic share by weight, and nobody holds more memory than there is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stream.infer.lanes import Lanes
from stream.types import Traffic

LIVE, UPLOAD = Traffic.LIVE, Traffic.UPLOAD


@dataclass
class Item:
    traffic: Traffic
    number: int


def filled(live: int, upload: int) -> Lanes[Item]:
    lanes: Lanes[Item] = Lanes()
    for number in range(live):
        lanes.put(Item(LIVE, number))
    for number in range(upload):
        lanes.put(Item(UPLOAD, number))
    return lanes


def test_uploads_get_their_fifth_and_no_more_while_both_wait() -> None:
    lanes = filled(100, 100)
    taken = [lanes.take() for _ in range(50)]
    assert Counter(item.traffic for item in taken if item) == {LIVE: 40, UPLOAD: 10}


def test_uploads_are_spread_not_bunched() -> None:
    lanes = filled(100, 100)
    places = [at for at in range(50) if (item := lanes.take()) and item.traffic is UPLOAD]
    assert {later - earlier for earlier, later in pairwise(places)} == {5}


def test_an_idle_lane_saves_no_credit() -> None:
    lanes = filled(0, 40)
    for _ in range(30):
        lanes.take()
    for number in range(40):
        lanes.put(Item(LIVE, number))
    first = [lanes.take() for _ in range(10)]
    assert Counter(item.traffic for item in first if item)[LIVE] == 8


@given(st.integers(0, 30), st.integers(0, 30))
def test_everything_is_taken_once_in_the_order_of_its_lane(live: int, upload: int) -> None:
    lanes = filled(live, upload)
    taken: dict[Traffic, list[int]] = {LIVE: [], UPLOAD: []}
    while (item := lanes.take()) is not None:
        taken[item.traffic].append(item.number)
    assert taken == {LIVE: list(range(live)), UPLOAD: list(range(upload))}
    assert len(lanes) == 0


def test_what_does_not_fit_does_not_block_the_other_lane() -> None:
    lanes = filled(1, 1)
    item = lanes.take(lambda item: item.traffic is UPLOAD)
    assert item is not None and item.traffic is UPLOAD
    assert lanes.take(lambda item: item.traffic is UPLOAD) is None
    assert len(lanes) == 1


def test_what_is_put_back_is_next() -> None:
    lanes = filled(3, 0)
    first = lanes.take()
    assert first is not None
    lanes.put_back(first)
    assert lanes.take() is first
