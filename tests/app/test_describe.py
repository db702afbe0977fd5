"""Embed first: what is asked of the models for a frame, and what its observation carries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import pytest

from stream.app.describe import Describer
from stream.gate import Novelty
from stream.types import (
    Admission,
    Delivery,
    Detection,
    Findings,
    Frame,
    FrameEvent,
    Observation,
    Outcome,
    Reason,
    Traffic,
    Vector,
    Work,
)
from tests.fakes import KnownModels

START = datetime(2026, 1, 1, tzinfo=UTC)
OD, CAPTION = "<OD>", "<CAPTION>"


class Asked(KnownModels):
    """Remembers what it was asked; every picture of one shade looks the same."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, ...]] = []

    async def submit(self, frame: Frame, work: Work) -> Findings:
        if work.tasks:
            self.tasks.append(work.tasks)
        values = np.eye(4, dtype=np.float32)[int(frame.luma[0, 0])]
        return Findings(
            objects=(Detection("thing", 1.0, (0, 0, 1, 1)),) if OD in work.tasks else (),  # type: ignore[arg-type]
            caption=f"shade {frame.luma[0, 0]}" if CAPTION in work.tasks else None,
            vectors=(Vector("m", values),) if work.embed else (),
        )


async def settle(outcome: Outcome, error: BaseException | None = None) -> None:
    """Nobody asks."""


async def look(describer: Describer, number: int, shade: int, traffic: Traffic = Traffic.LIVE) -> Observation:
    luma = np.full((4, 4), shade, np.uint8)
    when = START + timedelta(seconds=number)
    frame = Frame(f"e{number}", "yard", 0, when, 4, 4, luma, lambda: np.zeros((4, 4, 3), np.uint8), None, b"jpeg")
    event = FrameEvent(f"e{number}", "yard", when, b"jpeg")
    return await describer(frame, Admission(True, Reason.MOTION), Delivery(event, settle, traffic))


def describer(models: Asked, detect: Literal["always", "novel"] = "always", novel: bool = True) -> Describer:
    return Describer(models, Novelty() if novel else None, tasks=(OD, CAPTION), revision="r", detect=detect)


@pytest.mark.parametrize(
    ("detect", "asked"), [("always", [(OD, CAPTION), (OD,), (OD, CAPTION)]), ("novel", [(OD, CAPTION), (OD, CAPTION)])]
)
async def test_a_caption_is_asked_once_for_the_same_and_objects_as_the_setting_says(
    detect: Literal["always", "novel"], asked: list[tuple[str, ...]]
) -> None:
    models = Asked()
    one = describer(models, detect)
    first, second, third = [await look(one, number, shade) for number, shade in enumerate((0, 0, 1))]
    assert models.tasks == asked
    assert (first.caption, second.caption, third.caption) == ("shade 0", "shade 0", "shade 1")
    assert (first.derived_from, second.derived_from, third.derived_from) == (None, first.id, None)
    assert len(second.objects) == (detect == "always") and second.vectors


async def test_a_redelivery_is_described_again_and_has_the_same_id() -> None:
    models = Asked()
    one = describer(models)
    first, again = await look(one, 0, 0), await look(one, 0, 0)
    assert again.id == first.id and again.caption == first.caption and again.derived_from is None
    assert models.tasks == [(OD, CAPTION)] * 2


async def test_a_back_filled_frame_is_compared_with_none_that_came_after_it() -> None:
    models = Asked()
    one = describer(models)
    await look(one, 5, 0)
    before = await look(one, 1, 0, Traffic.UPLOAD)
    assert before.derived_from is None and before.kind == "frame"
    assert (await look(one, 2, 0, Traffic.UPLOAD)).derived_from == before.id


async def test_without_novelty_every_frame_is_described() -> None:
    models = Asked()
    one = describer(models, novel=False)
    assert [(await look(one, number, 0)).derived_from for number in range(3)] == [None] * 3
    assert models.tasks == [(OD, CAPTION)] * 3
