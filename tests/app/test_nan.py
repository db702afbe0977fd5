"""A model that gives NaN, at the whole process: a dead letter, nothing published, and the neighbours go through."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from PIL import Image

from stream import config, wire
from stream.app.worker import open_worker
from stream.infer.scheduler import MicroBatcher
from stream.infer.siglip import Siglip
from stream.types import Outcome, Pixels
from tests import PATIENCE_S
from tests.app.test_bad_input import Ends, reason
from tests.infer.scripted import NAN, ScriptedLayout, scripted

GOLDENS = Path(__file__).resolve().parents[1] / "infer" / "goldens"
NAN_VECTOR = 200
"""A picture of this grey makes the image tower give NaN."""
GREYS = (3, NAN, 4, NAN_VECTOR, 5)


def png(grey: int) -> bytes:
    """Without loss: the grey says what the models do."""
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), (grey, grey, grey)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def siglip(monkeypatch: pytest.MonkeyPatch) -> Siglip:
    model = Siglip.load(GOLDENS / "siglip", provider="cpu", threads=1)
    embed = model.embed

    def poisoned(prepared: list[Pixels]) -> Any:
        vectors = embed(prepared)
        vectors[[look.mean() == NAN_VECTOR for look in prepared]] = np.nan
        return vectors

    monkeypatch.setattr(model, "embed", poisoned)
    return model


async def everything_on(bootstrap: str, topic: str) -> list[Any]:
    """All records of a topic, up to the ends it has now."""
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        found: list[Any] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < sum(ends.values()):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
    return found


async def test_nan_is_one_dead_letter_each_and_nothing_of_it_is_published(tmp_path: Path, siglip: Siglip) -> None:
    model = scripted(ScriptedLayout(), GOLDENS / "florence2")
    settings = config.load(data_dir=tmp_path, gate={"enabled": False}, models={"tasks": ["<CAPTION>"]})
    ends, roles = Ends(), frozenset({"process"})
    async with MicroBatcher(model, siglip) as batcher, open_worker(settings, roles, lambda _: ends, batcher) as worker:
        task = asyncio.create_task(worker.run())
        async with AIOKafkaProducer(bootstrap_servers=worker.bootstrap) as producer:
            for grey in GREYS:
                await producer.send_and_wait(settings.kafka.frames, png(grey), b"yard")
        async with asyncio.timeout(PATIENCE_S):
            while len(ends.outcomes) < len(GREYS) and not task.done():
                await asyncio.sleep(0.02)
        assert not task.done(), "NaN in one picture is no reason to end the process"
        assert batcher.healthy() is None
        dead = await everything_on(worker.bootstrap, settings.kafka.dead_letters)
        published = await everything_on(worker.bootstrap, settings.kafka.detections)
        assert worker.store is not None
        stored = [one.id for one in await worker.store.recent()]
        worker.stop.set()
        await task
    assert sorted(outcome for _, outcome in ends.outcomes) == sorted([Outcome.DEAD] * 2 + [Outcome.PROCESSED] * 3)
    assert sorted(letter.value for letter in dead) == sorted(png(grey) for grey in (NAN, NAN_VECTOR))
    assert all("NaN" in reason(letter) for letter in dead)
    seen = [wire.parse_observation(record.value) for record in published]
    assert sorted(one.id for one in seen) == sorted(stored) and len(seen) == 3
    assert all(np.isfinite(vector.values).all() for one in seen for vector in one.vectors)
