"""What routes of one kind have in common, by the description of the API itself: a new route cannot lack it."""

from typing import Any
from urllib.parse import quote

import pytest

from orchestrator.domain.journal import Run
from tests.cli.request_project import RequestProject, office
from tests.server.site import Site

__all__ = ["office"]  # the fixture

PREFIX = "/api/v1"
NOT_LISTS = {
    "/me": "the actor",
    "/can-i": "one verdict",
    "/measures": "five figures",
    "/environments/{environment}/reports": "one report of drift and one of parity",
    "/trains/{train}/prognosis": "of one train",
    "/search": "at most a few hits of each kind",
    "/hooks/{hook}/check": "one check for each condition of a hook",
    "/events": "a stream, which continues after `Last-Event-ID`",
    "/record-events": "a stream, which continues after `Last-Event-ID`",
    "/runs/{run}/outputs/{job}": "a text, by lines: `line`, `limit` and `following`",
}
ONE_ORDER = {
    "/change-ranking": "the order is the ranking itself; `/change-requests` has a sort",
    "/free-slots": "a search for the next time: later ones are found from the one before on",
    "/contention": "a table of environments, each with its weeks",
    "/matrix": "a table of releases and environments",
    "/runs/{run}/log": "what happened, which is read onwards while it grows",
}
"""The lists without `sort`, and why they have one order."""
ONE_WAY = {"-path", "-entered"}
"""Orders of the project's own files, which are not read backwards."""
NO_FILTER = {
    "/change-ranking": "the ranking is a whole; `/change-requests` has a filter",
    "/definitions": "each has only its digest and its time",
    "/projects": "those that the actor may view, with their sums",
}
STATES = {
    "/runs": {"state", "kind", "environment"},
    "/requests": {"state", "environment"},
    "/change-requests": {"state"},
    "/bookings": {"ended", "environment"},
    "/trains": {"ended"},
    "/train-lines": {"archived"},
    "/notifications": {"state"},
    "/hook-deliveries": {"state"},
    "/environments/{environment}/requirements": {"met"},
}
"""The filters by state of the lists whose objects have one."""
NOT_EDITS = {
    "/change-requests": "adds one",
    "/bookings": "adds one",
    "/booking-quotas": "sets the whole quota",
    "/use-cases/{case}": "the call of a command, whose use case reads what it changes",
    "/token-exchange": "adds one",
    "/hooks/{hook}": "adds a delivery",
    "/train-lines": "adds one",
    "/trains": "adds one",
    "/hooks": "adds one",
    "/notification-rules": "adds one",
    "/notification-rules/{rule}/test": "adds a notification",
    "/notifications/{notification}/retry": "refused unless it is dead",
    "/promotions": "adds one",
    "/rollbacks": "adds one",
    "/requests": "adds one",
    "/requests/{run}/votes": "adds a vote, which names the plan and the text that were shown",
    "/requests/{run}/votes/withdraw": "takes back what the actor has added",
    "/requests/{run}/withdraw": "ends what was shown, whatever its version is",
    "/runs/{run}/control": "adds a request",
    "/environments/{environment}/lock": "refused while it is locked",
    "/environments/{environment}/unlock": "ends a lock, and names it in the response",
    "/line-stops": "adds one",
    "/line-stops/resume": "ends them, and names them in the response",
}
NO_KEY = {
    "/token-exchange": "the response has a secret, which is kept nowhere",
    "/hooks/{hook}": "a delivery has an id of its own, and is recorded once",
}


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def routes(site: Site, method: str) -> dict[str, set[str]]:
    """The parameters of each route of the API with this method, by its path."""
    document: dict[str, Any] = site.server.openapi()
    return {
        path.removeprefix(PREFIX): {each["name"] for each in found[method].get("parameters", [])}
        for path, found in document["paths"].items()
        if path.startswith(PREFIX) and method in found
    }


