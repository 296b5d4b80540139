"""Release management in a real browser: a release, a plan and a review by clicks, live tasks, and accessibility."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.test_pages import faults_in_all_looks
from tests.server.release_scene import EVIL, lay_plan, lay_release, lay_review

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["javascript", "no-javascript"])


def local(days: float) -> str:
    """A time as the field of a form has it, in UTC."""
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M}"


def lay_scene(served: Served) -> str:
    """A release that is confirmed and under way, a plan with a task that needs help, and a review. The path of the review."""
    office = served.office
    lay_release(office, "--mode", "completion")
    office.by("ann", "release", "phase", "REL-1", "test", "--environment", "staging", "--responsible", "bob")
    office.by("ann", "release", "confirm", "REL-1")
    office.by("ann", "release", "start", "REL-1", "build")
    office.by("ann", "release", "phase", "REL-1", "test", "--end", f"{local(11)}:00Z", "-m", "a defect")
    lay_plan(office, "--release", "REL-1")
    links = ("--link", "https://tickets.example/1")
    office.by("olga", "implementation", "done", "IP-1", "announce", "--evidence", "mailed to all shops", *links)
    office.by("ann", "implementation", "help-needed", "IP-1", "check", "-m", "the test account is locked")
    run = lay_review(office)
    office.by("ann", "review", "write", run, "--well", "The rollback took a minute.", "--badly", "No alert fired.")
    office.by("olga", "review", "feedback", run, "-m", "search is faster", "--rating", "4")
    return f"/reviews/{run}"


@SCRIPTS
def test_a_release_is_planned_and_confirmed_by_clicks(served: Served, scripts: bool) -> None:
    """A release manager plans a release, confirms it, moves a phase after seeing what moves, and cancels it, also without JavaScript."""
    office = served.office
    office.packages.put(office.release("1.5.0"))
    page = served.page("ann", java_script_enabled=scripts)
    page.get_by_role("navigation", name="Plan").get_by_role("link", name="Planned releases").click()
    expect(page.get_by_text("There are no such planned releases.")).to_be_visible()
    page.get_by_label("Title").fill("Advent")
    page.get_by_label("Into").select_option("production")
    page.get_by_label("Freeze time, UTC").fill(local(5))
    page.get_by_label("Release time, UTC").fill(local(9))
    page.get_by_label("What decides").select_option("completion")
    page.get_by_label("Packages, built or not").fill("shop-1.5.0")
    page.get_by_role("button", name="Plan as a draft").click()
    expect(page.locator(".head .badge")).to_contain_text("draft")
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator(".head .badge")).to_contain_text("scheduled")
    page.get_by_role("button", name="Start build").click()
    expect(page.locator(".head .badge")).to_contain_text("in-progress")
    page.get_by_role("link", name="Change test").click()
    page.get_by_label("End, UTC").fill(local(11))
    page.get_by_role("button", name="Show what moves").click()
    expect(page.get_by_text("REL-1 deploy moves by")).to_be_visible()
    page.get_by_label("Reason").fill("a defect")
    page.get_by_role("button", name="Make the change").click()
    expect(page.locator("#phase-test")).to_contain_text("first planned")
    page.get_by_role("link", name="Cancel the release…").click()
    expect(page.get_by_text("The bookings B-")).to_be_visible()
    page.get_by_label("Reason").fill("no money")
    page.get_by_role("button", name="Cancel the release").click()
    expect(page.locator(".head .badge")).to_contain_text("cancelled")
    assert served.office.by("vic", "release", "show", "REL-1")["release"]["note"] == "no money"
    assert served.problems == []


@SCRIPTS
def test_a_task_is_done_by_clicks(served: Served, scripts: bool) -> None:
    """Home leads the owner of a task to it; help, evidence and the end are recorded, also without JavaScript."""
    lay_plan(served.office)
    page = served.page("olga", java_script_enabled=scripts)
    page.get_by_role("link", name="Show Announce 1.5.0").click()
    expect(page.get_by_text("Mail the shops.")).to_be_visible()
    page.get_by_label("What is needed").fill("a list of shops")
    page.get_by_role("button", name="Needs help").click()
    expect(page.locator(".notice.bad")).to_contain_text("a list of shops")
    page.get_by_label("Evidence: a text (optional)").fill("mailed to all shops")
    page.locator("#links-done").fill("https://tickets.example/1")
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("link", name="https://tickets.example/1")).to_be_visible()
    page.get_by_role("link", name="Launch 1.5.0").click()
    expect(page.locator("tr#announce")).to_contain_text("done")
    expect(page.locator("tr#check")).to_contain_text("ready")
    assert served.problems == []


def test_a_task_that_changes_is_shown_without_a_reload(served: Served) -> None:
    """The page of an open plan shows the end of a task that another user records, and the end of the plan."""
    lay_plan(served.office)
    page = served.page("vic")
    page.goto(f"{served.address}/implementation-plans/IP-1")
    expect(page.locator("tr#announce")).to_contain_text("ready")
    page.evaluate("document.documentElement.dataset.kept = 'yes'")
    served.office.by("olga", "implementation", "done", "IP-1", "announce")
    expect(page.locator("tr#announce")).to_contain_text("done")
    served.office.by("ann", "implementation", "abort", "IP-1", "-m", "no launch", "--yes")
    expect(page.locator("#part p[aria-live=polite]")).to_contain_text("aborted")
    assert page.evaluate("document.documentElement.dataset.kept") == "yes"
    assert served.problems == []


@SCRIPTS
def test_a_review_is_closed_by_clicks(served: Served, scripts: bool) -> None:
    """A review gets feedback, an action and its close code, and the owner records the action, also without JavaScript."""
    path = lay_scene(served)
    page = served.page("ann", java_script_enabled=scripts)
    page.goto(served.address + path)
    page.get_by_label("Your feedback").fill("no alert fired")
    page.get_by_label("Rating").select_option("2")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("2 of 5").first).to_be_visible()
    page.get_by_label("What is to be done").fill("Add an alert")
    page.get_by_label("Owner").fill("ann")
    page.get_by_label("Due, UTC").last.fill(local(9))
    page.get_by_role("button", name="Add the action").click()
    expect(page.locator("#A-2")).to_contain_text("Add an alert")
    page.get_by_label("Conclusion").fill("it held")
    page.get_by_role("button", name="Close the review").click()
    expect(page.locator(".head .badge")).to_contain_text("successful")
    page.goto(f"{served.address}/actions?mine=true")
    page.locator("#A-2 summary").click()
    page.locator("#A-2").get_by_role("button", name="Done").click()
    expect(page.locator("#A-1")).to_be_visible()
    expect(page.locator("#A-2")).to_have_count(0)
    assert served.problems == []


def pages_of(review: str) -> dict[str, str]:
    """The pages of release management, by the names of their pictures."""
    release, plan = "/planned-releases/REL-1", "/implementation-plans/IP-1"
    preview = f"{release}/phase?name=test&end={local(13)}&environment=staging&responsible=bob&after=build&preview=yes"
    return {
        "home": "/", "releases": "/planned-releases", "release": release, "notes": f"{release}/notes",
        "phase": preview, "new-phase": f"{release}/phase", "cancel": f"{release}/cancel",
        "plans": "/implementation-plans", "plan": plan, "task": f"{plan}/tasks/check", "done-task": f"{plan}/tasks/announce",
        "abort": f"{plan}/abort", "reviews": "/reviews", "review": review, "actions": "/actions",
    }  # fmt: skip


def opened(page: Page) -> None:
    """Open the parts of *page* that have details."""
    page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")


@pytest.mark.timeout(1800)
def test_pages_of_release_management_are_accessible(served: Served) -> None:
    """axe-core finds nothing on a page with data, with its parts opened, and no page is wider than its window."""
    review = lay_scene(served)
    page = served.page("ann", bypass_csp=True)
    found: dict[str, list[str]] = {}
    for name, path in pages_of(review).items():
        response = page.goto(served.address + path)
        assert response is not None
        assert (path, response.status) == (path, 200)
        if faults := faults_in_all_looks(page, f"management-{name}", opened):
            found[name] = faults
    assert found == {}
    assert served.problems == []


def test_text_with_markup_is_never_executed_on_pages_of_release_management(served: Served) -> None:
    """Titles, reasons, evidence and feedback with markup are shown as text under the policy of the pages."""
    path = lay_scene(served)
    page = served.page("ann")
    page.goto(f"{served.address}/implementation-plans/IP-1/tasks/check")
    page.get_by_label("Evidence: a text (optional)").first.fill(EVIL)
    page.get_by_label(re.compile("Result, or reason")).fill(EVIL)
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text(EVIL).first).to_be_visible()
    written(page, served.address + path)
    for place in pages_of(path).values():
        page.goto(served.address + place)
        assert page.locator("img[src=x]").count() == 0
    assert served.problems == []


def written(page: Page, address: str) -> None:
    """Write markup into the review at *address*."""
    page.goto(address)
    page.locator("#well").fill(EVIL)
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Your feedback").fill(EVIL)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text(EVIL).last).to_be_visible()
