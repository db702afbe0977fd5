"""Where this room reaches behind the public names of aiokafka and FastStream, all in one place.

Neither library shows the group's generation, the metadata of a commit, or the raw producer of a broker; the tests of
this room hold every name used here on the pinned versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from faststream.kafka import KafkaBroker

from stream.errors import BrokerUnavailable


def producer(broker: KafkaBroker) -> AIOKafkaProducer:
    """The producer below a started broker: its headers are bytes and may repeat, which FastStream's cannot.

    Raises: BrokerUnavailable, where the broker object is not started.
    """
    state: Any = broker.config.producer
    if not state:
        raise BrokerUnavailable("the Kafka client is not started")
    return state._producer.producer


def generation(consumer: AIOKafkaConsumer) -> int:
    """The group generation this member is in; -1 while it is in none. A commit is fenced by it."""
    return int(consumer._coordinator.generation)


async def committed(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """Committed offsets with their metadata; partitions without one are left out."""
    found: dict[TopicPartition, OffsetAndMetadata] = await consumer._coordinator.fetch_committed_offsets(partitions)
    return found


def position(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """The next offset that will be fetched, without waiting; None while it is not known."""
    subscription = consumer._subscription.subscription
    assignment = None if subscription is None else subscription.assignment
    state = None if assignment is None else assignment.state_value(partition)
    return state.position if state is not None and state.has_valid_position else None
