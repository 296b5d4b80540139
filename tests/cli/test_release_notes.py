"""`orchestrator release notes` between two sealed packages of a project in Git."""

import json
import subprocess
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.domain.journal import Entry, Verified
from orchestrator.domain.promotion import State
from orchestrator.wiring import open_app
from tests.cli.test_packages import RELEASE, _commit, _seen, _write, fresh

__all__ = ["fresh"]  # the fixture


@pytest.mark.engines
def test_the_notes_have_commits_infrastructure_files_and_tests(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The notes of a release list what differs from the package that was verified in its environment, by kind."""
    subprocess.run(["git", "init", "--quiet"], cwd=fresh, check=True)
    _write(fresh, {".gitignore": ".orchestrator\ndist\n"})
    _commit(fresh, "Begin")
    here = ["-C", str(fresh)]
    assert main([*here, "build", "shop"]) == 0
    app = open_app(fresh)
    ref = app.packages.refs()[0]
    suite, folder = app.packages.fetch(ref.digest).manifest.release.suites()[0], app.environments["staging"][1]
    _seen(fresh, State.SUCCEEDED)
    mark = Verified(environment="staging", release=ref, run="SUCCEEDED-staging", at="2026-11-28T12:01:00Z")
    app.store.append(mark.run, [Entry(kind="verified", data=mark.to_json(), key="verified")])
    app.close()
    _write(fresh, {"releases/shop/release.yaml": RELEASE.format(version="1.1.0", timeout="30m")})
    _write(fresh, {f"{suite}/test_more.py": "def test_more() -> None:\n    assert True\n"})
    _write(fresh, {f"{folder.relative_to(fresh)}/extra.py": "SIZE = 2\n"})
    _commit(fresh, "Test more")
    assert main([*here, "build", "shop"]) == 0
    dates = [f"2080-01-0{day}T00:00:00Z" for day in (1, 2, 3)]
    times = ["--start", dates[0], "--freeze", dates[1], "--release-at", dates[2]]
    assert main([*here, "release", "plan", "Advent", "--to", "staging", *times, "--package", "shop-1.1.0"]) == 0
    capsys.readouterr()
    assert main([*here, "release", "notes", "REL-1", "--json"]) == 0
    [package] = json.loads(capsys.readouterr().out)["notes"]["packages"]
    assert [commit["subject"] for commit in package["commits"]] == ["Test more"]
    assert [test["name"] for test in package["tests"]] == ["test_more"]
    assert [Path(file["path"]).name for file in package["infrastructure"]] == ["extra.py"]
    assert "version" in package["fields"]
