"""Pages and lists of a project with many environments: they are read in parts, and no environment is left out."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from html import unescape
from itertools import chain
from typing import Any

import pytest

from orchestrator.app.access import grant
from orchestrator.app.calendar import stop_line
from orchestrator.domain.access.principals import Binding
from orchestrator.services import Services
from orchestrator.web.pages.shown_environments import COLUMNS, FEW, ROWS
from tests.app.memory_application import MemoryApplication
from tests.cli.memory_project import ENVIRONMENT, MemoryProject, project  # noqa: F401 - a fixture
from tests.server import site as sites
from tests.server.site import Browser, Site

MANY = [f"e{number:03}" for number in range(60)]
NAMES = [*MANY, "production", "staging"]


class LargeApplication(MemoryApplication):
    """The memory world with every environment of the files."""

    @cached_property
    def services(self) -> Services:
        return replace(super().services, environments=self.environments)


@pytest.fixture
def site(project: MemoryProject, monkeypatch: pytest.MonkeyPatch) -> Site:  # noqa: F811
    """A server of a project with 62 environments, of which one has a verified release."""
    for name in MANY:
        folder = project.folder / "environments" / name
        folder.mkdir()
        (folder / "environment.yaml").write_text(ENVIRONMENT.format(name=name))
    project.go("staging", "1.0.0")
    monkeypatch.setattr(sites, "MemoryApplication", LargeApplication)
    return Site(project)


def pages(ann: Browser, path: str) -> list[str]:
    """The page at *path*, and those that it leads to by "Next environments"."""
    found = []
    while path:
        page = ann.get(path)
        assert page.status_code == 200, page.text
        found.append(page.text)
        links = re.findall(r'href="([^"]+)">Next environments', page.text)
        path = unescape(links[0]) if links else ""
    return found


def every(read: Callable[[str], list[str]], found: list[str]) -> list[str]:
    """What *read* finds in all pages that were *found*."""
    return [name for text in found for name in read(text)]


SHOWN: dict[str, tuple[int, Callable[[str], list[str]]]] = {
    "/environments": (ROWS, lambda text: re.findall(r'<th scope="row"><a class="link" href="/environments/([^"]+)"', text)),
    "/matrix": (COLUMNS, lambda text: re.findall(r'<th scope="col">([^<]+)<small>', text)),
    "/calendar": (ROWS, lambda text: re.findall(r'<th scope="row"><a class="link" href="/environments/([^"]+)"', text)),
    "/calendar?view=week": (ROWS, lambda text: re.findall(r'<div class="name"><a href="/environments/([^"]+)"', text)),
}  # fmt: skip


@pytest.mark.parametrize("path", SHOWN)
def test_each_environment_is_on_one_page(site: Site, path: str) -> None:
    """The pages of a list contain each environment once, in the order of the path, and no page more than its number."""
    limit, read = SHOWN[path]
    found = [read(text) for text in pages(site.user("ann", "viewer"), path)]
    assert list(chain(*found)) == NAMES
    assert [len(each) for each in found[:-1]] == [limit] * (len(found) - 1) != []


@pytest.mark.parametrize("path", SHOWN)
def test_a_text_chooses_environments(site: Site, path: str) -> None:
    """A part of a name or a pattern chooses environments, also over several pages; another one finds none."""
    ann, joint, read = site.user("ann", "viewer"), "&" if "?" in path else "?", SHOWN[path][1]
    assert every(read, pages(ann, f"{path}{joint}name=e0")) == MANY
    assert every(read, pages(ann, f"{path}{joint}name=E01*")) == []
    assert every(read, pages(ann, f"{path}{joint}name=e01*")) == MANY[10:20]
    assert "No environment fits" in ann.get(f"{path}{joint}name=nowhere").text or "view=week" in path
    last = "after" if path != "/environments" else "cursor"
    assert ann.get(f"/api/v1/environments?{last}=nowhere&cursor=nowhere").json()["code"] == "N110"
    assert "N110" in ann.get(f"{path}{joint}{last}=nowhere", accept="text/html").text


def test_a_small_project_has_no_fields_for_it(project: MemoryProject) -> None:  # noqa: F811
    """Where one page has every environment, no page has a field or a link for others."""
    project.go("staging", "1.0.0")
    ann = Site(project).user("ann", "viewer")
    for path in ("/", *SHOWN):
        text = ann.get(path).text
        assert 'name="name"' not in text
        assert not re.search(r"Next environments|All \d+ environments|more problems", text)


def test_home_shows_what_is_closed_and_leads_to_the_rest(site: Site) -> None:
    """The first page of a large project shows closed environments first, some problems, and how many there are."""
    root, ann = site.root, site.user("ann", "viewer")
    grant(root, Binding(role="operator", to="user:root"))
    assert f"{MANY[-1]} is closed" not in ann.get("/").text
    stop_line(root, MANY[-1], "a fault of the network")
    home = ann.get("/").text
    assert home.index(f"{MANY[-1]} is closed") < home.index("e000 is open")
    assert "1 of them is closed." in home
    assert "All 62 environments" in home
    assert f"{61 - FEW} more problems" in home  # all but staging have no records
    listed = every(SHOWN["/environments"][1], pages(ann, "/environments?only=problems"))
    assert listed == [name for name in NAMES if name != "staging"]


def test_the_matrix_of_the_api_is_read_in_both_directions(site: Site, project: MemoryProject) -> None:  # noqa: F811
    """Pages of environments and pages of releases contain each cell once, with the same content as one large page."""
    project.go("staging", "1.1.0")
    ann = site.user("ann", "viewer")
    whole = ann.get("/api/v1/matrix?environment_limit=200").json()
    assert (whole["environments"], whole["environment_cursor"]) == (NAMES, None)
    cells: dict[tuple[str, str], Any] = {}
    for row in "", f"&cursor={ann.get('/api/v1/matrix?limit=1').json()['cursor']}":
        cursor = ""
        while True:
            part = ann.get(f"/api/v1/matrix?limit=1&environment_limit=25{row}{cursor}").json()
            [shown] = part["releases"]
            new = {(shown["release"]["version"], name): cell for name, cell in shown["in"].items()}
            assert not new.keys() & cells.keys()
            cells |= new
            if part["environment_cursor"] is None:
                break
            cursor = f"&environment_cursor={part['environment_cursor']}"
    assert cells == {(row["release"]["version"], n): cell for row in whole["releases"] for n, cell in row["in"].items()}
    assert len(cells) == 2 * len(NAMES)
    assert ann.get("/api/v1/matrix?environment=e00*").json()["environments"] == MANY[:10]
    again = ann.get("/api/v1/matrix?environment_limit=200").json()
    assert again == whole
    project.go("staging", "1.2.0")
    later = ann.get("/api/v1/matrix?environment_limit=200").json()
    assert [row["in"]["staging"]["state"] for row in later["releases"]] == ["current", "verified", "verified"]


def test_contention_is_read_page_by_page(site: Site) -> None:
    """Pages of the demand contain each week of each environment once, however long a page is."""
    ann = site.user("ann", "viewer")
    whole = [(week["environment"], week["week"]) for name in NAMES[:3] for week in
             ann.get(f"/api/v1/contention?weeks=1&environment={name}").json()["weeks"]]  # fmt: skip
    for limit in (1, 2, 7, 200):
        found, cursor = list[tuple[str, str]](), ""
        while len(found) < len(whole):
            page = ann.get(f"/api/v1/contention?weeks=1&limit={limit}{cursor}").json()
            found += [(week["environment"], week["week"]) for week in page["weeks"]]
            cursor = f"&cursor={page['cursor']}".replace("+", "%2B")
        assert found[: len(whole)] == whole
    assert {name for name, _ in found} == set(NAMES)
    assert ann.get("/api/v1/contention?cursor=none").json()["code"] == "N110"
