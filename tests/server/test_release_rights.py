"""Buttons of the pages of release management: exactly those of what the server lets their reader do."""

import re

import pytest

from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.web.route_table import PLAN_PAGES, RELEASE_PAGES, REVIEW_PAGES, TRAIN_PAGES
from tests.cli.request_project import RequestProject, office
from tests.server.release_scene import FORMS, NAMES, lay_all
from tests.server.site import Browser, Site
from tests.server.test_changes import RIGHTS

__all__ = ["office"]  # the fixture
PAGES = RELEASE_PAGES | PLAN_PAGES | REVIEW_PAGES | TRAIN_PAGES
READS = ("planned_releases.show_planned_release", "implementation_plans.show_task", "trains.show_train")
"""The use cases that a form reads before it changes something."""


def address(route: str) -> str:
    """The address of *route* with the objects of the scene."""
    path = route.split()[1].replace("{plan}", "IP-1")
    for name, value in NAMES.items():
        path = path.replace(name, value)
    return path


def forms_of(browser: Browser) -> set[str]:
    """The addresses to which the forms and buttons of all pages of release management post."""
    found: set[str] = set()
    for route in PAGES:
        if route.startswith("GET ") and "/files/" not in route:  # a download has no form
            query = "?name=build&preview=yes&after=" if route.endswith("/phase") else ""
            page = browser.get(address(route) + query).text.split("<main")[1].split("</main>")[0]
            posts = re.findall(r'<form method="post" action="([^"]*)"', page)
            found |= {*posts, *re.findall(r'formaction="([^"]*)"', page)}
    return found


@pytest.mark.parametrize("role", BUILT_IN)
def test_the_forms_of_the_pages_are_those_of_the_rights(office: RequestProject, role: str) -> None:
    """A reader with a role finds no form of a use case that the role lacks, and a release manager finds one of each possible."""
    lay_all(office)
    site = Site(office, office.app())
    browser = site.user(f"r-{role}", role)
    offered = forms_of(browser)
    routes = {address(route): cases for route, cases in PAGES.items() if route.startswith("POST ")}
    assert offered <= routes.keys()
    for path, cases in routes.items():
        changing = [case for case in cases if case not in READS]
        allowed = all(role in RIGHTS[case] for case in changing)
        answer = browser.form(path, **FORMS.get(path, {"reason": "x"})) if not allowed else None
        assert answer is None or (path, answer.status_code, "A101" in answer.text) == (path, 403, True)
        assert path not in offered or allowed, path
    if role == "release-manager":
        assert {address(f"POST {path}") for path in POSSIBLE} <= offered


POSSIBLE = (
    "/planned-releases", "/planned-releases/{release}/confirm", "/planned-releases/{release}/cancel",
    "/planned-releases/{release}/edit", "/planned-releases/{release}/add", "/planned-releases/{release}/phase",
    "/planned-releases/{release}/phases/{phase}/remove", "/implementation-plans", "/implementation-plans/{plan}/abort",
    "/implementation-plans/{plan}/replan",
    "/implementation-plans/{plan}/tasks", "/implementation-plans/{plan}/tasks/{task}/done",
    "/implementation-plans/{plan}/tasks/{task}/skip", "/implementation-plans/{plan}/tasks/{task}/replan", "/reviews",
    "/reviews/{review}/write", "/reviews/{review}/close", "/reviews/{review}/feedback", "/reviews/{review}/actions",
    "/actions/{action}/done", "/actions/{action}/cancel", "/trains", "/train-lines", "/train-lines/{line}/remove",
    "/trains/{train}/board", "/trains/{train}/edit", "/trains/{train}/hold", "/trains/{train}/cancel",
)  # fmt: skip
"""The routes that have a form for a release manager in the states of the scene."""


def test_a_task_is_shown_to_its_owner_without_a_role(office: RequestProject) -> None:
    """A user without any role sees the plan of a task of theirs and does it; other pages are refused with their code."""
    lay_all(office)
    site = Site(office, office.app())
    office.by("root", "people", "add", "eve")
    office.by("ann", "implementation", "replan", "IP-1", "announce", "--owner", "eve")
    eve = site.signed_in("eve")
    task = "/implementation-plans/IP-1/tasks/announce"
    assert f'action="{task}/done"' in eve.get(task).text
    assert eve.form(f"{task}/done", evidence="mailed").status_code == 303
    assert eve.get("/implementation-plans/IP-1").status_code == 200
    for path in ("/planned-releases", "/planned-releases/REL-1", "/implementation-plans", "/reviews", "/reviews/REL-1",
                 "/actions"):  # fmt: skip
        refused = eve.get(path, accept="text/html")
        assert (path, refused.status_code, "A101" in refused.text) == (path, 403, True)
