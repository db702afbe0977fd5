"""Novelty: what a source has shown before is not described again, and nothing finds itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import Misconfigured
from stream.gate import Novelty
from stream.types import Box, Vector

BOX = Box(0, 0, 10, 10)


def unit(*values: float) -> np.ndarray:
    array = np.array(values, np.float32)
    return array / np.linalg.norm(array)


def frame(*values: float, regions: tuple[np.ndarray, ...] = ()) -> list[Vector]:
    return [Vector("m", unit(*values)), *(Vector("m", region, BOX) for region in regions)]


def test_the_same_again_carries_the_earlier_caption() -> None:
    novelty = Novelty()
    assert novelty.known("cam", "one", frame(1, 0, 0)) is None
    novelty.remember("cam", "one", frame(1, 0, 0), "a gate")
    assert novelty.known("cam", "two", frame(1, 0.05, 0)) == ("one", "a gate")


def test_another_look_is_new() -> None:
    novelty = Novelty()
    novelty.remember("cam", "one", frame(1, 0, 0), "a gate")
    assert novelty.known("cam", "two", frame(1, 0.5, 0)) is None


def test_a_redelivery_does_not_find_itself() -> None:
    novelty = Novelty()
    novelty.remember("cam", "one", frame(1, 0, 0), "a gate")
    assert novelty.known("cam", "one", frame(1, 0, 0)) is None


def test_sources_do_not_see_each_other() -> None:
    novelty = Novelty()
    novelty.remember("cam", "one", frame(1, 0, 0), "a gate")
    assert novelty.known("other", "two", frame(1, 0, 0)) is None


def test_a_new_region_in_the_same_frame_is_new() -> None:
    novelty = Novelty()
    novelty.remember("cam", "one", frame(1, 0, 0, regions=(unit(0, 1, 0),)), "a cat")
    assert novelty.known("cam", "two", frame(1, 0, 0, regions=(unit(0, 1, 0.1),))) == ("one", "a cat")
    assert novelty.known("cam", "two", frame(1, 0, 0, regions=(unit(0, 0, 1),))) is None
    assert novelty.known("cam", "two", frame(1, 0, 0, regions=(unit(0, 1, 0), unit(0, 0, 1)))) is None


def test_a_region_that_has_left_is_new() -> None:
    novelty = Novelty()
    novelty.remember("cam", "one", frame(1, 0, 0, regions=(unit(0, 1, 0), unit(0, 0, 1))), "a cat and a dog")
    assert novelty.known("cam", "two", frame(1, 0, 0, regions=(unit(0, 1, 0),))) is None
    assert novelty.known("cam", "two", frame(1, 0, 0)) is None


def test_a_second_one_like_the_first_is_new() -> None:
    novelty = Novelty()
    cat = unit(0, 1, 0)
    novelty.remember("cam", "one", frame(1, 0, 0, regions=(cat,)), "a cat")
    assert novelty.known("cam", "two", frame(1, 0, 0, regions=(cat, cat))) is None
    novelty.remember("cam", "two", frame(1, 0, 0, regions=(cat, cat)), "two cats")
    assert novelty.known("cam", "three", frame(1, 0, 0, regions=(cat, cat))) == ("two", "two cats")


def test_one_more_in_a_crowd_is_new_although_only_some_of_it_has_vectors() -> None:
    novelty, cat = Novelty(), unit(0, 1, 0)
    novelty.remember("cam", "one", frame(1, 0, 0, regions=(cat,) * 4), "cats", moving=6)
    assert novelty.known("cam", "two", frame(1, 0, 0, regions=(cat,) * 4), 6) == ("one", "cats")
    assert novelty.known("cam", "two", frame(1, 0, 0, regions=(cat,) * 4), 5) == ("one", "cats")
    assert novelty.known("cam", "two", frame(1, 0, 0, regions=(cat,) * 4), 7) is None


def test_the_nearest_of_several_is_named() -> None:
    novelty = Novelty(0.9)
    novelty.remember("cam", "far", frame(1, 0.3, 0), "far")
    novelty.remember("cam", "near", frame(1, 0.01, 0), "near")
    assert novelty.known("cam", "now", frame(1, 0, 0)) == ("near", "near")


def test_memory_is_bounded_per_source_and_over_sources() -> None:
    novelty = Novelty(per_source=2, sources=2)
    for index in range(3):
        novelty.remember("cam", str(index), frame(*np.eye(3)[index]), None)
    assert novelty.known("cam", "now", frame(1, 0, 0)) is None
    assert novelty.known("cam", "now", frame(0, 0, 1)) == ("2", None)
    novelty.remember("b", "b", frame(1, 0, 0), None)
    novelty.remember("c", "c", frame(1, 0, 0), None)
    assert novelty.known("cam", "now", frame(0, 0, 1)) is None


@pytest.mark.parametrize(
    "vectors",
    [
        [],
        [Vector("m", unit(1, 0, 0), BOX)],
        [Vector("m", np.array([np.nan, 0, 0], np.float32))],
        [Vector("other", unit(1, 0, 0))],
        [Vector("m", unit(1, 0, 0, 0))],
    ],
)
def test_what_cannot_be_compared_is_new(vectors: list[Vector]) -> None:
    novelty = Novelty()
    novelty.remember("cam", "one", frame(1, 0, 0), "a gate")
    novelty.remember("cam", "odd", vectors, "odd")
    assert novelty.known("cam", "two", vectors) in (None, ("odd", "odd"))
    assert novelty.known("cam", "odd", vectors) is None


def test_at_one_everything_is_new() -> None:
    novelty = Novelty(1.0)
    novelty.remember("cam", "one", frame(1, 0, 0), "a gate")
    assert novelty.known("cam", "two", frame(1, 0, 0)) is None


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_never_names_itself_and_only_what_was_remembered(steps: list[int]) -> None:
    novelty = Novelty(0.9, per_source=3)
    told: set[str] = set()
    for index, step in enumerate(steps):
        identity = f"{step}-{index % 3}"
        vectors = frame(*np.eye(6)[step])
        found = novelty.known("cam", identity, vectors)
        assert found is None or (found[0] != identity and found[0] in told and found[0].startswith(f"{step}-"))
        novelty.remember("cam", identity, vectors, None)
        told.add(identity)


@pytest.mark.parametrize("arguments", [{"alike": 1.5}, {"regions_alike": -1.0}, {"per_source": 0}, {"sources": 0}])
def test_nonsense_settings_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(Misconfigured):
        Novelty(**arguments)  # type: ignore[arg-type]
