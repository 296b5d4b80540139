"""Forms in a real browser: an error at its field, an edit of a train line, an exception to the calendar, and live pages that keep what is typed."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import WAIT_MS, Served, picture
from tests.browser.test_pages import faults_in_all_looks
from tests.server.release_scene import lay_account, lay_line, lay_release

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["javascript", "no-javascript"])


@SCRIPTS
def test_a_line_is_edited_after_an_error_at_its_field(served: Served, scripts: bool) -> None:
    """A wrong cut-off is marked and has the focus, the other fields keep what was typed, and the corrected form is saved."""
    lay_line(served.office)
    page = served.page("ann", java_script_enabled=scripts)
    page.goto(f"{served.address}/trains")
    page.get_by_role("link", name="weekly", exact=True).first.click()
    page.get_by_label("Stops, a line each").fill("staging\nproduction+3h")
    cut_off = page.get_by_label("How long before the departure")
    cut_off.fill("soon")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("is not a duration such as 2h")
    expect(cut_off).to_be_focused()
    expect(cut_off).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Stops, a line each")).to_have_value("staging\nproduction+3h")
    assert [text for text in served.problems if "422" not in text] == []  # a browser reports the status of a page
    served.problems.clear()
    cut_off.fill("90m")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("boarding closes 90 min before").first).to_be_visible()
    stored = served.office.by("vic", "train", "line", "show", "weekly")["line"]
    assert (stored["boarding_s"], stored["stops"][1]["after_s"]) == (5400, 10800)
    assert served.problems == []


@pytest.mark.timeout(600)
def test_an_error_at_its_field_is_accessible(served: Served) -> None:
    """axe-core finds nothing on a page with a form that was refused, in light and dark, on a desk and on a phone."""
    page = served.page("ann", bypass_csp=True)
    page.goto(f"{served.address}/trains")
    page.get_by_label("Name").fill("weekly")
    page.get_by_label("Stops, a line each").fill("staging+soon")
    page.get_by_label("First departure").fill("2031-01-07T08:00")
    page.get_by_role("button", name="Add the line").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert faults_in_all_looks(page, "form-error") == []


@SCRIPTS
def test_a_release_passes_a_freeze_by_clicks(served: Served, scripts: bool) -> None:
    """A release manager goes from a promotion that the calendar closes to what closes it, and passes it with a reason."""
    office = served.office
    office.packages.put(office.release("1.2.0"))
    start, end = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M}" for days in (-1, 100))
    times = ("--start", start, "--end", end, "--zone", "UTC", "--environment", "staging")
    office.by("ann", "calendar", "add", "soft-freeze", "Inventory", *times)
    page = served.page("ann", java_script_enabled=scripts)
    page.goto(f"{served.address}/promote?release=shop-1.2.0&environment=staging")
    page.get_by_role("link", name="What closes it, and who may pass it").click()
    picture(page, f"override-{'javascript' if scripts else 'plain'}")
    page.get_by_label("Reason").fill("payments are down")
    page.get_by_role("button", name="Pass it for shop 1.2.0 in staging").click()
    expect(page.get_by_text("Nothing in the calendar closes staging")).to_be_visible()
    expect(page.get_by_text("payments are down")).to_be_visible()


def test_an_account_is_unlinked_and_a_risk_is_raised_by_clicks(served: Served) -> None:
    """What cannot be undone is named before its button: the end of an account, and a higher risk."""
    office = served.office
    lay_account(office, "bob")
    asked = office.ask("1.2.0")["request"]["id"]
    root = served.page("root")
    root.goto(f"{served.address}/users/bob")
    root.get_by_text("Unlink…").click()
    expect(root.get_by_text("Sessions that it has started end at once")).to_be_visible()
    root.get_by_role("button", name="Unlink it from bob").click()
    expect(root.get_by_role("heading", name="Accounts at sign-in providers")).to_have_count(0)
    bob = served.page("bob")
    bob.goto(f"{served.address}/requests/{asked}")
    bob.get_by_text("Raise the risk…").click()
    expect(bob.get_by_text("It cannot be lowered again")).to_be_visible()
    bob.get_by_label("Level").select_option("high")
    bob.locator("#risk-reason").fill("a new team")
    bob.get_by_role("button", name="Raise the risk").click()
    expect(bob.get_by_text("set to high by bob: a new team")).to_be_visible()


def test_a_page_shows_what_another_user_does_and_keeps_what_is_typed(served: Served) -> None:
    """The page of a release shows its new state without a reload, says that it has changed, and does not touch a form."""
    office = served.office
    lay_release(office)
    office.by("ann", "release", "confirm", "REL-1")
    page = served.page("ann")
    page.goto(f"{served.address}/planned-releases/REL-1")
    page.get_by_text("Edit the plan").click()
    page.get_by_label("Title").fill("A title that is not sent yet")
    office.by("ann", "release", "start", "REL-1", "build")
    expect(page.locator(".head .badge")).to_contain_text("in-progress", timeout=WAIT_MS)  # a part every 5 s
    expect(page.get_by_role("status").filter(has_text="The state was scheduled, and is in-progress")).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value("A title that is not sent yet")
    assert served.problems == []


def test_nothing_moves_away_under_the_pointer(served: Served) -> None:
    """While the pointer moves on a link of a live part, the part is not updated; it is once the pointer rests."""
    page = served.page("ann")
    page.goto(f"{served.address}/")
    parts = list[str]()
    page.on("request", lambda request: parts.append(request.url) if "part=all" in request.url else None)
    box = page.locator("#part table a").first.bounding_box()
    assert box is not None
    served.office.request("staging", "1.3.0")
    for number in range(20):
        page.mouse.move(box["x"] + 2 + number % 4, box["y"] + box["height"] / 2)
        page.wait_for_timeout(100)
    assert parts == []
    expect(page.get_by_role("link", name=re.compile("1.3.0 → staging"))).to_be_visible()
    assert parts
    assert served.problems == []
