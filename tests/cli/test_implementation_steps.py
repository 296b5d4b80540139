"""Implementation plans that steps of a promotion start, at a real register: who acts, what is shown, and what continues."""

from typing import Any

import pytest

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.domain.journal import ControlVerb, Run
from orchestrator.domain.promotion import State
from orchestrator.flow import WORKFLOWS
from orchestrator.flow.halt import OwnershipLost
from orchestrator.flow.run_context import RunContext
from tests.cli.request_project import PLACE, RequestProject, office
from tests.flow.test_promotion import release

__all__ = ["office"]  # the fixture
SWITCH = """apiVersion: orchestrator/v1
kind: ImplementationTemplate
title: Switch ${{ parameters.environment }} to ${{ parameters.version }} in ${{ parameters.zone }}
parameters:
  environment: {}
  version: {}
  zone: {}
tasks:
  - {name: names, title: Change the names, owner: bob}
"""
BACK = (
    SWITCH.replace("Switch", "Switch back").replace("  version: {}\n", "").replace(" to ${{ parameters.version }}", "")
)
STEPS: list[dict[str, Any]] = [
    {"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "undo": "undo.yml"},
    {
        "name": "switch",
        "implementation": "implementation/switch.yaml",
        "parameters": {"zone": "example.org"},
        "undo": "implementation/switch-back.yaml",
    },
]


class Steps:
    """A project whose release 1.1.0 has a step with an implementation plan."""

    def __init__(self, office: RequestProject) -> None:
        self.office, self.answers = office, dict[str, Any]()
        folder = office.folder / "implementation"
        folder.mkdir()
        (folder / "switch.yaml").write_text(SWITCH)
        (folder / "switch-back.yaml").write_text(BACK)

    def promote(self, version: str, **changes: Any) -> str:
        """A promotion to production that was approved and is to be executed: its run."""
        package = self.office.packages.put(release(version, **changes))
        key = str(self.office.by("ann", "promote", f"{package.ref.name}-{version}", "--to", PLACE)["request"]["id"])
        self.office.by("bob", "approve", key)
        self.office.duties()
        self.answers = {}
        return key

    def execute(self, key: str) -> Run:
        """What a process of the run does, until it has ended or waits."""
        run, app = self.office.store.run(key), self.office.app()
        plan = self.office.store.work(run.root).request["plan"]
        ctx = RunContext(app.services, MemoryDurable(self.answers), run, approved=plan, wait=1.0)
        try:
            return WORKFLOWS[run.kind](ctx)
        except OwnershipLost:
            return self.office.store.run(key)
        finally:
            app.register.close()

    def control(self, key: str, verb: ControlVerb) -> None:
        """A control request of the operator."""
        with self.office.acting("olga"):
            app = self.office.app()
            app.control.request(app.actor, self.office.store.run(key), verb)
            app.register.close()

    def plan(self, key: str) -> Any:
        return self.office.by("vic", "implementation", "status", key)["plan"]


@pytest.fixture
def steps(office: RequestProject) -> Steps:
    """Production runs 1.0.0."""
    made = Steps(office)
    assert made.execute(made.promote("1.0.0")).state is State.SUCCEEDED
    office.duties()
    return made


def test_a_step_starts_a_plan_and_the_run_continues_after_its_end(steps: Steps) -> None:
    """The plan belongs to who requested the promotion, its tasks are done by their owners, and its end continues the run."""
    key = steps.promote("1.1.0", steps=STEPS)
    shown = steps.office.tells("ann", "approvals", key)
    assert "switch: implementation plan implementation/switch.yaml with zone=example.org" in " ".join(shown.split())
    assert steps.execute(key).waits_for == "IP-1"
    plan = steps.plan("IP-1")
    assert (plan["title"], plan["owner"], plan["created_by"]) == (
        "Switch production to 1.1.0 in example.org", "ann", "ann",
    )  # fmt: skip
    assert (plan["run"], plan["step"], plan["waiting"]) == (key, "implement.switch", True)
    status = steps.office.tells("vic", "status", PLACE)
    assert "waiting for the end of IP-1" in status
    assert "orchestrator implementation status IP-1" in status
    assert steps.office.duties() == []
    assert steps.execute(key).waits_for == "IP-1"

    steps.office.by("bob", "implementation", "done", "IP-1", "names", "--evidence", "changed")
    steps.office.duties()
    assert steps.office.store.run(key).control == ""
    assert steps.execute(key).state is State.SUCCEEDED
    assert any("has continued after IP-1" in text for text in steps.office.duties())
    assert steps.plan("IP-1")["waiting"] is False
    assert steps.office.duties() == []
    entries = steps.office.by("root", "audit", "list", "--limit", "200")["entries"]
    about = [entry for entry in entries if "implementation-plan:IP-1" in str(entry)]
    assert {entry["actor"] for entry in about} == {"system", "bob"}


def test_an_aborted_plan_rolls_the_promotion_back(steps: Steps) -> None:
    """An aborted plan fails its step; the rollback starts the plan that undoes it, waits for it, and then ends."""
    key = steps.promote("1.1.0", steps=STEPS)
    steps.execute(key)
    steps.office.by("ann", "implementation", "abort", "IP-1", "-m", "the registrar is away", "--yes")
    steps.office.duties()
    assert steps.execute(key).waits_for == "IP-2"
    back = steps.plan("IP-2")
    assert (back["title"], back["step"]) == ("Switch back production in example.org", "undo.implementation.1.switch")
    steps.office.by("bob", "implementation", "done", "IP-2", "names")
    steps.office.duties()
    ended = steps.execute(key)
    assert ended.state is State.ROLLED_BACK
    assert "the registrar is away" in steps.office.failure(ended)["failure"]["message"]
    assert steps.office.by("vic", "show", key)["run"]["state"] == "rolled back"


def test_a_stopped_run_aborts_its_plan(steps: Steps) -> None:
    """A run that an operator stops while it waits aborts its plan with the reason."""
    key = steps.promote("1.1.0", steps=[STEPS[0], {**STEPS[1], "undo": "nothing"}])
    steps.execute(key)
    steps.control(key, "cancel")
    assert steps.execute(key).state is State.ROLLED_BACK
    plan = steps.plan("IP-1")
    assert (plan["state"], plan["note"]) == ("aborted", f"{key} was cancelled")


def test_a_task_that_needs_the_held_environment_is_refused(steps: Steps) -> None:
    """A plan with a task that would change the environment of its run is not started, because it would wait for itself."""
    file = steps.office.folder / "implementation" / "switch.yaml"
    file.write_text(SWITCH + "  - {name: again, kind: automated, rollback: {environment: production}}\n")
    run = steps.execute(steps.promote("1.1.0", steps=STEPS))
    assert run.state is State.ROLLED_BACK
    assert "the task again would roll back production" in steps.office.failure(run)["failure"]["message"]
    assert steps.office.by("vic", "implementation", "list", "--all")["plans"] == []


def test_a_task_that_is_added_cannot_need_the_held_environment(steps: Steps) -> None:
    """A plan of a run gets a task for another environment, and none that would change the environment of the run."""
    steps.execute(steps.promote("1.1.0", steps=STEPS))
    add = ("implementation", "add", "IP-1", "more", "-m", "x", "--roll-back")
    assert steps.office.by("ann", *add, PLACE, code=3)["errors"][0]["code"] == "G410"
    assert steps.office.by("ann", *add, "staging")["plan"]["tasks"][-1]["rollback"] == {
        "environment": "staging",
        "to": None,
    }


def test_an_operator_can_continue_the_run(steps: Steps) -> None:
    """A run that an operator continues before the end of the plan waits again; after it, the run needs no worker."""
    key = steps.promote("1.1.0", steps=STEPS)
    steps.execute(key)
    steps.control(key, "")
    assert steps.execute(key).waits_for == "IP-1"
    steps.office.by("bob", "implementation", "done", "IP-1", "names")
    steps.control(key, "")
    assert steps.execute(key).state is State.SUCCEEDED
