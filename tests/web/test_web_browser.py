"""The page in headless Chromium, over a real server: with and without JavaScript, by keyboard, live."""

import asyncio
import os
import shutil
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import uvicorn
from playwright.async_api import async_playwright, expect

from stream.types import Alert
from stream.web import Live, page
from tests import PATIENCE_S

CHROMIUM = os.environ.get("SEESTREAM_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
expect.set_options(timeout=PATIENCE_S * 1000)


@asynccontextmanager
async def serve(app, live):
    """The app under uvicorn on a free port; ends with its open event streams closed first."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # connections wait here until the server is up
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        running = asyncio.create_task(server.serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            live.close()
            server.should_exit = True
            async with asyncio.timeout(PATIENCE_S):
                await running


@pytest.fixture
async def chromium():
    assert CHROMIUM, "install Debian's chromium, or name a browser in SEESTREAM_TEST_CHROMIUM"
    async with async_playwright() as tools:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = await tools.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=PATIENCE_S * 1000)
        yield browser
        await browser.close()


async def test_people_search_look_and_watch(chromium, app, live, see):
    faults = []
    async with serve(app, live) as base:
        tab = await chromium.new_page(viewport={"width": 1100, "height": 800})
        tab.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: faults.append(str(error)))
        await tab.goto(base)
        await expect(tab.locator("#status")).to_have_text("live")

        await live.write([see(50, "blue", caption="A blue car has just come in.")], [])
        await expect(tab.locator("#live article").first).to_contain_text("A blue car has just come in.")
        alert = Alert("a-1", "Blue cars", "yard", see(50).captured_at, see(50).id, "<b>car</b> at yard")
        await live.write([], [alert])
        await expect(tab.locator("#alerts li")).to_contain_text("<b>car</b> at yard")
        await expect(tab.locator("#live article")).to_have_count(12)

        await tab.keyboard.press("/")
        await tab.keyboard.type("a red car")
        await tab.keyboard.press("Enter")
        hit = tab.locator("section[aria-labelledby=results] article").first
        await expect(hit).to_contain_text("A red car is parked on the driveway.")
        await check_box(hit)

        await hit.locator("a.picture").focus()
        await tab.keyboard.press("Enter")
        await expect(tab.get_by_role("cell", name="100, 220, 400, 400")).to_be_visible()
        await tab.get_by_role("link", name="More like this").click()
        await expect(tab.get_by_role("heading", level=1)).to_contain_text("Most like the picture")
        await tab.close()  # before the server ends, which the page would report
    assert faults == []


async def check_box(hit):
    """The picture was loaded, and the car's box lies where the car is in it, whatever the scale."""
    picture = hit.locator("img")
    await expect(picture).to_have_js_property("complete", True)
    assert await picture.evaluate("picture => picture.naturalWidth") == 640
    frame, box = await picture.bounding_box(), await hit.locator("svg .mark rect").first.bounding_box()
    scale = min(frame["width"] / 640, frame["height"] / 480)
    left = frame["x"] + (frame["width"] - 640 * scale) / 2
    top = frame["y"] + (frame["height"] - 480 * scale) / 2
    wanted = (left + 100 * scale, top + 220 * scale, 300 * scale, 180 * scale)
    assert [box["x"], box["y"], box["width"], box["height"]] == pytest.approx(wanted, abs=3)


async def test_searching_needs_no_script_and_fits_a_telephone(chromium, app, live):
    async with serve(app, live) as base:
        context = await chromium.new_context(java_script_enabled=False, viewport={"width": 360, "height": 740})
        tab = await context.new_page()
        await tab.goto(base)
        await tab.get_by_role("searchbox").fill("a blue car")
        await tab.get_by_role("button", name="Search").click()
        hit = tab.locator("section[aria-labelledby=results] article").first
        await expect(hit).to_contain_text("A blue car")
        bounds = await tab.locator(".card, header, form, input, select, button").evaluate_all(
            "all => all.filter(e => e.offsetParent).map(e => e.getBoundingClientRect().right)"
        )
        assert bounds and max(bounds) <= 360
        await context.close()


async def test_a_hit_is_ranked_on_the_line_of_its_source_at_any_width(chromium, app, live, store, see):
    noon = see(0).captured_at
    store.rows = {
        row.id: row
        for row in (
            see(n, source=f"the long drive {n // 4}", captured_at=noon + timedelta(seconds=n), provenance=demo(see(n)))
            for n in range(16)
        )
    }
    async with serve(app, live) as base:
        context = await chromium.new_context(viewport={"width": 1280, "height": 900})
        tab = await context.new_page()
        await tab.goto(base + "/?q=a+red+car")
        cards = tab.locator("section[aria-labelledby=results] article")
        await expect(cards).to_have_count(4)
        await expect(cards.first.locator(".more")).to_contain_text("+3 from ")
        for width in (1280, 360):
            await tab.set_viewport_size({"width": width, "height": 900})
            source = await cards.first.locator(".source").bounding_box()
            score = await cards.first.locator(".score").bounding_box()
            assert score["y"] < source["y"] + source["height"] / 2, width
        await context.close()


def demo(observation):
    return replace(observation.provenance, demo=True)


async def test_a_browser_that_lost_the_connection_catches_up(chromium, store, snapshots, see, embed):
    live = Live()
    async with serve(page(store, embed, snapshots, live=live, model="demo"), live) as base:
        context = await chromium.new_context()
        tab = await context.new_page()
        await tab.goto(base)
        await expect(tab.locator("#status")).to_have_text("live")
        await live.write([see(60, caption="before")], [])
        await expect(tab.locator("#live article").first).to_contain_text("before")
        await tab.get_by_role("button", name="Pause").click()
        await live.write([see(61, caption="meanwhile")], [])
        await expect(tab.locator("#status")).to_have_text("paused")
        await tab.get_by_role("button", name="Continue").click()
        await expect(tab.locator("#live article").first).to_contain_text("meanwhile")
        await expect(tab.locator("#live article", has_text="before")).to_have_count(1)
        await context.close()
