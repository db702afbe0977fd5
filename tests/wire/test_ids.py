"""Ids are the same for the same thing, in every process, and differ for every other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from stream.types import Models, Span
from stream.wire import alert_id, file_event_id, observation_id, revision
from tests.wire.strategies import NOON, text

MODELS = Models({"describe": "florence2@1", "embed": "siglip@2"}, demo=True, provider="CPUExecutionProvider")


def test_ids_never_change_between_versions() -> None:
    assert observation_id("yard", "e1", 0, "abc") == "d7227de0-045d-58cf-85c2-5fbe80770939"
    assert alert_id("car", "yard", NOON) == "ae1c4cb2-63f3-52d5-842e-3ca0a0677cfa"
    assert file_event_id("/a", 1, NOON) == "b713ed0b-8659-520b-8cf2-1b0d8561a4a0"


@given(st.lists(st.tuples(text, text, st.integers(0, 9), text), min_size=2, max_size=2, unique=True))
def test_different_frames_have_different_ids(parts: list[tuple[str, str, int, str]]) -> None:
    first, second = (observation_id(*part) for part in parts)
    assert first != second


def test_the_same_instant_in_another_zone_is_the_same_alert() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5)))
    assert alert_id("car", "yard", elsewhere) == alert_id("car", "yard", NOON)


def test_each_part_of_a_long_film_has_its_own_id() -> None:
    ids = {file_event_id("/a", 1, NOON, span) for span in (None, Span(0.0), Span(0.0, 60.0), Span(60.0, 120.0))}
    assert len(ids) == 4


def test_revision_follows_models_and_settings_but_not_the_machine() -> None:
    base = revision(MODELS, {"tasks": ["<OD>"], "size": 768})
    assert base == revision(MODELS, {"size": 768, "tasks": ["<OD>"]})
    assert base == revision(replace(MODELS, provider="CUDAExecutionProvider"), {"tasks": ["<OD>"], "size": 768})
    assert base != revision(MODELS, {"tasks": ["<CAPTION>"], "size": 768})
    assert base != revision(replace(MODELS, precision="fp16"), {"tasks": ["<OD>"], "size": 768})
    assert base != revision(replace(MODELS, names={"describe": "florence2@9"}), {"tasks": ["<OD>"], "size": 768})
