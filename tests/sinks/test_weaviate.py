"""What only the Weaviate store meets: a server that goes away and comes back, keys, TLS, aliases, expiry by the server.

One server of its own, because it is killed, frozen and emptied here. It speaks TLS with a certificate made for this run
and wants an API key.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from weaviate.classes.config import Configure, DataType, Property

from stream.errors import Misconfigured, StoreUnavailable
from stream.sinks import WeaviateStore
from stream.types import Query
from tests.services.weaviate import Certificate, Weaviate
from tests.sinks.conftest import Clock, drop_collections, new_weaviate_store
from tests.sinks.made import BOX, MODEL, axis, observation, vector

pytestmark = pytest.mark.weaviate

KEY = "a-key-of-the-tests"


def certificate(folder: Path) -> Certificate:
    """A self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "seestream tests")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = Certificate(folder / "server.pem", folder / "server.key")
    files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weaviate]:
    files = certificate(tmp_path_factory.mktemp("tls"))
    running = Weaviate(api_key=KEY, tls=files, ttl_schedule="@every 1h")
    with running, pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(files.certificate))
        yield running


@pytest.fixture
async def own(server: Weaviate, clock: Clock) -> AsyncIterator[WeaviateStore]:
    async with new_weaviate_store(server, clock, api_key=KEY, timeout_s=5.0) as made_store:
        yield made_store
        await drop_collections(made_store)


async def test_a_key_and_tls_on_both_ports(own: WeaviateStore) -> None:
    assert (await own.check()).startswith("1.")
    await own.write([observation(vectors=(vector(0),))], [])
    assert len(await own.search(Query(text="car", vector=axis(0), model=MODEL))) == 1


async def test_a_wrong_key_is_for_a_person_and_is_not_shown(server: Weaviate, clock: Clock) -> None:
    for key in ("wrong-key-123", None):
        async with new_weaviate_store(server, clock, api_key=key, timeout_s=5.0) as store:
            for call in (store.check(), store.write([observation()], []), store.recent()):
                with pytest.raises(Misconfigured, match=r"refuses this API key: set store\.api_key") as caught:
                    await call
                assert "wrong-key-123" not in str(caught.value)


