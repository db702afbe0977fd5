"""One scheduler for all: answers are those of a frame alone, faults hit whom they must, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.errors import BadMedia, DeviceFailed, InferenceFailed, Misconfigured
from stream.infer.florence2 import Florence2
from stream.infer.preprocess import crop
from stream.infer.scheduler import MicroBatcher
from stream.infer.session import OutOfMemory
from stream.infer.siglip import Siglip
from stream.types import Box, Findings, Frame, Pixels, Traffic, Work
from tests import PATIENCE_S
from tests.infer.conftest import picture
from tests.infer.scripted import NAN, ScriptedLayout, grey_frame, scripted

CAPTION = Work(tasks=("<CAPTION>",))
UPLOAD = replace(CAPTION, traffic=Traffic.UPLOAD)


def frame_of(rgb: Pixels) -> Frame:
    frame = grey_frame(0)
    frame.width, frame.height, frame.pixels = rgb.shape[1], rgb.shape[0], lambda: rgb
    return frame


@pytest.fixture
def layout() -> ScriptedLayout:
    return ScriptedLayout()


@pytest.fixture
def model(layout: ScriptedLayout, goldens: Path) -> Florence2:
    return scripted(layout, goldens / "florence2")


async def captions(batcher: MicroBatcher, greys: list[int], work: Work = CAPTION) -> list[Any]:
    """Findings or errors, in order."""
    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.gather(*(batcher.submit(grey_frame(grey), work) for grey in greys), return_exceptions=True)


async def test_a_frame_in_a_crowd_gets_the_answer_it_gets_alone(
    load_florence2: Callable[..., Florence2], siglip: Siglip
) -> None:
    model = load_florence2(slots=4)
    tasks = [("<OD>", "<CAPTION>"), ("<OCR_WITH_REGION>",), ("<CAPTION>",), ("<OPEN_VOCABULARY_DETECTION>", "<OCR>")]
    prompts = {"<OPEN_VOCABULARY_DETECTION>": "a dog"}
    regions = (Box(5, 5, 60, 60), Box(10, 10, 110, 80))
    expected = [
        {task: answer.plain() for task, answer in model.look(picture(seed), tasks[seed % 4], prompts).items()}
        for seed in range(8)
    ]
    vectors = siglip.embed_images([picture(0), crop(picture(0), regions[1]), crop(picture(0), regions[0])])
    async with MicroBatcher(model, siglip, max_images=3) as batcher, asyncio.timeout(PATIENCE_S):
        found = await asyncio.gather(
            *(
                batcher.submit(
                    frame_of(picture(seed)),
                    Work(tasks[seed % 4], prompts, embed=True, regions=regions, traffic=list(Traffic)[seed % 2]),
                )
                for seed in range(8)
            )
        )
    for one, answers in zip(found, expected, strict=True):
        assert _rounded(one.answers) == _rounded(answers)
        assert one.batch > 1 and one.compute_ms > 0 and one.tokens > 0
    assert [vector.box for vector in found[0].vectors] == [None, regions[1], regions[0]], "the largest region first"
    np.testing.assert_allclose([vector.values for vector in found[0].vectors], vectors, atol=1e-5)
    assert all(one.caption == one.answers["<CAPTION>"]["text"] for one in found if "<CAPTION>" in one.answers)
    assert len(found[0].objects) == len(found[0].answers["<OD>"]["bboxes"])
    assert len(found[1].text) == len(found[1].answers["<OCR_WITH_REGION>"]["labels"])


def _rounded(value: Any) -> Any:
    """Scores differ in their last digits with the size of the batch."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return {key: _rounded(one) for key, one in value.items()} if isinstance(value, dict) else value


async def test_rows_of_any_length_share_the_slots_without_waiting_for_each_other(
    model: Florence2, layout: ScriptedLayout
) -> None:
    greys = [30, 1, 2, 30, 3, 1, 2, 1, 4, 2]
    async with MicroBatcher(model, None, max_images=4) as batcher:
        found = await captions(batcher, greys)
    assert [one.tokens for one in found] == [grey + 2 for grey in greys]
    assert max(layout.steps) == layout.slots
    assert len(layout.steps) <= 70, "one after another in four slots, not in batches that wait for their longest row"


async def test_pixels_are_dropped_as_soon_as_the_inputs_are_made(model: Florence2) -> None:
    frame = grey_frame(3)
    async with MicroBatcher(model, None) as batcher:
        await batcher.submit(frame, CAPTION)
    assert frame._rgb is None


async def test_nothing_asked_is_an_empty_answer(model: Florence2, layout: ScriptedLayout) -> None:
    async with MicroBatcher(model, None) as batcher:
        assert await batcher.submit(grey_frame(3), Work()) == Findings()
    assert layout.seen == []


