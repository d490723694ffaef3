"""The page as a person sees it: a real browser, the real services, simulated nodes. Pictures go to build/pictures."""

import json
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc
from tests.integration.web.conftest import EVIL_LABEL
from tests.web_site import PICTURES, WebSite

pytestmark = pytest.mark.integration
HELD = ("node-21", "node-22", "node-23")
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 860}


@contextmanager
def opened(browser: Browser, web: WebSite, address: str, **options: Any) -> Iterator[Page]:
    """Yields a page; fails for an error in it, a breach of its policy, or a request to anybody else."""
    wrongs: list[str] = []
    context = browser.new_context(**{"viewport": DESKTOP, "locale": "en-GB", **options})
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: wrongs.append(f"error: {error}"))
    page.on("console", lambda line: wrongs.append(line.text) if is_wrong(line) else None)
    page.on("request", lambda call: None if call.url.startswith(web.url) else wrongs.append(f"asked {call.url}"))
    try:
        page.goto(web.url + address)
        expect(page.locator("h1")).to_be_visible()
        yield page
    finally:
        context.close()
    assert wrongs == []


def is_wrong(line: ConsoleMessage) -> bool:
    """Whether a line of the console is a fault; the browser also writes one for each answer that is a refusal."""
    return line.type == "error" and "the server responded with a status of 4" not in line.text


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(300)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def assert_accessible(page: Page) -> None:
    """Fails for what axe finds against WCAG 2.2 AA, and for a page that is wider than its window."""
    results = Axe().run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    found = [
        (rule["id"], [node["html"][:120] for node in rule["nodes"][:3]]) for rule in results.response["violations"]
    ]
    assert found == []
    assert len(results.response["passes"]) > 10
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture(scope="module")
def running(web: WebSite) -> Iterator[str]:
    """A deployment of which three nodes stay in the broadcast, one has failed, and the others are deployed."""
    web.pace(seconds=0.05, failures={"node-25": ["format", "mkfs.ext4: exit status 1: no space"]}, held=HELD)
    with web.client("alice") as alice:
        made = alice.deploy("node-[20-40]", "debian", device="sda", partition=3)
        deadline = time.monotonic() + 20
        while sum(row[1] == "deployed" for row in web.get(f"/api/v1/deployments/{made.id}/view")["rows"]) < 17:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield made.id
        web.pace(seconds=0.0)
        alice.wait(made.id, seconds=30)


@pytest.fixture(scope="module")
def operation(web: WebSite) -> str:
    """A power change that failed: the nodes have no controller that could be asked."""
    with web.site.channel("deployer", "alice") as channel:
        stub = deployer_service_pb2_grpc.NodeControlServiceStub(channel)
        request = deployer_service_pb2.SetPowerRequest(
            request_id=str(uuid.uuid4()), nodes="node-[45-46]", action=deployer_service_pb2.POWER_ACTION_CYCLE
        )
        list(stub.SetPower(request, timeout=30))
    found: str = web.get("/api/v1/operations")["operations"][0]["id"]
    return found


