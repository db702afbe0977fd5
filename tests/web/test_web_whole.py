"""The page over the real embedded store, and inside FastStream's application."""

from datetime import timedelta

import httpx
import pytest
from faststream.kafka import KafkaBroker

from stream.app.service import asgi_service
from stream.sinks import SqliteStore
from stream.web import page


@pytest.fixture
async def whole(tmp_path, store, snapshots, live, embed, see):
    """FastStream's application around the page around SQLite; the broker is not started, requests do not need it."""
    async with SqliteStore(tmp_path / "store.db") as sqlite:
        await sqlite.write(list(store.rows.values()), [])
        inner = page(sqlite, embed, snapshots, live=live, model="demo", now=lambda: see(0).captured_at)
        app = asgi_service(KafkaBroker("localhost:1"), inner)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            yield client


async def test_description_finds_by_vector_and_text(whole, see):
    hits = (await whole.get("/api/search", params={"q": "a red car", "limit": 4})).json()["hits"]
    assert {hit["observation"]["caption"] for hit in hits} == {see(1).caption}
    assert "A red car is parked" in (await whole.get("/", params={"q": "a red car"})).text


async def test_source_time_and_label_filter(whole, see):
    hits = (await whole.get("/api/search", params={"q": "car", "source": "drive", "since": "4m"})).json()["hits"]
    assert {hit["observation"]["id"] for hit in hits} == {see(1).id, see(3).id}
    assert (await whole.get("/api/search", params={"label": "zebra"})).json()["hits"] == []
    recent = (await whole.get("/api/search", params={"label": "tree", "limit": 3})).json()["hits"]
    assert [hit["observation"]["id"] for hit in recent] == [see(n).id for n in (1, 2, 3)]
    until = (see(0).captured_at - timedelta(minutes=11)).isoformat()
    old = (await whole.get("/api/search", params={"until": until})).json()["hits"]
    assert [hit["observation"]["id"] for hit in old] == [see(12).id]


async def test_likeness_and_one_observation(whole, see):
    hits = (await whole.get("/api/search", params={"like": see(1).id, "limit": 3})).json()["hits"]
    assert {hit["observation"]["id"] for hit in hits} == {see(n).id for n in (4, 7, 10)}
    assert "More like this" in (await whole.get(f"/observations/{see(1).id}")).text
    assert (await whole.get("/observations/gone")).status_code == 404


async def test_page_and_asyncapi_live_side_by_side(whole):
    assert (await whole.get("/healthz")).json()["status"] == "ok"
    assert "asyncapi" in (await whole.get("/asyncapi.json")).json()
    assert (await whole.get("/asyncapi")).headers["content-type"].startswith("text/html")
    assert (await whole.get("/snapshots/red.jpg")).headers["content-type"] == "image/jpeg"