async def test_nan_fails_its_own_frame_only(model: Florence2, layout: ScriptedLayout) -> None:
    async with MicroBatcher(model, None, max_images=4) as batcher:
        found = await captions(batcher, [3, NAN, 4, 5])
        assert batcher.healthy() is None
    assert isinstance(found[1], InferenceFailed) and "NaN" in str(found[1])
    assert [one.tokens for at, one in enumerate(found) if at != 1] == [5, 6, 7]
    assert sum(not clean for _, clean in layout.released) == 1, "its slot is cleaned before it is used again"


async def test_a_vector_of_nan_fails_its_own_frame_only(siglip: Siglip, monkeypatch: pytest.MonkeyPatch) -> None:
    embed = siglip.embed

    def poisoned(prepared: list[Pixels]) -> Any:
        vectors = embed(prepared)
        vectors[[look.mean() > 200 for look in prepared]] = np.nan
        return vectors

    monkeypatch.setattr(siglip, "embed", poisoned)
    async with MicroBatcher(None, siglip) as batcher:
        found = await captions(batcher, [10, 250, 20], Work(embed=True))
    assert [isinstance(one, InferenceFailed) for one in found] == [False, True, False]


async def test_no_memory_halves_the_batch_and_goes_on(
    model: Florence2, layout: ScriptedLayout, caplog: pytest.LogCaptureFixture
) -> None:
    layout.memory = 1
    with caplog.at_level(logging.WARNING):
        async with MicroBatcher(model, None, max_images=4, max_wait_s=0.2) as batcher:
            found = await captions(batcher, [1, 2, 3, 4, 5, 6])
            assert batcher.healthy() is None
    assert [one.tokens for one in found] == [3, 4, 5, 6, 7, 8]
    assert max(map(len, layout.seen)) == 1
    assert "vision: no memory for a batch of 4, going on with 2" in caplog.text
    assert "vision: no memory for a batch of 2, going on with 1" in caplog.text


async def test_no_memory_for_prompts_halves_their_batch(model: Florence2, layout: ScriptedLayout) -> None:
    layout.memory = 2
    work = Work(tasks=("<CAPTION>", "<OD>", "<OCR>"))
    async with MicroBatcher(model, None, max_images=1) as batcher:
        found = await captions(batcher, [2, 3], work)
    assert [one.tokens for one in found] == [12, 15]
    assert max(layout.admitted) <= 2


async def test_no_memory_for_one_picture_ends_everything(model: Florence2, layout: ScriptedLayout) -> None:
    layout.memory = 0
    async with MicroBatcher(model, None) as batcher:
        found = await captions(batcher, [1, 2])
        assert "not even a batch of 1" in (batcher.healthy() or "")
    assert all(type(one) is DeviceFailed for one in found)


async def test_an_embedding_batch_without_memory_is_halved(siglip: Siglip, monkeypatch: pytest.MonkeyPatch) -> None:
    embed, sizes = siglip.embed, []

    def small(prepared: list[Pixels]) -> Any:
        if len(prepared) > 2:
            raise OutOfMemory("scripted: no memory")
        sizes.append(len(prepared))
        return embed(prepared)

    monkeypatch.setattr(siglip, "embed", small)
    async with MicroBatcher(None, siglip, max_wait_s=0.2) as batcher:
        found = await captions(batcher, [1, 2, 3, 4, 5], Work(embed=True))
    assert all(len(one.vectors) == 1 for one in found)
    assert sum(sizes) == 5


async def test_a_call_that_hangs_fails_every_caller_and_is_unhealthy(model: Florence2, layout: ScriptedLayout) -> None:
    layout.hang.clear()
    async with MicroBatcher(model, None, deadline_s=0.05) as batcher:
        found = await captions(batcher, [1, 2, 3])
        assert all(type(one) is DeviceFailed and "vision has not returned" in str(one) for one in found)
        assert "the device hangs" in (batcher.healthy() or "")
        with pytest.raises(DeviceFailed, match="has not returned"):
            await batcher.submit(grey_frame(1), CAPTION)
    layout.hang.set()


