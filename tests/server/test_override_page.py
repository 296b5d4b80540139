"""The page of what closes an environment for a release: who may pass it, and what that records."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.app.calendar import recorded_overrides, show_calendar
from tests.cli.request_project import RequestProject, office
from tests.server.site import HTML, Site

__all__ = ["office"]  # the fixture

PAGE = "/promote/override?release=shop-1.0.0&environment=staging"
NOW = datetime.now(UTC)
TIMES = {
    "start": f"{NOW - timedelta(days=1):%Y-%m-%dT%H:%M}",
    "end": f"{NOW + timedelta(days=100):%Y-%m-%dT%H:%M}",
    "zone": "UTC",
    "environments": "staging",
}


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with a package."""
    office.packages.put(office.release("1.0.0"))
    return Site(office, office.app())


def entry_of(page: str, title: str) -> str:
    """The value of the choice that is called *title*."""
    before = page.rpartition(title)[0]
    return before.rpartition('<option value="')[2].partition('"')[0]


def test_a_release_passes_a_freeze_by_a_form(site: Site) -> None:
    """A release manager passes a soft freeze for one release with a reason, which the page shows from then on; the release may then start."""
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    assert "Nothing in the calendar closes staging" in ann.get(PAGE).text
    assert ann.form("/calendar/entries", kind="soft-freeze", title="Inventory", **TIMES).status_code == 303
    promotion = "/promote?release=shop-1.0.0&environment=staging"
    assert "What closes it, and who may pass it" in ann.get(promotion).text
    page = ann.get(PAGE).text
    assert 'action="/promote/override"' in page
    assert "cannot be taken back" in page
    shown = vic.get(PAGE).text
    assert ("Inventory" in shown, 'action="/promote/override"' in shown) == (True, False)
    fields = {"release": "shop-1.0.0", "environment": "staging", "entry": entry_of(page, "soft freeze")}
    assert vic.form("/promote/override", **fields, reason="urgent").status_code == 403
    assert "reason" in ann.form("/promote/override", **fields).text
    passed = ann.form("/promote/override", **fields, reason="payments are down")
    assert passed.status_code == 303, passed.text
    [made] = recorded_overrides(site.root).items
    assert (made.by, made.reason, made.environment) == ("ann", "payments are down", "staging")
    after = ann.get(passed.headers["location"]).text
    assert ("payments are down" in after, "Nothing in the calendar closes staging" in after) == (True, True)
    assert "Every condition is met." in ann.get(promotion).text
    assert "A110" in ann.form("/promote/override", **{**fields, "entry": "moon"}, reason="x").text


def test_what_nobody_passes_has_no_form(site: Site) -> None:
    """A hard freeze without a role and a stopped line are shown with the reason why they cannot be passed."""
    ann = site.signed_in("ann")
    assert ann.form("/calendar/entries", kind="hard-freeze", title="Year end", **TIMES).status_code == 303
    assert ann.form("/calendar/stop", environment="staging", reason="leak").status_code == 303
    page = ann.get(PAGE, **HTML).text
    assert "no role may pass this" in page
    assert "this cannot be passed: line stopped by" in page
    assert 'action="/promote/override"' not in page
    fields = {"release": "shop-1.0.0", "environment": "staging", "reason": "x"}
    for entry in (rule.id for rule in show_calendar(site.root).rules):
        assert "A301" in ann.form("/promote/override", **fields, entry=entry).text


def test_the_role_of_an_entry_passes_it(site: Site) -> None:
    """A hard freeze that names a role has the form for a user with that role, who needs no other right."""
    ann = site.signed_in("ann")
    bob = site.user("dora", "approver")
    freeze = {"kind": "hard-freeze", "title": "Year end", "override_role": "approver", **TIMES}
    assert ann.form("/calendar/entries", **freeze).status_code == 303
    assert "does not have the role approver" in ann.get(PAGE).text
    page = bob.get(PAGE).text
    fields = {"release": "shop-1.0.0", "environment": "staging", "entry": entry_of(page, "hard freeze")}
    assert bob.form("/promote/override", **fields, reason="agreed").status_code == 303
    assert recorded_overrides(site.root).items[0].by == "dora"
