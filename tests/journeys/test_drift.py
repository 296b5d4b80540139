"""What has changed in an environment since its last release is named: a resource, a file, a task, a test."""

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from orchestrator.hosts import loopback
from tests.journeys.conftest import ROOT, Project

NOTE = """
import os
from pulumi.dynamic import CreateResult, ReadResult, Resource, ResourceProvider

class Notes(ResourceProvider):
    def create(self, props):
        with open(props["path"], "w") as file:
            file.write(props["text"])
        return CreateResult(props["path"], props)

    def read(self, id, props):
        if not os.path.exists(id):
            return ReadResult(None, {})
        with open(id) as file:
            return ReadResult(id, {**props, "text": file.read()})

    def delete(self, id, _props):
        os.remove(id)

class Note(Resource):
    def __init__(self, name, path, text):
        super().__init__(Notes(), name, {"path": path, "text": text})

Note("motto", PATH, "Small and near")
"""


@pytest.fixture
def changed(running: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Production runs 1.0.0, and has one more resource: the file that is given."""
    monkeypatch.setenv("ORCHESTRATOR_STATE", str(running.state))
    motto = tmp_path / "motto"
    program = running.root / "environments/production/__main__.py"
    before, described = program.read_text(), program.with_name("environment.yaml")
    rule = described.read_text()
    program.write_text(before + NOTE.replace("PATH", repr(str(motto))))
    described.write_text(f"{rule}isolation: {{write: [{json.dumps(str(tmp_path))}]}}\n")
    try:
        running.put_in_production("1.0.0")
        running.run("promote", "releases/1.0.0", "--to", "production")
        yield motto
    finally:
        program.write_text(before)
        running.run("promote", "releases/1.0.0", "--to", "production")  # the removal of the resource writes there too
        described.write_text(rule)


@pytest.mark.timeout(900)
def test_a_file_and_a_resource_edited_by_hand_are_named(running: Project, changed: Path) -> None:
    """`drift` says that nothing has changed (exit 0), and after a hand has edited one file on a host and one resource it names both, the task that would put the file back and the test that fails (exit 1); as a gate it keeps the next release out (exit 3), and lets the present one put it right."""
    said = running.run("drift", "production")
    assert "production: no change found in what was checked, since shop 1.0.0 was verified" in said.out
    runs = running.run("history", "--json").json

    web2 = next(host for host in loopback.recorded(running.state) if host.name == "web2")
    server = Path(web2.root) / "current" / "server.py"
    was = server.read_text()
    server.write_text(f"# edited by hand\n{was}")
    changed.write_text("Big and far")
    found = running.run("drift", "production", "--json", code=1).json
    jsonschema.validate(found, json.loads((ROOT / "docs/schemas/drift.json").read_text()))
    named = {(item["part"], item["host"], item["name"].rsplit(" ", 1)[-1]) for item in found["findings"]}
    assert ("file", "web2", "current/server.py") in named
    assert ("resource", "", "motto") in named
    assert [item["what"] for item in found["findings"] if item["part"] == "resource"] == ["is another in text"]
    assert {item["host"] for item in found["findings"] if item["part"] == "task"} == {"web2"}
    assert found["unknown"] == []
    request = found["request"]
    assert f"change request {request}" in running.run("drift", "production", code=1).out
    (listed,) = running.run("request", "list", "--json").json["requests"]
    request = listed["request"]
    assert (request["source"], request["state"], request["environments"]) == ("drift", "assessing", ["production"])
    assert len(request["findings"]) == len(found["findings"])
    assert changed.read_text() == "Big and far"
    assert server.read_text() != was
    assert running.run("history", "--json").json == runs

    running.run("promote", "releases/1.1.0", "--to", "staging")
    file = running.root / "environments/production/environment.yaml"
    text = file.read_text()
    file.write_text(f"{text}require: {{no_drift: true}}\n")
    try:
        plan = running.run("plan", "releases/1.1.0", "--to", "production").out
        assert "cannot be executed: drift: web2: file current/server.py was edited" in plan
        refused = running.run("promote", "releases/1.1.0", "--to", "production", code=3).err
        assert "production has drifted from its last release" in refused
        assert "web2: file current/server.py was edited" in refused
        changed.write_text("Small and near")
        running.run("promote", "releases/1.0.0", "--to", "production", "--redeploy")
        assert server.read_text() == was
        running.run("drift", "production")
        assert running.run("request", "list", "--json").json["requests"] == []
        closed = running.run("request", "show", listed["id"], "--json").json["request"]
        assert (closed["state"], closed["note"]) == ("closed", "the drift is gone")
    finally:
        file.write_text(text)


@pytest.mark.rare
@pytest.mark.timeout(900)
def test_what_cannot_be_asked_is_unknown(running: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that does not answer is named as unknown, and the resource that is not there any more is named too: nobody says that nothing has changed."""
    monkeypatch.setenv("ORCHESTRATOR_STATE", str(running.state))
    running.put_in_production("1.0.0")
    host = next(host for host in loopback.recorded(running.state) if host.name == "web2")
    stack = Path(host.folder).parent.name
    loopback.end_processes(host)
    try:
        found = running.run("drift", "production", "--json", code=1).json
        assert any(text.startswith("web2: ") for text in found["unknown"])
        assert {item["name"].rsplit(" ", 1)[-1] for item in found["findings"] if item["part"] == "resource"} == {"web2"}
    finally:
        loopback.start(stack, "web2")
    running.run("promote", "releases/1.0.0", "--to", "production", "--redeploy")
    running.run("drift", "production")
