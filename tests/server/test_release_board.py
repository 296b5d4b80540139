"""The board of a release: its path with why not, its changes, and the plan that a worker makes for its request."""

import re
import time
from urllib.parse import quote

import pytest

from tests.cli.request_project import RULE, RequestProject, office
from tests.server.release_scene import lay_release
from tests.server.site import HTML, Browser, Site
from tests.server.test_remote_requests import working

__all__ = ["office"]  # the fixture


SOAK = f"{RULE}after: staging\npromote_after: {{verified: 24h}}\n"


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project whose promotions into production need one approval."""
    return Site(office, office.app())


def board(browser: Browser, release: str) -> str:
    """The text of the board of a release."""
    answer = browser.get(f"/releases/{release}", **HTML)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_the_board_shows_the_path_and_why_not(office: RequestProject) -> None:
    """Each environment has the state of the release, the missing conditions with their codes, and the time of soaking."""
    office.rule(SOAK)
    site = Site(office, office.app())
    for version in ("1.0.0", "1.1.0"):
        office.go("staging", version)
    office.packages.put(office.release("1.2.0"))
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    soaking = board(ann, "shop-1.1.0")
    assert ("it runs here" in soaking, "A220" in soaking, "in 24 h" in soaking or "in 23 h" in soaking) == (
        True,
        True,
        True,
    )
    new = board(ann, "shop-1.2.0")
    assert ("R105" in new, "every condition is met" in new) == (True, True)
    digest = office.by("vic", "history")["runs"][0]["release"]["digest"]
    assert board(ann, digest).split("<main")[1].count("shop 1.1.0") == soaking.split("<main")[1].count("shop 1.1.0")
    assert f'href="/releases/{quote(digest, safe="")}"' in new
    assert ann.get("/matrix").text.count('href="/releases/') == 3
    assert ("Promote…" in new, "Promote…" in board(vic, "shop-1.2.0")) == (True, False)
    assert "Changes against staging" in new
    assert vic.get("/releases/shop-9.9.9", **HTML).status_code == 404
    assert vic.get("/releases/..%2f..%2fetc", **HTML).status_code == 404


def test_the_board_links_requests_and_planned_releases(office: RequestProject, site: Site) -> None:
    """A request for the release is on its board with its approvals, and so is the planned release that has it in its scope."""
    lay_release(office)
    ann = site.signed_in("ann")
    office.by("ann", "promote", "1.5.0", "--to", "production")
    asked = office.by("vic", "approvals")["requests"][0]["request"]["id"]
    page = board(ann, "shop-1.5.0")
    assert (f'href="/requests/{asked}"' in page, 'href="/planned-releases/REL-1"' in page) == (True, True)
    digest = re.search(r'href="(/releases/[^"]*)"', ann.get("/planned-releases/REL-1").text)
    assert digest is not None
    assert ann.get(digest[1]).status_code == 200


def test_a_worker_makes_the_plan_of_a_request(office: RequestProject, site: Site) -> None:
    """The page of a promotion has the plan made, shows it, and requests it: no command is needed; without a worker it says so."""
    office.packages.put(office.release("1.0.0"))
    ann, vic, bob = site.signed_in("ann"), site.signed_in("vic"), site.signed_in("bob")
    place = {"release": "shop-1.0.0", "environment": "production"}
    start = "/promote?release=shop-1.0.0&environment=production"
    assert "Make the plan" in ann.get(start).text
    assert "Make the plan" not in vic.get(start).text
    assert "N140" in ann.form("/promote/plan", **place).text
    with working(office):
        deadline = time.monotonic() + 60
        while not office.app().scheduler_runs():
            assert time.monotonic() < deadline, "no worker has started"
            time.sleep(0.05)
        refused = vic.form("/promote/plan", **place)
        assert (refused.status_code, "A101" in refused.text) == (403, True)
        path = ann.form("/promote/plan", **place).headers["location"]
        while "A worker makes the plan" in (page := ann.get(path).text):
            assert time.monotonic() < deadline, "no plan was made"
            time.sleep(0.05)
    assert "The plan is made" in page
    plan = page.split('name="plan" value="')[1].split('"')[0]
    assert ann.get(f"/plans/{plan}").status_code == 200
    assert "The plan is made" not in bob.get(path).text, "the call of another user is shown"
    assert "The plan is made" not in ann.get(path.replace("production", "staging")).text
    asked = ann.form("/promote", plan=plan)
    assert asked.headers["location"].startswith("/requests/")
    assert plan in ann.get(asked.headers["location"]).text
