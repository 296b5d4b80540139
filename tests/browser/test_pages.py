"""Every page, in light and dark, on a desk and on a phone: without violations of accessibility, errors, or a sideways scroll bar."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from orchestrator.app.sign_in_links import create_link
from orchestrator.web.route_table import ROUTES
from tests.browser.conftest import ROOT, Served, picture
from tests.server.release_scene import NAMES, lay_all, lay_people

AXE = ROOT / "build" / "browser" / "assets" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {"desk": (1280, 900), "phone": (390, 844)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LOOKS = re.compile(r"innerWidth|innerHeight|matchMedia|clientWidth|offsetWidth|getBoundingClientRect|prefers-color")
SIDEWAYS = """[...document.querySelectorAll('.scroll:has(> table.rows)')].filter(part => part.offsetParent
  && part.scrollWidth > part.clientWidth + 1).map(part => part.getAttribute('aria-label') || '')"""
"""The tables of rows that are wider than what shows them: on a phone their cells are below each other."""
FILES = ("/api/", "/assets/", "/calendars/", "/healthz", "/readyz", "/metrics")
ELSEWHERE = ("{provider}", "/files/")  # sign-in at a provider has its own tests, and a download is not a page
PAGES = sorted(
    route.removeprefix("GET ")
    for route in ROUTES
    if route.startswith("GET ")
    and not route.removeprefix("GET ").startswith(FILES)
    and not any(part in route for part in ELSEWHERE)
)
"""The pages with data. Those that lead to a provider are in `test_single_sign_on`."""


def test_every_page_is_here() -> None:
    """The list of pages is that of the routes, so that a new page is tested without a change here."""
    assert "/" in PAGES
    assert "/runs/{run}" in PAGES
    assert not [page for page in PAGES if page.startswith("/api")]


def lay_more(served: Served) -> None:
    """A promotion that waits, an open run, a change request, a booking, a release with its plan and review, and an output."""
    office = served.office
    office.ask("1.1.0")
    office.request("staging", "1.2.0")
    office.by("ann", "request", "add", "Sell gift cards", "--why", "asked for", "--environment", "production")
    start = (datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="seconds")
    office.by("olga", "book", "staging", "--from", start, "--for", "4h", "--purpose", "load test")
    lay_all(office)
    lay_people(office)
    newest = office.by("vic", "history")["runs"][0]["id"]
    folder = office.folder / ".orchestrator" / "jobs" / f"{newest}.deploy"
    folder.mkdir(parents=True)
    (folder / "output.log").write_text("PLAY [web]\n" * 30)


def address_of(served: Served, page: str) -> str:
    """The address of a *page* with data."""
    office = served.office
    runs = office.by("vic", "history")["runs"]
    asked = office.by("vic", "approvals")["requests"][0]["request"]
    given = {"environment": "staging", "code": "R106", "run": runs[0]["id"], "name": "app.css", "user": "bob"}
    if page.startswith("/requests/"):
        given["run"] = asked["id"]
    given |= {"plan": asked["plan"], "change": "R-1", "booking": "B-1", "job": f"{runs[0]['id']}.deploy"}
    given |= {name.strip("{}"): value for name, value in NAMES.items()}
    if page.startswith("/releases/"):
        given["release"] = "shop-1.1.0"
    if page.startswith("/implementation-plans/"):
        given["plan"] = "IP-1"
    if page.startswith("/link/"):
        given["text"] = create_link(served.site.root, "cid").text
    query = {
        "/promote": "?release=shop-1.1.0&environment=staging",
        "/promote/override": "?release=shop-1.1.0&environment=staging",
        "/search": "?q=shop",
        "/can-i": "?user=bob&action=promote&environment=production",
    }.get(page, "")
    return served.address + page.format(**given) + query


@pytest.mark.timeout(1200)
def test_every_drawing_of_the_calendar_is_accessible(served: Served) -> None:
    """axe-core finds nothing on a calendar with windows, freezes, bookings and runs, and it fits its window."""
    lay_more(served)
    day = datetime.now(UTC).date()
    times = ("--start", f"{day}T08:00", "--end", f"{day}T17:00", "--zone", "UTC")
    served.office.by("ann", "calendar", "add", "window", "office hours", *times, "--rule", "FREQ=DAILY")
    served.office.by("ann", "calendar", "add", "hard-freeze", "inventory", *times, "--environment", "production")
    page = served.page("root", bypass_csp=True)
    for view in ("month", "week", "timeline"):
        page.goto(f"{served.address}/calendar?view={view}")
        assert (view, faults_of(page)) == (view, [])
        picture(page, f"calendar-{view}")


@pytest.mark.timeout(2400)  # all pages, each in four looks
def test_every_page_is_accessible(served: Served) -> None:
    """axe-core finds nothing on any page, no page is wider than its window, and the browser reports no error."""
    lay_more(served)
    page, out = served.page("root", bypass_csp=True), served.page(bypass_csp=True)
    found: dict[str, list[str]] = {}
    for path in PAGES:
        window = out if path.startswith(("/sign-in", "/link/")) else page
        response = window.goto(address_of(served, path))
        assert response is not None
        faults = faults_in_all_looks(
            window, path.strip("/").replace("/", "-").replace("{", "").replace("}", "") or "home"
        )
        if response.status != 200:
            faults.append(f"status {response.status}")
        if faults:
            found[path] = faults
    assert found == {}
    assert served.problems == []


def test_no_script_depends_on_a_look() -> None:
    """No script of ours reads the size of the window or the colours, so a page that was loaded once is checked in each look."""
    scripts = sorted((ROOT / "orchestrator" / "web" / "pages" / "static").glob("*.js"))
    assert scripts
    assert [file.name for file in scripts if LOOKS.search(file.read_text())] == []


def faults_in_all_looks(page: Page, name: str, more: Callable[[Page], None] | None = None) -> list[str]:
    """The faults of a page on a desk and on a phone, in light and dark, with a picture of each; also after *more*."""
    faults = list[str]()
    for size, scheme in product(SIZES, SCHEMES):
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        picture(page, f"{name}-{size}-{scheme}")
        faults += [f"{size}, {scheme}: {fault}" for fault in faults_of(page)]
    if more is not None:
        more(page)
        faults += faults_in_all_looks(page, f"{name}-more")
    return faults


def faults_of(page: Page) -> list[str]:
    """What axe-core finds, and whether the page is wider than its window."""
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=AXE)
    result = page.evaluate(f"axe.run({{runOnly: {json.dumps(RULES)}}})")
    faults = [f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:120]}" for each in result["violations"]]
    if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
        faults.append("wider than its window")
    if page.evaluate("window.innerWidth") == SIZES["phone"][0]:
        faults += [f"the table {name!r} scrolls sideways" for name in page.evaluate(SIDEWAYS)]
    return faults


def test_the_check_of_accessibility_finds_planted_faults(chrome: Browser) -> None:
    """A picture without a description and text without contrast are found."""
    page = chrome.new_page(bypass_csp=True)
    page.set_content(
        "<title>x</title><html lang=en><main><h1>x</h1><img src=x><p style='color:#ccc;background:#fff'>pale</p></main>"
    )
    found = " ".join(faults_of(page))
    assert "image-alt" in found
    assert "color-contrast" in found
    page.close()


@pytest.mark.timeout(1200)
def test_pages_work_under_their_own_policy(served: Served) -> None:
    """No page needs what its Content-Security-Policy refuses."""
    lay_more(served)
    page = served.page("root")
    for path in PAGES:
        if not path.startswith(("/sign-in", "/link/")):
            page.goto(address_of(served, path))
    assert served.problems == []
