"""The way back is walked before it is needed: what it leaves behind is caught, and what comes back is evidence."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from orchestrator.hosts import loopback
from tests.journeys.conftest import ROOT, Project
from tests.journeys.releases import lay_release

LEAVING = """
    - name: Put something beside the release
      ansible.builtin.copy: {content: "left", dest: "{{ host_root }}/left-behind", mode: "0644"}
"""


def rehearsed(project: Project) -> dict[str, Any]:
    """The last run in staging, with its evidence."""
    story = project.story("staging")
    shown = project.run("show", story["run"]["id"], "--json").json
    jsonschema.validate(shown, json.loads((ROOT / "docs/schemas/run.json").read_text()))
    assert story["run"]["kind"] == "rehearsal"
    return story


def good_evidence(project: Project, run: str) -> None:
    """See that *run* walked everything back and forward again, and left evidence of that with its times."""
    story = rehearsed(project)
    assert (story["run"]["id"], story["run"]["state"]) == (run, "succeeded")
    document = story["rehearsed"]["document"]
    assert (story["rehearsed"]["good"], document["left"], document["unknown"]) == (True, [], [])
    assert {leg["name"]: leg["seconds"] > 0 for leg in document["legs"]} == dict.fromkeys(
        ("there", "back", "again"), True
    )
    assert document["infrastructure"] == {"back": True, "why": ""}
    timed = {step["name"]: step["seconds"] > 0 for leg in document["legs"][1:] for step in leg["steps"]}
    assert timed["rehearse.stack.back"]
    assert timed["rehearse.stack.again"]
    assert "the infrastructure was rolled back as well" in project.run("show", run).out
    kept = project.state / "evidence" / f"{story['rehearsed']['evidence'].removeprefix('sha256:')}.json"
    assert json.loads(kept.read_text()) == document


@pytest.mark.timeout(1800)
def test_what_the_way_back_leaves_behind_is_caught(running: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A playbook that leaves a file behind is caught by the rehearsal, by name, and the release goes back (exit 4); what still lies there is named once more; a clean one, which comes with one host more, survives `kill -9` while the infrastructure goes back, gives evidence with the time of each leg, and that lets the release into an environment which wants it and had refused it (exit 3)."""
    monkeypatch.setenv("ORCHESTRATOR_STATE", str(running.state))
    running.put("1.0.0")
    file = running.root / "environments/production/environment.yaml"
    text = file.read_text()
    file.write_text(f"{text}require: {{rehearsal: true}}\n")
    playbook = (running.root / "playbooks/deploy.yml").read_text()
    running.write("playbooks/leaving.yml", playbook.rstrip("\n") + LEAVING)
    steps = [{"name": "deploy", "playbook": "playbooks/leaving.yml", "hosts": "web"}]
    leaving = lay_release(running, "1.0.5", steps=steps)
    try:
        said = running.run("rehearse", leaving, "--in", "staging", code=4)
        assert "file left-behind added" in said.err
        story = rehearsed(running)
        assert story["rehearsed"]["good"] is False
        (left,) = story["rehearsed"]["document"]["left"]
        assert (left["host"], left["kind"], left["name"]) == ("web1", "file", "left-behind")
        assert running.releases("staging") == {"web1": "1.0.0"}
        shown = running.run("show", story["run"]["id"]).out
        assert "not everything was restored" in shown
        assert "web1: file left-behind added" in shown

        assert "by an earlier rehearsal" in running.run("rehearse", "releases/1.1.0", "--in", "staging", code=4).err
        (host,) = [
            one for one in loopback.recorded(running.state) if Path(one.folder).parent.name.startswith("staging")
        ]
        (Path(host.root) / "left-behind").unlink()

        running.replace("environments/staging/Pulumi.yaml", "default: 1", "default: 2")
        process = running.start("rehearse", "releases/1.1.0", "--in", "staging")
        run = running.reaches(process, "staging", "rehearse.stack.back")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        running.run("resume", run)
        good_evidence(running, run)
        assert running.releases("staging") == {"web1": "1.1.0", "web2": "1.1.0"}

        running.run("promote", "releases/1.1.0", "--to", "production")
        assert set(running.releases("production").values()) == {"1.1.0"}
        refused = running.run("promote", "releases/1.2.0", code=3).err
        assert "the rollback from shop 1.2.0 to shop 1.1.0 was never rehearsed" in refused
        assert set(running.releases("production").values()) == {"1.1.0"}
        again = running.run("rehearse", "releases/1.2.0", "--in", "staging", code=3).err
        assert "is deployed already" in again
    finally:
        file.write_text(text)
