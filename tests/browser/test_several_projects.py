"""Several projects in one server, as users see them in a browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from orchestrator.app.access import grant
from orchestrator.app.people import add_user
from orchestrator.cli.planned import plan_text
from orchestrator.domain.access.principals import Actor, Binding, User
from orchestrator.management.projects.served import ServedProject
from orchestrator.web.server import server_of_several
from tests.browser.conftest import Served, picture, serving
from tests.browser.test_pages import faults_in_all_looks
from tests.cli.request_project import RequestProject
from tests.server.several import project_at
from tests.server.site import Site


@pytest.fixture
def several(office: RequestProject, chrome: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The project *demo*, in which a promotion waits, with a project *shop*, which bob may view."""
    folder: Path = tmp_path_factory.mktemp("several") / "shop"
    for version in ("1.0.0", "1.1.0"):
        office.go("staging", version)
    office.ask("1.1.0")
    shop = project_at(folder, "shop")
    root = shop.acting_as(Actor(name="root"))
    for name, role in (("root", "administrator"), ("bob", "viewer")):
        add_user(root, User(name=name))
        grant(root, Binding(role=role, to=f"user:{name}"))
    site = Site(office, office.app())
    server, _ = server_of_several([ServedProject(site.app, "/p/demo"), ServedProject(shop, "/p/shop")], plan_text)
    with serving(server) as address:
        made = Served(office, site, address, chrome)
        yield made
        made.close()
    shop.register.close()


def test_an_approver_goes_from_the_portfolio_to_the_vote(several: Served) -> None:
    """The portfolio names who is waited for; its links, keys, search and buttons stay in the project, and lead back to all projects."""
    page = several.page("bob")
    page.wait_for_url(f"{several.address}/projects")
    expect(page.get_by_role("heading", level=2)).to_have_text(["demo", "shop"])
    expect(page.get_by_text("waits for bob")).to_be_visible()
    picture(page, "projects")
    page.get_by_role("link", name="shop 1.1.0 → production").click()
    page.wait_for_url(re.compile("/p/demo/requests/"))
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".head .badge")).to_contain_text("ready")
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.wait_for_url(f"{several.address}/p/demo/matrix")
    page.get_by_role("searchbox").fill("staging")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/p/demo/search"))
    page.get_by_role("link", name="All projects").first.click()
    page.get_by_role("link", name="shop", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Home")
    assert page.url == f"{several.address}/p/shop/"
    page.get_by_role("button", name="Sign out").first.click()
    page.wait_for_url(f"{several.address}/sign-in")
    assert several.problems == []


def test_an_event_is_shown_below_the_prefix(several: Served) -> None:
    """The page of an open run in one of several projects shows its steps without a reload."""
    office = several.office
    office.packages.put(office.release("1.2.0"))
    run = office.request("staging", "1.2.0")
    page = several.page("olga")
    page.goto(f"{several.address}/p/demo/runs/{run.id}")
    expect(page.get_by_text("No step has started.")).to_be_visible()
    page.evaluate("document.documentElement.dataset.kept = 'yes'")
    office.do(run)
    expect(page.locator("#part p[aria-live=polite]")).to_contain_text("succeeded")
    assert page.evaluate("document.documentElement.dataset.kept") == "yes"
    assert several.problems == []


def test_the_portfolio_is_accessible(several: Served) -> None:
    """axe-core finds nothing on the portfolio and on a page of a project, on a desk and on a phone."""
    page = several.page("bob", bypass_csp=True)
    for path, name in (("/projects", "projects"), ("/p/demo/", "project-home")):
        page.goto(several.address + path)
        assert (path, faults_in_all_looks(page, name)) == (path, [])
    assert several.problems == []
