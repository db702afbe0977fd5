"""`seestream tail TOPIC`: follow a topic readably, without joining a group, so that nothing is taken from anybody."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stream import errors
from stream.app import common, service

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, TopicPartition

    from stream.config import Settings
    from stream.types import Record

TOPICS = ("detections", "alerts", "ledger", "dead-letters", "frames", "files")
_POLL_MS = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which topic, from when, and how to print it."""
    common.add_settings_arguments(parser)
    parser.add_argument("topic", metavar="TOPIC", help=f"{', '.join(TOPICS)}, or the name of any other topic")
    parser.add_argument("--since", metavar="WHEN", help="begin earlier: 30m, 2h, 7d ago, a date, or `start`")
    parser.add_argument("--once", action="store_true", help="end at the topic's present end instead of waiting")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Prints record after record until Ctrl-C. Raises: Misconfigured, BrokerUnavailable."""
    common.set_up_logging("WARNING", ends=args.once)
    settings = common.settings_of(args)
    since = _since(args.since or ("start" if args.once else None), datetime.now(UTC))
    kind, topic = topic_of(settings, args.topic)
    asyncio.run(follow(settings, topic, since, printer(kind, args.json), once=args.once))
    return 0


def topic_of(settings: Settings, name: str) -> tuple[str, str]:
    """Which of our topics is meant, by our name or by the settings' one, and the settings' name; others as they are."""
    ours = {kind: str(getattr(settings.kafka, kind.replace("-", "_"))) for kind in TOPICS}
    if name in ours:
        return name, ours[name]
    return next((kind for kind, topic in ours.items() if topic == name), name), name


def _since(text: str | None, now: datetime) -> datetime | None:
    from stream.web import BadAsk, parse_time

    if text == "start":
        return datetime.fromtimestamp(0, UTC)
    try:
        return None if text is None else parse_time(text, now)
    except BadAsk as error:
        raise errors.Misconfigured(f"--since: {error}, or start") from error


def printer(kind: str, as_json: bool) -> Callable[[Record], None]:
    """Writes a record to stdout: JSON, or a line in colours where stdout is a terminal."""
    from stream.app import records

    if as_json:

        def write_json(record: Record) -> None:
            sys.stdout.write(records.json_line(kind, record) + "\n")
            sys.stdout.flush()

        return write_json
    from rich.console import Console

    console = Console(highlight=False)

    def write_line(record: Record) -> None:
        # Long lines run on: a terminal folds them, and grep finds all of them in one piece.
        console.print(records.line(kind, record), soft_wrap=True)

    return write_line


async def follow(
    settings: Settings, topic: str, since: datetime | None, show: Callable[[Record], None], *, once: bool = False
) -> None:
    """Shows records as they come: new ones only, or all that the log took since then.

    Raises: Misconfigured for a topic that is not there, BrokerUnavailable.
    """
    from aiokafka.errors import KafkaError

    bootstrap = service.bootstrap_of(settings)
    try:
        async with _consumer(settings, bootstrap) as consumer:
            parts = await _assign(consumer, topic)
            await _seek(consumer, parts, since, by_time=settings.kafka.bootstrap != "embedded")
            ends = await consumer.end_offsets(parts) if once else {}
            while not (once and await _at_end(consumer, ends)):
                for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                    for found in records:
                        record = record_of(found)
                        if since is None or record.timestamp >= since:
                            show(record)
    except (KafkaError, OSError, TimeoutError) as error:
        raise errors.BrokerUnavailable(f"the Kafka broker at {bootstrap} does not answer: {error}") from error


@asynccontextmanager
async def _consumer(settings: Settings, bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Without a group: it commits nothing and moves nobody's partitions."""
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id="seestream-tail",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        # The embedded broker does not wake a waiting fetch.
        fetch_max_wait_ms=50 if settings.kafka.bootstrap == "embedded" else 500,
        **service.client_arguments(settings),
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def _assign(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    from aiokafka import TopicPartition

    there = await consumer.topics()
    if topic not in there:
        known = ", ".join(sorted(name for name in there if not name.startswith("__"))) or "none"
        raise errors.Misconfigured(f"there is no topic {topic!r} yet; topics: {known}")
    # Its own metadata has no partitions of a topic that it was never told of.
    cluster = await consumer._client.fetch_all_metadata()
    parts = [TopicPartition(topic, number) for number in sorted(cluster.partitions_for_topic(topic) or ())]
    consumer.assign(parts)
    return parts


async def _seek(
    consumer: AIOKafkaConsumer, parts: Sequence[TopicPartition], since: datetime | None, *, by_time: bool
) -> None:
    """`by_time` False reads all there is where the broker cannot look times up; what is too old is then not shown."""
    if since is None:
        await consumer.seek_to_end(*parts)
        return
    await consumer.seek_to_beginning(*parts)
    if not by_time or since.timestamp() <= 0:
        return
    found = await consumer.offsets_for_times({part: int(since.timestamp() * 1000) for part in parts})
    ends = await consumer.end_offsets(parts)
    for part in parts:
        entry = found.get(part)
        consumer.seek(part, ends[part] if entry is None else entry.offset)


async def _at_end(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    return all([await consumer.position(part) >= end for part, end in ends.items()])


def record_of(found: Any) -> Record:
    """aiokafka's record as ours."""
    from stream.types import Record

    return Record(
        topic=found.topic,
        partition=found.partition,
        offset=found.offset,
        key=found.key,
        value=found.value,
        headers=tuple(found.headers),
        timestamp=datetime.fromtimestamp(max(0, found.timestamp) / 1000, UTC),
    )
