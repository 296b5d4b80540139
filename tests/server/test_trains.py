"""The routes of train lines and release trains: what the command line does, with the same rights."""

import pytest

from tests.cli.request_project import RequestProject, office
from tests.server.site import Site

__all__ = ["office"]  # the fixture
LINE = {
    "name": "weekly",
    "stops": [{"environments": ["staging"]}, {"environments": ["production"]}],
    "start": "2027-03-01T10:00:00",
}


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def test_a_train_is_managed_by_the_api(office: RequestProject, site: Site) -> None:
    """A manager adds a line, makes a train, boards a package and holds the train; a viewer reads it, and changes nothing."""
    package = office.packages.put(office.release("1.0.0")).ref
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    assert vic.post("/api/v1/train-lines", {"line": LINE}).json()["code"] == "A101"
    assert ann.post("/api/v1/train-lines", {"line": {**LINE, "stops": []}}).json()["code"] == "N110"
    assert ann.post("/api/v1/train-lines", {"line": LINE}).status_code == 201
    assert (
        ann.post("/api/v1/train-lines/weekly/edit", {"line": {"boarding_s": 3600, "stops": LINE["stops"]}}).status_code
        == 200
    )
    assert (
        ann.post("/api/v1/train-lines/weekly/edit", {"line": {"conductor": {"name": "root"}}}).json()["code"] == "G601"
    )
    made = ann.post("/api/v1/trains", {"line": "weekly"})
    assert (made.status_code, made.json()["id"]) == (201, "T-1")
    boarded = ann.post("/api/v1/trains/T-1/board", {"package": f"{package.name}-1.0.0"}).json()["train"]
    assert [each["digest"] for each in boarded["members"]] == [package.digest]
    told = vic.get("/api/v1/trains/weekly/prognosis").json()["prognosis"]
    assert [each["reason"] for each in told["members"][0]["obstacles"] if not each["waits"]] == ["no-previous-release"]
    later = vic.get("/api/v1/trains/T-1/prognosis?at=2027-04-01T10:00:00Z").json()["prognosis"]
    assert later["departs_at"] == "2027-04-01T10:00:00.000Z"
    assert vic.post("/api/v1/trains/T-1/hold", {"reason": "x"}).json()["code"] == "A101"
    assert ann.post("/api/v1/trains/T-1/hold", {"reason": " "}).json()["code"] == "G605"
    assert ann.post("/api/v1/trains/T-1/hold", {"reason": "incident"}).json()["train"]["state"] == "on-hold"
    assert ann.post("/api/v1/trains/T-1/resume", {}).json()["train"]["state"] == "boarding"
    assert ann.post("/api/v1/trains/T-1/leave", {"package": package.name}).status_code == 200
    times = {"departs_at": "2027-03-02T10:00:00Z"}
    assert ann.post("/api/v1/trains/T-1/edit", times).json()["train"]["departs_at"] == "2027-03-02T10:00:00.000Z"
    assert ann.post("/api/v1/trains/T-1/depart", {}).json()["train"]["state"] == "on-hold"
    assert ann.post("/api/v1/trains/T-1/cancel", {"reason": "no"}).json()["train"]["state"] == "cancelled"
    assert vic.get("/api/v1/trains").json()["trains"] == []
    assert [each["id"] for each in vic.get("/api/v1/trains?ended=true").json()["trains"]] == ["T-1"]
    assert vic.get("/api/v1/trains/T-1").json()["train"]["note"] == "no"
    assert ann.post("/api/v1/train-lines/weekly/remove", {}).json()["line"]["archived_at"]
    assert vic.get("/api/v1/train-lines").json()["lines"] == []
    assert len(vic.get("/api/v1/train-lines?archived=true").json()["lines"]) == 1
    assert vic.get("/api/v1/train-lines/weekly").json()["departures"] == []


def test_a_change_is_for_the_version_that_was_read(office: RequestProject, site: Site) -> None:
    """With `If-Match` a train, a line and a quota are changed only if no other user has changed them since."""
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    assert ann.post("/api/v1/train-lines", {"line": LINE}).status_code == 201
    assert ann.post("/api/v1/trains", {"line": "weekly"}).status_code == 201
    quota = {"team": "red", "environment": "staging", "hours": 20}
    assert ann.post("/api/v1/booking-quotas", quota).status_code == 200
    cases = (
        ("/api/v1/train-lines/weekly", "/api/v1/train-lines/weekly/edit", {"line": {"boarding_s": 3600}}),
        ("/api/v1/trains/T-1", "/api/v1/trains/T-1/edit", {"departs_at": "2027-03-02T10:00:00Z"}),
        ("/api/v1/trains/T-1", "/api/v1/trains/T-1/hold", {"reason": "incident"}),
        ("/api/v1/booking-quotas/red/staging", "/api/v1/booking-quotas", {**quota, "hours": 10}),
    )
    for read, write, body in cases:
        tag = vic.get(read).headers["etag"]
        assert vic.get(read, if_none_match=tag).status_code == 304
        first = ann.post(write, body, **{"if-match": tag})
        assert first.status_code == 200, first.text
        again = ann.post(write, body, **{"if-match": tag})
        assert (again.status_code, again.json()["code"]) == (412, "N145"), write
    assert vic.get("/api/v1/booking-quotas/blue/staging").json()["code"] == "A110"
    assert ann.post("/api/v1/trains", {"line": "weekly", "departs_at": "2027-05-01T10:00:00Z"}).status_code == 201
    order = [
        [each["id"] for each in vic.get(f"/api/v1/trains?sort={by}").json()["trains"]]
        for by in ("departure", "-departure")
    ]
    assert order == [["T-1", "T-2"], ["T-2", "T-1"]]
    page = vic.get("/api/v1/trains?sort=-departure&limit=1").json()
    following = vic.get(f"/api/v1/trains?sort=-departure&limit=1&cursor={page['cursor']}").json()
    assert [page["trains"][0]["id"], following["trains"][0]["id"]] == ["T-2", "T-1"]


def test_lists_of_the_database_are_sorted_in_both_directions(office: RequestProject, site: Site) -> None:
    """Bookings by their end, and change requests by their rank, are listed either way, page by page."""
    ann = site.signed_in("ann")
    for day in (7, 8, 9):
        times = {"start": f"2031-01-0{day}T08:00:00Z", "end": f"2031-01-0{day}T09:00:00Z"}
        assert ann.post("/api/v1/bookings", {"environment": "staging", "purpose": "x", **times}).status_code == 201
        assert ann.post("/api/v1/change-requests", {"title": f"of {day}", "value": day - 5}).status_code == 201
    for path, items, key, first in (
        ("/api/v1/bookings", "bookings", "id", "end"),
        ("/api/v1/change-requests", "requests", "id", "-rank"),
    ):
        there = [each[key] for each in ann.get(f"{path}?sort={first}").json()[items]]
        against = first.removeprefix("-") if first.startswith("-") else f"-{first}"
        page = ann.get(f"{path}?sort={against}&limit=2").json()
        rest = ann.get(f"{path}?sort={against}&limit=2&cursor={page['cursor']}").json()
        assert [each[key] for each in (*page[items], *rest[items])] == there[::-1]
        assert len(there) == 3