def test_every_list_has_a_cursor_and_a_limit(site: Site) -> None:
    """Each route that reads, and not one object by its name, has `cursor` and `limit`, or is listed here with its reason."""
    found, lists = routes(site, "get"), lists_of(site)
    assert {path for path, names in lists.items() if not {"cursor", "limit"} <= names} == set()
    assert NOT_LISTS.keys() <= found.keys()
    assert len(lists) >= 12


def test_every_list_is_sorted_by_request(site: Site) -> None:
    """Each list accepts `sort` in both directions, or is listed with the reason for its one order."""
    document: dict[str, Any] = site.server.openapi()
    lists = lists_of(site)
    assert {path for path, names in lists.items() if "sort" not in names} == ONE_ORDER.keys()
    for path in lists.keys() - ONE_ORDER.keys():
        [found] = (each for each in document["paths"][PREFIX + path]["get"]["parameters"] if each["name"] == "sort")
        orders = set(orders_of(found["schema"]))
        assert {f"-{order}" for order in orders if order[0] != "-"} - orders <= ONE_WAY, path
        assert any(order.startswith("-") for order in orders), path


def test_every_list_of_objects_with_states_is_filtered_by_them(site: Site) -> None:
    """Each list accepts a filter, by the state where its objects have one, or is listed with the reason for none."""
    paging = {"cursor", "limit", "sort", "environment_cursor", "environment_limit"}
    found = {path: names - paging for path, names in lists_of(site).items()}
    assert {path for path, names in found.items() if not names - set(path_names(path))} == NO_FILTER.keys()
    assert {path for path, states in STATES.items() if not found[path] >= states} == set()


def orders_of(schema: dict[str, Any]) -> list[str]:
    """The values that a parameter can have; one that may be absent is described as one of several kinds."""
    kinds = schema.get("anyOf", [schema])
    return [order for kind in kinds for order in kind.get("enum", ())]


