"""Pages and routes of change requests and bookings: the nouns, words and rights of the command line."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.request_project import RequestProject, office
from tests.server.site import HTML, Site

__all__ = ["office"]  # the fixture

EVIL = "<img src=x onerror=alert(1)>"
START = (datetime.now(UTC) + timedelta(days=3)).replace(hour=8, minute=0, second=0, microsecond=0)


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def at(moment: datetime) -> str:
    """A time as a form or a body has it."""
    return moment.isoformat()


def test_a_change_request_that_is_assessed_is_made_a_draft_again(office: RequestProject, site: Site) -> None:
    """Its reporter makes it a draft again, with a reason, corrects it, and has it assessed again; others have no such button."""
    olga, vic = site.signed_in("olga"), site.signed_in("vic")
    page, button = "/change-requests/R-1", "Make it a draft again"
    assert olga.form("/change-requests", title="Sell gift crads").status_code == 303
    assert button not in olga.get(page).text
    assert olga.form(f"{page}/submit").status_code == 303
    assert (button in olga.get(page).text, button in vic.get(page).text) == (True, False)
    assert "A101" in vic.form(f"{page}/revise").text
    revised = olga.form(f"{page}/revise", reason="a typing error")
    assert (revised.status_code, revised.headers["location"]) == (303, page), revised.text
    text, shown = olga.get(page).text, office.by("vic", "request", "show", "R-1")["request"]
    assert (button in text, "Have it assessed" in text) == (False, True)
    assert (shown["state"], shown["note"]) == ("draft", "a typing error")
    assert olga.form(f"{page}/edit", title="Sell gift cards").status_code == 303
    assert olga.form(f"{page}/submit").status_code == 303
    shown = office.by("vic", "request", "show", "R-1")["request"]
    assert (shown["state"], shown["title"]) == ("assessing", "Sell gift cards")


def test_a_change_request_goes_from_a_form_to_its_decision(office: RequestProject, site: Site) -> None:
    """A user adds a change request by a form, and a release manager rejects it: the command line shows the same."""
    office.packages.put(office.release("1.0.0"))
    olga, ann, vic = site.signed_in("olga"), site.signed_in("ann"), site.signed_in("vic")
    assert ("no such change requests" in olga.get("/change-requests").text) is True
    fields = {"title": EVIL, "reason": "asked for", "value": "4", "packages": "shop", "environments": "production"}
    made = olga.form("/change-requests", **fields, links="https://tickets.example/1, javascript:alert(1)")
    assert (made.status_code, made.headers["location"]) == (303, "/change-requests/R-1")
    page = olga.get("/change-requests/R-1").text
    assert (EVIL in page, "asked for" in page, 'href="javascript' in page) == (False, True, False)
    assert "Have it assessed" in page
    assert "Have it assessed" not in vic.get("/change-requests/R-1").text
    assert olga.form("/change-requests/R-1/edit", title="Sell gift cards", urgency="5").status_code == 303
    assert olga.form("/change-requests/R-1/submit").status_code == 303
    assert "A101" in olga.form("/change-requests/R-1/accept", reason="worth it").text
    assert "N110" in ann.form("/change-requests/R-1/reject", reason=" ").text
    assert ann.form("/change-requests/R-1/rank", rank="8.5", reason="a customer waits").status_code == 303
    assert "8.50*" in ann.get("/change-requests").text
    assert "Moved since" in ann.get("/change-requests").text
    assert ann.form("/change-requests/R-1/rank", rank="").status_code == 303
    assert ann.form("/change-requests/R-1/reject", reason="not now").status_code == 303
    shown = office.by("vic", "request", "show", "R-1")
    assert (shown["request"]["state"], shown["request"]["note"], shown["request"]["urgency"]) == (
        "rejected",
        "not now",
        5,
    )
    document = vic.get("/api/v1/change-requests/R-1").json()
    assert {key: value for key, value in document.items() if key in shown} == {
        key: value for key, value in shown.items() if key in document
    }


def test_the_buttons_of_a_change_request_are_those_of_its_state_and_its_reader(site: Site) -> None:
    """A page offers exactly the events that the state table has and the reader may cause."""
    olga, ann = site.signed_in("olga"), site.signed_in("ann")
    olga.post("/api/v1/change-requests", {"title": "Sell gift cards", "submit": True})
    path = "/change-requests/R-1"

    def offered(page: str) -> set[str]:
        return {event for event in EVENTS if f'action="{path}/{event}"' in page}

    assert offered(olga.get(path).text) == {"withdraw"}
    assert offered(ann.get(path).text) == {"accept", "reject", "defer", "withdraw"}
    ann.form(f"{path}/defer", reason="after the freeze", until="2031-01-07T08:00")
    assert offered(ann.get(path).text) == {"reopen", "withdraw"}
    assert olga.form(f"{path}/withdraw").status_code == 303
    assert offered(ann.get(path).text) == set()


EVENTS = ("submit", "accept", "reject", "defer", "reopen", "withdraw", "close")


def test_an_environment_is_booked_extended_and_handed_over(office: RequestProject, site: Site) -> None:
    """A booking is made by a form in the time zone of the reader, and only its owner, holder or a manager changes it."""
    olga, ann, bob = site.signed_in("olga"), site.signed_in("ann"), site.signed_in("bob")
    assert olga.form("/me/zone", zone="Pacific/Auckland").status_code == 303
    local = datetime.fromisoformat(at(START)).strftime("%Y-%m-%dT%H:%M")
    made = olga.form("/bookings", environment="staging", start=local, hours="4", purpose=EVIL)
    assert made.headers.get("location") == "/bookings/B-1", made.text
    booking = bob.get("/api/v1/bookings/B-1").json()["booking"]
    assert datetime.fromisoformat(booking["start"]) < START - timedelta(hours=11)
    assert booking == office.by("vic", "booking", "show", "B-1")["booking"]
    page = olga.get("/bookings").text
    assert (EVIL in page, "&lt;img" in page, "/bookings/B-1" in page) == (False, True, True)
    assert "Hand over" not in bob.get("/bookings/B-1").text
    clash = ann.form("/bookings", environment="staging", start=booking["start"], hours="2", purpose="load test")
    assert (clash.status_code, "G301" in clash.text) == (409, True)
    end = datetime.fromisoformat(booking["end"])
    assert olga.form("/bookings/B-1/extend", until=at(end + timedelta(hours=1))).status_code == 303
    assert "A101" in bob.form("/bookings/B-1/cancel").text
    assert "N110" in olga.form("/bookings/B-1/hand-over", holder="ann").text
    assert "there is no train T-9" in olga.form("/bookings/B-1/hand-over", holder="train:T-9").text
    assert olga.form("/bookings/B-1/hand-over", holder="user:ann", reason="holidays").status_code == 303
    assert "user:olga" in bob.get("/bookings/B-1").text
    assert ann.form("/bookings/B-1/cancel", reason="not needed").status_code == 303
    assert office.by("vic", "bookings", "--all")["bookings"][0]["booking"]["state"] == "cancelled"


def test_free_times_and_quotas_are_shown_and_limited(site: Site) -> None:
    """The page of one environment lists its next free times, and a manager limits the hours of a team."""
    ann, olga = site.signed_in("ann"), site.signed_in("olga")
    slots = olga.get("/api/v1/free-slots?environment=staging&hours=2").json()["slots"]
    assert len(slots) == 5
    assert slots[0]["start"][:10] in olga.get("/bookings?environment=staging&hours=2").text
    for tiny in ("hours=1e-308", "days=1e-308"):
        assert olga.get(f"/api/v1/free-slots?environment=staging&{tiny}").status_code == 422
    assert olga.get("/bookings?environment=staging&hours=1e-308").status_code == 422
    assert (
        "hours: at least 0.02"
        in ann.form("/bookings", environment="staging", start="2031-01-01T10:00", hours="1e-308").text
    )
    assert ann.form("/booking-quotas", team="red", environment="staging", hours="20").status_code == 303
    assert "red in staging: 20 h a week" in olga.get("/bookings").text
    assert olga.get("/api/v1/booking-quotas").json()["quotas"] == [
        {"team": "red", "environment": "staging", "hours": 20}
    ]
    assert ann.form("/booking-quotas", team="red", environment="staging", hours="").status_code == 303
    assert olga.get("/api/v1/contention").json()["weeks"]


def test_measures_are_shown_with_their_runs(office: RequestProject, site: Site) -> None:
    """The page and the document of the measures name the runs behind each, the page without runs names the command that adds one, and an unknown environment is refused."""
    olga = site.signed_in("olga")
    empty = olga.get("/measures?days=7&environment=staging").text
    assert "orchestrator promote RELEASE --to staging" in empty
    assert ('class="trend"' in empty, "No runs" in empty) == (False, False)
    run = office.go("staging", "1.0.0")
    page = olga.get("/measures?days=7&environment=staging").text
    assert f'href="/runs/{run.id}"' in page
    assert "No promotion failed in this period, and none was rolled back manually." in page
    assert page.count('class="trend"') == 5
    found = olga.get("/api/v1/measures?environment=staging").json()["measures"]
    assert [each["run"] for each in found["measures"][0]["runs"]] == [run.id]
    assert olga.get("/api/v1/measures?environment=moon").json()["code"] == "A110"


def test_wrong_fields_of_forms_are_refused_with_their_names(site: Site) -> None:
    """A field that cannot be used is refused with its name, and never as an internal error."""
    ann = site.signed_in("ann")
    ann.post("/api/v1/change-requests", {"title": "Sell gift cards", "submit": True})
    ann.post(
        "/api/v1/bookings",
        {"environment": "staging", "start": at(START), "end": at(START + timedelta(hours=1)), "purpose": "x"},
    )
    for path, fields, name in (
        ("/change-requests", {"title": ""}, "title"), ("/change-requests", {"title": "x", "value": "nan"}, "value"),
        ("/change-requests", {"title": "x", "packages": "NO NAME"}, "packages.0"),
        ("/change-requests", {"title": "x", "due": "soon"}, "due"),
        ("/change-requests/R-1/rank", {"rank": "11", "reason": "x"}, "rank"),
        ("/change-requests/R-1/rank", {"rank": "1", "reason": "x" * 300}, "reason"),
        ("/change-requests/R-1/defer", {"reason": "x", "until": "soon"}, "until"),
        ("/bookings", {"environment": "staging", "start": "soon", "hours": "1", "purpose": "x"}, "start"),
        ("/bookings", {"environment": "staging", "start": "9999-12-31T23:59", "hours": "1", "purpose": "x"}, "start"),
        ("/bookings", {"environment": "staging", "start": at(START), "hours": "inf", "purpose": "x"}, "hours"),
        ("/bookings/B-1/extend", {"until": ""}, "until"), ("/bookings/B-1/hand-over", {"holder": "user:a b"}, "holder"),
        ("/booking-quotas", {"team": "NO NAME", "environment": "staging", "hours": "1"}, "team"),
        ("/me/zone", {"zone": "Europe/Nowhere"}, "zone"),
    ):  # fmt: skip
        answer = ann.form(path, **fields)
        assert (path, fields, answer.status_code, f"{name}:" in answer.text) == (path, fields, 422, True)
    far = ann.form("/bookings/B-1/extend", until="2150-01-01T00:00")
    assert (far.status_code, "G302" in far.text) == (422, True)
    assert ann.get("/change-requests?state=nothing", **HTML).status_code == 422
    assert ann.get("/bookings?cursor=x", **HTML).status_code == 422


def test_times_are_shown_in_the_zone_of_the_reader(office: RequestProject, site: Site) -> None:
    """Pages show times on the clocks of the chosen zone, with the exact time in UTC in the attributes; others see UTC."""
    ann, bob = site.signed_in("ann"), site.signed_in("bob")
    ann.post(
        "/api/v1/bookings",
        {"environment": "staging", "start": "2031-07-01T08:00:00Z", "end": "2031-07-01T09:00:00Z", "purpose": "x"},
    )
    assert ann.form("/me/zone", zone="Europe/Berlin").headers["location"] == "/me"
    assert 'value="Europe/Berlin"' in ann.get("/me").text
    exact = '<time datetime="2031-07-01T08:00:00Z" title="2031-07-01T08:00:00Z">01 Jul 2031 '
    assert f"{exact}10:00 CEST</time>" in ann.get("/bookings/B-1").text
    assert f"{exact}08:00 UTC</time>" in bob.get("/bookings/B-1").text
    assert 'value="2031-07-01T11:00"' in ann.get("/bookings/B-1").text
    bob.cookies.set("zone", "../../etc/passwd")
    assert f"{exact}08:00 UTC</time>" in bob.get("/bookings/B-1").text


def test_an_edit_of_an_older_version_is_refused(site: Site) -> None:
    """With `If-Match` an edit changes only the version that was read; after the edit of another user it is 412 and changes nothing."""
    olga, ann = site.signed_in("olga"), site.signed_in("ann")
    assert olga.post("/api/v1/change-requests", {"title": "Sell gift cards"}).status_code == 201
    place = "/api/v1/change-requests/R-1"
    read = olga.get(place).headers["etag"]
    assert ann.post(f"{place}/edit", {"value": 5}, **{"if-match": read}).status_code == 200
    stale = olga.post(f"{place}/edit", {"value": 1}, **{"if-match": read})
    assert (stale.status_code, stale.json()["code"]) == (412, "N145")
    assert olga.get(place).json()["request"]["value"] == 5
    for tag in (olga.get(place).headers["etag"], "*"):
        assert olga.post(f"{place}/edit", {"value": 2}, **{"if-match": tag}).status_code == 200
