"""The Kafka sinks, the same over the embedded broker and a real one."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import threading
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiokafka
import pytest
from faststream.kafka import KafkaBroker

from stream import wire
from stream.app.embedded import EmbeddedBroker
from stream.errors import BrokerUnavailable, Misconfigured
from stream.sinks import Blobs, EventPublisher, ObservationTopic
from stream.sinks.topics import INLINE_BYTES
from stream.types import FileEvent, FrameEvent, Record, Sink, TextRead
from tests.services.kafka import Kafka
from tests.sinks.made import MODEL, START, Noted, alert, axis, observation, vector

JPEG = b"\xff\xd8\xff\xe0 picture"


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
async def bootstrap(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "kafka":
        server: Kafka = request.getfixturevalue("kafka")
        yield server.bootstrap
        return
    async with EmbeddedBroker(tmp_path / "broker", {}, journal=False) as embedded:
        yield embedded.bootstrap


@pytest.fixture
async def broker(bootstrap: str) -> AsyncIterator[KafkaBroker]:
    async with connected(bootstrap) as started:
        yield started


def connected(bootstrap: str) -> KafkaBroker:
    """As the product connects, but not started."""
    return KafkaBroker(
        bootstrap, acks="all", enable_idempotence=True, linger_ms=5, max_request_size=2 << 20, logger=None
    )


def topic() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


async def read(bootstrap: str, name: str, count: int) -> list[Record]:
    """The first `count` records of a topic, by partition and offset."""
    consumer = aiokafka.AIOKafkaConsumer(name, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        found: list[Record] = []
        async with asyncio.timeout(30):
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += [
                        Record(r.topic, r.partition, r.offset, r.key, r.value, tuple(r.headers), START) for r in records
                    ]
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()


async def length(bootstrap: str, name: str) -> int:
    """How many records a topic has."""
    consumer = aiokafka.AIOKafkaConsumer(name, bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        return sum((await consumer.end_offsets(consumer.assignment())).values())
    finally:
        await consumer.stop()


def headers(record: Record) -> dict[str, bytes | None]:
    return dict(record.headers)


async def test_the_pictures_digest_is_made_on_a_thread(bootstrap: str, broker: KafkaBroker) -> None:
    digest, detections = Noted(b"picture"), topic()
    one = observation()
    one = dataclasses.replace(one, provenance=dataclasses.replace(one.provenance, sha256=digest))
    await ObservationTopic(broker, detections, topic()).write([one], [])
    assert digest.threads and threading.main_thread() not in digest.threads
    (record,) = await read(bootstrap, detections, 1)
    seen = wire.parse_observation(record.value or b"")
    assert str(seen.provenance.sha256) == hashlib.sha256(b"picture").hexdigest()


async def test_observations_and_alerts_are_on_their_topics(broker: KafkaBroker, bootstrap: str) -> None:
    detections, alerts = topic(), topic()
    sink: Sink = ObservationTopic(broker, detections, alerts)
    seen, raised = observation(source="Garage Süd", vectors=(vector(0),)), alert()
    await sink.write([seen], [raised])
    (record,) = await read(bootstrap, detections, 1)
    assert record.key == "Garage Süd".encode()
    assert wire.parse_observation(record.value or b"") == dataclasses.replace(seen, vectors=())
    assert headers(record)["ce_id"] == seen.id.encode()
    assert headers(record)["ce_source"] == "Garage Süd".encode()
    assert headers(record)["ce_type"] == b"seestream.observation.v1"
    assert headers(record)["content-type"] == b"application/json"
    assert headers(record)["correlation_id"] == seen.id.encode()  # FastStream's; the same for a record written again
    (record,) = await read(bootstrap, alerts, 1)
    assert record.key == b"night-car"
    assert wire.parse_alert(record.value or b"") == raised


async def test_vectors_travel_only_where_they_are_asked_for(broker: KafkaBroker, bootstrap: str) -> None:
    detections = topic()
    await ObservationTopic(broker, detections, topic(), vectors=True).write([observation(vectors=(vector(3),))], [])
    (record,) = await read(bootstrap, detections, 1)
    (found,) = wire.parse_observation(record.value or b"").vectors
    assert found.model == MODEL
    assert float(found.values @ axis(3)) > 0.999


async def test_a_source_keeps_its_order(broker: KafkaBroker, bootstrap: str) -> None:
    detections = topic()
    sink = ObservationTopic(broker, detections, topic())
    rows = [observation(n) for n in range(300)]
    for first in range(0, 300, 100):
        await sink.write(rows[first : first + 100], [])
    records = await read(bootstrap, detections, 300)
    assert len({record.partition for record in records}) == 1
    assert [headers(record)["ce_id"] for record in records] == [row.id.encode() for row in rows]


async def test_writing_again_is_the_same_record_again(broker: KafkaBroker, bootstrap: str) -> None:
    detections = topic()
    sink = ObservationTopic(broker, detections, topic())
    await sink.write([observation()], [])
    await sink.write([observation()], [])
    first, second = await read(bootstrap, detections, 2)
    assert (first.key, first.value, headers(first)["ce_id"]) == (second.key, second.value, headers(second)["ce_id"])


async def test_an_observation_that_fits_into_no_record_is_cut(broker: KafkaBroker, bootstrap: str) -> None:
    detections = topic()
    huge = observation(text=tuple(TextRead("ä" * 500, 0.5) for _ in range(2_000)), transcript="wörd " * 300_000)
    await ObservationTopic(broker, detections, topic(), vectors=True).write([huge, observation(1)], [])
    records = {headers(record)["ce_id"]: record for record in await read(bootstrap, detections, 2)}
    value = records[huge.id.encode()].value or b""
    assert len(value) < INLINE_BYTES
    cut = wire.parse_observation(value)
    assert (cut.id, cut.objects, cut.caption) == (huge.id, huge.objects, huge.caption)
    assert 0 < len(cut.text) < len(huge.text)


async def test_events_are_published_as_they_parse(broker: KafkaBroker, bootstrap: str) -> None:
    frames, files = topic(), topic()
    publisher = EventPublisher(broker, frames, files)
    frame = FrameEvent("f1", "garage", START, image=JPEG)
    file = FileEvent("e1", "uploads", "file:///a/b.mp4", "video/mp4", 5, START)
    await publisher.publish(frame)
    await publisher.publish(file)
    (record,) = await read(bootstrap, frames, 1)
    assert dataclasses.replace(wire.parse_frame(record), record=None) == frame
    (record,) = await read(bootstrap, files, 1)
    assert [dataclasses.replace(event, record=None) for event in wire.parse_files(record)] == [file]


async def test_a_large_picture_goes_by_reference(broker: KafkaBroker, bootstrap: str, tmp_path: Path) -> None:
    frames = topic()
    blobs = Blobs(tmp_path / "blobs")
    publisher = EventPublisher(broker, frames, topic(), blobs)
    small, large = JPEG + bytes(INLINE_BYTES - len(JPEG)), JPEG + bytes(INLINE_BYTES)
    await publisher.publish(FrameEvent("small", "garage", START, image=small))
    await publisher.publish(FrameEvent("large", "garage", START, image=large))
    events = {event.id: event for event in map(wire.parse_frame, await read(bootstrap, frames, 2))}
    assert (events["small"].image, events["small"].uri) == (small, None)
    assert events["large"].image is None
    assert blobs.get(events["large"].uri or "") == large


async def test_a_large_picture_without_a_blob_folder_says_what_to_do(broker: KafkaBroker) -> None:
    publisher = EventPublisher(broker, topic(), topic(), inline_bytes=10)
    with pytest.raises(Misconfigured, match="set `blobs`"):
        await publisher.publish(FrameEvent("large", "garage", START, image=JPEG))


async def test_keys_are_partitioned_as_java_does(kafka: Kafka) -> None:
    """murmur2 of `garage`, `porch` and `Süd` over 12 partitions, as Kafka's own Utils.murmur2 gives it."""
    name = kafka.create_topic(topic(), 12)
    async with connected(kafka.bootstrap) as real:
        sink = ObservationTopic(real, name, topic())
        sources = ["garage", "porch", "Süd"]
        await sink.write([observation(n, source=source) for n, source in enumerate(sources)], [])
    partitions = {(r.key or b"").decode(): r.partition for r in await read(kafka.bootstrap, name, 3)}
    assert partitions == {source: murmur2(source.encode()) % 12 for source in sources}


