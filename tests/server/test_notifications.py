"""Notifications by pages and the API: rules and subscriptions, what was sent, and what is sent again."""

from typing import Any
from urllib.parse import quote

import pytest

from orchestrator.domain.register import NOTIFICATIONS
from tests.cli.request_project import RequestProject, office
from tests.server.release_scene import DEAD, TARGET, lay_notifications
from tests.server.site import Site

__all__ = ["office"]  # the fixture

API = "/api/v1/notification-rules"
MAIL = "smtps://93.184.216.34?from=a@example.com&to=olga@example.com"


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with two rules and a notification that is dead."""
    lay_notifications(office)
    return Site(office, office.app())


def test_a_rule_is_added_changed_and_removed_by_forms(office: RequestProject, site: Site) -> None:
    """Its secret is shown once, its target never; a form of an older version is refused; it links to this server."""
    root = site.signed_in("root")
    fields = {
        "channel": "webhook",
        "events": "run.*",
        "environment": "staging",
        "quiet_start": "22:00",
        "quiet_end": "07:00",
    }
    link = root.get("/notifications").text.split('name="link"')[1].split('value="')[1].split('"')[0]
    assert link == "http://127.0.0.1:8750"
    made = root.form("/notification-rules", name="night", address=f"{TARGET}?key=s3cret", link=link, **fields)
    assert (made.status_code, "whsec_" in made.text) == (200, True), made.text
    page = root.get("/notification-rules/night").text
    assert ("https://93.184.216.34" in page, "s3cret" in page, "whsec_" in page) == (True, False, False)
    shown = page.split('name="shown" value="')[1].split('"')[0]
    done = root.form(
        "/notification-rules/night/edit", shown=shown, **{**fields, "digest": "daily"}, user="bob", needed_only="yes"
    )
    assert done.headers["location"] == "/notification-rules/night"
    assert "bob, only what needs them" in root.get("/notifications").text
    stale = root.form("/notification-rules/night/edit", shown=shown, **fields)
    assert (stale.status_code, "N145" in stale.text) == (412, True)
    assert root.form("/notification-rules/night/test").status_code == 303
    assert "a test of the rule night" in root.get("/notification-rules/night").text
    assert root.form("/notification-rules/night/remove", reason="x").headers["location"] == "/notifications"
    assert root.get("/notification-rules/night", accept="text/html").status_code == 404


def test_a_user_subscribes_without_a_right(office: RequestProject, site: Site) -> None:
    """A user without rights has a page with their rules alone, may change those, and not make one for another user."""
    olga = site.signed_in("olga")
    own = {"channel": "mail", "address": MAIL, "needed_only": "yes", "digest": "hourly", "back": "/me/notifications"}
    done = olga.form("/notification-rules", name="olga-mail", user="olga", **own)
    assert (done.status_code, done.headers["location"]) == (303, "/me/notifications")
    office.by("olga", "request", "add", "Sell gift cards", "--why", "asked for", "--environment", "staging", "--submit")
    office.by("ann", "request", "reject", "R-1", "-m", "the market is closed")
    page = olga.get("/me/notifications").text
    assert ("olga-mail" in page, "vic-mail" in page) == (True, False)
    assert '<a class="link" href="/change-requests/R-1">' in page
    listed = olga.get("/api/v1/notifications?mine=true").json()["notifications"]
    assert {(each["rule"], each["fact"]["to"], each["fact"]["by"]) for each in listed} == {("olga-mail", "olga", "ann")}
    assert ("the market is closed" in listed[0]["fact"]["text"], listed[0]["fact"]["state"]) == (True, "rejected")
    assert olga.get("/api/v1/notifications").status_code == 403
    assert "Retry" not in olga.get("/notification-rules/ops").text
    for name, more in (
        ("other", {"user": "bob"}),
        ("chat", {"user": "olga", "channel": "chat"}),
        ("all", {"needed_only": ""}),
    ):
        refused = olga.form("/notification-rules", name=name, **{**own, **more})
        assert (refused.status_code, "A101" in refused.text) == (403, True), name
    assert olga.form("/notification-rules/vic-mail/remove").status_code == 403
    assert olga.form("/notification-rules/olga-mail/remove", back="/me/notifications").status_code == 303


def test_a_dead_notification_is_retried_from_its_row(office: RequestProject, site: Site) -> None:
    """The row of a dead notification has its error and a button, after which it is due again with the same id."""
    root, viewer = site.signed_in("root"), site.signed_in("vic")
    page = root.get("/notifications?state=dead&rule=ops").text
    assert ("no route" in page, f"/notifications/{DEAD}/retry" in page) == (True, True)
    assert f"/notifications/{DEAD}/retry" not in viewer.get("/notifications").text
    assert root.form(f"/notifications/{DEAD}/retry", back="/notifications").headers["location"] == "/notifications"
    with office.acting("root"):
        found = office.app().acting.register.reading(lambda records: records.get(NOTIFICATIONS, DEAD))
    assert found is not None
    assert (found.state, found.message, found.tries) == ("pending", DEAD, 0)
    assert "N163" in root.form(f"/notifications/{DEAD}/retry").text


def test_the_api_changes_the_version_that_was_read(site: Site) -> None:
    """`If-Match` refuses an older version, one key has one rule and the same secret, and a change keeps what it does not name."""
    root = site.signed_in("root")
    order: dict[str, Any] = {"name": "night", "channel": "webhook", "address": TARGET, "events": ["run.*"]}
    first = root.post(API, order, **{"idempotency-key": "k"})
    again = root.post(API, order, **{"idempotency-key": "k"})
    assert (first.status_code, first.content == again.content) == (201, True)
    assert first.json()["secret"].startswith("whsec_")
    assert root.post(API, order).json()["code"] == "N161"
    tag = root.get(f"{API}/night").headers["etag"]
    done = root.post(f"{API}/night/edit", {"quiet": {"start": "22:00", "end": "07:00"}}, **{"if-match": tag})
    assert (done.status_code, done.json()["secret"], done.json()["rule"]["events"]) == (200, "", ["run.*"])
    stale = root.post(f"{API}/night/edit", {"digest": "daily"}, **{"if-match": tag})
    assert (stale.status_code, stale.json()["code"]) == (412, "N145")
    moved = root.post(f"{API}/night/edit", {"channel": "mail", "address": MAIL})
    assert (moved.json()["rule"]["shown"], moved.json()["secret"]) == ("smtps://93.184.216.34", "")
    private = root.post(f"{API}/night/edit", {"address": "smtp://127.0.0.1?from=a@b&to=c@d"})
    assert (private.status_code, private.json()["code"]) == (422, "N161")
    assert root.post(f"{API}/night/test", {}).json()["notification"]["fact"]["kind"] == "notifications.test"
    assert root.post(f"{API}/night/remove", {}, **{"if-match": tag}).status_code == 412
    assert root.post(f"{API}/night/remove", {}).json()["rule"]["name"] == "night"


def test_lists_have_filters_an_order_and_pages(site: Site) -> None:
    """Rules are listed by user and channel, notifications by rule and state, from either end, page by page."""
    root, vic = site.signed_in("root"), site.signed_in("vic")
    for _ in range(3):
        assert root.post(f"{API}/ops/test", {}).status_code == 201
    assert [each["name"] for each in vic.get(f"{API}?mine=true").json()["rules"]] == ["vic-mail"]
    assert [each["name"] for each in vic.get(f"{API}?sort=-name").json()["rules"]] == ["vic-mail", "ops"]
    assert [each["name"] for each in vic.get(f"{API}?channel=webhook").json()["rules"]] == ["ops"]
    whole = root.get("/api/v1/notifications?rule=ops").json()["notifications"]
    assert len(whole) == 4
    for query, expected in (("rule=ops", whole), ("rule=ops&sort=at", whole[::-1]), ("sort=at", whole[::-1])):
        found, after = list[Any](), ""
        for _ in expected:
            page = root.get(f"/api/v1/notifications?{query}&limit=1{after}").json()
            found += page["notifications"]
            after = f"&cursor={quote(page['cursor'] or 'end')}"
        assert (found, after) == (expected, "&cursor=end"), query
    dead = root.get("/api/v1/notifications?state=dead").json()["notifications"]
    assert [each["id"] for each in dead] == [DEAD]