async def test_an_error_nobody_foresaw_fails_every_caller(
    model: Florence2, layout: ScriptedLayout, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(layout, "step", lambda feeds, logits: 1 / 0)
    async with MicroBatcher(model, None) as batcher:
        found = await captions(batcher, [1, 2])
        assert "ZeroDivisionError" in (batcher.healthy() or "")
    assert all(type(one) is DeviceFailed for one in found)


async def test_a_frame_that_cannot_be_asked_about_is_refused_alone(model: Florence2) -> None:
    def broken() -> Pixels:
        raise BadMedia("half a picture")

    frame = grey_frame(1)
    frame.pixels = broken
    async with MicroBatcher(model, None) as batcher:
        with pytest.raises(InferenceFailed, match="tokens, this model takes"):
            await batcher.submit(
                grey_frame(1), Work(("<OPEN_VOCABULARY_DETECTION>",), {"<OPEN_VOCABULARY_DETECTION>": "x " * 700})
            )
        with pytest.raises(InferenceFailed, match="needs a text"):
            await batcher.submit(grey_frame(1), Work(("<OPEN_VOCABULARY_DETECTION>",)))
        with pytest.raises(Misconfigured, match="not a Florence-2 task"):
            await batcher.submit(grey_frame(1), Work(("<WHAT>",)))
        with pytest.raises(InferenceFailed, match="no model is loaded that embeds"):
            await batcher.submit(grey_frame(1), Work(embed=True))
        with pytest.raises(BadMedia, match="half a picture"):
            await batcher.submit(frame, CAPTION)
        assert (await batcher.submit(grey_frame(4), CAPTION)).tokens == 6


async def test_a_caller_that_gives_up_frees_its_place(model: Florence2, layout: ScriptedLayout) -> None:
    layout.hang.clear()
    async with MicroBatcher(model, None, max_images=1, max_bytes=4000) as batcher, asyncio.timeout(PATIENCE_S):
        first = asyncio.create_task(batcher.submit(grey_frame(1), CAPTION))
        while batcher._device.running() is None:
            await asyncio.sleep(0)
        second = asyncio.create_task(batcher.submit(grey_frame(2), CAPTION))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        layout.hang.set()
        assert (await first).tokens == 3
        assert (await batcher.submit(grey_frame(3), CAPTION)).tokens == 5
        assert batcher._budgets[Traffic.LIVE].used_bytes == 0
    assert [2] not in layout.seen


async def test_live_frames_are_preferred_and_uploads_are_not_starved(model: Florence2, layout: ScriptedLayout) -> None:
    layout.hang.clear()
    async with MicroBatcher(model, None, max_images=1) as batcher, asyncio.timeout(PATIENCE_S):
        tasks = [asyncio.create_task(batcher.submit(grey_frame(1), UPLOAD))]
        while batcher._device.running() is None:
            await asyncio.sleep(0)
        tasks += [asyncio.create_task(batcher.submit(grey_frame(2), UPLOAD)) for _ in range(10)]
        tasks += [asyncio.create_task(batcher.submit(grey_frame(3), CAPTION)) for _ in range(10)]
        while len(batcher._device._stages.describe) < 20:
            await asyncio.sleep(0)
        layout.hang.set()
        await asyncio.gather(*tasks)
    order = [greys[0] for greys in layout.seen]
    assert order[:11].count(3) == 8 and order[:11].count(2) == 2


async def test_long_uploads_leave_slots_for_live_frames(model: Florence2, layout: ScriptedLayout) -> None:
    async with MicroBatcher(model, None, max_images=4, max_wait_s=0.2) as batcher, asyncio.timeout(PATIENCE_S):
        uploads = [asyncio.create_task(batcher.submit(grey_frame(60), UPLOAD)) for _ in range(8)]
        await asyncio.gather(*uploads)
    assert max(layout.steps) == 3, "three of the four slots"


async def test_stopping_fails_what_is_left_and_what_comes_later(model: Florence2, layout: ScriptedLayout) -> None:
    async with MicroBatcher(model, None) as batcher:
        layout.hang.clear()
        left = asyncio.create_task(batcher.submit(grey_frame(1), CAPTION))
        while batcher._device.running() is None:
            await asyncio.sleep(0)
        layout.hang.set()
        batcher._device._stopping = True
    with pytest.raises(DeviceFailed, match="stopped"):
        await left
    with pytest.raises(DeviceFailed, match="stopped"):
        await batcher.submit(grey_frame(1), CAPTION)


def test_a_scheduler_without_models_is_refused() -> None:
    with pytest.raises(Misconfigured, match="needs a model"):
        MicroBatcher(None, None)


def test_the_models_are_named_with_their_hash(model: Florence2, siglip: Siglip) -> None:
    said = MicroBatcher(model, siglip).models
    assert said.names == {"describe": model.manifest.version, "embed": siglip.manifest.version}
    assert (said.demo, said.provider, said.precision) == (False, "CPUExecutionProvider", "fp32")


@pytest.mark.parametrize(("keep", "decoded"), [(True, 1), (False, 2)])
async def test_pixels_are_decoded_once_for_a_frame_of_which_more_is_asked(
    model: Florence2, siglip: Siglip, keep: bool, decoded: int
) -> None:
    frame, decodes, rgb = frame_of(picture(1)), [], picture(1)
    frame.pixels = lambda: (decodes.append(1), rgb)[1]
    async with MicroBatcher(model, siglip) as batcher, asyncio.timeout(PATIENCE_S):
        found = await batcher.submit(frame, Work(embed=True, keep=keep))
        await batcher.submit(frame, CAPTION)
    assert len(decodes) == decoded
    assert frame._rgb is None, "nothing keeps the pixels after the last work"
    assert {vector.model for vector in found.vectors} == {siglip.manifest.version}
