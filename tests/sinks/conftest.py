"""The stores under the contract: each test gets an empty one of each kind."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from stream.sinks import SqliteStore, WeaviateStore
from tests.services.weaviate import Weaviate
from tests.sinks import made


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = made.START + timedelta(days=1)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", pytest.param("weaviate", marks=pytest.mark.weaviate)])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> AsyncIterator[SqliteStore | WeaviateStore]:
    if request.param == "sqlite":
        async with SqliteStore(tmp_path / "store.db", clock=clock) as opened:
            yield opened
        return
    server: Weaviate = request.getfixturevalue("weaviate")
    async with new_weaviate_store(server, clock) as made_store:
        yield made_store
        await drop_collections(made_store)


def new_weaviate_store(server: Weaviate, clock: Clock, **options: object) -> WeaviateStore:
    """A store with collections of its own on a shared server."""
    name = f"T{uuid.uuid4().hex[:12]}"
    return WeaviateStore(server.url, grpc_port=server.grpc_port, name=name, clock=clock, **options)  # type: ignore[arg-type]


async def drop_collections(store: WeaviateStore) -> None:
    """Take a test's collections away: each costs the server memory."""
    async with store._link.client() as client:
        for alias in await client.alias.list_all():
            if alias.startswith(store._name):
                await client.alias.delete(alias_name=alias)
        names = [name for name in await client.collections.list_all() if name.startswith(store._name)]
        await client.collections.delete(names)
