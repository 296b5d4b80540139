"""The tasks of an implementation plan by clicks: typed inputs, evidence with a file, help, skip, abort, and live events."""

import pytest
from playwright.sync_api import FilePayload, expect

from tests.browser.conftest import Served, picture
from tests.browser.test_pages import faults_of
from tests.server.release_scene import lay_plan
from tests.server.test_task_pages import MEASURED

PLAN = "/implementation-plans/IP-1"
SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["javascript", "no-javascript"])


@SCRIPTS
def test_a_plan_is_carried_out_by_clicks(served: Served, scripts: bool) -> None:
    """A user fills the typed fields of a task, adds a file, calls for help and skips with a reason; the plan is aborted once asked, also without JavaScript."""
    office = served.office
    (office.folder / "implementation").mkdir(exist_ok=True)
    (office.folder / "implementation" / "move.yaml").write_text(MEASURED)
    office.by("ann", "implementation", "start", "move")
    page = served.page("olga", java_script_enabled=scripts)
    page.goto(f"{served.address}{PLAN}/tasks/measure")
    page.get_by_label("What is needed (optional)").fill("no access to the table")
    page.get_by_role("button", name="Needs help").click()
    expect(page.locator(".head .badge")).to_contain_text("needs-help")
    page.get_by_role("button", name="Begin").click()
    expect(page.locator(".head .badge")).to_contain_text("in-progress")
    done = page.locator('form[action$="/done"]')
    done.get_by_label("Rows of the table").fill("7")
    done.get_by_label("kind").select_option("full")
    done.get_by_label("clean").select_option("true")
    done.get_by_label("Evidence: a text").fill("counted twice")
    shot = FilePayload(name="shot.txt", mimeType="text/plain", buffer=b"seven rows")
    done.get_by_label("Evidence: files").set_input_files([shot])
    picture(page, f"task-inputs-{'on' if scripts else 'off'}")
    done.get_by_role("button", name="Done", exact=True).click()
    expect(page.locator(".head .badge")).to_contain_text("done")
    expect(page.locator("dl.facts", has_text="rows")).to_contain_text("7")
    with page.expect_download() as loading:
        page.get_by_role("link", name="shot.txt").click()
    assert loading.value.suggested_filename == "shot.txt"
    assert loading.value.path().read_bytes() == b"seven rows"
    page.goto(f"{served.address}{PLAN}/tasks/move")
    expect(page.get_by_role("heading", name="Move 7 rows")).to_be_visible()
    skip = page.locator('form[action$="/skip"]')
    skip.get_by_label("Reason").fill("nothing to move")
    skip.get_by_role("button", name="Skip").click()
    expect(page.locator(".head .badge")).to_contain_text("skipped")
    office.by("ann", "implementation", "start", "move")
    manager = served.page("ann", java_script_enabled=scripts)
    manager.goto(f"{served.address}/implementation-plans/IP-2")
    manager.get_by_role("link", name="Abort the plan").click()
    manager.get_by_label("Reason").fill("wrong day")
    manager.get_by_role("button", name="Abort").click()
    expect(manager.locator(".head .badge")).to_contain_text("aborted")
    expect(manager.get_by_text("wrong day")).to_be_visible()
    assert served.problems == []


def test_an_automated_task_is_added_by_clicks(served: Served) -> None:
    """A release manager adds a promotion before a task that waits; the open form is accessible, and fits a phone."""
    lay_plan(served.office)
    page = served.page("ann", bypass_csp=True)
    page.goto(served.address + PLAN)
    page.get_by_text("Add a task", exact=True).click()
    form = page.locator('form[action$="/tasks"]')
    form.get_by_text("Promotion, rollback or task of a template").click()
    assert faults_of(page) == []
    picture(page, "task-added")
    page.set_viewport_size({"width": 390, "height": 844})
    assert faults_of(page) == []
    form.get_by_label("Name, such as announce").fill("promote")
    form.get_by_label("What it is").select_option("promotion")
    form.get_by_label("Package, such as shop-1.5.0").fill("shop-1.5.0")
    form.get_by_label("To", exact=True).select_option("production")
    form.get_by_label("Before, separated by commas").fill("check")
    form.get_by_label("Reason (required for an automated task)").fill("announced together")
    form.get_by_role("button", name="Add the task").click()
    row = page.locator("tr#promote")
    expect(row).to_contain_text("promote shop-1.5.0 to production")
    expect(page.locator("tr#check")).to_contain_text("waits for announce, promote")
    assert served.problems == []


def test_a_plan_is_live_by_events_and_not_by_polls(served: Served) -> None:
    """What another user records appears on an open page of the plan and on home by an event, before any poll."""
    office = served.office
    lay_plan(office)
    page, home = served.page("vic"), served.page("ann")
    home.goto(served.address)
    page.goto(served.address + PLAN)
    page.wait_for_timeout(1000)
    requests: list[str] = []
    page.on("request", lambda sent: requests.append(sent.url) if "part=all" in sent.url else None)
    page.wait_for_timeout(6000)
    assert requests == []
    office.by("olga", "implementation", "help-needed", "IP-1", "announce", "-m", "no list of shops")
    expect(page.get_by_text("no list of shops")).to_be_visible(timeout=10_000)
    assert len(requests) in {1, 2}
    office.by("olga", "implementation", "begin", "IP-1", "announce")
    office.by("olga", "implementation", "done", "IP-1", "announce")
    expect(home.get_by_role("link", name="check", exact=True)).to_be_visible(timeout=10_000)
    assert served.problems == []
