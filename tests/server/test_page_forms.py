"""Every change has a form on a page, or a reason why it has none; every route of a form has a form in a template."""

import re
from importlib.resources import files

from orchestrator.management.use_case_names import CHANGES, GROUP_CHANGES
from orchestrator.web.route_table import ROUTES
from tests.server.test_page_rights import ELSEWHERE, POSTS

TEMPLATES = files("orchestrator.web.pages") / "templates"
ACTION = re.compile(r'(?:form)?action="([^"]*)"')
WORKERS = "what workers do by the clock; no user starts it"
FILES = "it reads a file of the user's machine, whose changes the command shows before it makes them"
RARE = "an act of operation, with the files and the keys of the machine before the eyes of who does it"
NO_FORM = {
    "access.apply": FILES,
    "plans.keep_document": "a part of `plan --save`: pages have plans made by workers, who keep them",
    "notification_duties.send_notifications": WORKERS,
    "change_requests.recompute_ranks": WORKERS,
    "planned_releases.advance_releases": WORKERS,
    "implementation_plans.advance_plans": WORKERS,
    "implementation_plans.run_task": WORKERS,
    "hooks.build_delivery": WORKERS,
    "trains.advance_trains": WORKERS,
    "audit.explain_break": RARE,
    "maintenance.rotate_key": RARE,
    "recovery.reap": RARE,
    "releases.remove": RARE,
    "retention.prune": RARE,
    "tokens.trust_issuer": "the trust in a CI system is set up with its claims, which the command checks",
    "tokens.distrust_issuer": "as the trust: `service-account trust --revoke`",
    "calendar_addresses.create_calendar_address": "the page of the account has it, for its reader alone: no right is needed",
    "calendar_addresses.revoke_calendar_address": "as its creation; that of another user is revoked by a command",
}
"""The changes without a form on any page, each with the reason."""


def changing() -> set[str]:
    """The names of the use cases that change something, as the route table has them."""
    modules = {**CHANGES, **GROUP_CHANGES}
    return {f"{module.partition('.')[0]}.{name}" for module, names in modules.items() for name in names}


def with_form() -> set[str]:
    """The use cases that a form of a page calls."""
    return {case.partition("(")[0] for cases in POSTS.values() for case in cases}


def test_every_change_has_a_form_or_a_reason() -> None:
    """Each use case that changes something is called by a form of a page, or is listed with a reason, which is not stale."""
    assert changing() - with_form() == NO_FORM.keys()
    assert all(len(reason) > 8 for reason in NO_FORM.values())


def actions() -> list[tuple[str, re.Pattern[str]]]:
    """The actions of the forms of all templates, as patterns of the addresses that they have."""
    found = []
    for template in TEMPLATES.iterdir():
        for action in ACTION.findall(template.read_text(encoding="utf-8")):
            parts = re.split(r"\{\{.*?\}\}", action)
            found.append((action, re.compile(".+".join(map(re.escape, parts)))))
    return found


def test_every_route_of_a_form_has_a_form() -> None:
    """Each route that a form can call is the action of a form in a template: a route that lost its form is noticed."""
    known = actions()
    missing = {
        route for route in POSTS if not any(pattern.fullmatch(re.sub(r"\{\w+\}", "x", route)) for _, pattern in known)
    }
    assert missing == set()


def test_the_list_of_routes_with_tests_elsewhere_is_not_stale() -> None:
    """Each entry of the list of routes whose forms have tests of their own names routes that exist."""
    assert [start for start in ELSEWHERE if not any(route.startswith(start) for route in POSTS)] == []


def test_every_form_has_a_route() -> None:
    """Each whole address that a template has as the action of a form is a route: a form without one is noticed."""
    posts = {route.partition(" ")[2] for route in ROUTES if route.startswith(("POST /", "GET /"))}
    fixed = {action for action, _ in actions() if "{" not in action}
    assert len(fixed) > 20
    assert fixed - posts == set()
