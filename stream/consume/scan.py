"""Reading a topic from beginning to end, and a group's offsets, without joining it: for audit and dead letters."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from stream.consume.audit import Place
from stream.consume.pump import record_of
from stream.errors import BrokerUnavailable
from stream.types import Record

_NOT_YET = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)
_TRIES, _RETRY_S = 40, 0.25


async def scan(bootstrap: str, topic: str, client: Mapping[str, Any] | None = None) -> AsyncIterator[Record]:
    """Every record that is in the topic now, in log order per partition; none where there is no such topic.

    `client` is security and the like, as aiokafka names it. Raises: BrokerUnavailable.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=50, **(client or {})
    )
    try:
        await consumer.start()
        async for record in _read(consumer, topic):
            yield record
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerUnavailable(f"cannot read topic {topic!r} at {bootstrap}: {error}") from error
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, topic: str) -> AsyncIterator[Record]:
    # A consumer that is subscribed to nothing has no topic's partitions in its own metadata.
    cluster = await consumer._client.fetch_all_metadata()
    tps = [TopicPartition(topic, number) for number in sorted(cluster.partitions_for_topic(topic) or ())]
    if not tps:
        return
    consumer.assign(tps)
    ends = await consumer.end_offsets(tps)
    left = {tp for tp in tps if ends[tp] > 0}
    while left:
        for tp, records in (await consumer.getmany(*left, timeout_ms=200)).items():
            for record in records:
                if record.offset < ends[tp]:
                    yield record_of(record)
        left = {tp for tp in left if await consumer.position(tp) < ends[tp]}


async def committed_offsets(
    bootstrap: str, places: Iterable[Place], client: Mapping[str, Any] | None = None
) -> dict[Place, int]:
    """What is committed at these places; those without a commit are left out. Raises: BrokerUnavailable."""
    by_group: dict[str, list[TopicPartition]] = defaultdict(list)
    for group, topic, partition in places:
        by_group[group].append(TopicPartition(topic, partition))
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **(client or {}))
    try:
        await admin.start()
        # Named one by one: the embedded broker has no answer for all partitions of a group.
        found = {group: await _offsets_of(admin, group, tps) for group, tps in by_group.items()}
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerUnavailable(f"cannot read committed offsets at {bootstrap}: {error}") from error
    finally:
        await admin.close()
    return {
        (group, tp.topic, tp.partition): place.offset
        for group, offsets in found.items()
        for tp, place in offsets.items()
        if place.offset >= 0
    }


async def _offsets_of(admin: AIOKafkaAdminClient, group: str, tps: list[TopicPartition]) -> Any:
    """A broker that has just started has no coordinator for a group at first: asked again for a while."""
    tries = 0
    while True:
        try:
            return await admin.list_consumer_group_offsets(group, partitions=tps)
        except _NOT_YET:
            tries += 1
            if tries > _TRIES:
                raise
            await asyncio.sleep(_RETRY_S)
