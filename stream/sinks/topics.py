"""The Kafka sinks: observations and alerts onto their topics, events onto the input topics.

Publishers are FastStream's, so its middlewares see every record. The broker object is the caller's: started before the
first write and closed after the last one. It should have an idempotent producer (`acks="all",
enable_idempotence=True`) and no compression; keys are partitioned by murmur2, aiokafka's default.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, cast

from aiokafka import errors as kafka

from stream import wire
from stream.errors import BrokerUnavailable, Misconfigured, SeestreamError
from stream.types import Alert, Event, FrameEvent, Observation

if TYPE_CHECKING:
    from faststream.kafka import KafkaBroker
    from faststream.kafka.publisher import DefaultPublisher

    from stream.sinks.blobs import Blobs

log = logging.getLogger(__name__)

INLINE_BYTES = 900_000
"""Largest value put into a record: brokers take 1 MiB by default, headers and key included."""


class ObservationTopic:
    """The sink that puts observations on `detections` (key: source) and alerts on `alerts` (key: rule).

    A record that the broker has not acknowledged in time stays with the producer, which sends it as soon as it can (an
    idempotent producer never gives up). So a repeated write waits for it and does not send it a second time.
    """

    def __init__(
        self,
        broker: KafkaBroker,
        detections_topic: str,
        alerts_topic: str,
        *,
        vectors: bool = False,
        timeout_s: float = 30.0,
    ) -> None:
        """`vectors` puts the vectors' values on the topic too. `timeout_s` bounds one write."""
        shapes = _shapes()
        self._detections = broker.publisher(
            detections_topic,
            title=detections_topic,
            schema=shapes.ObservationJson,
            description="Observations, keyed by source.",
        )
        self._alerts = broker.publisher(
            alerts_topic, title=alerts_topic, schema=shapes.AlertJson, description="Alerts, keyed by rule."
        )
        self._topics = (detections_topic, alerts_topic)
        self._vectors = vectors
        self._timeout_s = timeout_s
        self._under_way: dict[tuple[str, str], asyncio.Future[Any]] = {}

    async def write(self, observations: Sequence[Observation], alerts: Sequence[Alert]) -> None:
        """Returns when the broker has acknowledged every record. Records of one key keep their order.

        Raises: BrokerUnavailable; Misconfigured, where the broker will never take such a record.
        """
        detections_topic, alerts_topic = self._topics
        wanted: list[tuple[tuple[str, str], DefaultPublisher, wire.Outgoing]] = []
        encoded = await asyncio.to_thread(self._encode_all, observations, detections_topic)
        for observation, outgoing in zip(observations, encoded, strict=True):
            wanted.append(((detections_topic, observation.id), self._detections, outgoing))
        for alert in alerts:
            wanted.append(((alerts_topic, alert.id), self._alerts, wire.encode_alert(alert, alerts_topic)))
        try:
            async with asyncio.timeout(self._timeout_s):
                for identity, publisher, outgoing in wanted:
                    if self._needs_sending(identity):
                        self._under_way[identity] = await _send(publisher, outgoing)
                mine = {identity: self._under_way[identity] for identity, _, _ in wanted}
                if mine:
                    await asyncio.wait(mine.values())  # does not cancel them when the time is up
        except TimeoutError as error:
            topics = " and ".join(sorted({topic for topic, _ in (identity for identity, _, _ in wanted)}))
            raise BrokerUnavailable(
                f"Kafka did not acknowledge records of {topics} within {self._timeout_s:g} s"
            ) from error
        for identity in mine:
            self._under_way.pop(identity, None)
        failed = [(identity[0], future.exception()) for identity, future in mine.items() if future.exception()]
        if failed:
            topic, cause = failed[0]
            raise _ours(cast(BaseException, cause), topic) from cause

    def _needs_sending(self, identity: tuple[str, str]) -> bool:
        """Whether no earlier write left this record with the producer, or left it there and it failed."""
        earlier = self._under_way.get(identity)
        if earlier is None:
            return True
        return earlier.done() and (earlier.cancelled() or earlier.exception() is not None)

    def _encode_all(self, observations: Sequence[Observation], topic: str) -> list[wire.Outgoing]:
        """On a thread: it makes the pictures' digests."""
        return [self._encode(observation, topic) for observation in observations]

    def _encode(self, observation: Observation, topic: str) -> wire.Outgoing:
        outgoing = wire.encode_observation(observation, topic, self._vectors)
        if len(outgoing.value or b"") <= INLINE_BYTES:
            return outgoing
        log.warning("observation %s is too large for a record: its long texts are cut there", observation.id)
        return wire.encode_observation(_cut(observation), topic)


