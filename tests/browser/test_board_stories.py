"""The board of a release, the entries of the calendar and the dossier of a run in a real browser."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import WAIT_MS, Served, picture
from tests.browser.test_pages import faults_in_all_looks
from tests.cli.request_project import RequestProject
from tests.server.test_remote_requests import working

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["javascript", "no-javascript"])
PAGES_OF_PDF = re.compile(rb"/Type\s*/Page\b")


def row(page: Page, environment: str) -> str:
    """What the board has of *environment*."""
    return page.locator(f"#in-{environment}").inner_text()


@SCRIPTS
def test_a_release_manager_follows_a_release_from_its_board(served: Served, scripts: bool) -> None:
    """The board says why not; from it a worker makes the plan, which is read and requested, also without JavaScript."""
    office = served.office
    office.by("ann", "line", "stop", "production", "-m", "a leak")
    office.packages.put(office.release("1.2.0"))
    page = served.page("ann", java_script_enabled=scripts)
    page.get_by_role("navigation", name="Now").get_by_role("link", name="What runs where").click()
    page.get_by_role("link", name="shop 1.1.0").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("shop 1.1.0")
    expect(page.get_by_role("list", name="Why not in production")).to_contain_text("a leak")
    assert "it runs here" in row(page, "staging")
    page.goto(f"{served.address}/releases/shop-1.2.0")
    why = page.get_by_role("list", name="Why not in production")
    expect(why.get_by_role("listitem")).to_have_count(2)
    expect(why).to_contain_text("waiting for 1 of 1 approval: can be given by bob, cid")
    expect(page.get_by_role("heading", name="Changes against staging")).to_be_visible()
    picture(page, "board-why-not")
    why.get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile("[A-Z][0-9]{3}"))
    page.go_back()
    page.locator("#in-production").get_by_role("link", name="Request… in production").click()
    expect(page.get_by_role("button", name="Make the plan")).to_be_visible()
    with working(office):
        await_worker(office)
        page.get_by_role("button", name="Make the plan").click()
        made = page.get_by_text("The plan is made")
        if not scripts:
            expect(page.get_by_role("link", name="Reload")).to_be_visible()
            reload_until(page, "The plan is made")
        expect(made).to_be_visible(timeout=3 * WAIT_MS)
    page.get_by_role("button", name="Request the promotion").click()
    page.wait_for_url(re.compile("/requests/"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("1.2.0")
    page.goto(f"{served.address}/releases/shop-1.2.0")
    expect(page.get_by_role("complementary", name="Requests and facts")).to_contain_text("into production")
    assert served.problems == []


def await_worker(office: RequestProject) -> None:
    """Return once a worker of the project runs."""
    deadline = datetime.now(UTC) + timedelta(milliseconds=3 * WAIT_MS)
    while not office.app().scheduler_runs():
        assert datetime.now(UTC) < deadline, "no worker has started"
        time.sleep(0.1)


def reload_until(page: Page, text: str) -> None:
    """Follow the link *Reload* until the page has *text*."""
    deadline = datetime.now(UTC) + timedelta(milliseconds=3 * WAIT_MS)
    while page.get_by_text(text).count() == 0:
        assert datetime.now(UTC) < deadline, f"the page has no {text!r}"
        page.get_by_role("link", name="Reload").last.click()


@SCRIPTS
def test_a_freeze_is_added_and_removed_by_keys(served: Served, scripts: bool) -> None:
    """A release manager adds a freeze on the calendar with the keyboard alone, sees what it closes, and removes it, also without JavaScript."""
    page = served.page("ann", java_script_enabled=scripts)
    page.goto(f"{served.address}/calendar")
    expect(page.get_by_text("promotions start at any time")).to_be_visible()
    now = datetime.now(UTC)
    form = page.get_by_role("region", name="Add an entry")
    form.get_by_label("Kind", exact=True).select_option("hard-freeze")
    form.get_by_label("Title").fill("Stocktaking")
    form.get_by_label("Start", exact=True).fill(f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M}")
    form.get_by_label("End", exact=True).fill(f"{now + timedelta(days=1):%Y-%m-%dT%H:%M}")
    form.get_by_label("Time zone of start and end").fill("UTC")
    form.get_by_label("Environments: names").fill("production")
    form.get_by_label("Reason").focus()
    page.keyboard.type("counting")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/calendar#entries"))
    entries = page.get_by_role("group", name="Entries")
    expect(entries).to_contain_text("Stocktaking")
    closed = (
        page.get_by_role("group", name="State of each environment").get_by_role("row").filter(has_text="production")
    )
    expect(closed).to_contain_text("closed")
    picture(page, "calendar-entries")
    page.set_viewport_size({"width": 390, "height": 844})
    picture(page, "calendar-entries-phone")
    entries.get_by_text("Remove…").focus()
    page.keyboard.press("Enter")
    entries.get_by_role("button", name="Remove “Stocktaking”").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("promotions start at any time")).to_be_visible()
    assert served.problems == []


def test_a_dossier_is_printed_whole(served: Served) -> None:
    """The dossier has a button that prints, a hint without JavaScript, and print without navigation, buttons and clipped parts."""
    run = served.office.store.list_runs(limit=1).items[0].id
    address = f"{served.address}/runs/{run}/dossier"
    page = served.page("olga")
    page.goto(address)
    page.evaluate("window.print = () => { document.documentElement.dataset.printed = 'yes'; }")
    page.get_by_role("button", name="Print").press("Enter")
    assert page.evaluate("document.documentElement.dataset.printed") == "yes"
    expect(page.get_by_text("Print it with your browser.")).to_be_hidden()
    picture(page, "dossier-screen")
    page.emulate_media(media="print")
    for hidden in (".rail", ".crumb", ".screen", "button[data-print]"):
        expect(page.locator(hidden).first).to_be_hidden()
    clipped = "[...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible' && !e.matches('.hide')).map(e => e.outerHTML.slice(0, 80))"  # fmt: skip
    page.set_viewport_size({"width": 760, "height": 1000})
    assert page.evaluate(clipped) == []
    expect(page.get_by_role("heading", name="Steps")).to_be_visible()
    picture(page, "dossier-print")
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert len(PAGES_OF_PDF.findall(printed)) >= 1
    plain = served.page("olga", java_script_enabled=False)
    plain.goto(address)
    expect(plain.get_by_text("Print it with your browser.")).to_be_visible()
    expect(plain.get_by_role("button", name="Print")).to_have_count(0)
    assert served.problems == []


def test_hosts_and_empty_measures_fit_a_phone(served: Served) -> None:
    """On a phone no part of an environment scrolls sideways; measures without runs say what would be measured, in every look."""
    page = served.page("olga", bypass_csp=True)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{served.address}/environments/staging")
    hosts = page.get_by_role("group", name="Hosts")
    assert hosts.evaluate("e => e.scrollWidth <= e.clientWidth")
    expect(hosts).to_contain_text("shop 1.1.0")
    picture(page, "hosts-phone")
    page.goto(f"{served.address}/measures?environment=production")
    expect(page.get_by_role("heading", name="Nothing to measure yet")).to_be_visible()
    expect(page.get_by_text("orchestrator promote RELEASE --to production")).to_be_visible()
    assert faults_in_all_looks(page, "measures-empty") == []
    assert served.problems == []
