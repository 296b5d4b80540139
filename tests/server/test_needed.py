"""What Home lists of release management: decisions, bookings and notifications that need the reader, and nobody else."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.request_project import RequestProject, office
from tests.server.release_scene import lay_dead, lay_notifications
from tests.server.site import Site

__all__ = ["office"]  # the fixture


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def needed(site: Site, name: str) -> str:
    """The list of what needs *name* on Home."""
    return site.signed_in(name).get("/").text.split("<h2>Needs you</h2>")[1].split("</ul>")[0]


def test_change_requests_wait_for_who_decides(office: RequestProject, site: Site) -> None:
    """A request that is assessed is listed for release managers, at most five by their rank with the way to the others, until it is decided."""
    for number in range(6):
        office.by("olga", "request", "add", f"Change {number}", "--submit")
    shown = needed(site, "ann")
    assert shown.count("waits for a decision") == 5
    assert 'href="/change-requests?state=assessing"' in shown
    assert "waits for a decision" not in needed(site, "olga")
    for number in range(1, 7):
        office.by("ann", "request", "reject", f"R-{number}", "-m", "no money")
    assert "waits for a decision" not in needed(site, "ann")


def test_bookings_that_wait_or_are_not_used_are_listed_for_their_owner(office: RequestProject, site: Site) -> None:
    """A booking that has started and is not used, and one that waits for another, need their owner; the later one does not."""
    now = datetime.now(UTC)
    at = [f"{now + timedelta(hours=hours):%Y-%m-%dT%H:%M}:00Z" for hours in (-0.1, 0.5, 24)]
    office.by("olga", "book", "staging", "--from", at[0], "--for", "4h", "--purpose", "load test")
    office.by("ann", "book", "staging", "--from", at[1], "--for", "1h", "--purpose", "a demo", "--wait")
    office.by("olga", "book", "production", "--from", at[2], "--for", "1h", "--purpose", "tomorrow")
    of_olga, of_ann = needed(site, "olga"), needed(site, "ann")
    assert ("load test" in of_olga, "ends unless it is used" in of_olga, "tomorrow" in of_olga) == (True, True, False)
    assert ("a demo" in of_ann, "waits for its time" in of_ann, "load test" in of_ann) == (True, True, False)


def test_a_lost_notification_is_listed_for_whose_rule_it_is(office: RequestProject, site: Site) -> None:
    """Notifications that cannot be delivered are listed for the user of their rule, and not those of the project."""
    lay_notifications(office)
    assert "notification of yours" not in needed(site, "vic"), "the one that is dead is of a rule of the project"
    lay_dead(office, "vic-mail", "e" * 32)
    shown = needed(site, "vic")
    assert ("notification of yours" in shown, "not delivered: no route" in shown) == (True, True)
    assert "notification of yours" not in needed(site, "root")
