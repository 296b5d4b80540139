"""The entries of the calendar on its page: who sees their forms, and what these change."""

import re

import pytest

from orchestrator.app.calendar import show_calendar, states
from orchestrator.domain.calendar.rules import CalendarRule, RuleKind
from tests.cli.request_project import RequestProject, office
from tests.server.site import HTML, Site

__all__ = ["office"]  # the fixture

EVIL = "<img src=x onerror=alert(1)>"
FREEZE = {
    "kind": "hard-freeze", "title": "Year end", "start": "2020-12-24T18:00", "end": "2020-12-27T06:00",
    "zone": "Europe/Berlin", "environments": "production, stag*", "repeat": "FREQ=YEARLY", "reason": "few people",
}  # fmt: skip


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def rules(site: Site) -> tuple[CalendarRule, ...]:
    """The entries that the register has."""
    return show_calendar(site.root).rules


def test_an_entry_is_added_and_removed_by_forms(site: Site) -> None:
    """A release manager adds a freeze on the page of the calendar as its owner, sees it in the list, and removes it with a reason."""
    ann = site.signed_in("ann")
    assert "promotions start at any time" in ann.get("/calendar", **HTML).text
    added = ann.form("/calendar/entries", **FREEZE)
    assert (added.status_code, added.headers["location"]) == (303, "/calendar#entries")
    [made] = rules(site)
    assert (made.kind, made.title, made.environments, made.zone) == (
        RuleKind.HARD_FREEZE, "Year end", ("production", "stag*"), "Europe/Berlin",
    )  # fmt: skip
    assert (str(made.rule), made.owner, made.reason) == ("FREQ=YEARLY", "ann", "few people")
    page = ann.get("/calendar", **HTML).text
    for words in ("Year end", "production, stag*", "2020-12-24 18:00 to 2020-12-27 06:00", "every year", "few people"):
        assert words in page
    assert ann.form(f"/calendar/entries/{made.id}/remove", reason="too long").status_code == 303
    assert rules(site) == ()
    assert ann.form(f"/calendar/entries/{made.id}/remove").status_code == 404


def test_an_entry_closes_its_environments_at_once(site: Site) -> None:
    """A window that is over closes its environments, and no others; a rule of RFC 5545 takes the place of the choice."""
    ann = site.signed_in("ann")
    window = {
        **FREEZE,
        "kind": "window",
        "environments": "staging",
        "rule": "FREQ=WEEKLY;BYDAY=TH;UNTIL=20210101T000000Z",
    }
    assert ann.form("/calendar/entries", **window).status_code == 303
    assert {name: each.open for name, each in states(site.root).items()} == {"staging": False, "production": True}
    assert "BYDAY=TH" in ann.get("/calendar", **HTML).text


WRONG = (
    ({"end": "2020-12-24T18:00"}, "not after its start"),
    ({"environments": "Production!"}, "environments"),
    ({"environments": "moon"}, "moon"),
    ({"zone": "Nowhere/X"}, "zone"),
    ({"rule": "every day"}, "rule"),
    ({"kind": "party"}, "kind"),
    ({"title": ""}, "title"),
)


@pytest.mark.parametrize(("change", "words"), WRONG)
def test_a_wrong_entry_is_refused_with_its_field(site: Site, change: dict[str, str], words: str) -> None:
    """A form with a wrong field adds nothing, and the page names what is wrong."""
    refused = site.signed_in("ann").form("/calendar/entries", **{**FREEZE, **change})
    assert (refused.status_code in {404, 422}, words in refused.text) == (True, True), refused.text
    assert rules(site) == ()


def test_others_read_the_entries_only(site: Site) -> None:
    """A role without the right sees the entries and no form, and its form is refused; text is shown as text."""
    assert site.signed_in("ann").form("/calendar/entries", **{**FREEZE, "title": EVIL}).status_code == 303
    vic = site.signed_in("vic")
    page = vic.get("/calendar", **HTML).text
    assert ("hard-freeze" in page, EVIL in page, "/calendar/entries" in page) == (True, False, False)
    assert "A101" in vic.form("/calendar/entries", **FREEZE).text
    [made] = rules(site)
    assert "A101" in vic.form(f"/calendar/entries/{made.id}/remove").text
    assert len(re.findall("Remove…", site.signed_in("ann").get("/calendar", **HTML).text)) == 1
