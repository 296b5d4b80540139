"""Project definitions in a backup: a restored project has them, and a plan by an earlier digest runs with its own."""

import json
import os
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.trees import discard
from tests.passphrase import passphrase
from tests.server.test_definitions_process import PROJECT, SOURCES, hosts
from tests.server.test_uploads import write

pytestmark = pytest.mark.long


@pytest.fixture(params=["sqlite", "postgres"])
def folders(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the sources of a project, and two folders without sources, each with an empty store."""
    for name in ("STORE", "STATE", "ARTIFACTS", "TOKEN", "SERVER", "PROFILE"):
        monkeypatch.delenv(f"ORCHESTRATOR_{name}", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ORCHESTRATOR_PASSPHRASE_FILE", passphrase(tmp_path)[1])
    for name in ("first", "second"):
        text = PROJECT + "definition: pushed\nisolation: 'off'\n"
        if request.param == "postgres":
            server = request.getfixturevalue("postgres")
            text += f"store: {server.fresh()}\n"
            monkeypatch.setenv("PATH", f"{server.programs}{os.pathsep}{os.environ['PATH']}")
        write(tmp_path / name, {"orchestrator.yaml": text})
    write(tmp_path / "source", {**SOURCES, **hosts("one", tmp_path / "out")})
    return tmp_path


def test_a_restored_project_runs_a_plan_with_its_definition(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A backup has both definitions; in a restored project the earlier one runs by its plan, and is used again by its digest."""
    source, out = folders / "source", folders / "out"

    def say(folder: str, *words: str) -> str:
        capsys.readouterr()
        code = main(["-C", str(folders / folder), *words])
        printed = capsys.readouterr()
        assert code == 0, printed.out + printed.err
        return printed.out

    say("first", "project", "push", str(source))
    say("first", "build", "shop")
    plan = json.JSONDecoder().raw_decode(say("first", "plan", "shop-1.0.0", "--to", "staging", "--json"))[0]
    write(source, hosts("two", out))
    say("first", "project", "push", str(source))
    say("first", "backup", str(folders / "all.backup"), "--with-secrets")
    discard(folders / "first")
    (folders / "second").rename(folders / "first")  # plans have the path of an inventory
    discard(folders / "cache/orchestrator/definitions")
    say("first", "restore", str(folders / "all.backup"), "--yes")
    listed = json.loads(say("first", "project", "definitions", "--json"))["definitions"]
    assert [(each["digest"] == plan["project_definition"], each["is_current"]) for each in listed] == [
        (False, True),
        (True, False),
    ]
    say("first", "promote", "--plan", plan["digest"])
    assert out.read_text() == "one"
    run = json.loads(say("first", "history", "--json"))["runs"][0]
    assert run["project_definition"] == plan["project_definition"]
    say("first", "promote", "shop-1.0.0", "--to", "staging", "--redeploy")
    assert out.read_text() == "two"
    say("first", "project", "use", plan["project_definition"])
    say("first", "promote", "shop-1.0.0", "--to", "staging", "--redeploy")
    assert out.read_text() == "one"
