"""The demo as a newcomer uses it: a real shop on real hosts, its server, and the first five minutes by clicks."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PICTURES, ROOT, WAIT_MS, picture
from tests.server.site import PASSWORD
from tests.server.test_process import free_port

STORY_S, RUN_S = 1200, 400
LINK = re.compile(r"http://127\.0\.0\.1:\d+/link/\S+")
SHOP = re.compile(r"cd (\S+/orchestrator-demo-\S+)")


class RunningDemo:
    """A demo that is served: the links of its users, and its folder."""

    def __init__(self, process: "subprocess.Popen[str]", said: list[str]) -> None:
        text = "".join(said)
        links = re.findall(rf"^  (\w+) \(.*\)\n\s+({LINK.pattern})", text, re.MULTILINE)
        self.process, self.links = process, dict(links)
        self.folder = SHOP.findall(text)[0]


@contextmanager
def running_demo() -> Iterator[RunningDemo]:
    """`make demo SERVE=1`, once it has printed its links. Ctrl-C ends it."""
    words = ["make", "demo", "SERVE=1", f"PORT={free_port()}"]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    with subprocess.Popen(
        words,
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        timer = threading.Timer(STORY_S, os.killpg, (process.pid, signal.SIGINT))
        timer.start()
        try:
            yield RunningDemo(process, _until_served(process))
        finally:
            timer.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=300)


def _until_served(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Ctrl-C stops the server"):
            return said
    raise AssertionError("the demo has ended:\n" + "".join(said[-60:]))


def signed_in(chrome: Browser, link: str) -> Page:
    """A page of a new window whose user has signed in by *link*."""
    page = chrome.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(WAIT_MS * 3)
    page.goto(link)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Save and sign in").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page


@pytest.mark.timeout(STORY_S + 4 * RUN_S)
def test_a_newcomer_follows_the_demo(chrome: Browser) -> None:
    """`make demo SERVE=1` serves its story: ben approves by clicks, ada sees the promotion succeed live, and Ctrl-C removes all of it."""
    with running_demo() as demo:
        assert set(demo.links) == {"ada", "ben", "cora", "admin"}
        ben, ada = (signed_in(chrome, demo.links[name]) for name in ("ben", "ada"))
        ben.get_by_role("link", name="Review…").click()
        expect(ben.get_by_label("The plan as text")).to_contain_text("Plan: promote shop 1.2.1 → production")
        run = ben.url.rsplit("/", 1)[-1]
        ada.goto(f"{address_of(ada)}/runs/{run}")
        ada.wait_for_url(re.compile("/requests/"))
        expect(ada.locator("#facts")).to_contain_text("No votes yet.")
        ben.get_by_role("button", name="Approve").click()
        expect(ada.locator("#facts")).to_contain_text("ben")
        ada.get_by_role("link", name="Show the run").click(timeout=RUN_S * 1000)
        ada.wait_for_url(re.compile("/runs/"))
        expect(ada.locator(".tree li").nth(4)).to_be_visible(timeout=RUN_S * 1000)
        readme_picture(ada, "run")
        expect(ada.locator("#part .badge").first).to_contain_text("succeeded", timeout=RUN_S * 1000)
        expect(ada.locator("#part .tree")).to_contain_text("smoke")
        picture(ada, "demo-run")
        look_around(ada)
        admin = signed_in(chrome, demo.links["admin"])
        admin.goto(f"{address_of(admin)}/notifications")
        expect(admin.locator("main")).to_contain_text("sent")
        picture(admin, "demo-notifications")
        assert "<svg" in Path(demo.folder, "measures.html").read_text("utf-8")
        cora = signed_in(chrome, demo.links["cora"])
        expect(cora.get_by_text("Announce shop 1.3.0")).to_be_visible()
        cora.goto(f"{address_of(cora)}/environments/production")
        cora.get_by_role("link", name="Roll back…").click()
        expect(cora.get_by_role("heading", level=1)).to_contain_text("Roll production back to shop 1.1.0")
        for page in (ada, ben, cora, admin):
            page.context.close()
    assert not Path(demo.folder).exists()


def address_of(page: Page) -> str:
    """The address of the server of *page*."""
    return "/".join(page.url.split("/")[:3])


def readme_picture(page: Page, name: str) -> None:
    """Keep what the window shows as the picture of the README, to copy into docs/images."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=PICTURES / f"readme-{name}.png")


def look_around(page: Page) -> None:
    """Open the pages that the demo names: each has what its story made."""
    address = address_of(page)
    for path, text in (
        ("/matrix", "1.2.1"),
        ("/releases/shop-1.1.0", "before: shop 1.2.1"),
        ("/calendar", "Stocktaking"),
        ("/planned-releases", "Advent"),
        ("/change-requests", "Sell gift cards by mail"),
        ("/implementation-plans/IP-1", "Decide whether shop 1.3.0 goes to production"),
        ("/actions", "Test a tax with a comma in staging"),
        ("/planned-releases/REL-1", "Advent"),
        ("/planned-releases/REL-1/notes", "Sell gift cards by mail"),
        ("/trains", "weekly"),
        ("/trains/T-1", "shop 1.2.1"),
        ("/reviews", "production"),
        ("/projects", "shop"),
        ("/bookings", "load test of 1.3.0"),
        ("/measures", "Change failure rate"),
    ):
        page.goto(address + path)
        expect(page.locator("main")).to_contain_text(text)
        picture(page, f"demo{path.replace('/', '-')}")
        if path == "/matrix":
            readme_picture(page, "matrix")
    page.goto(f"{address}/calendar?view=timeline")  # a month can have most of the story in its last row
    expect(page.locator("main")).to_contain_text("Stocktaking")
    readme_picture(page, "calendar")
