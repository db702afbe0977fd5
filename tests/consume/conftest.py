"""Fixtures: a broker of either kind, and the product's connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stream.app.embedded import EmbeddedBroker
from tests.consume.harness import Bench, opened


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """An open connection with topics of its own, on the embedded broker and on a real Kafka."""
    if request.param == "kafka":
        kafka = request.getfixturevalue("kafka")
        async with opened(kafka.bootstrap) as found:
            kafka.create_topic(found.topic, 4)
            for topic in (found.dead, found.ledger):
                kafka.create_topic(topic, 2)
            yield found
    else:
        async with EmbeddedBroker(tmp_path, journal=False) as embedded, opened(embedded.bootstrap) as found:
            yield found


@pytest.fixture
async def real(kafka: object) -> AsyncIterator[Bench]:
    """The same on a real Kafka only, for what the embedded broker cannot do."""
    async with opened(kafka.bootstrap) as found:  # type: ignore[attr-defined]
        found.kafka = kafka
        kafka.create_topic(found.topic, 4)  # type: ignore[attr-defined]
        for topic in (found.dead, found.ledger):
            kafka.create_topic(topic, 2)  # type: ignore[attr-defined]
        yield found
