"""Plans of a pushed definition that another folder unpacks: what they are held to has no path of a machine in it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import main
from tests.server.test_definitions_process import LOCAL, SOURCES
from tests.server.test_uploads import write

STAGING = "environments/staging/environment.yaml"
DEFINED = {
    **SOURCES,
    "ansible.cfg": "[defaults]\nvault_identity_list = team@team.txt\n",
    STAGING: SOURCES[STAGING].replace("environment: [OUT]", "vault_ids: [own@own.txt]"),
    "environments/staging/group_vars/all.yml": "greeting: hello\n",
    "team.txt": "one\n",
    "own.txt": "two\n",
}


class Machines:
    """Two folders with a cache of their own, which share the records of one project and a key."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._top, self._monkeypatch, self._capsys = top, monkeypatch, capsys

    def run(self, machine: str, *words: str) -> tuple[int, str]:
        """Run a command in the folder of *machine*: its exit status, and all that it prints."""
        self._monkeypatch.setenv("XDG_CACHE_HOME", str(self._top / "caches" / machine))
        self._capsys.readouterr()
        code = int(main(["-C", str(self._top / machine), *words]))
        printed = self._capsys.readouterr()
        return code, printed.out + printed.err

    def plan(self, machine: str) -> dict[str, Any]:
        """The plan that *machine* makes."""
        code, said = self.run(machine, "plan", "shop-1.0.0", "--to", "staging", "--json")
        assert code == 0, said
        found: dict[str, Any] = json.JSONDecoder().raw_decode(said)[0]
        return found


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Machines:
    """Two machines, after the definition was pushed and the release built."""
    for name in ("STORE", "STATE", "ARTIFACTS", "TOKEN", "SERVER", "PROFILE"):
        monkeypatch.delenv(f"ORCHESTRATOR_{name}", raising=False)
    monkeypatch.setenv("ORCHESTRATOR_PROJECT_KEY_FILE", str(tmp_path / "shared/project.key"))
    (tmp_path / "shared/artifacts").mkdir(parents=True)
    (tmp_path / "shared/project.key").touch(0o600)
    (tmp_path / "shared/project.key").write_bytes(b"k" * 32)
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "out": str(tmp_path / "out")}
    hosts = {"environments/staging/hosts.yml": json.dumps({"all": {"hosts": {"web1": local}}})}
    write(tmp_path / "source", {**DEFINED, **hosts})
    for name in ("one", "two"):
        settings = LOCAL.format(shared=tmp_path / "shared")
        write(tmp_path / name, {"orchestrator.yaml": settings, "team.txt": "one\n", "own.txt": "two\n"})
    found = Machines(tmp_path, monkeypatch, capsys)
    for words in (("project", "push", str(tmp_path / "source")), ("build", "shop")):
        code, said = found.run("one", *words)
        assert code == 0, said
    return found


def test_a_plan_of_a_pushed_definition_holds_in_another_folder(machines: Machines, tmp_path: Path) -> None:
    """A plan made where one machine unpacks the definition is executed by another one, and has no path of the first."""
    plan = machines.plan("one")
    assert str(tmp_path) not in json.dumps({**plan, "current_hosts": []})
    assert plan["inventory"]["files"] == ["environments/staging/hosts.yml"]
    shown = {each["value"] for each in plan["configuration"]["hosts"] if each["name"] == "defaults.vault_identity_list"}
    assert shown == {"team@team.txt, own@own.txt"}
    assert machines.plan("two")["digest"] == plan["digest"]
    code, said = machines.run("two", "promote", "--plan", plan["digest"])
    assert (code, (tmp_path / "out").read_text() if code == 0 else "") == (0, "hello"), said


def test_a_variable_of_hosts_changes_what_a_plan_is_held_to(machines: Machines, tmp_path: Path) -> None:
    """After a push with another variable beside the inventory, the digest of the hosts is another one in every folder."""
    plan = machines.plan("one")
    write(tmp_path / "source", {"environments/staging/group_vars/all.yml": "greeting: good evening\n"})
    assert machines.run("one", "project", "push", str(tmp_path / "source"))[0] == 0
    assert machines.plan("two")["inventory_digest"] != plan["inventory_digest"]