def path_names(path: str) -> list[str]:
    """The names of the parameters in *path*."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def lists_of(site: Site) -> dict[str, set[str]]:
    """The routes of the API that list objects, each with its parameters."""
    found = routes(site, "get")
    return {path: names for path, names in found.items() if not path.endswith("}") and path not in NOT_LISTS}


def test_every_edit_has_if_match(site: Site) -> None:
    """Each route that changes an existing object accepts `If-Match`, or is listed here with its reason."""
    found = routes(site, "post")
    edits = {path: names for path, names in found.items() if path not in NOT_EDITS}
    assert {path for path, names in edits.items() if "If-Match" not in names} == set()
    assert NOT_EDITS.keys() <= found.keys()


def test_every_post_has_an_idempotency_key(site: Site) -> None:
    """Each POST has its effect once for each key, except one whose response is a secret."""
    found = routes(site, "post")
    assert {path for path, names in found.items() if "Idempotency-Key" not in names} == NO_KEY.keys()


def test_a_stale_edit_of_a_booking_or_user_is_refused(site: Site) -> None:
    """With `If-Match` a booking, a user and a rank change only in the version that was read; otherwise it is 412 (N145)."""
    root, ann = site.signed_in("root"), site.signed_in("ann")
    order = {
        "environment": "staging",
        "start": "2030-01-01T08:00:00Z",
        "end": "2030-01-01T10:00:00Z",
        "purpose": "test",
    }
    assert ann.post(f"{PREFIX}/bookings", order).status_code == 201
    assert ann.post(f"{PREFIX}/change-requests", {"title": "Sell"}).status_code == 201
    cases = (
        (ann, "/bookings/B-1", "extend", {"until": "2030-01-01T11:00:00Z"}, {"until": "2030-01-01T12:00:00Z"}),
        (root, "/users/bob", "edit", {"team": "red"}, {"team": "blue"}),
        (ann, "/change-requests/R-1", "rank", {"rank": 5, "reason": "big"}, {"rank": 1, "reason": "small"}),
    )
    for browser, path, event, first, second in cases:
        read = browser.get(f"{PREFIX}{path}").headers["etag"]
        done = browser.post(f"{PREFIX}{path}/{event}", first, **{"if-match": read})
        assert done.status_code == 200, done.text
        kept = browser.get(f"{PREFIX}{path}").content
        stale = browser.post(f"{PREFIX}{path}/{event}", second, **{"if-match": read})
        assert (stale.status_code, stale.json()["code"]) == (412, "N145"), path
        assert browser.get(f"{PREFIX}{path}").content == kept
        assert browser.post(f"{PREFIX}{path}/{event}", second, **{"if-match": "*"}).status_code == 200, path


LISTS = (
    ("/users", "users", "name"), ("/users?sort=-name", "users", "name"), ("/environments", "environments", "name"),
    ("/environments?sort=-name", "environments", "name"), ("/booking-quotas?sort=-hours", "quotas", "environment"),
    ("/change-ranking", "requests", "id"),
    ("/contention?environment=staging", "weeks", "week"), ("/calendar?sort=-start", "rules", "id"),
    ("/runs", "runs", "id"), ("/runs?sort=requested", "runs", "id"),
    ("/bookings", "bookings", "id"), ("/change-requests", "requests", "id"),
)  # fmt: skip


def test_pages_of_a_list_are_the_whole_list(site: Site, office: RequestProject) -> None:
    """Pages of two items, one after the other by the cursor, are the list; a cursor of nothing is refused."""
    ann, root = site.signed_in("ann"), site.signed_in("root")
    for number in range(5):
        assert (
            ann.post(f"{PREFIX}/change-requests", {"title": f"change {number}", "value": 1 + number}).status_code == 201
        )
        times = {"start": f"2030-01-0{number + 1}T08:00:00Z", "end": f"2030-01-0{number + 1}T10:00:00Z"}
        assert ann.post(f"{PREFIX}/bookings", {"environment": "staging", "purpose": "x", **times}).status_code == 201
        day = f"2030-02-0{number + 1}"
        office.by("ann", "calendar", "add", "hard-freeze", f"f{number}", "--start", f"{day}T08:00", "--end", f"{day}T17:00",
                  "--zone", "UTC")  # fmt: skip
        at = f"2030-01-0{number + 1}T08:00:00.000Z"
        office.store.create(
            Run(id=f"e{number}", root=f"e{number}", kind="observe", environment="staging", requested_at=at, ended_at=at)
        )
    for team, environment in (("red", "staging"), ("red", "production"), ("blue", "staging")):
        quota = {"team": team, "environment": environment, "hours": 4}
        assert ann.post(f"{PREFIX}/booking-quotas", quota).status_code == 200
    for path, field, key in LISTS:
        joined = "&" if "?" in path else "?"
        whole = [each[key] for each in root.get(f"{PREFIX}{path}{joined}limit=20").json()[field]]
        assert len(whole) > 1, path
        found = list[str]()
        pages, cursor = 0, ""
        while pages == 0 or (cursor and pages < 10):
            after = f"&cursor={quote(cursor)}" if cursor else ""
            page = root.get(f"{PREFIX}{path}{joined}limit=2{after}").json()
            assert len(page[field]) <= 2
            found += [each[key] for each in page[field]]
            pages, cursor = pages + 1, page["cursor"]
        assert found == whole, path
        assert root.get(f"{PREFIX}{path}{joined}cursor=nothing").status_code == 422, path
    slots, cursor = list[str](), ""
    for _ in range(3):
        after = f"&cursor={quote(cursor)}" if cursor else ""
        page = root.get(f"{PREFIX}/free-slots?environment=staging&hours=1&limit=2{after}").json()
        slots += [text for each in page["slots"] for text in (each["start"], each["end"])]
        cursor = page["cursor"]
    assert (len(slots), slots) == (12, sorted(slots))
