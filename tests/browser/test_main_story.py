"""The whole process of a release manager by clicks: a request, a release, a booking, a train, a vote and a review."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.test_release_stories import SCRIPTS, local

pytestmark = pytest.mark.timeout(600)


def work(served: Served) -> None:
    """Do what workers do, until nothing is due: the duties of the scheduler, and the runs that were requested."""
    for _ in range(10):
        reports = served.office.duties()
        assert not [text for text in reports if text.endswith("FAILED")], reports
        runs = [run for run in served.office.store.list_runs(limit=20).items if run.ended_at is None]
        for run in runs:
            served.office.execute(run.id)
        if not reports and not runs:
            return


def request_is_accepted(served: Served, page: Page) -> None:
    """Enter a change request, which is assessed at once, and accept it."""
    page.get_by_role("navigation", name="Plan").get_by_role("link", name="Change requests").click()
    page.get_by_label("What is to change").fill("Sell gift cards")
    page.get_by_label("Why", exact=True).fill("Customers asked for it")
    page.get_by_label("Packages, separated by commas").fill("shop")
    page.get_by_label("Environments, separated by commas").fill("production")
    page.get_by_label("Have it assessed at once").check()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".head .badge")).to_contain_text("assessing")
    page.get_by_role("button", name="Accept").click()
    expect(page.locator(".head .badge")).to_contain_text("accepted")
    page.goto(f"{served.address}/change-requests")
    expect(page.get_by_role("row", name=re.compile("Sell gift cards")).first).to_contain_text("accepted")


def release_is_planned(page: Page) -> None:
    """Plan a release with the request and the package, confirm it, which books production, and freeze its scope.

    It is driven by completion: a release that is driven by its dates would hold the train in staging until then.
    """
    page.get_by_role("navigation", name="Plan").get_by_role("link", name="Planned releases").click()
    page.get_by_label("Title").fill("Gift cards")
    page.get_by_label("Into").select_option("production")
    page.get_by_label("What decides").select_option("completion")
    page.get_by_label("Freeze time, UTC").fill(local(5))
    page.get_by_label("Release time, UTC").fill(local(9))
    page.get_by_label("Change requests, separated by commas").fill("R-1")
    page.get_by_label("Packages, built or not").fill("shop-1.2.0")
    page.get_by_role("button", name="Plan as a draft").click()
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator(".head .badge")).to_contain_text("scheduled")
    page.get_by_role("button", name="Freeze the scope").click()
    expect(page.get_by_text("frozen", exact=True).first).to_be_visible()


def train_is_made(page: Page) -> None:
    """Add a line, make its first train, and put the package aboard: the prognosis says that it leaves."""
    page.get_by_role("navigation", name="Plan").get_by_role("link", name="Trains").click()
    page.get_by_label("Name", exact=True).fill("weekly")
    page.get_by_label("Stops, a line each").fill("staging\nproduction")
    page.get_by_label("First departure").fill(local(1))
    page.get_by_role("button", name="Add the line").click()
    page.get_by_role("button", name="Make the train").click()
    page.get_by_label("Package", exact=True).fill("shop-1.2.0")
    page.get_by_role("button", name="Put it aboard").click()
    expect(page.get_by_text("1 of 1 packages would leave.")).to_be_visible()


def staging_is_booked(served: Served, page: Page) -> None:
    """Book staging for the train: a promotion of others is refused with its holder."""
    page.get_by_role("navigation", name="Plan").get_by_role("link", name="Bookings").click()
    form = page.locator("form[action='/bookings'][method=post]")
    form.get_by_label("Environment").select_option("staging")
    form.get_by_label("From, UTC").fill(f"{datetime.now(UTC) - timedelta(minutes=1):%Y-%m-%dT%H:%M}")
    form.get_by_label("Hours").fill("4")
    form.get_by_label("Purpose").fill("the weekly train")
    form.get_by_label("Holder").fill("train:T-1")
    form.get_by_role("button", name="Book").click()
    expect(page.locator(".head .badge")).to_contain_text("confirmed")
    assert "train:T-1" in str(served.office.by("ann", "promote", "1.0.0", "--to", "staging", code=3))


@SCRIPTS
def test_a_request_goes_to_production_by_clicks(served: Served, scripts: bool) -> None:
    """A request is accepted, planned, booked, carried by a train, approved and reviewed, by clicks alone, also without JavaScript."""
    office = served.office
    office.go("production", "1.0.0")
    office.packages.put(office.release("1.2.0"))
    page = served.page("ann", java_script_enabled=scripts)
    request_is_accepted(served, page)
    release_is_planned(page)
    train_is_made(page)
    staging_is_booked(served, page)

    page.goto(f"{served.address}/trains/T-1")
    page.get_by_label("Reason (optional)").last.fill("no need to wait")
    page.get_by_role("button", name="Depart now").click()
    expect(page.locator("#part .badge").first).to_contain_text("departed")
    work(served)
    page.goto(f"{served.address}/trains/T-1")
    expect(page.locator("#part")).to_contain_text("production")

    approver = served.page("bob", java_script_enabled=scripts)
    approver.get_by_role("link", name="Review…").click()
    approver.get_by_label("Comment").fill("looks right")
    approver.get_by_role("button", name="Approve").click()
    expect(approver.locator(".head .badge")).to_contain_text("ready")
    work(served)
    page.reload()
    expect(page.locator("#part .badge").first).to_contain_text("arrived")
    expect(page.locator("#part")).to_contain_text("shop 1.2.0")

    page.goto(f"{served.address}/planned-releases/REL-1")
    expect(page.locator(".head .badge")).to_contain_text("released")
    page.goto(f"{served.address}/reviews")
    page.get_by_role("link", name=re.compile("REL-1|Gift cards")).first.click()
    page.get_by_label("Conclusion").fill("it went as planned")
    page.get_by_role("button", name="Close the review").click()
    expect(page.locator(".head .badge")).to_contain_text("successful")
    page.goto(f"{served.address}/planned-releases/REL-1")
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator(".head .badge")).to_contain_text("closed")
    assert office.by("vic", "request", "show", "R-1")["request"]["state"] == "closed"
    assert {row["state"] for row in office.by("vic", "bookings", "--all")["bookings"] for row in [row["booking"]]} <= {
        "active", "confirmed", "completed", "cancelled",
    }  # fmt: skip
    assert served.problems == []
