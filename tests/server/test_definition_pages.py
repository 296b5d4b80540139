"""Pages of project definitions: who pushed which, which one is used, which runs name it, and the button to use one."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.app import access, people
from orchestrator.app.requests import Observe
from orchestrator.app.submit import record_request
from orchestrator.domain.access.principals import Actor, Binding, User
from orchestrator.wiring import App, open_app
from tests.cli.request_project import RequestProject, office
from tests.server.release_scene import EVIL, MANIFEST, lay_people
from tests.server.site import Site
from tests.server.test_definitions import PROJECT, home, say, sources
from tests.server.test_uploads import write

__all__ = ["home", "office", "say"]  # fixtures
Say = Callable[..., tuple[int, str, str]]


def shown(site: Site, name: str, path: str) -> str:
    """What a page shows beside its navigation."""
    return str(site.signed_in(name).get(path).text.split("<main")[1])


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server that uses its own folder."""
    office.go("staging", "1.0.0")
    return Site(office, office.app())


def test_a_project_without_definitions_teaches_the_next_command(site: Site) -> None:
    """An empty list names the command that pushes, and the setting that lets the server use what is pushed."""
    page = shown(site, "vic", "/definitions")
    assert "orchestrator project push" in page
    assert "definition: pushed" in page
    assert 'href="/definitions"' in site.signed_in("vic").get("/").text


def test_a_definition_that_nobody_can_use_has_no_button(site: Site, office: RequestProject) -> None:
    """On a server that uses its folder the page of a definition has its files and credentials, and no form for any role."""
    lay_people(office)
    assert MANIFEST.digest[7:19] in shown(site, "vic", "/definitions")
    page = shown(site, "root", f"/definitions/{MANIFEST.digest}")
    assert ("orchestrator.yaml" in page, "vault.txt" in page, '<form method="post"' in page) == (True, True, False)
    assert "No run has used it" in page
    assert site.signed_in("vic").get("/definitions/0000000").status_code == 404


def served(app: App) -> Site:
    """A server of the project with the administrator `root`."""
    people.add_user(app.acting, User(name="root"))
    access.grant(app.acting_as(Actor(name="root")), Binding(role="administrator", to="user:root"))
    return Site(RequestProject(Path()), app)


def pushed(home: Path, say: Say, tmp_path: Path) -> list[str]:
    """The digests of two definitions of the project in *home*; the second one is current."""
    write(home, {"orchestrator.yaml": PROJECT + "definition: pushed\n"})
    digests = []
    for text in ("one", "two"):
        code, out, err = say("project", "push", str(sources(tmp_path / "source", text)), "-m", EVIL, "--json")
        assert code == 0, err
        digests.append(str(json.loads(out)["definition"]["digest"]))
    return digests


def test_an_earlier_definition_is_used_again_by_its_button(home: Path, say: Say, tmp_path: Path) -> None:
    """Those with the right use an earlier definition by a form; a form of a page that is out of date is refused (N145), and a viewer has none."""
    first, second = pushed(home, say, tmp_path)
    app = open_app(home)
    site = served(app)
    engineer, viewer = site.user("pat", "platform-engineer"), site.user("vera", "viewer")
    path = f"/definitions/{first}"
    assert '<form method="post"' not in viewer.get(path).text.split("<main")[1]
    assert '<form method="post"' not in engineer.get(f"/definitions/{second}").text.split("<main")[1]
    assert f'name="current" value="{second}"' in engineer.get(path).text
    assert EVIL not in engineer.get("/definitions").text
    refused = viewer.form(f"{path}/use", current=second, reason="x")
    assert refused.status_code == 403
    done = engineer.form(f"{path}/use", current=second, reason="undo")
    assert (done.status_code, done.headers["location"]) == (303, "/definitions")
    kept = app.definitions.current(app.actor)
    assert kept is not None
    assert (kept.digest, kept.used_by, kept.message) == (first, "pat", "undo")
    late = engineer.form(f"/definitions/{second}/use", current=second, reason="late")
    assert "N145" in late.text
    app.close()


def test_runs_name_their_definition(home: Path, say: Say, tmp_path: Path) -> None:
    """`show` names the definition of a run in text and JSON, its page leads to it, and the page of the definition lists the run."""
    first, second = pushed(home, say, tmp_path)
    app = open_app(home)
    wanted = (
        Observe(targets=("staging",), definition=digest) for digest in (first, "")
    )  # the default is the current one
    runs = [f"{record_request(app, app.actor, each, 'later').root}-staging" for each in wanted]
    viewer = served(app).user("vera", "viewer")
    page = viewer.get(f"/definitions/{first}").text
    assert re.findall(r'href="/runs/([^"]+)"', page) == runs[:1]
    assert f'href="/definitions/{first}"' in viewer.get(f"/runs/{runs[0]}").text
    app.close()
    assert f"project definition {second}" in say("show", runs[1])[1]
    assert json.loads(say("show", runs[1], "--json")[1])["run"]["project_definition"] == second