async def test_an_unknown_authority_is_not_trusted(
    server: Weaviate, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with new_weaviate_store(server, clock, api_key=KEY, timeout_s=5.0) as store:
        with pytest.raises(Misconfigured, match=r"certificate .* is not trusted: .*SSL_CERT_FILE"):
            await store.check()


async def test_the_alias_leads_to_the_model_that_writes(own: WeaviateStore) -> None:
    name = own._name
    await own.write([observation(0, vectors=(vector(0),))], [])
    async with own._link.client() as client:
        first = (await client.alias.get(alias_name=name)).collection
        assert await client.collections.use(name).length() == 1
    await own.write([observation(1, vectors=(vector(0, model="next@2"),))], [])
    async with own._link.client() as client:
        aliases = {alias: target.collection for alias, target in (await client.alias.list_all()).items()}
        assert aliases[name] != first
        assert aliases[f"{name}Region"].startswith(f"{name}Region_next_2")
        (seen,) = (await client.collections.use(name).query.fetch_objects()).objects
        assert str(seen.uuid) == observation(1).id


async def test_the_server_is_told_when_objects_expire(server: Weaviate, clock: Clock) -> None:
    async with new_weaviate_store(server, clock, api_key=KEY, ttl_s=86_400.0) as store:
        await store.write([observation(vectors=(vector(0), vector(1, box=BOX)))], [])
        assert await _ttls(store) == {timedelta(days=1)}
        longer = WeaviateStore(
            server.url, grpc_port=server.grpc_port, name=store._name, api_key=KEY, ttl_s=172_800.0, clock=clock
        )
        async with longer:
            await longer.write([observation(vectors=(vector(0), vector(1, box=BOX)))], [])
        assert await _ttls(store) == {timedelta(days=2)}
        await drop_collections(store)


async def _ttls(store: WeaviateStore) -> set[timedelta | None]:
    """The lifetimes of the store's collections, all of which count from `stored_at`."""
    async with store._link.client() as client:
        mine = [c for n, c in (await client.collections.list_all(simple=False)).items() if n.startswith(store._name)]
    assert len(mine) == 2
    assert {collection.object_ttl_config.delete_on for collection in mine if collection.object_ttl_config} == {
        "stored_at"
    }
    return {
        ttl.time_to_live if isinstance(ttl.time_to_live, timedelta) else None
        for collection in mine
        if (ttl := collection.object_ttl_config)
    }


async def test_a_server_without_expiry_is_used_without(weaviate: Weaviate, clock: Clock) -> None:
    async with new_weaviate_store(weaviate, clock, ttl_s=86_400.0) as store:
        await store.write([observation(vectors=(vector(0),))], [])
        assert len(await store.recent()) == 1
        await drop_collections(store)


async def test_a_property_that_an_older_version_did_not_make_is_added(own: WeaviateStore) -> None:
    await own.write([observation(0, vectors=(vector(0),))], [])
    async with own._link.client() as client:
        target = (await client.alias.get(alias_name=own._name)).collection
        description = (await client.collections.use(target).config.get()).description
        await client.collections.delete(target)
        await client.collections.create(  # as a version would have made it that knew no transcripts
            target,
            description=description,
            properties=[Property(name="source", data_type=DataType.TEXT)],
            vector_config=[Configure.Vectors.self_provided(name="image")],
        )
    own._ensured.clear()
    await own.write([observation(1, transcript="an owl", vectors=(vector(0),))], [])
    (hit,) = await own.search(Query(text="owl"))
    assert hit.observation.id == observation(1).id


async def test_collections_of_others_are_left_alone(own: WeaviateStore) -> None:
    await own.write([observation(0, vectors=(vector(0),))], [])
    async with own._link.client() as client:
        target = (await client.alias.get(alias_name=own._name)).collection
        await client.collections.delete(target)
        await client.collections.create(target, description="my holiday pictures")
    own._ensured.clear()
    with pytest.raises(Misconfigured, match="was not made by seestream"):
        await own.write([observation(1, vectors=(vector(0),))], [])


async def test_a_newer_schema_is_left_alone(own: WeaviateStore) -> None:
    async with own._link.client() as client:
        from stream.sinks.weaviate_schema import place

        name = place(own._name, MODEL, 32).frames
        await client.collections.create(name, description=f"seestream schema=99 dims=32 model={MODEL}")
    for call in (own.recent(), own.write([observation(vectors=(vector(0),))], [])):
        with pytest.raises(Misconfigured, match="schema 99"):
            await call


async def test_two_workers_make_the_collections_at_once(server: Weaviate, own: WeaviateStore, clock: Clock) -> None:
    others = [
        WeaviateStore(server.url, grpc_port=server.grpc_port, name=own._name, api_key=KEY, clock=clock)
        for _ in range(3)
    ]
    try:
        rows = [observation(n, vectors=(vector(n), vector(n + 9, box=BOX))) for n in range(4)]
        await asyncio.gather(*(s.write([row], []) for s, row in zip([own, *others], rows, strict=True)))
        assert {row.id for row in await own.recent()} == {row.id for row in rows}
        assert len(await own.search(Query(vector=axis(0), model=MODEL))) == 4
    finally:
        for other in others:
            await other.__aexit__(None, None, None)


@pytest.mark.parametrize("fault", [ConnectionResetError("reset"), httpx.RemoteProtocolError("reset")])
async def test_a_call_that_fails_takes_the_connection_from_later_calls_but_not_from_those_under_way(
    own: WeaviateStore, fault: Exception
) -> None:
    await own.write([observation(vectors=(vector(0),))], [])
    link = own._link
    async with link.client() as under_way:
        with pytest.raises(StoreUnavailable, match="reset"):
            async with link.client() as failing:
                raise fault
        assert failing is under_way
        async with link.client() as later:
            assert later is not under_way
        for name in await under_way.collections.list_all():
            await under_way.collections.use(name).query.fetch_objects(limit=1)
    assert not under_way.is_connected() and later.is_connected()


async def test_down_frozen_back_and_emptied(server: Weaviate, own: WeaviateStore) -> None:
    """Down and frozen are unavailable within the timeout; back with its data it goes on, emptied it starts anew."""
    rows = [observation(n, vectors=(vector(n), vector(n + 9, box=BOX))) for n in range(3)]
    await own.write(rows[:1], [])

    server.freeze()
    with pytest.raises(StoreUnavailable, match="did not answer within 5 s"):
        await own.write(rows[1:2], [])
    server.thaw()
    await own.write(rows[1:2], [])

    server.kill()
    for call in (own.write(rows, []), own.recent(), own.check(), own.search(Query(text="car"))):
        with pytest.raises(StoreUnavailable, match=r"Weaviate at https://127\.0\.0\.1"):
            await call
    await asyncio.to_thread(server.start)
    assert {row.id for row in await own.recent()} == {row.id for row in rows[:2]}
    await own.write(rows, [])
    assert {row.id for row in await own.recent()} == {row.id for row in rows}

    await asyncio.to_thread(server.restart, empty=True)
    await own.write(rows[2:], [])
    assert [row.id for row in await own.recent()] == [rows[2].id]
    assert len(await own.search(Query(vector=axis(11), model=MODEL))) == 1


@pytest.mark.parametrize("url", ["weaviate:8080", "ftp://x", "http://", "http://host:notaport"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"store\.url"):
        WeaviateStore(url)


def test_a_name_that_weaviate_does_not_take() -> None:
    for name in ("observation", "Has space", "Ünder", "1st", ""):
        with pytest.raises(Misconfigured, match=r"store\.collection"):
            WeaviateStore("http://localhost:8080", name=name)