VIEWS = {
    "cluster": "/",
    "deployments": "/deployments",
    "deployment": "/deployments/{running}",
    "node": "/nodes/node-12",
    "operations": "/operations",
    "operation": "/operations/{operation}",
    "statistics": "/statistics",
}


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_can_be_read_by_everybody_in_light_and_dark_and_on_a_phone(
    browser: Browser, web: WebSite, running: str, operation: str, view: str
) -> None:
    address = VIEWS[view].format(running=running, operation=operation)
    with opened(browser, web, address) as page:
        picture(page, f"{view}-light")
        assert_accessible(page)
    with opened(browser, web, address, color_scheme="dark") as page:
        picture(page, f"{view}-dark")
        assert_accessible(page)
    with opened(browser, web, address, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        picture(page, f"{view}-phone")
        assert_accessible(page)


def _streams_begun_since(moment: float, log: str) -> int:
    """Counts the page's watches that began after a moment; the log has a line at the end of each.

    Those of earlier tests stay open for a while after their last reader.
    """
    ended = re.findall(r"time=(\S+ \S+),(\d+) .*WatchDeployment caller=user:web .*seconds=([\d.]+)", log)
    begun = [
        datetime.fromisoformat(day).timestamp() + int(milliseconds) / 1000 - float(seconds)
        for day, milliseconds, seconds in ended
    ]
    return sum(each >= moment for each in begun)


def test_a_deployment_is_followed_live_by_many_readers_over_one_stream(browser: Browser, web: WebSite) -> None:
    web.pace(seconds=0.1, held=("node-2",))
    began = time.time()
    with web.client("alice") as alice:
        made = alice.deploy("node-[1-3]", "debian", device="sda", partition=3)
        address = f"/deployments/{made.id}"
        with (
            opened(browser, web, address) as first,
            opened(browser, web, address) as second,
            opened(browser, web, "/") as site,
        ):
            for page in (first, second):
                expect(page.locator("tr", has_text="broadcast")).to_contain_text("1")
                expect(page.locator('.cell[data-node="node-1"]')).to_have_attribute(
                    "aria-label", re.compile("deployed")
                )
            expect(site.get_by_role("heading", name="Running deployments")).to_be_visible()
            expect(site.locator('.cell[data-node="node-2"]')).to_have_class(re.compile("s-deploying"))
            web.pace(seconds=0.0)
            for page in (first, second):
                expect(page.locator("dl")).to_contain_text("terminated")
                expect(page.locator("#announcement")).to_contain_text("ended: terminated")
            expect(site.locator('.cell[data-node="node-2"]')).to_have_class(re.compile("s-deployed"))
        alice.wait(made.id, seconds=10)
    deadline = time.monotonic() + 5
    while (streams := _streams_begun_since(began, web.site.log("deployer"))) < 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert streams == 1


def test_the_grid_is_walked_by_keys_and_searched_by_node_set_and_state(
    browser: Browser, web: WebSite, running: str
) -> None:
    with opened(browser, web, "/", viewport={"width": 700, "height": 800}) as page:
        page.locator('.cell[data-node="node-1"]').focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        expect(page.locator('.cell[data-node="node-3"]')).to_be_focused()
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.offsetTop") > page.locator('.cell[data-node="node-3"]').evaluate(
            "cell => cell.offsetTop"
        )
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="node-1", exact=True)).to_be_focused()
        page.go_back()
        page.get_by_role("searchbox", name="Nodes").fill("node-[20-22],elsewhere-1")
        page.keyboard.press("Enter")
        expect(page.get_by_text("3 of 48 nodes · not registered: elsewhere-1")).to_be_visible()
        expect(page.locator(".cell:not(.outside)")).to_have_count(3)
        picture(page, "search-light")
        page.get_by_role("searchbox", name="Nodes").fill("node-[20-")
        page.keyboard.press("Enter")
        expect(page.get_by_text("at character")).to_be_visible()
        page.get_by_role("button", name="All").click()
        page.get_by_role("button", name=re.compile("failed")).click()
        expect(page.locator(".cell:not(.outside)").first).to_have_class(re.compile("s-error"))
        assert "state=error" in page.url
    with opened(browser, web, f"/deployments/{running}") as page:
        expect(page.locator(".failure").filter(has_text="format failed in step format")).to_be_visible()
        page.get_by_text("As a table").click()
        page.get_by_label("Filter").fill("format")
        expect(page.get_by_role("region", name="Nodes of the deployment").locator("tbody tr")).to_have_count(1)


def test_texts_of_others_stay_texts(browser: Browser, web: WebSite) -> None:
    with opened(browser, web, "/nodes/node-12") as page:
        expect(page.get_by_text("it never asked for the deployment environment").first).to_be_visible()
    with opened(browser, web, "/nodes/node-17") as page:
        expect(page.get_by_text("<img src=/none onerror=alert(1)>").first).to_be_visible()
        assert page.locator("img[src='/none']").count() == 0
    with opened(browser, web, f"/deployments?owner={EVIL_LABEL}") as page:
        expect(page.get_by_text("No deployment is like this.")).to_be_visible()
        assert page.title() == "Deployments · Kadeploy"


def test_ten_thousand_nodes_do_not_stutter(browser: Browser, web: WebSite) -> None:
    web.register_many(10_000)
    with opened(browser, web, "/?nodes=big-[1-10]") as page:
        expect(page.locator(".cell")).to_have_count(10_048, timeout=45_000)
        expect(page.locator(".cell:not(.outside)")).to_have_count(10, timeout=30_000)
        measured = page.evaluate(SCROLL)
        page.evaluate("scrollTo(0, 0)")
        picture(page, "ten-thousand-light")
        (PICTURES / "ten-thousand.json").write_text(json.dumps(measured))
        # A twentieth of a second is seen as movement; the test machine is slow and shared.
        assert measured["median"] < 50
        assert measured["longest"] < 400


SCROLL = """
async () => {
  const gaps = [];
  let last = performance.now();
  const end = last + 1500;
  await new Promise((done) => {
    const frame = (now) => {
      gaps.push(now - last);
      last = now;
      scrollBy(0, 60);
      if (now < end) requestAnimationFrame(frame); else done();
    };
    requestAnimationFrame(frame);
  });
  gaps.sort((a, b) => a - b);
  return { frames: gaps.length, median: gaps[gaps.length >> 1], longest: gaps[gaps.length - 1] };
}
"""
