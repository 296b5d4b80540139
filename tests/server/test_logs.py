"""Pages of logs and the search: parts of limited size, links to lines, and no path of a request in the file system."""

import re

import pytest

from orchestrator.domain.journal import Entry
from tests.cli.request_project import RequestProject, office
from tests.server.site import HTML, Site

__all__ = ["office"]  # the fixture

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def test_a_log_is_shown_by_step_and_host_with_a_link_to_each_record(office: RequestProject, site: Site) -> None:
    """Each record has its number as a link, is limited to a step or host, and is shown as text without control characters."""
    run = office.go("staging", "1.0.0")
    data = {"task": f"{EVIL}\x1b[31m", "outcome": "failed", "message": "first\nsecond"}
    office.store.append(run.id, [Entry(kind="task", step="deploy.1", host="h9", data=data, key="more")])
    vic = site.signed_in("vic")
    page = vic.get(f"/runs/{run.id}/log").text
    numbers = re.findall(r'<li id="L(\d+)"[^>]*><a href="#L\1">\1</a>', page)
    assert numbers == sorted(numbers, key=int)
    assert (len(numbers) > 3, EVIL in page, "&lt;img" in page, "\x1b" in page) == (True, False, True, False)
    assert 'class="x"' in vic.get(f"/runs/{run.id}/log?step=deploy&host=h9").text
    assert "No record fits" in vic.get(f"/runs/{run.id}/log?host=h10").text
    assert f"/runs/{run.id}/log" in vic.get(f"/runs/{run.id}").text
    whole = vic.get(f"/api/v1/runs/{run.id}/log").json()["records"]
    first = vic.get(f"/api/v1/runs/{run.id}/log?limit=2").json()
    second = vic.get(f"/api/v1/runs/{run.id}/log?limit=200&cursor={first['cursor']}").json()
    assert [*first["records"], *second["records"]] == whole
    assert second["cursor"] is None
    assert vic.get("/runs/unknown/log", **HTML).status_code == 404


def test_an_output_is_shown_in_parts_with_a_link_to_each_line(office: RequestProject, site: Site) -> None:
    """A page has 1000 lines of an output; a link to a line leads to the part that has it; long lines are divided."""
    run = office.go("staging", "1.0.0")
    folder = office.folder / ".orchestrator" / "jobs" / f"{run.id}.deploy"
    folder.mkdir(parents=True)
    (folder / "output.log").write_text("".join(f"line {n} {EVIL}\n" for n in range(1, 2501)) + "x" * 9000)
    vic = site.signed_in("vic")
    path = f"/runs/{run.id}/outputs/{run.id}.deploy"
    assert path in vic.get(f"/runs/{run.id}/log").text
    page = vic.get(f"{path}?line=1318").text
    assert ('id="L1318"' in page, "line 1318 " in page, 'id="L1000"' in page, 'id="L2001"' in page) == (
        True,
        True,
        False,
        False,
    )
    assert (EVIL in page, f"{path}?line=2001" in page, f"{path}?line=1" in page) == (False, True, True)
    last = vic.get(f"{path}?line=2001").text
    assert ('id="L2503"' in last, 'id="L2504"' in last, "Further lines" in last) == (True, False, False)
    assert "no lines here" in vic.get(f"{path}?line=900000").text
    part = vic.get(f"/api/v1{path}?line=2&limit=2").json()
    assert (part["first"], len(part["lines"]), part["following"]) == (2, 2, 4)
    assert vic.get(f"/api/v1/runs/{run.id}/outputs").json()["jobs"] == [f"{run.id}.deploy"]


def test_an_output_is_named_by_its_job_alone(office: RequestProject, site: Site) -> None:
    """No name of a run or a job leads to another file."""
    run = office.go("staging", "1.0.0")
    folder = office.folder / ".orchestrator" / "jobs" / "other.deploy"
    folder.mkdir(parents=True)
    (folder / "output.log").write_text("secret of another run\n")
    vic = site.signed_in("vic")
    for name in (f"{run.id}.deploy", "other.deploy", "*", "..%2fother.deploy", "%2e%2e", f"{run.id}.%2a"):
        for prefix in ("", "/api/v1"):
            answer = vic.get(f"{prefix}/runs/{run.id}/outputs/{name}", **HTML)
            assert (name, answer.status_code, "secret" in answer.text) == (name, 404, False)
    assert vic.get("/api/v1/runs/%2a/outputs/other.deploy").status_code == 404


def test_a_search_finds_releases_runs_environments_and_users(office: RequestProject, site: Site) -> None:
    """Each word of a text has to be found; a run is found by its id, its request, its release or its environment."""
    run = office.go("staging", "1.0.0")
    vic = site.signed_in("vic")

    def found(text: str) -> set[tuple[str, str]]:
        hits = vic.get(f"/api/v1/search?q={text}").json()["hits"]
        page = vic.get(f"/search?q={text}").text
        assert all(f'href="{hit["path"]}"'.replace("&", "&amp;") in page for hit in hits)
        assert all(vic.get(hit["path"]).status_code in (200, 403) for hit in hits)
        return {(hit["kind"], hit["name"]) for hit in hits}

    assert found("stag") == {("environment", "staging")}
    assert found("SHOP+1.0") == {("release", "shop 1.0.0")}
    assert found("shop") == {("release", "shop 1.0.0"), ("run", run.id)}
    assert found(run.id[:4]) == found(run.root) == {("run", run.id)}
    assert found("olg") == {("user", "olga")}
    assert found("") == found("%20") == found("nothing-like-this") == set()
    page = vic.get(f"/search?q={EVIL}").text
    assert (EVIL in page, "Nothing is found" in page) == (False, True)
    assert vic.get(f"/matrix?release={run.release.digest if run.release else ''}").text.count('<th scope="row">') == 1


def test_keys_are_a_file_of_ours(site: Site) -> None:
    """The script of the keys is served, and each page has the search without it."""
    vic = site.signed_in("vic")
    assert vic.get("/assets/keys.js").headers["content-type"].startswith("text/javascript")
    page = vic.get("/").text
    assert ('action="/search"' in page, '<dialog id="keys"' in page, "onclick" in page) == (True, True, False)
    assert vic.get("/assets/..%2fkeys.js").status_code == 404
