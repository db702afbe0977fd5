"""The connection to Weaviate: made when it is first needed, made anew after a fault, its errors turned into ours."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import weaviate
from grpc import RpcError, ssl_channel_credentials  # type: ignore[import-untyped]
from weaviate import exceptions as theirs
from weaviate.classes.init import AdditionalConfig, Auth, Timeout
from weaviate.config import GrpcConfig

from stream.errors import Misconfigured, SeestreamError, StoreUnavailable

# Its errors come back to us, and it logs them with the whole objects: pictures' vectors, text that was read.
logging.getLogger("weaviate-client").setLevel(logging.CRITICAL)

_CONNECT_S = 5.0
_FAULTS = (theirs.WeaviateBaseError, httpx.HTTPError, RpcError)  # its own, and those that it lets through


class SchemaGone(StoreUnavailable):
    """A collection is not there (any more): Weaviate was emptied, or another process removed it."""


class Link:
    """One client at a time. After a fault it is given up: a gRPC channel that lost its server waits up to half a minute
    before it tries again, a new one tries at once. It is closed when the last call that uses it is over: a channel that
    is closed under a call cancels it, as if the caller's own task were cancelled."""

    def __init__(self, url: str, grpc_port: int, api_key: str | None, timeout_s: float) -> None:
        """Raises: Misconfigured, for a URL that is none."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise Misconfigured(f"store.url: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Misconfigured("store.url: Weaviate's URL looks like http://host:8080")
        self._host, self._secure = parts.hostname, parts.scheme == "https"
        self._port = port or (443 if self._secure else 80)
        self._grpc_port, self._api_key, self._timeout_s = grpc_port, api_key, timeout_s
        self.shown = f"{parts.scheme}://{self._host}:{self._port}"
        self._client: weaviate.WeaviateAsyncClient | None = None
        self._connecting = asyncio.Lock()
        self._calls: Counter[int] = Counter()  # under way, by id of the client

    @asynccontextmanager
    async def client(self) -> AsyncIterator[weaviate.WeaviateAsyncClient]:
        """The client for some calls, all together within the timeout.

        Raises: StoreUnavailable (SchemaGone when a collection is missing), Misconfigured.
        """
        client: weaviate.WeaviateAsyncClient | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                client = await self._connected()
                self._calls[id(client)] += 1
                yield client
        except SeestreamError:
            raise
        except (*_FAULTS, TimeoutError, OSError) as error:
            ours = self._ours(error)
            if not isinstance(ours, SchemaGone) and client is self._client:
                self._client = None
            raise ours from error
        finally:
            if client is not None:
                await self._leave(client)

    async def close(self) -> None:
        """At once, or when the last call under way is over."""
        client, self._client = self._client, None
        if client is not None and not self._calls[id(client)]:
            await client.close()

    async def _connected(self) -> weaviate.WeaviateAsyncClient:
        async with self._connecting:
            if self._client is None:
                made = self._make()
                try:
                    await made.connect()
                except BaseException:
                    await made.close()
                    raise
                self._client = made
            return self._client

    async def _leave(self, client: weaviate.WeaviateAsyncClient) -> None:
        self._calls[id(client)] -= 1
        if not self._calls[id(client)]:
            del self._calls[id(client)]
            if client is not self._client:
                await client.close()

    def _make(self) -> weaviate.WeaviateAsyncClient:
        own_roots = os.environ.get("SSL_CERT_FILE") if self._secure else None
        grpc_config = None
        if own_roots:  # the HTTP client reads the variable itself; one variable shall do for both ports
            try:
                roots = Path(own_roots).read_bytes()
            except OSError as error:
                raise Misconfigured(f"SSL_CERT_FILE: cannot read {own_roots}: {error.strerror}") from error
            grpc_config = GrpcConfig(credentials=ssl_channel_credentials(root_certificates=roots))
        client = weaviate.use_async_with_custom(
            http_host=self._host,
            http_port=self._port,
            http_secure=self._secure,
            grpc_host=self._host,
            grpc_port=self._grpc_port,
            grpc_secure=self._secure,
            auth_credentials=Auth.api_key(self._api_key) if self._api_key else None,
            additional_config=AdditionalConfig(
                timeout=Timeout(init=_CONNECT_S, query=self._timeout_s, insert=self._timeout_s),
                trust_env=own_roots is not None,
                grpc_config=grpc_config,
            ),
            skip_init_checks=True,  # they ask PyPI for a newer client at each connection; nothing leaves the house
        )
        _never_repeat(client)
        return client

    def _ours(self, error: BaseException) -> SeestreamError:
        causes = list(_causes(error))
        message = " ".join(" ".join(str(cause) for cause in causes).split())[:400]
        if "CERTIFICATE_VERIFY_FAILED" in message:
            return Misconfigured(
                f"the certificate of Weaviate at {self.shown} is not trusted:"
                " name its authority's PEM file in the environment's SSL_CERT_FILE"
            )
        if is_schema_gone(message):
            return SchemaGone(f"Weaviate at {self.shown} lost a collection: {message}")
        refused = isinstance(error, theirs.AuthenticationFailedError | theirs.InsufficientPermissionsError)
        code = getattr(error, "status_code", None)
        if refused or code in (401, 403) or "UNAUTHENTICATED" in message or "StatusCode.PERMISSION_DENIED" in message:
            return Misconfigured(
                f"Weaviate at {self.shown} refuses this API key: set store.api_key to one that may write"
            )
        if isinstance(error, TimeoutError):
            return StoreUnavailable(f"Weaviate at {self.shown} did not answer within {self._timeout_s:g} s")
        return StoreUnavailable(f"Weaviate at {self.shown} (gRPC port {self._grpc_port}): {message}")


def _never_repeat(client: weaviate.WeaviateAsyncClient) -> None:
    """The client repeats a batch by itself, byte for byte, when the server was away meanwhile: ours must differ."""
    connection: Any = client._connection
    batch = connection.grpc_batch_objects

    async def once(*args: Any, **kwargs: Any) -> Any:
        return await batch(*args, **{**kwargs, "max_retries": -1})  # 0 would repeat once

    connection.grpc_batch_objects = once


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it: the client's own messages often leave the reason out."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def is_schema_gone(message: str) -> bool:
    """Whether Weaviate says that a collection does not exist: batches, searches and REST each have their words."""
    return "not present in schema" in message or "could not find class" in message or "class not found" in message
