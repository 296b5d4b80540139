"""Values of clients that no person enters: times of other ages, and numbers for which a server would work for minutes."""

from datetime import timedelta
from typing import Any, get_args

import pytest

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.listing import MOST_ROWS
from orchestrator.domain.moments import span
from orchestrator.management.use_cases import NUMBERS, UseCase, use_case_called, use_cases
from tests.cli.request_project import PLACE, RequestProject, office
from tests.server.site import HTML, Browser, Site

__all__ = ["office"]  # the fixture
LATE, EARLY = "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"
EDGES = ("1970-01-02T00:00:00Z", "2999-12-30T00:00:00Z")


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def called(browser: Browser, case: str, **arguments: Any) -> str:
    """The code of the call of a use case; `done` without an error."""
    done = browser.post(f"/api/v1/use-cases/{case}", {"arguments": arguments})
    return "done" if done.status_code == 200 else str(done.json()["code"])


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_a_recorded_time_can_be_shown_in_every_zone(site: Site, zone: str) -> None:
    """A time of another age is refused: an absence with one kept everybody from the page of users."""
    ann = site.signed_in("ann")
    about = {"user": "ann", "deputy": "bob"}
    for start, end in ((EARLY, EDGES[1]), (EDGES[0], LATE)):
        assert called(ann, "people.add_absence", **about, start=start, end=end) == "N110"
    assert called(ann, "people.add_absence", **about, start=EDGES[0], end=EDGES[1]) == "done"
    ann.cookies.set("zone", zone, domain="127.0.0.1")
    for page in ("/users", "/users/ann", "/me", "/"):
        assert (page, ann.get(page, **HTML).status_code) == (page, 200)


def test_measures_are_of_possible_times(site: Site) -> None:
    """A period with a time of another age is refused, as one that is too long, and ten years are measured."""
    ann = site.signed_in("ann")
    for query in (f"since={EARLY}", f"until={EARLY}", f"until={LATE}", f"since={EDGES[0]}&until={EDGES[1]}"):
        refused = ann.get(f"/api/v1/measures?{query}")
        assert (query, refused.status_code, refused.json()["code"]) == (query, 422, "N110")
    assert ann.get("/api/v1/measures?since=1970-01-02T00:00:00Z&until=1980-01-02T00:00:00Z").status_code == 200


def test_locks_slots_and_weeks_have_limits(office: RequestProject, site: Site) -> None:
    """A client cannot have a lock of an impossible length, or more slots and weeks than anybody reads."""
    ann = site.signed_in("ann")
    for seconds in (-5, 0, 1e300):
        assert called(ann, "control.lock", environment=PLACE, why="x", duration=seconds) == "N110"
    assert office.store.lease(PLACE) is None
    for weeks in (-1, 0, 53, 10**9):
        assert called(ann, "bookings.show_contention", weeks=weeks) == "N110"
    assert called(ann, "bookings.show_contention", weeks=52) == "done"
    slots = {"environment": PLACE, "length": "PT1M", "within": "P366D"}
    assert called(ann, "bookings.find_slots", **slots, most=10**9) == "N110"
    assert called(ann, "bookings.find_slots", **slots, most=1000) == "done"


def test_a_cursor_of_events_is_a_number_of_the_database(site: Site) -> None:
    """A larger one is refused before the stream has started."""
    for path in ("/api/v1/events", "/api/v1/record-events"):
        refused = site.signed_in("vic").get(path, last_event_id=f"{'9' * 20}.0")
        assert (path, refused.status_code, refused.json()["code"]) == (path, 422, "N110")


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", EARLY, LATE, "2026-12-01T00:00:00", 1e15],
)
def test_a_time_without_an_offset_or_of_another_age_is_refused(site: Site, moment: object) -> None:
    """Whatever a client sends as a time is a time of a possible year with an offset, or refused with N110."""
    ann = site.signed_in("ann")
    assert called(ann, "calendar.stop_line", environment=PLACE, reason="x", until=moment) == "N110"
    assert called(ann, "people.add_absence", user="ann", deputy="bob", start=EDGES[0], end=moment) == "N110"
    draft = {"environment": PLACE, "start": EDGES[0], "end": moment, "purpose": "x"}
    assert called(ann, "bookings.book", draft=draft) == "N110"
    refused = ann.post("/api/v1/bookings", draft)
    assert (refused.status_code, refused.json()["code"]) == (422, "N110")
    assert called(ann, "calendar.stop_line", environment=PLACE, reason="x", until=EDGES[1]) == "done"


