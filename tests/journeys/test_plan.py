"""The plan that is approved is the plan that runs, or nothing is."""

import json

import jsonschema
import pytest

from orchestrator.domain.plan import Plan
from tests.journeys.conftest import AGAIN, Project


@pytest.mark.core
def test_the_approved_plan_is_the_one_that_runs(running: Project) -> None:
    """A plan shows the stack, the hosts, the check mode's diff, the tests and the way back, and is executed by its digest."""
    running.put("1.0.0")
    running.run("promote", "releases/1.1.0", "--to", "staging")
    file = running.root / "approved.json"
    said = running.run("plan", "releases/1.1.0", "--to", "production", "--out", str(file))
    for text in (
        "Stack    3 same",
        "1.0.0 (seen) on web1, web2",
        "[web1] then [web2]",
        "Install, configure, switch, restart and probe",
        "Verify   smoke: tests/smoke",
        "Rollback shop 1.0.0",
    ):
        assert text in said.out
    document = json.loads(file.read_text())
    jsonschema.validate(
        {key: value for key, value in document.items() if key not in {"digest", "authentication"}},
        Plan.model_json_schema(),
    )
    again = running.run("plan", "releases/1.1.0", "--to", "production", "--json").json
    assert again["digest"] == document["digest"]

    running.run("promote", "--plan", document["digest"], *AGAIN)
    assert set(running.releases("production").values()) == {"1.1.0"}
    assert running.story("production")["run"]["plan"] == document["digest"]


def test_a_plan_that_no_longer_holds_stops_before_any_effect(running: Project) -> None:
    """When infrastructure, hosts or what runs on them has changed since, it stops (exit 7), names what changed, and does nothing."""
    running.put_in_production("1.0.0")
    running.put("1.1.0")
    running.run("promote", "releases/1.2.0", "--to", "staging")
    file = running.root / "approved.json"
    running.run("plan", "releases/1.2.0", "--to", "production", "--no-check", "--out", str(file))

    changed = json.loads(file.read_text())
    changed["steps"][0]["play"]["hosts"] = "all"
    running.write("changed.json", json.dumps(changed))
    said = running.run("promote", "--plan", "changed.json", code=None)
    assert said.code in {3, 7}
    assert "has been changed since it was made" in said.err

    before = running.releases("production")
    definition = running.root / "environments/production/__main__.py"
    text = definition.read_text()
    definition.write_text(text + "\npulumi.export('more', 1)\n")
    said = running.run("promote", "--plan", str(file), *AGAIN, code=7)
    definition.write_text(text)
    assert "the environment's definition" in said.err
    assert running.releases("production") == before

    running.run("rollback", "production", "--yes")
    said = running.run("promote", "--plan", str(file), *AGAIN, code=7)
    assert "what runs on the hosts" in said.err
    assert set(running.releases("production").values()) == {"1.0.0"}


@pytest.mark.rare
def test_rollback_by_hand(running: Project) -> None:
    """`rollback` shows its plan, asks, and puts an environment back to the version that is named, proved by its own tests."""
    running.put("1.1.0")
    running.put_in_production("1.0.0")
    refused = running.run("rollback", "production", "--to", "9.9.9", "--yes", code=6)
    assert "version 9.9.9 was never verified in production" in refused.err
    unasked = running.run("rollback", "production", "--to", "1.1.0", code=2)
    assert "add --yes" in unasked.err
    said = running.run("rollback", "production", "--to", "1.1.0", "--yes")
    assert "Plan: roll back to shop 1.1.0" in said.err
    assert set(running.releases("production").values()) == {"1.1.0"}
    names = [step["name"] for step in running.story("production")["steps"]]
    assert "verify.smoke.restored" in names


@pytest.mark.rare
def test_infrastructure_goes_back_by_hand(running: Project) -> None:
    """A rollback shows and does what takes the stack back to its definition with that release, gives it again to a host that was made anew by that, and tells nothing more of a host that went with it."""
    running.put_in_production("1.0.0")
    if set(running.releases("staging").values()) != {"1.1.0"}:
        running.run("promote", "releases/1.1.0", "--to", "staging")
    running.replace("environments/production/Pulumi.yaml", "default: 2", "default: 3")
    program = (running.root / "environments/production/__main__.py").read_text()
    moved = 'LoopbackHost(f"web{number}", port=2223 if number == 2 else None, '
    running.replace("environments/production/__main__.py", 'LoopbackHost(f"web{number}", ', moved)
    try:
        running.run("promote", "releases/1.1.0", "--to", "production", *AGAIN)
        assert running.releases("production") == dict.fromkeys(("web1", "web2", "web3"), "1.1.0")
        said = running.run("rollback", "production", "--yes")
        assert "1 delete" in said.err
        assert "restore again by deploy: playbooks/deploy.yml on web1, web2, web3" in said.err
        assert running.releases("production") == dict.fromkeys(("web1", "web2"), "1.0.0")
        again = {step["name"]: step["about"]["hosts"] for step in running.story("production")["steps"]
                 if step["name"].startswith("restore.again")}  # fmt: skip
        assert again == {
            "restore.again.deploy": ["web1", "web2"]
        }  # web2 came back empty, and both have other neighbours
        gone = {host["host"]: host["truth"] for host in running.story("production")["hosts"]}
        assert gone == {"web1": "seen", "web2": "seen", "web3": "gone"}
    finally:
        running.replace("environments/production/Pulumi.yaml", "default: 3", "default: 2")
        running.write("environments/production/__main__.py", program)
