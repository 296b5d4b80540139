"""What users do on the pages, by clicks and by keys, in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from orchestrator.domain.journal import ControlVerb
from tests.browser.conftest import Served, picture

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def waiting(served: Served, version: str = "1.1.0") -> str:
    """The path of the page of a promotion that waits for one approval."""
    return f"/requests/{served.office.ask(version)['request']['id']}"


def approved(served: Served, page: Page) -> None:
    """Approve what waits on the home page of *page*."""
    page.goto(served.address)
    page.get_by_role("link", name="Review…").click()
    expect(page.get_by_label("The plan as text")).to_contain_text("Plan: promote shop 1.1.0 → production")
    page.get_by_label("Comment").fill("looks right")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("looks right")).to_be_visible()
    expect(page.locator(".head .badge")).to_contain_text("ready")


@pytest.mark.parametrize("scripts", [True, False], ids=["javascript", "no-javascript"])
def test_an_approver_approves_what_the_page_shows(served: Served, scripts: bool) -> None:
    """Home leads to the promotion that waits; its page shows the plan, and the approval is recorded for it, also without JavaScript."""
    waiting(served)
    page = served.page("bob", java_script_enabled=scripts)
    approved(served, page)
    assert served.office.by("vic", "approvals")["requests"][0]["state"] == "ready"
    assert served.problems == []


@pytest.mark.parametrize("scripts", [True, False], ids=["javascript", "no-javascript"])
def test_a_release_manager_promotes_and_rolls_back(served: Served, scripts: bool) -> None:
    """A release is promoted from the matrix and rolled back from its environment by clicks; an open run shows its end by itself."""
    office = served.office
    office.packages.put(office.release("1.2.0"))
    page = served.page("ann", java_script_enabled=scripts)
    page.goto(f"{served.address}/matrix")
    page.get_by_role("row", name=re.compile("shop 1.2.0")).locator("a[data-at=staging]").click()
    page.get_by_role("button", name="Promote 1.2.0 into staging").click()
    page.wait_for_url(re.compile("/runs/"))
    run = page.url.rsplit("/", 1)[-1]
    expect(page.get_by_role("heading", level=1)).to_contain_text("staging")
    office.execute(run)
    if not scripts:
        page.get_by_role("link", name="Reload").click()
    expect(page.locator("#part .badge").first).to_contain_text("succeeded")
    page.goto(f"{served.address}/environments/staging")
    page.get_by_role("link", name="Roll back…").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Roll staging back to shop 1.1.0")
    page.get_by_role("button", name="Roll staging back to 1.1.0").click()
    page.wait_for_url(re.compile("/runs/"))
    assert office.execute(page.url.rsplit("/", 1)[-1]).state.value == "rolled back"
    assert served.problems == []


def test_an_event_is_shown_without_a_reload(served: Served) -> None:
    """The page of an open run shows each step as it is recorded, keeps its position, announces its state, offers what its state allows, and has no controls after the end."""
    office = served.office
    office.packages.put(office.release("1.2.0"))
    run = office.request("staging", "1.2.0")
    office.store.claim(run.root, "a process", "here", 600.0)
    page = served.page("olga")
    page.goto(f"{served.address}/runs/{run.id}")
    expect(page.get_by_text("No step has started.")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)
    page.evaluate("document.documentElement.dataset.kept = 'yes'")
    page.get_by_label("Reason").fill("half a sentence")
    requests: tuple[tuple[ControlVerb, str, str], ...] = (("pause", "Continue", "Pause"), ("", "Pause", "Continue"))
    for verb, shown, hidden in requests:
        with office.acting("olga"):
            app = office.app()
            app.control.request(app.actor, office.store.run(run.id), verb, "by another user")
        expect(page.get_by_role("button", name=shown)).to_be_visible()
        expect(page.get_by_role("button", name=hidden)).to_have_count(0)
    expect(page.get_by_label("Reason")).to_have_value("half a sentence")
    office.do(run)
    expect(page.locator(".tree li").nth(1)).to_be_visible()
    expect(page.locator("#part p[aria-live=polite]")).to_contain_text("succeeded")
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    assert page.evaluate("document.documentElement.dataset.kept") == "yes"
    picture(page, "run-live")
    assert served.problems == []


def test_home_and_the_matrix_are_live(served: Served) -> None:
    """A promotion that another user requests is on home, and its release is in the matrix, without a reload and with the focus where it was."""
    office = served.office
    home, matrix = served.page("olga"), served.page("vic")
    matrix.goto(f"{served.address}/matrix")
    home.get_by_role("link", name="All entries").focus()
    for page in (home, matrix):
        page.evaluate("document.documentElement.dataset.kept = 'yes'")
    office.packages.put(office.release("1.2.0"))
    run = office.request("staging", "1.2.0")
    expect(home.locator("#part")).to_contain_text("shop 1.2.0 → staging")
    expect(home.get_by_role("link", name="All entries")).to_be_focused()
    office.do(run)
    expect(matrix.get_by_role("row", name=re.compile("shop 1.2.0"))).to_contain_text("verified")
    expect(home.locator("#part")).to_contain_text("No run is under way")
    for page in (home, matrix):
        assert page.evaluate("document.documentElement.dataset.kept") == "yes"
    assert served.problems == []


def test_a_keyboard_is_enough(served: Served) -> None:
    """Sign-in, the way to a promotion that waits, and its approval need no pointer; the first key leads past the menu."""
    path = waiting(served)
    served.page("bob").context.close()
    page = served.page()
    page.goto(f"{served.address}{path}")
    page.wait_for_url(re.compile("/sign-in"))
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    keyed(page, "#name", "bob")
    keyed(page, "#password", "correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{served.address}{path}")
    keyed(page, "#comment", "by keys")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Approve")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("by keys")).to_be_visible()
    assert served.problems == []


def keyed(page: Page, field: str, text: str) -> None:
    """Move to *field* with the tabulator, and type."""
    for _ in range(60):
        if page.evaluate(
            "document.activeElement && document.activeElement.matches(arguments[0])".replace(
                "arguments[0]", repr(field)
            )
        ):
            page.keyboard.type(text)
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the tabulator does not reach {field}")


def test_text_of_others_is_never_executed(served: Served) -> None:
    """Comments, reasons and names with markup are shown as text on every page that has them."""
    path = waiting(served)
    bob, olga = served.page("bob"), served.page("olga")
    bob.goto(served.address + path)
    bob.get_by_label("Comment").fill(EVIL)
    bob.get_by_role("button", name="Reject").click()
    expect(bob.get_by_text(EVIL)).to_be_visible()
    olga.goto(f"{served.address}/environments/staging")
    olga.get_by_label("Reason").fill(EVIL)
    olga.get_by_role("button", name="Lock").click()
    expect(olga.get_by_text(EVIL).first).to_be_visible()
    olga.goto(f"{served.address}/calendar")
    olga.get_by_label("Reason").first.fill(EVIL)
    olga.get_by_role("button", name=re.compile("Stop")).first.click()
    for place in ("/", "/calendar", "/environments", "/environments/staging", "/matrix", "/runs", path):
        bob.goto(served.address + place)
        assert bob.locator("img[src=x]").count() == 0
    assert served.problems == []


def test_keys_lead_to_the_search_and_to_pages(served: Served) -> None:
    """The key `/` goes to the search, `?` lists the keys, `g` and a letter lead to a page; text fields take keys as text."""
    page = served.page("vic")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("g? shop 1.1")
    expect(page.locator("#search")).to_have_value("g? shop 1.1")
    page.locator("#search").fill("shop 1.1.0")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="shop 1.1.0").first).to_be_visible()
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.wait_for_url(f"{served.address}/bookings")
    for path, key in (("/measures", "s"), ("/me", "y"), ("/change-requests", "x")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"{served.address}{path}")
    page.set_viewport_size({"width": 390, "height": 800})
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url(f"{served.address}/calendar")
    assert served.problems == []