@pytest.mark.parametrize("grace", ["P999999999D", "-P1D", "P366D"])
def test_a_rotated_token_stays_valid_for_a_possible_time(site: Site, grace: str) -> None:
    """The grace time of a rotation is between nothing and a year; another one is refused, and nothing is rotated."""
    root = site.signed_in("root")
    made = root.post("/api/v1/use-cases/tokens.create_token", {"arguments": {"owner": "root", "lifetime": "P1D"}})
    prefix = made.json()["result"]["token"]["prefix"]
    assert called(root, "tokens.rotate_token", prefix=prefix, grace=grace) == "A109"
    assert called(root, "tokens.rotate_token", prefix=prefix, grace="PT1H") == "done"


@pytest.mark.parametrize("length", ["9" * 400 + "d", "999999999999999d", "36526d"])
def test_a_duration_has_at_most_a_hundred_years(length: str) -> None:
    """A longer duration is refused where it is read: no time can be counted from it."""
    with pytest.raises(ValueError, match="36525d"):
        span(length)
    assert span("36525d") == timedelta(days=36525)


@pytest.mark.parametrize("action", ["promote", "rollback", "destroy", "", None])
def test_a_plan_is_for_a_promotion_or_a_rollback(office: RequestProject, site: Site, action: str | None) -> None:
    """An action that no plan has is refused, and not planned as a rollback."""
    package = office.packages.put(office.release("1.0.0"))
    arguments = {"package": package.ref.to_json(), "environment": PLACE, "action": action}
    plan = use_case_called("plans.make")
    if action in {"promote", "rollback"}:
        plan.call(site.app, site.root.actor.model_copy(update={"name": "ann"}), arguments)
    else:
        with pytest.raises(OrchestratorError, match="action"):
            plan.call(site.app, site.root.actor, arguments)


BY_THEMSELVES = {"duration", "weeks", "most"}
"""The numbers that use cases check themselves, also for callers in this process."""


def numbers_of(case: UseCase) -> set[str]:
    """The parameters of *case* that are numbers."""
    kinds = {name: {each.annotation, *get_args(each.annotation)} for name, each in case.parameters.items()}
    return {name for name, each in kinds.items() if each & {int, float}}


def test_every_number_of_clients_has_limits() -> None:
    """Each number that a client can send to a use case is one of the table, or is checked by the use case itself."""
    found = {name for case in use_cases().values() for name in numbers_of(case)}
    assert found == NUMBERS.keys() | BY_THEMSELVES


@pytest.mark.parametrize("case", sorted(name for name, each in use_cases().items() if "limit" in each.parameters))
def test_a_client_gets_at_most_a_thousand_rows(site: Site, case: str) -> None:
    """A limit below 1, above 1,000 or without a value is refused by every list before anything is read."""
    found = use_cases()[case]
    for limit in (-1, 0, MOST_ROWS + 1, 10**12, 10**30, None):
        with pytest.raises(OrchestratorError) as refused:
            found._argument(site.app, site.root.actor, "limit", limit)
        assert (refused.value.code, "limit" in refused.value.message) == ("N110", True)
    assert found._argument(site.app, site.root.actor, "limit", MOST_ROWS) == MOST_ROWS


def test_numbers_that_no_database_has_are_refused(site: Site) -> None:
    """An index or a place that is larger than any number of a database is refused, and not an internal error."""
    root, ann = site.signed_in("root"), site.signed_in("ann")
    chosen = {"start": EDGES[0], "end": EDGES[1]}
    for number in (10**30, -1, 2**63):
        assert called(root, "audit.show_entry", index=number) == "N110"
        assert called(root, "audit.list_entries", chosen=chosen, before=number) == "N110"
        assert called(ann, "queries.records", run="x", after=number) == "N110"
    for hours in (-1, 1e300):
        assert called(ann, "bookings.set_quota", team="x", environment=PLACE, hours=hours) == "N110"
    assert called(root, "audit.list_entries", chosen=chosen, limit=3, before=9) == "done"