def murmur2(data: bytes) -> int:
    """org.apache.kafka.common.utils.Utils.murmur2, made positive; written from its Java source."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    for at in range(0, len(data) - 3, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    tail = data[len(data) & ~3 :]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7FFFFFFF


async def test_a_broker_that_went_away(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        embedded = await stack.enter_async_context(EmbeddedBroker(tmp_path, {}, journal=False))
        broker = await stack.enter_async_context(connected(embedded.bootstrap))
        await embedded.__aexit__(None, None, None)
        sink = ObservationTopic(broker, topic(), topic(), timeout_s=0.3)
        with pytest.raises(BrokerUnavailable):
            await sink.write([observation()], [])
        with pytest.raises(BrokerUnavailable):
            await EventPublisher(broker, topic(), topic(), timeout_s=0.3).publish(
                FrameEvent("f", "garage", START, image=JPEG)
            )


async def test_a_frozen_broker_is_waited_for_and_gets_each_record_once(kafka: Kafka) -> None:
    name = kafka.create_topic(topic(), 3)
    rows = [observation(n, source=f"camera-{n}") for n in range(20)]
    async with connected(kafka.bootstrap) as broker:
        sink = ObservationTopic(broker, name, topic(), timeout_s=0.5)
        await sink.write(rows[:1], [])
        kafka.freeze()
        try:
            for _ in range(3):  # as the outbox does
                with pytest.raises(BrokerUnavailable, match=r"within 0\.5 s"):
                    await sink.write(rows[1:], [])
        finally:
            kafka.thaw()
        await write_until_taken(sink, rows[1:])
    assert await length(kafka.bootstrap, name) == 20
    records = await read(kafka.bootstrap, name, 20)
    assert sorted(headers(record)["ce_id"] or b"" for record in records) == sorted(row.id.encode() for row in rows)


async def write_until_taken(sink: ObservationTopic, rows: Sequence[object]) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await sink.write(rows, [])  # type: ignore[arg-type]
            except BrokerUnavailable:
                continue
            return
