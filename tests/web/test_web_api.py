"""The HTTP API, files, health and metrics."""

import asyncio
import os
from datetime import timedelta
from urllib.parse import unquote

import httpx
import pytest

from stream import wire
from stream.errors import StoreUnavailable
from stream.metrics import REGISTRY
from stream.web import page
from stream.web.health import Health


async def test_search_gives_scores_and_observations(client, see):
    body = (await client.get("/api/search", params={"q": "a blue car", "limit": 2})).json()
    assert [hit["observation"]["caption"] for hit in body["hits"]] == [see(2, "blue").caption] * 2
    assert body["hits"][0]["score"] == pytest.approx(1.0)
    assert body["hits"][0]["more"] == []
    assert wire.parse_observation(body["hits"][0]["observation"]).source in ("drive", "yard")


async def test_search_refuses_what_it_cannot_understand(client):
    answer = await client.get("/api/search", params={"q": "car", "limit": "many"})
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "limit must be a whole number from 1 to 200, not 'many'"},
    )


async def test_recent_by_source(client, see):
    body = (await client.get("/api/recent", params={"source": "drive", "limit": 2})).json()
    assert [row["id"] for row in body["observations"]] == [see(1).id, see(3).id]


async def test_observation_with_and_without_vectors(client, see):
    plain = (await client.get(f"/api/observations/{see(1).id}")).json()
    assert plain["vectors"] == [{"model": "demo", "box": None, "dims": 3}]
    full = (await client.get(f"/api/observations/{see(1).id}?vectors=1")).json()
    assert wire.parse_observation(full).vectors[0].values.tolist() == [1, 0, 0]
    assert (await client.get("/api/observations/gone")).status_code == 404


async def test_snapshot_is_served_with_its_type(client, snapshots):
    answer = await client.get("/snapshots/red.jpg")
    assert answer.content == (snapshots / "red.jpg").read_bytes()
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["../secret.jpg", "%2e%2e/secret.jpg", "..%2fsecret.jpg", "a/../../secret.jpg", "link.jpg", "loop.jpg", "page.html",
     "noext", "folder.jpg", "gone.jpg", "%00.jpg", "/etc/hostname.jpg", "", "x" * 5000 + ".jpg"],
)  # fmt: skip
async def test_only_pictures_below_the_folder_are_served(app, snapshots, path):
    (snapshots / "link.jpg").symlink_to(snapshots.parent / "secret.jpg")
    (snapshots / "loop.jpg").symlink_to("loop.jpg")
    (snapshots / "folder.jpg").mkdir()
    for name in ("page.html", "noext"):
        (snapshots / name).write_text("<script>")
    scope = {
        "type": "http",
        "method": "GET",
        "headers": [],
        "query_string": b"",
        "root_path": "",
        "http_version": "1.1",
    }
    # Straight to the app: a client would tidy the path up before it sends it.
    scope |= {"path": unquote(f"/snapshots/{path}"), "raw_path": f"/snapshots/{path}".encode()}
    sent = []

    async def send(message):
        sent.append(message)

    await app(scope, None, send)
    assert sent[0]["status"] == 404
    assert not any(b"not yours" in message.get("body", b"") for message in sent)


async def test_pictures_in_folders_below_and_links_inside_are_served(client, snapshots):
    (snapshots / "2026" / "a b").mkdir(parents=True)
    os.link(snapshots / "red.jpg", snapshots / "2026" / "a b" / "ü.jpg")
    (snapshots / "alias.jpg").symlink_to("red.jpg")
    assert (await client.get("/snapshots/2026/a%20b/%C3%BC.jpg")).status_code == 200
    assert (await client.get("/snapshots/alias.jpg")).status_code == 200


async def test_metrics_are_the_registry(client):
    text = (await client.get("/metrics")).text
    assert "# TYPE seestream_alerts_total counter" in text
    assert all(metric.name in text for metric in REGISTRY.collect())


def serving(store, snapshots, live, **checks):
    app = page(store, None, snapshots, live=live, **checks)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")


async def test_all_well_is_200_and_names_each_check(store, snapshots, live):
    async def reached():
        return None

    async with serving(store, snapshots, live, liveness={"loop": lambda: None}, readiness={"store": reached}) as client:
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "checks": {"loop": "ok"}})
        assert (await client.get("/readyz")).json()["checks"] == {"loop": "ok", "store": "ok"}


async def test_each_broken_check_says_what_is_wrong_and_secrets_stay_inside(store, snapshots, live):
    async def hangs():
        await asyncio.Event().wait()

    def refuses():
        raise StoreUnavailable("store: connection refused")

    def breaks():
        raise RuntimeError("rtsp://admin:hunter2@cam")

    health = Health({"loop": lambda: "stuck for 40 s"}, {"a": hangs, "b": refuses, "c": breaks}, 0.05)
    answer = await health.readyz(None)
    assert answer.status_code == 503
    assert b"hunter2" not in answer.body
    for part in (
        b"stuck for 40 s",
        b"no answer within 0.05 s",
        b"store: connection refused",
        b"failed with RuntimeError",
    ):
        assert part in answer.body
    assert (await health.healthz(None)).status_code == 503


async def test_ready_needs_alive(store, snapshots, live):
    async with serving(store, snapshots, live, liveness={"loop": lambda: "stuck"}, readiness={}) as client:
        assert (await client.get("/readyz")).status_code == 503


async def test_frames_close_in_time_are_one_hit_that_names_the_others(client, store, see):
    rows = [see(n, source="drive", captured_at=see(0).captured_at + timedelta(seconds=n)) for n in range(3)]
    store.rows = {row.id: row for row in rows}
    (hit,) = (await client.get("/api/search", params={"q": "a red car"})).json()["hits"]
    assert hit["more"] == [rows[1].id, rows[2].id]
    hits = (await client.get("/api/search", params={"q": "a red car", "all": "1"})).json()["hits"]
    assert [hit["observation"]["id"] for hit in hits] == [row.id for row in rows]
