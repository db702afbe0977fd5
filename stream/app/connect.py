"""Getting to the broker: the embedded one is started, another's topics are made."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from stream import errors
from stream.app import service

if TYPE_CHECKING:
    from stream.config import Settings


async def bootstrap_of(settings: Settings, stack: AsyncExitStack) -> str:
    if settings.kafka.bootstrap != "embedded":
        return settings.kafka.bootstrap
    from stream.app.embedded import EmbeddedBroker

    embedded = await stack.enter_async_context(EmbeddedBroker(settings.data_dir))
    return embedded.bootstrap


async def start(app: Any, bootstrap: str, stack: AsyncExitStack) -> None:
    from aiokafka.errors import KafkaError

    started = asyncio.Event()
    app.after_startup(started.set)
    try:
        # The context is entered before the broker object is connected; the hook says when it is.
        await stack.enter_async_context(app.start_lifespan_context())
        await started.wait()
    except (KafkaError, OSError, TimeoutError) as error:
        raise errors.BrokerUnavailable(f"no Kafka broker answers at {bootstrap}: {error}") from error


async def ensure_topics(settings: Settings, bootstrap: str) -> None:
    """Creates the topics that are not there; a broker that does not allow it may have them already."""
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic
    from aiokafka.errors import KafkaError, TopicAlreadyExistsError

    kafka = settings.kafka
    if kafka.bootstrap == "embedded":
        return
    names = (kafka.frames, kafka.files, kafka.detections, kafka.alerts, kafka.dead_letters, kafka.ledger)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **service.client_arguments(settings))
    try:
        await admin.start()
        there = set(await admin.list_topics())
        missing = [NewTopic(name, kafka.partitions, kafka.replication) for name in names if name not in there]
        if missing:
            await admin.create_topics(missing)
    except TopicAlreadyExistsError:
        pass
    except KafkaError as error:
        raise errors.BrokerUnavailable(f"cannot see or create the topics at {bootstrap}: {error}") from error
    finally:
        await admin.close()