class EventPublisher:
    """Puts frames and file events on the input topics; a `types.Publisher`.

    A picture of more than `inline_bytes` is put into `blobs` and sent by reference.
    """

    def __init__(
        self,
        broker: KafkaBroker,
        frames_topic: str,
        files_topic: str,
        blobs: Blobs | None = None,
        *,
        inline_bytes: int = INLINE_BYTES,
        timeout_s: float = 30.0,
    ) -> None:
        self._frames = broker.publisher(frames_topic, title=f"{frames_topic}:publish", schema=bytes)
        self._files = broker.publisher(files_topic, title=f"{files_topic}:publish", schema=_shapes().FileEventJson)
        self._topics = (frames_topic, files_topic)
        self._blobs = blobs
        self._inline_bytes = inline_bytes
        self._timeout_s = timeout_s

    async def publish(self, event: Event) -> None:
        """Returns when the broker has acknowledged.

        Raises: BrokerUnavailable; Unavailable, when the blob folder refuses; Misconfigured, for a large picture without
        a blob folder, or where the broker will never take such a record.
        """
        is_frame = isinstance(event, FrameEvent)
        topic = self._topics[0 if is_frame else 1]
        if isinstance(event, FrameEvent) and len(event.image or b"") > self._inline_bytes:
            event = await self._by_reference(event)
        outgoing = wire.encode_event(event, topic)
        try:
            async with asyncio.timeout(self._timeout_s):
                future = await _send(self._frames if is_frame else self._files, outgoing)
                await asyncio.shield(future)
        except TimeoutError as error:
            raise BrokerUnavailable(
                f"Kafka did not acknowledge a record of {topic} within {self._timeout_s:g} s"
            ) from error
        except kafka.KafkaError as error:
            raise _ours(error, topic) from error

    async def _by_reference(self, event: FrameEvent) -> FrameEvent:
        image = event.image or b""
        if self._blobs is None:
            raise Misconfigured(
                f"a picture of {event.source} has {len(image)} bytes, more than the {self._inline_bytes} that fit into"
                " a record, and there is no folder for larger ones: set `blobs`, or lower the camera's quality"
            )
        uri = await asyncio.to_thread(self._blobs.put, image, wire.image_type(image))
        return dataclasses.replace(event, image=None, uri=uri)


async def _send(publisher: DefaultPublisher, outgoing: wire.Outgoing) -> asyncio.Future[Any]:
    """Hands a record to the producer; the future is the broker's acknowledgement."""
    headers = {name: (value or b"").decode() for name, value in outgoing.headers}
    try:
        acknowledged = await publisher.publish(
            outgoing.value,
            key=outgoing.key,
            headers=headers,
            correlation_id=headers.get("ce_id"),  # else FastStream draws a random one for each record
            timestamp_ms=outgoing.timestamp_ms,
            no_confirm=True,
        )
    except kafka.KafkaError as error:
        raise _ours(error, outgoing.topic) from error
    future = asyncio.ensure_future(cast(Awaitable[Any], acknowledged))
    future.add_done_callback(_seen)
    return future


def _seen(future: asyncio.Future[Any]) -> None:
    """Marks a failure as looked at: nobody may be waiting any more when it comes."""
    if not future.cancelled():
        future.exception()


def _ours(error: BaseException, topic: str) -> SeestreamError | BaseException:
    """A Kafka client's error as one of ours; anything else as it is."""
    if isinstance(error, kafka.TopicAuthorizationFailedError | kafka.ClusterAuthorizationFailedError):
        return Misconfigured(f"Kafka does not let this user write to {topic}: grant WRITE and IDEMPOTENT_WRITE")
    if isinstance(error, kafka.InvalidTopicError):
        return Misconfigured(f"Kafka refuses the topic name {topic!r}: choose another in the settings")
    if isinstance(error, kafka.MessageSizeTooLargeError):
        return Misconfigured(
            f"a record for {topic} is larger than the broker takes: raise max.message.bytes of the topic to 1 MiB"
        )
    if isinstance(error, kafka.UnknownTopicOrPartitionError):
        return BrokerUnavailable(f"Kafka has no topic {topic} and does not create it by itself: create it")
    if isinstance(error, kafka.KafkaError):
        return BrokerUnavailable(f"Kafka does not take records of {topic}: {type(error).__name__}: {error}")
    return error


def _cut(observation: Observation) -> Observation:
    """Without vectors, and with transcript, caption and read text cut so that it fits into a record."""
    kept, room = [], 200_000  # characters; a character takes up to 4 bytes, escaped 6
    for read in observation.text:
        room -= len(read.text) + 200  # its quad and score
        if room < 0:
            break
        kept.append(read)
    return dataclasses.replace(
        observation,
        vectors=(),
        text=tuple(kept),
        objects=observation.objects[:500],
        caption=(observation.caption or "")[:2_000] or None,
        transcript=(observation.transcript or "")[:50_000] or None,
    )


def _shapes() -> Any:
    """The wire types, for the AsyncAPI document. Imported here: they bring pydantic."""
    from stream.wire import shapes

    return shapes
