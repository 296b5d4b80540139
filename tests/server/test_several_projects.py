"""Several projects in one server: one sign-in, the rights of each project, and addresses below a prefix."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest

from orchestrator.app import access, people, tokens
from orchestrator.app.opening import open_served
from orchestrator.cli.planned import plan_text
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor, Binding, Method, ServiceAccount
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.project_addresses import OF_THE_SERVER, address_at, client_address
from orchestrator.management.change_requests.decisions import add_change
from orchestrator.management.change_requests.model import ChangeDraft
from orchestrator.web.addresses import with_prefix
from orchestrator.web.server import server_of_several
from tests.cli.test_packages import FILES
from tests.server.several import PROJECT, PrefixBrowser, SeveralSite, project_at
from tests.server.site import HTML, PASSWORD, Browser
from tests.server.test_uploads import write

PAGES = (
    "/", "/matrix", "/runs", "/environments", "/environments/staging", "/requests", "/change-requests", "/calendar",
    "/planned-releases", "/implementation-plans", "/bookings", "/reviews", "/actions", "/measures", "/audit", "/me",
    "/search?q=staging", "/calendar?view=week",
)  # fmt: skip
ADDRESS = re.compile(r'\s(?:href|src|action|formaction|hx-get|hx-sse:connect)="([^"]*)"')
DAY = timedelta(days=1)
ROOT = Actor(name="root", method=Method.SESSION)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STORE", "STATE", "ARTIFACTS", "TOKEN", "SERVER", "PROFILE"):
        monkeypatch.delenv(f"ORCHESTRATOR_{name}", raising=False)


@pytest.fixture
def site(quiet: None, tmp_path: Path) -> Iterator[SeveralSite]:
    made = SeveralSite(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgres"])
def stored(quiet: None, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SeveralSite]:
    stores = ("", "")
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        stores = (server.fresh(), server.fresh())
    made = SeveralSite(tmp_path, *stores)
    yield made
    made.close()


def names_of(browser: Browser, path: str = "/api/v1/projects", **headers: str) -> list[str]:
    """The names in the portfolio."""
    found = browser.get(path, **headers)
    assert found.status_code == 200, found.text
    return [each["name"] for each in found.json()["projects"]]


def test_a_user_signs_in_once_and_has_the_rights_of_each_project(stored: SeveralSite) -> None:
    """One session is valid in every project; what it may do is decided by the bindings of each, and a portfolio has only what it may view."""
    ann = stored.user("ann", hub="viewer", shop="operator")
    bob = stored.user("bob", hub="operator")
    assert names_of(ann) == names_of(ann, "/p/shop/api/v1/projects") == ["hub", "shop"]
    assert names_of(bob) == ["hub"]
    assert "/p/shop/" not in bob.get("/projects", accept="text/html").text
    for browser, project, expected in ((ann, "hub", 403), (ann, "shop", 201), (bob, "hub", 201), (bob, "shop", 403)):
        done = browser.post(f"/p/{project}/api/v1/environments/staging/lock", {"reason": "repair"})
        assert done.status_code == expected, (project, done.text)
    assert bob.get("/p/shop/runs", accept="text/html").status_code == 403
    people.disable_user(stored.shop.acting_as(ROOT), "ann", reason="left")
    assert (ann.get("/p/shop/api/v1/runs").status_code, ann.get("/p/hub/api/v1/runs").status_code) == (403, 200)
    assert names_of(ann) == ["hub"]
    people.disable_user(stored.hub.acting_as(ROOT), "ann", reason="left")
    assert ann.get("/p/shop/api/v1/me").status_code == 401


def test_a_one_time_link_is_made_where_users_sign_in(site: SeveralSite) -> None:
    """A link of a project whose users sign in at another one is refused, with the name of that one, by page and by command."""
    root = site.user("ann", hub="administrator", shop="administrator")
    refused = root.post("/p/shop/api/v1/use-cases/sign_in_links.create_link", {"arguments": {"user": "ann"}})
    assert (refused.status_code, refused.json()["code"]) == (422, "N129")
    assert "the project hub" in refused.json()["detail"]
    page = root.form("/p/shop/users/ann/link")
    assert (page.status_code, "/link/" in page.text, "N129" in page.text) == (422, False, True)
    made = root.post("/p/hub/api/v1/use-cases/sign_in_links.create_link", {"arguments": {"user": "ann"}})
    assert made.status_code == 200


def test_a_project_without_roles_gives_no_right_to_a_session(site: SeveralSite, tmp_path: Path) -> None:
    """In a project without bindings the local user has every right, and a user of the server has none."""
    bare = project_at(tmp_path / "bare", "bare")
    question = access.Question(action=Action.VIEW)
    assert access.can_i(bare.acting, question).allowed
    assert not access.can_i(bare.acting_as(ROOT), question).allowed
    bare.close()


def test_every_link_of_a_page_leads_to_its_project(site: SeveralSite) -> None:
    """Each address on each page is below the prefix of its project or one of the server, and each of its links is served."""
    access.grant(site.shop.acting_as(ROOT), Binding(role="release-manager", to="user:root"))
    add_change(site.shop.acting_as(ROOT), ChangeDraft(title="Search"), site.shop.change_sources)
    browser = site.browser()
    browser.send("/sign-in", name="root", password=PASSWORD)
    seen, checked = set[str](), set[str]()
    for path in PAGES:
        page = browser.get(f"/p/shop{path}", accept="text/html")
        assert page.status_code == 200, (path, page.text)
        seen |= {unescape(found) for found in ADDRESS.findall(page.text)}
        for text in re.findall(r'href="([^"#?]+)', page.text):
            checked.add(unescape(text))
    outside = {each for each in seen if each.startswith("/") and not each.startswith(("/p/shop", *OF_THE_SERVER))}
    assert not outside
    assert {"/p/shop/runs", "/p/shop/change-requests/R-1", "/assets/app.css", "/projects"} <= checked
    for link in sorted(checked):
        assert browser.get(link, accept="text/html").status_code == 200, link
    assert not re.search(r'action="/(?!p/shop/|sign-out)', browser.get("/p/shop/me").text)


def test_the_whole_address_of_a_project_has_its_prefix() -> None:
    """The whole address has the prefix of the project, except for what belongs to the whole server."""
    shop, alone = "https://example.org/p/shop", "http://127.0.0.1:8750"
    assert [address_at(url, "/calendars/a.ics") for url in (shop, alone)] == [
        "https://example.org/p/shop/calendars/a.ics", "http://127.0.0.1:8750/calendars/a.ics",
    ]  # fmt: skip
    assert [address_at(url, "/link/a") for url in (shop, alone)] == [
        "https://example.org/link/a", "http://127.0.0.1:8750/link/a",
    ]  # fmt: skip


def test_text_of_users_is_not_taken_for_a_link(site: SeveralSite) -> None:
    """Only attributes get the prefix: an address in the text of a user stays as it was written."""
    assert (
        with_prefix("/p/shop", '<a href="/runs">href=&#34;/runs&#34;</a>')
        == '<a href="/p/shop/runs">href=&#34;/runs&#34;</a>'
    )
    assert [client_address("/p/shop", each) for each in ("/runs", "/sign-in", "https://x")] == [
        "/p/shop/runs",
        "/sign-in",
        "https://x",
    ]
    assert client_address("", "/runs") == "/runs"


def test_sign_in_leads_back_to_the_page(site: SeveralSite) -> None:
    """Without a session a page leads to the sign-in of the server and back; the cookie is for all projects, and sign-out ends it in all."""
    site.user("ann", shop="viewer")
    browser = site.browser()
    first = browser.get("/p/shop/runs", **HTML)
    assert (first.status_code, first.headers["location"]) == (303, "/sign-in?next=/p/shop/runs")
    done = browser.send("/sign-in", name="ann", password=PASSWORD, next="/p/shop/runs")
    assert (done.status_code, done.headers["location"]) == (303, "/p/shop/runs")
    cookie = done.headers["set-cookie"]
    assert [text in cookie for text in ("; Path=/;", "HttpOnly", "SameSite=lax")] == [True] * 3
    page = browser.get("/p/shop/runs", **HTML)
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    token = page.text.split('name="form_token" value="')[1].split('"')[0]
    assert browser.send("/p/shop/me/zone", zone="UTC").status_code == 403
    chosen = browser.send("/p/shop/me/zone", zone="UTC", form_token=token)
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/p/shop/me")
    foreign = {"origin": "http://evil.example", **HTML}
    assert browser.request("POST", "/p/shop/me/zone", data={"form_token": token}, headers=foreign).status_code == 403
    assert browser.send("/sign-out", form_token=token).headers["location"] == "/sign-in"
    for project in ("hub", "shop"):
        assert browser.get(f"/p/{project}/api/v1/me").status_code == 401


def test_the_root_has_the_portfolio_and_no_project(site: SeveralSite) -> None:
    """The root leads to the portfolio; its API has the projects only, and names what is missing; an unknown project is not found."""
    olga = site.user("olga", shop="operator", hub="viewer")
    assert olga.get("/").headers["location"] == "/projects"
    page = olga.get("/projects", **HTML)
    assert page.status_code == 200
    assert [text in page.text for text in ('href="/p/hub/"', 'href="/p/shop/"', 'action="/sign-out"')] == [True] * 3
    for method, path in (("GET", "/api/v1/runs"), ("POST", "/api/v1/use-cases/queries.facts"), ("GET", "/metrics")):
        found = olga.request(method, path)
        assert (found.status_code, found.json()["code"]) == (404, "N171"), path
    assert (olga.get("/p/other/runs").status_code, olga.get("/p/").status_code) == (404, 404)
    assert olga.get("/p/shop").status_code == 200
    assert (olga.get("/healthz").text, olga.get("/readyz").json()) == ("ok\n", {"store": True})
    assert olga.get("/p/shop/readyz").json() == {"store": True, "worker": False}
    assert "orchestrator_worker_running 0" in olga.get("/p/shop/metrics").text
    assert olga.request("GET", "/projects", headers={"host": "evil.example"}).status_code == 422
    queued = olga.get("/p/shop/api/v1/search?q=staging").json()["hits"]
    assert [each["path"] for each in queued] == ["/p/shop/environments/staging"]


def test_a_token_is_of_one_project_unless_it_is_of_the_server(site: SeveralSite) -> None:
    """A token of a user where users sign in is valid in all projects with the rights of each; another one, or one of a service account, only in its own."""
    site.user("ann", hub="viewer", shop="viewer")
    hub, shop = site.hub.acting_as(ROOT), site.shop.acting_as(ROOT)
    people.add_service_account(hub, ServiceAccount(name="ci"))
    people.add_service_account(shop, ServiceAccount(name="ci"))
    for acting in (hub, shop):
        access.grant(acting, Binding(role="viewer", to="service-account:ci"))
    everywhere, own = (tokens.create_token(each, "ann", lifetime=DAY).text for each in (hub, shop))
    machine = tokens.create_token(hub, "ci", lifetime=DAY).text
    browser = site.browser()

    def status(token: str, path: str) -> int:
        return browser.get(path, authorization=f"Bearer {token}").status_code

    paths = ("/p/hub/api/v1/runs", "/p/shop/api/v1/runs", "/api/v1/projects")
    assert [status(everywhere, path) for path in paths] == [200, 200, 200]
    assert [status(own, path) for path in paths] == [401, 200, 401]
    assert [status(machine, path) for path in paths] == [200, 401, 200]
    assert names_of(browser, authorization=f"Bearer {everywhere}") == ["hub", "shop"]
    assert names_of(browser, "/p/shop/api/v1/projects", authorization=f"Bearer {everywhere}") == ["hub", "shop"]
    assert names_of(browser, "/p/shop/api/v1/projects", authorization=f"Bearer {own}") == ["shop"]
    assert names_of(browser, authorization=f"Bearer {machine}") == ["hub"]
    me = browser.get("/p/shop/api/v1/me", authorization=f"Bearer {everywhere}").json()["actor"]
    assert (me["name"], me["credential"].partition(":")[0]) == ("ann", "hub")


def test_an_unreadable_project_does_not_take_the_others_away(site: SeveralSite) -> None:
    """A project whose files are wrong is in the portfolio with its error; one whose database cannot be read only as a number; the others are served."""
    olga = site.user("olga", hub="viewer", shop="operator")
    file = site.shop.root / "environments" / "staging" / "environment.yaml"
    file.write_text("name: [")
    site.shop.__dict__.pop("environments", None)
    health = {each["name"]: each["health"] for each in olga.get("/api/v1/projects").json()["projects"]}
    assert health == {"hub": "problems", "shop": "unreadable"}
    assert "The project cannot be read" in olga.get("/projects", **HTML).text
    site.shop.close()
    for part in ("store", "register"):
        site.shop.__dict__.pop(part, None)
    state = site.shop.root / ".orchestrator" / "state.db"
    for file in state.parent.glob("state.db*"):
        file.unlink()
    state.write_bytes(b"not a database" * 1000)
    olga = PrefixBrowser(server_of_several(site.served, plan_text)[0], olga.cookies)  # a start meanwhile
    found = olga.get("/api/v1/projects").json()
    assert ([each["name"] for each in found["projects"]], found["unreadable"]) == (["hub"], 1)
    assert "1 further project cannot" in olga.get("/projects", **HTML).text
    assert olga.get("/p/hub/runs", **HTML).status_code == 200
    assert olga.get("/p/shop/api/v1/runs").status_code >= 500
    assert olga.get("/readyz").status_code == 200


def test_projects_that_cannot_be_served_together_are_refused(
    quiet: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two folders of one name, one folder twice, shared records, and a folder that is no project are refused before anything is served."""
    a, b, c = (tmp_path / name for name in "abc")
    for folder, name in ((a, "shop"), (b, "shop"), (c, "other")):
        write(folder, {**FILES, "orchestrator.yaml": PROJECT.format(name=name)})

    def refused(*folders: Path) -> str:
        with pytest.raises(OrchestratorError) as found:
            open_served(folders, given=True)
        return f"{found.value.code} {found.value.message}"

    assert refused(a, b) == f"N170 {a} and {b} are both called shop"
    assert refused(a, tmp_path).startswith("F130")
    assert refused(a, a) == f"N170 {a} is given twice"
    assert refused(a, c / "environments").startswith(f"F130 {c / 'environments'} is not the folder of a project")
    assert [app.project.name for app in open_served((a, c), given=True)] == ["shop", "other"]
    monkeypatch.setenv("ORCHESTRATOR_STORE", f"sqlite:///{tmp_path}/one.db")
    assert refused(a, c).startswith("N170")
    assert "same place" in refused(a, c)
