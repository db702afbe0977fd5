"""The pages as a browser without a script gets them."""

from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from stream.errors import StoreUnavailable
from stream.types import Detection
from stream.web import page

EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
BANNER = "seestream models pull"


class Tags(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def all(self, element, /, **wanted):
        return [
            a for tag, a in self.found if tag == element and all(a.get(k.rstrip("_")) == v for k, v in wanted.items())
        ]


async def test_search_shows_ranked_pictures_with_boxes(client):
    answer = await client.get("/", params={"q": "a red car"})
    tags = Tags(answer.text)
    first, *_ = tags.all("article", class_="card")
    assert first["data-id"].endswith("01") or first["data-id"].endswith("04")
    assert tags.all("img", src="/snapshots/red.jpg", width="640", height="480")
    assert tags.all("svg", viewbox="0 0 640 480")
    assert {"x": "100", "y": "220", "width": "300", "height": "180"} in tags.all("rect")
    assert "car 0.93" in answer.text
    assert "1.000" in answer.text
    assert tags.all("input", name="q", value="a red car")


async def test_frames_of_one_drive_by_are_one_card_that_leads_to_all_of_them(client, store, see):
    noon = see(0).captured_at
    rows = [see(n, source="drive", captured_at=noon + timedelta(seconds=n)) for n in range(16)]
    store.rows = {row.id: row for row in rows}
    text = (await client.get("/", params={"q": "a red car"})).text
    (card,) = Tags(text).all("article", class_="card")
    assert card["data-id"] == rows[0].id and ">+15</a>" in text
    assert Tags(text).all("time", datetime="2026-05-04T12:00:15.000+00:00")
    (link,) = Tags(text).all("a", title="all pictures of this time")
    assert len(Tags((await client.get(link["href"])).text).all("article", class_="card")) == 16


async def test_first_page_shows_what_was_seen_last(client, see):
    tags = Tags((await client.get("/")).text)
    cards = [card["data-id"] for card in tags.all("article", class_="card")]
    assert cards == [see(n).id for n in range(1, 13)]
    assert tags.all("div", id="live")[0]["data-after"] == see(1).id


async def test_source_and_time_are_applied_and_kept_in_the_form(client, store):
    answer = await client.get("/", params={"q": "car", "source": "drive", "since": "3h"})
    assert store.queries[0].source == "drive"
    assert store.queries[0].since is not None
    assert Tags(answer.text).all("option", value="3h", selected=None)


async def test_other_peoples_text_is_escaped_everywhere(client, store, see):
    # The store's answer is the worst one: each text that anyone else could have written.
    bad = see(
        0, source=EVIL, caption=EVIL, objects=(Detection(EVIL, 0.9, see(0).objects[0].box),), snapshot=f"{EVIL}.jpg"
    )
    bad = replace(bad, transcript=EVIL, media=replace(bad.media, uri=EVIL), derived_from=EVIL)
    store.rows = {bad.id: bad}
    for url in (
        "/",
        "/?q=car",
        f"/?q={httpx.QueryParams({'q': EVIL})['q']}&source={EVIL}&since={EVIL}",
        f"/observations/{bad.id}",
    ):
        text = (await client.get(url)).text
        tags = Tags(text)
        assert [attrs for attrs in tags.all("script") if attrs != {"src": "/static/page.js", "defer": None}] == []
        assert not [attrs for _, attrs in tags.found if any(name.startswith("on") for name in attrs)]
        assert tags.all("img", src="x") == []
        assert "alert(1)" in text


async def test_banner_appears_with_results_of_demo_models_only(client, store, see):
    assert BANNER not in (await client.get("/")).text
    demo = replace(see(0), provenance=replace(see(0).provenance, demo=True))
    store.rows[demo.id] = demo
    for url in ("/", "/?q=red", f"/observations/{demo.id}"):
        assert BANNER in (await client.get(url)).text, url


async def test_observation_shows_all_that_is_known(client, see):
    text = (await client.get(f"/observations/{see(1).id}")).text
    for part in ("car", "0.93", "100, 220, 400, 400", "motion", "640 × 480", "demo@1", "frames/0@1", "More like this"):
        assert part in text, part
    assert Tags(text).all("rect", class_="region")


async def test_like_lists_the_nearest(client, see):
    text = (await client.get("/", params={"like": see(1).id})).text
    assert "Most like the picture" in text
    assert see(1).id not in [card["data-id"] for card in Tags(text).all("article", class_="card")]


async def test_deleted_snapshot_leaves_a_place_and_the_boxes(client, store, see):
    store.rows = {see(1).id: see(1, snapshot=None)}
    text = (await client.get("/")).text
    assert "snapshot deleted" in text
    assert Tags(text).all("svg", viewbox="0 0 640 480")


@pytest.mark.parametrize(
    ("url", "status", "says"),
    [
        ("/?q=car&since=yesterday", 400, "write 30m, 2h"),
        ("/?like=gone", 400, "not in the store"),
        ("/observations/gone", 404, "not in the store"),
        ("/nowhere", 404, "Not Found"),
    ],
)
async def test_errors_are_pages_that_say_what_to_do(client, url, status, says):
    answer = await client.get(url)
    assert answer.status_code == status
    assert says in answer.text
    assert Tags(answer.text).all("form", role="search")


async def test_a_store_that_is_down_is_said(client, store):
    store.broken = StoreUnavailable("weaviate does not answer")
    for url in ("/", "/?q=car", "/observations/x"):
        answer = await client.get(url)
        assert (answer.status_code, "weaviate does not answer" in answer.text) == (503, True)
    answer = await client.get("/api/search?q=car")
    assert (answer.status_code, answer.json()) == (
        503,
        {"error": "The store cannot be reached: weaviate does not answer"},
    )


async def test_a_bug_of_ours_tells_nothing_of_the_inside(client, store):
    store.broken = RuntimeError("password=hunter2")
    for url in ("/", "/api/recent"):
        answer = await client.get(url)
        assert answer.status_code == 500
        assert "hunter2" not in answer.text


async def test_nothing_is_loaded_from_elsewhere(client, see):
    for url in ("/", f"/observations/{see(1).id}", "/static/page.css", "/static/page.js", "/static/icon.svg"):
        answer = await client.get(url)
        assert answer.status_code == 200
        rest = answer.text.replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in rest and "https:" not in rest and "@import" not in rest
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_no_inline_script_or_style_that_the_policy_would_block(client, see):
    for url in ("/", "/?q=red", f"/observations/{see(1).id}"):
        tags = Tags((await client.get(url)).text)
        assert not [attrs for _, attrs in tags.found if "style" in attrs]
        assert tags.all("style") == []


async def test_mounted_below_a_path_all_links_stay_there(store, snapshots, live, embed):
    inner = page(store, embed, snapshots, live=live, model="demo")
    outer = Starlette(routes=[Mount("/cams", inner)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url="http://x") as client:
        answer = await client.get("/cams/", params={"q": "red"})
        tags = Tags(answer.text)
        links = [a[k] for _, a in tags.found for k in ("href", "src", "action", "data-stream") if k in a]
        assert links and all(link.startswith(("/cams/", "#")) for link in links)
        for link in {link for link in links if not link.startswith("#") and "live" not in link}:
            assert (await client.get(link)).status_code == 200, link
        assert (await client.get("/cams/api/nothing")).json() == {"error": "Not Found"}
