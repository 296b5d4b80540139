"""The menu, its keys, and the pages that it leads to."""

import re

import pytest

from orchestrator.app import access, people
from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.domain.access.principals import Binding, User
from orchestrator.web.pages.rendering import PLACES, key_list
from orchestrator.web.route_table import ROUTES
from tests.cli.request_project import RequestProject, office
from tests.server.site import HTML, Browser, Site

__all__ = ["office"]  # the fixture

ENTRIES = [entry for _, entries in PLACES for entry in entries]
NOT_IN_MENU = {
    "/search": "it has a field and a key of its own",
    "/promote": "a cell of the matrix leads to it, with a release and an environment",
    "/promote/override": "the page of a promotion that the calendar holds leads to it",
    "/projects": "a link above the menu, on a server of several projects",
    "/roles": "a tab of *Users and roles*",
    "/can-i": "a tab of *Users and roles*",
    "/tokens": "a tab of *Users and roles*",
    "/me/notifications": "a part of *Your account*",
    "/healthz": "no page",
    "/readyz": "no page",
    "/metrics": "no page",
    "/sign-in": "for users who have not signed in",
}
"""Addresses without a name in them that the menu does not have, and why."""


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def test_the_menu_leads_to_every_page() -> None:
    """Every page without a name in its address is in the menu, or is listed here with the reason why it is not."""
    pages = {
        route.removeprefix("GET ")
        for route in ROUTES
        if route.startswith("GET /") and "{" not in route and "/api/" not in route
    }
    assert pages - {path for path, _, _ in ENTRIES} == NOT_IN_MENU.keys()
    assert {path for path, _, _ in ENTRIES} <= pages


def auditing(office: RequestProject, site: Site) -> Browser:
    """A user who may see every page."""
    with office.acting("root"):
        access.grant(office.app().acting, Binding(role="auditor", to="user:vic"))
    return site.signed_in("vic")


def test_the_menu_has_what_the_reader_may_see(office: RequestProject, site: Site) -> None:
    """For each built-in role every page of the menu responds, and every page that is not in the menu is refused."""
    for role in BUILT_IN:
        with office.acting("root"):
            people.add_user(office.app().acting, User(name=f"one-{role}"))
            access.grant(office.app().acting, Binding(role=role, to=f"user:one-{role}"))
        browser = site.signed_in(f"one-{role}")
        text = browser.get("/", **HTML).text
        for path, _, _ in ENTRIES:
            shown = f'<a href="{path}" data-key=' in text
            assert browser.get(path, **HTML).status_code == (200 if shown else 403), f"{role} {path}"


def test_each_page_of_the_menu_has_one_key(office: RequestProject, site: Site) -> None:
    """The list of keys names each page of the menu with a key of its own, and the links of the menu have these keys."""
    keys = [key for _, _, key in ENTRIES]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch("[a-z]", key) and key != "g" for key in keys)
    assert [each for each in key_list(PLACES) if each[0].startswith("g ")] == [
        (f"g {key}", text) for _, text, key in ENTRIES
    ]
    page = auditing(office, site).get("/", **HTML).text
    rail = page.partition('<details class="menu">')[0]
    assert re.findall(r'<a href="([^"]+)" data-key="(\w)"[^>]*>([^<]+)</a>', rail) == [
        (path, key, text) for path, text, key in ENTRIES
    ]
    shown = re.findall(r"<dt><kbd>([^<]+)</kbd></dt><dd>([^<]+)</dd>", page)
    assert shown == list(key_list(PLACES))


def test_no_name_of_the_menu_is_a_part_of_another() -> None:
    """No name of a page in the menu is the whole of another name's end: *Requests* beside *Change requests* misleads."""
    names = [text.lower() for _, text, _ in ENTRIES]
    assert [name for name in names for other in names if name != other and other.endswith(f" {name}")] == []
