"""Getting to the broker: the embedded one is started, another's topics are made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
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


@asynccontextmanager
async def started(app: Any, bootstrap: str) -> AsyncIterator[None]:
    """The application's lifespan, entered until the broker object is connected. Raises: BrokerUnavailable."""
    from aiokafka.errors import KafkaError

    connected = asyncio.Event()
    app.after_startup(connected.set)
    try:
        async with app.start_lifespan_context():
            await connected.wait()  # the context is entered before the broker object is connected
            yield
    except (KafkaError, OSError, TimeoutError) as error:
        if connected.is_set():
            raise
        raise service.no_broker(bootstrap, error) from error


async def ensure_topics(settings: Settings, bootstrap: str) -> None:
    """Creates the topics that are not there: the first that is asked of the broker. Raises: BrokerUnavailable."""
    from aiokafka.admin import NewTopic
    from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

    kafka = settings.kafka
    if kafka.bootstrap == "embedded":
        return
    try:
        async with service.admin(settings, bootstrap) as admin:
            missing = sorted(set(kafka.topics) - set(await admin.list_topics()))
            asked = [NewTopic(name, kafka.partitions, kafka.replication) for name in missing]
            answers = (await admin.create_topics(asked)).to_object()["topic_errors"] if asked else []
        for told in answers:
            if told["error_code"] not in (0, TopicAlreadyExistsError.errno):  # another process may have been first
                raise for_code(told["error_code"])(f"topic {told['topic']}")
    except KafkaConnectionError as error:
        raise service.no_broker(bootstrap, error) from error
    except (KafkaError, OSError, TimeoutError) as error:
        raise errors.BrokerUnavailable(f"cannot see or create the topics at {bootstrap}: {error!r}") from error
