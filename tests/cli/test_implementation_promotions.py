"""Implementation plans with promotions and rollbacks in the memory world: votes hold, and runs end their tasks."""

import pytest

from tests.cli.request_project import RequestProject, office

__all__ = ["office"]  # the fixture
LAUNCH = """apiVersion: orchestrator/v1
kind: ImplementationTemplate
title: Launch
parameters:
  version: {}
tasks:
  - name: promote
    kind: automated
    promotion: {package: "${{ parameters.version }}", to: production}
  - name: decide
    kind: decision
    after: [promote]
  - name: back
    kind: automated
    after: [decide]
    rollback: {environment: production}
"""


def states(project: RequestProject) -> list[str]:
    found = project.by("vic", "implementation", "status", "IP-1")
    return [task["state"] for task in found["plan"]["tasks"]]


@pytest.fixture
def planned(office: RequestProject) -> RequestProject:
    """A project with an approval in production, and the template *launch*."""
    folder = office.folder / "implementation"
    folder.mkdir()
    (folder / "launch.yaml").write_text(LAUNCH)
    return office


def test_a_plan_promotes_with_votes_and_rolls_back(planned: RequestProject) -> None:
    """The promotion of a plan waits for its votes as any other, its run completes the task, and a rollback follows."""
    first = planned.ask("1.0.0")["request"]["id"]
    planned.by("bob", "approve", first)
    planned.duties()
    planned.execute(first)
    name = f"{planned.packages.put(planned.release('1.1.0')).ref.name}-1.1.0"
    planned.duties()
    planned.by("ann", "implementation", "start", "launch", "--parameter", f"version={name}")
    assert "IP-1:promote is in-progress" in planned.duties()
    request = planned.by("ann", "implementation", "status", "IP-1")["plan"]["tasks"][0]["followed"]
    assert planned.duties() == []
    planned.by("bob", "approve", request)
    planned.duties()
    planned.execute(request)
    assert any(text.startswith("IP-1:promote is done") for text in planned.duties())
    assert states(planned) == ["done", "ready", "pending"]
    planned.by("ann", "implementation", "decide", "IP-1", "decide", "go")
    assert "IP-1:back is in-progress" in planned.duties()
    run = planned.by("ann", "implementation", "status", "IP-1")["plan"]["tasks"][2]["followed"]
    planned.execute(run)
    assert any(text.startswith("IP-1:back is done") for text in planned.duties())
    assert planned.by("vic", "implementation", "list", "--all")["plans"][0]["plan"]["state"] == "completed"


def test_a_promotion_has_the_rights_of_its_user(planned: RequestProject) -> None:
    """A promotion that its user may not request, or that was rejected, fails its task with the reason."""
    package = planned.packages.put(planned.release("1.0.0"))
    planned.by("ann", "implementation", "start", "launch", "--parameter", "version=nothing-1.0.0")
    assert any("IP-1:promote is failed" in text and "R106" in text for text in planned.duties())
    file = planned.folder / "implementation" / "launch.yaml"
    file.write_text(LAUNCH.replace("${{ parameters.version }}", f"{package.ref.name}-1.0.0"))
    planned.by("ann", "implementation", "abort", "IP-1", "-m", "wrong", "--yes")
    planned.by("ann", "implementation", "start", "launch", "--parameter", "version=x")
    planned.duties()
    request = planned.by("ann", "implementation", "status", "IP-2")["plan"]["tasks"][0]["followed"]
    planned.by("bob", "reject", request, "-m", "not today")
    assert any(text.startswith("IP-2:promote is failed") for text in planned.duties())
