"""Implementation plans with promotions and rollbacks in the memory world: votes hold, and runs end their tasks."""

import pytest

from orchestrator.domain.credentials import MissingCredential
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


TOOLS = """apiVersion: orchestrator/v1
kind: ImplementationTemplate
title: Tools
parameters:
  version: {}
tasks:
  - name: tell
    title: Tell ${{ parameters.version }}
    duration: 5m
  - name: purge
    kind: automated
    command: {environment: production, words: [bin/purge, "${{ parameters.version }}"]}
"""


def test_automated_tasks_are_added_to_a_plan_that_runs(planned: RequestProject) -> None:
    """A promotion that is added waits for its votes as any other; tasks of a template are added with their work; wrong options are refused."""
    name = f"{planned.packages.put(planned.release('1.0.0')).ref.name}-1.0.0"
    (planned.folder / "implementation" / "tools.yaml").write_text(TOOLS)
    planned.by("ann", "implementation", "start", "launch", "--parameter", "version=nothing-9.9.9")
    add = ("implementation", "add", "IP-1")
    promote = ("promote-it", "--promote", name, "--to", "production", "--before", "decide", "--timeout", "2h")
    assert planned.by("ann", *add, *promote, code=2)["errors"][0]["code"] == "G403"
    planned.by("ann", *add, *promote, "-m", "announced together")
    assert "IP-1:promote-it is in-progress" in planned.duties()
    plan = planned.by("ann", "implementation", "status", "IP-1")["plan"]
    added = plan["tasks"][-1]
    assert (added["added_by"], added["timeout_s"], plan["tasks"][1]["after"]) == (
        "ann",
        7200,
        ["promote", "promote-it"],
    )
    planned.by("bob", "approve", added["followed"])
    planned.duties()
    planned.execute(added["followed"])
    assert any(text.startswith("IP-1:promote-it is done") for text in planned.duties())
    planned.tells("ann", *add, "tell", "--from", "tools:tell", "--owner", "olga")
    purge = ("purge", "--from", "tools:purge", "--after", "tell", "--parameter", "version=1.0.0")
    planned.tells("ann", *add, *purge, "-m", "old pages were delivered")
    shown = planned.tells("vic", "implementation", "show", "IP-1", "purge")
    assert "run bin/purge 1.0.0 for production" in shown
    assert "added by ann, from tools:purge (sha256:" in shown
    assert planned.by("vic", "implementation", "status", "IP-1")["plan"]["tasks"][-2]["title"] == "Tell nothing-9.9.9"
    for words, code in (
        (("--promote", name), "G407"),
        (("--kind", "decision", "--roll-back", "production"), "G407"),
        (("--to-version", "1.0.0"), "G407"),
        (("--parameter", "version=1"), "G407"),
        (("--from", "tools:tel"), "A110"),
        (("--roll-back", "prod"), "A110"),
    ):
        found = planned.by("ann", *add, "more", *words, "-m", "x", code=None)
        assert (words, found["errors"][0]["code"]) == (words, code)
    assert planned.by("olga", *add, "more", "--roll-back", "production", code=3)["errors"][0]["code"] == "A101"


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


def test_a_promotion_without_a_credential_fails_its_task_until_it_is_there(planned: RequestProject) -> None:
    """A task whose machine lacks a credential fails before any request or effect with the reason, which its page has, and is done after a retry with it."""
    name = f"{planned.packages.put(planned.release('1.0.0')).ref.name}-1.0.0"
    place = "/srv/shop/token.txt"
    about = {
        "what": "token.txt does not exist",
        "place": place,
        "why": "a setting names it",
        "remedy": f"copy it to {place}",
    }
    planned.world.missing = (MissingCredential(**about, needed_for="plan"),)
    before = list(planned.world.ledger)
    planned.by("ann", "implementation", "start", "launch", "--parameter", f"version={name}")
    assert any("IP-1:promote is failed" in text and "E170" in text for text in planned.duties())
    task = planned.by("vic", "implementation", "status", "IP-1")["plan"]["tasks"][0]
    assert (task["state"], task["followed"]) == ("failed", "")
    assert ("E170" in task["note"], "token.txt does not exist" in task["note"]) == (True, True)
    assert (planned.by("vic", "approvals")["requests"], planned.world.ledger) == ([], before)
    assert states(planned) == ["failed", "pending", "pending"]
    planned.world.missing = ()
    planned.by("ann", "implementation", "retry", "IP-1", "promote", "-m", "the token is there")
    assert any("IP-1:promote is in-progress" in text for text in planned.duties())
    request = planned.by("ann", "implementation", "status", "IP-1")["plan"]["tasks"][0]["followed"]
    planned.by("bob", "approve", request)
    planned.duties()
    planned.execute(request)
    assert any(text.startswith("IP-1:promote is done") for text in planned.duties())
