"""FastStream's part: the broker connection, the ASGI application with its lifespan, the AsyncAPI document."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from stream import __version__, errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiokafka.admin import AIOKafkaAdminClient
    from faststream.asgi import AsgiFastStream
    from faststream.asgi.types import ASGIApp
    from faststream.kafka import KafkaBroker
    from faststream.security import BaseSecurity

    from stream.config import Kafka, Settings

REQUEST_TIMEOUT_MS = 40_000
"""JoinGroup is bounded by it, so it must exceed the rebalance timeout (30 s) by several seconds."""


def kafka_broker(settings: Settings, bootstrap: str) -> KafkaBroker:
    """The one connection of a process: idempotent producer, consumers by hand-less subscribers. Nothing is started."""
    from faststream.kafka import KafkaBroker

    return KafkaBroker(
        bootstrap,
        security=security_of(settings.kafka),
        client_id="seestream",
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        max_batch_size=256 << 10,
        max_request_size=2 << 20,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        logger=None,
    )


def security_of(kafka: Kafka) -> BaseSecurity | None:
    """FastStream's security object. Raises: Misconfigured when the settings do not fit together."""
    from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

    if kafka.security == "PLAINTEXT":
        return None
    context = None
    if kafka.security.endswith("SSL"):
        try:
            context = ssl.create_default_context(cafile=str(kafka.ca) if kafka.ca else None)
        except OSError as error:
            raise errors.Misconfigured(f"kafka.ca: cannot use {kafka.ca}: {error}") from error
    if kafka.security == "SSL":
        return BaseSecurity(ssl_context=context, use_ssl=True)
    if not kafka.username or kafka.password is None:
        raise errors.Misconfigured(f"kafka.security {kafka.security} needs kafka.username and kafka.password")
    kind = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}[kafka.mechanism]
    return kind(kafka.username, kafka.password.get_secret_value(), ssl_context=context, use_ssl=context is not None)


def client_arguments(settings: Settings) -> dict[str, Any]:
    """The same security as arguments of a bare aiokafka client, for the commands that only read or write a topic."""
    from faststream.kafka.security import parse_security

    return parse_security(security_of(settings.kafka))


def no_broker(bootstrap: str, error: Exception) -> errors.BrokerUnavailable:
    """What to say when nothing, or nothing that speaks Kafka to us, is at the address."""
    return errors.BrokerUnavailable(
        f"no Kafka broker answers at {bootstrap} ({type(error).__name__}): is it up, and are kafka.bootstrap and"
        " kafka.security right?"
    )


def asgi_service(
    broker: KafkaBroker, page: ASGIApp | None, routes: Sequence[tuple[str, ASGIApp]] = ()
) -> AsgiFastStream:
    """FastStream's ASGI application: its lifespan starts the broker, `/asyncapi` documents it, the rest is `page`."""
    from faststream.asgi import AsgiFastStream
    from faststream.specification import AsyncAPI

    from stream.app.topics import DESCRIPTION

    class Service(AsgiFastStream):
        """FastStream matches its routes exactly; everything else belongs to the page."""

        async def not_found(self, scope: Any, receive: Any, send: Any) -> None:
            if page is None:
                await super().not_found(scope, receive, send)
            else:
                await page(scope, receive, send)

    return Service(
        broker,
        asgi_routes=list(routes),
        asyncapi_path="/asyncapi",
        logger=None,
        specification=AsyncAPI(title="seestream", version=__version__, description=DESCRIPTION),
    )


@asynccontextmanager
async def admin(settings: Settings, bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client that asks the brokers about themselves, connected. Raises: BrokerUnavailable, when none answers."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **client_arguments(settings))
    try:
        try:
            await client.start()
        except (KafkaError, OSError, TimeoutError) as error:
            raise no_broker(bootstrap, error) from error
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[KafkaBroker]:
    """A started connection for commands that publish; finds the embedded broker of a running process.

    Raises: BrokerUnavailable when none answers.
    """
    from aiokafka.errors import KafkaError

    bootstrap = bootstrap_of(settings)
    async with admin(settings, bootstrap):
        pass  # a FastStream broker that cannot connect leaves its producer open, and aiokafka complains of it
    broker = kafka_broker(settings, bootstrap)
    try:
        await broker.start()
    except (KafkaError, OSError, TimeoutError) as error:
        await broker.stop()
        raise no_broker(bootstrap, error) from error
    try:
        yield broker
    finally:
        await broker.stop()


def bootstrap_of(settings: Settings) -> str:
    """The brokers' address; for `embedded`, that of the process that runs on this data folder.

    Raises: BrokerUnavailable when none runs there.
    """
    if settings.kafka.bootstrap != "embedded":
        return settings.kafka.bootstrap
    from stream.app.embedded import find

    found = find(settings.data_dir)
    if found is None:
        raise errors.BrokerUnavailable(
            f"no seestream runs on {settings.data_dir}; start `seestream demo` or `run`, or set kafka.bootstrap"
        )
    return found
