"""Buttons of every page, as every role: exactly those of what the server lets their reader do."""

import re
from typing import Any

from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.web.route_table import ROUTES
from tests.cli.request_project import RequestProject, office
from tests.server.hostile_text import read_page
from tests.server.release_scene import lay_all, lay_people
from tests.server.site import Browser, Site
from tests.server.test_changes import RIGHTS, management_body, planned
from tests.server.test_hostile_text import addresses

__all__ = ["office"]  # the fixture

READS = frozenset(
    {
        "plans.find", "queries.story", "releases.kept_package", "plans.targets", "planned_releases.show_planned_release",
        "implementation_plans.show_task", "releases.rollback_package", "notification_rules.show_notification_rule",
    }
)  # fmt: skip
"""Use cases that a form reads by, before the one that changes something."""
POSTS = {
    route.removeprefix("POST "): frozenset(cases) - READS
    for route, cases in ROUTES.items()
    if route.startswith("POST /") and "/api/" not in route and isinstance(cases, tuple)
}
"""The routes of forms with the use cases that change something."""
OWN = ("/me/calendar", "/me/zone", "/me/sessions/end", "/sign-out", "/sign-in")
"""Forms about the reader alone, which need no right."""
OF_OWNERS = frozenset(
    {
        "/tokens",
        "/tokens/{prefix}/rotate",
        "/tokens/{prefix}/revoke",
        "/absences",
        "/absences/end",
        "/notification-rules",
    }
)
"""Forms that users have for what is their own; the right is for that of others."""
ELSEWHERE = (
    "/definitions", "/trains", "/train-lines", "/users", "/groups", "/service-accounts", "/tokens", "/bindings", "/absences", "/audit",
    "/environments/{environment}/observe", "/environments/{environment}/drift", "/environments/{environment}/parity",
    "/environments/{environment}/requirements",
)  # fmt: skip
"""Routes whose forms depend on objects that this scene has in one state only: tests of their pages look for each form."""
ASKED = "/promote?release=shop-1.2.0&environment=production"
"""A promotion into an environment with approvals, which needs a plan."""
STATES: dict[str, str] = {
    "/change-requests/{change}/reopen": "a request that is deferred",
    "/change-requests/{change}/close": "a request that was released",
    "/bookings/{booking}/end": "a booking in use",
    "/planned-releases/{release}/phases/{phase}/start": "a release that is confirmed",
    "/planned-releases/{release}/phases/{phase}/complete": "a phase that is active",
    "/planned-releases/{release}/remove": "a release with a scope",
    "/planned-releases/{release}/freeze": "a release that is confirmed",
    "/planned-releases/{release}/hold": "a release that is confirmed",
    "/planned-releases/{release}/resume": "a release that is on hold",
    "/planned-releases/{release}/close": "a release that was released",
    "/implementation-plans/{plan}/tasks/{task}/retry": "a task that has failed",
    "/implementation-plans/{plan}/tasks/{task}/decide": "a decision that is ready",
    "/runs/{run}/retry": "a run that needs intervention",
    "/promote/plan": "a role that may also promote: others plan with the command line",
    "/requests/{run}/votes/withdraw": "a request with a vote of the reader",
}
"""Routes without a form in this scene for a role that may call them, each with what has one."""


def pattern(route: str) -> re.Pattern[str]:
    """What the addresses of *route* match."""
    return re.compile(re.sub(r"\{\w+\}", "[^/]+", route))


PATTERNS = {route: pattern(route) for route in POSTS}


def route_of(action: str) -> str | None:
    """The route that the *action* of a form leads to; None if it is not one."""
    found = [route for route, form in PATTERNS.items() if form.fullmatch(action.partition("?")[0])]
    return min(found, key=lambda route: route.count("{")) if found else None


def scene(office: RequestProject, site: Site) -> list[str]:
    """Objects of each kind, with all pages that show them."""
    for version in ("1.0.0", "1.0.1"):
        office.go("staging", version)
    run = office.request("staging", "1.1.0")
    office.packages.put(office.release("1.2.0"))
    ann = site.signed_in("ann")
    asked = ann.post("/api/v1/requests", {"plan": planned(office, "1.2.0")}).json()["request"]
    assert ann.post("/api/v1/change-requests", {"title": "of ann"}).status_code == 201
    assert ann.post("/api/v1/bookings", management_body("/api/v1/bookings")).status_code == 201
    assert ann.form("/calendar/stop", environment="production", reason="x").status_code == 303
    assert ann.form("/environments/production/lock", reason="x").status_code == 303
    assert ann.form("/change-requests", title="to decide", submit="yes").status_code == 303
    entry = {"kind": "window", "title": "x", "environments": "*", "zone": "UTC"}
    times = {"start": "2031-01-07T08:00", "end": "2031-01-07T09:00"}
    assert ann.form("/calendar/entries", **entry, **times).status_code == 303
    lay_all(office)
    lay_people(office)
    found = addresses(office, run.id, asked)
    phases = ["/planned-releases/REL-1/phase?name=build&preview=yes&after="]
    override = "/promote/override?release=shop-1.2.0&environment=staging"
    return [*found, *phases, override, "/change-requests/R-2", "/environments/production", "/", ASKED]


def forms_of(browser: Browser, pages: list[str]) -> dict[str, set[str]]:
    """The actions of the forms of all *pages* that the reader may see, each with the pages that have it."""
    found: dict[str, set[str]] = {}
    for page in pages:
        response = browser.get(page, accept="text/html")
        assert response.status_code < 500, (page, response.text)
        for form in read_page(response.text).forms:
            found.setdefault(form.action or page, set()).add(page)
    return found


def test_the_buttons_of_every_page_are_those_of_its_reader(office: RequestProject) -> None:
    """A form that a page shows to a role is permitted by the table of rights, and what a role may do has a form somewhere."""
    site = Site(office, office.app())
    pages = scene(office, site)
    wrong, missing = list[tuple[Any, ...]](), list[tuple[str, str]]()
    for role in BUILT_IN:
        offered = forms_of(site.user(f"r-{role}", role), pages)
        routes = set()
        for action, places in offered.items():
            if action in OWN or action.startswith(("/sign-in", "/link/")):
                continue
            route = route_of(action)
            routes.add(route)
            allowed = route is not None and all(role in RIGHTS[case] for case in POSTS[route])
            if not allowed and route not in OF_OWNERS:
                wrong.append((role, action, sorted(places)))
        missing += [
            (role, route)
            for route, cases in POSTS.items()
            if all(role in RIGHTS[case] for case in cases) and route not in routes
        ]
    assert "\n".join(f"{role} has {action} on {places}" for role, action, places in wrong) == ""
    assert {route for _, route in missing if not route.startswith(ELSEWHERE)} == STATES.keys()
