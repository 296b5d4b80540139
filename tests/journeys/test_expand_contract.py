"""A database whose schema changes with its releases: the expansion can go back, the contraction is a point of no return."""

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.conftest import ROOT, Project

EXAMPLE = ROOT / "examples" / "guestbook"


@pytest.fixture(scope="module")
def guestbook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The example, with 1.0.0 in staging and a guest in its book."""
    project = Project(tmp_path_factory.mktemp("guestbook") / "project")
    shutil.copytree(EXAMPLE, project.root, ignore=shutil.ignore_patterns(".orchestrator", "dist", "__pycache__"))
    shutil.copytree(project.root / "app/1.1.0", project.root / "app/1.1.1")
    shutil.copytree(project.root / "releases/1.1.0", project.root / "releases/1.1.1")
    project.replace("releases/1.1.1/release.yaml", "1.1.0", "1.1.1")
    build = [sys.executable, "app/build.py", "1.0.0", "1.1.0", "1.1.1", "1.2.0"]
    subprocess.run(build, cwd=project.root, check=True, capture_output=True)
    try:
        project.run("promote", "releases/1.0.0", "--to", "staging")
        _sign(project, "Ada.Lovelace")
        yield project
    finally:
        project.clean()


def _url(project: Project) -> str:
    (about,) = project.variables("staging").values()
    return f"http://{about['ansible_host']}:{about['app_port']}"


def _sign(project: Project, name: str) -> None:
    request = urllib.request.Request(f"{_url(project)}/{name}", method="POST")
    assert urllib.request.urlopen(request, timeout=10).status == 201


def _guests(project: Project) -> list[str]:
    answer: list[str] = json.loads(urllib.request.urlopen(f"{_url(project)}/guests", timeout=10).read())
    return answer


def _columns(project: Project) -> set[str]:
    (about,) = project.variables("staging").values()
    text = (
        "import sqlite3, sys; print([c[1] for c in sqlite3.connect(sys.argv[1]).execute('PRAGMA table_info(guests)')])"
    )
    file = Path(about["host_root"]) / "shared/data/guestbook.db"
    done = subprocess.run([sys.executable, "-c", text, str(file)], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout.replace("'", '"')))


@pytest.mark.timeout(900)
def test_a_schema_expands_goes_back_and_contracts(guestbook: Project) -> None:
    """An expansion that fails goes back with all data; one that holds is read both ways; the contraction is refused until it is named, cannot be gone back from, and loses nothing."""
    suite = guestbook.root / "tests/smoke/test_guestbook.py"
    good = suite.read_text()
    suite.write_text(f"{good}\n\ndef test_it_is_liked(page):\n    assert page('/version') != '1.1.0'\n")
    said = guestbook.run("promote", "releases/1.1.0", "--to", "staging", code=4)
    assert "not changed" not in said.err
    assert _columns(guestbook) == {"name", "first", "last"}
    assert _guests(guestbook) == ["Ada Lovelace"]
    _sign(guestbook, "Grace.Hopper")  # the old release lives with the wider table

    suite.write_text(good)
    assert "P106" in guestbook.run("promote", "releases/1.1.0", "--to", "staging", code=3).err
    guestbook.run("promote", "releases/1.1.1", "--to", "staging")
    _sign(guestbook, "Mary.Shelley")
    assert _guests(guestbook) == ["Lovelace, Ada", "Hopper, Grace", "Shelley, Mary"]

    plan = guestbook.run("plan", "releases/1.2.0", "--to", "staging").out.splitlines()
    assert "contract cannot be undone; not agreed to: --point-of-no-return contract" in plan[1]
    assert "R201" in guestbook.run("promote", "releases/1.2.0", "--to", "staging", code=3).err
    assert _columns(guestbook) == {"name", "first", "last"}
    guestbook.run("promote", "releases/1.2.0", "--to", "staging", "--point-of-no-return", "contract")
    assert _columns(guestbook) == {"first", "last"}
    assert _guests(guestbook) == ["Lovelace, Ada", "Hopper, Grace", "Shelley, Mary"]
    assert "R135" in guestbook.run("rollback", "staging", "--yes", code=3).err
