"""Implementation plans as steps of promotions on the real engines: the run waits without a process, and survives kills."""

import pytest

from tests.journeys.conftest import Project
from tests.journeys.releases import lay_release
from tests.journeys.test_freeze import killed, small, until

pytestmark = pytest.mark.rare
SWITCH = """apiVersion: orchestrator/v1
kind: ImplementationTemplate
title: Switch {word}to ${{{{ parameters.version }}}}
parameters:
  version: {{}}
tasks:
  - name: names
"""
STEPS = [
    {"name": "deploy", "playbook": "playbooks/deploy.yml", "hosts": "web"},
    {
        "name": "switch",
        "implementation": "implementation/switch.yaml",
        "undo": "implementation/switch-back.yaml",
    },
]


def lay(shop: Project) -> None:
    """A release whose second step is an implementation plan, over one that is verified."""
    small(shop)
    for name, word in (("switch", ""), ("switch-back", "back ")):
        shop.write(f"implementation/{name}.yaml", SWITCH.format(word=word))
    shop.run("promote", "releases/1.0.0", "--to", "staging")


@pytest.mark.timeout(900)
def test_a_promotion_waits_for_a_plan_over_kills(shop: Project) -> None:
    """A run waits for a plan without a process; workers are killed before and after the end of the plan, and it ends once."""
    lay(shop)
    release = lay_release(shop, "1.3.0", steps=STEPS)
    run = shop.run("promote", release, "--to", "staging", "--queue", "default", "--json").json["run"]
    worker = shop.start("worker")
    until(lambda: shop.status("staging")["holder"] is not None and bool(open_plans(shop)))
    until(lambda: holder(shop)["control"] == "pause" and not holder(shop)["interrupted"])
    assert (holder(shop)["id"], holder(shop)["control_by"], holder(shop)["activity"]) == (run, "IP-1", "paused")
    assert "waiting for the end of IP-1" in shop.run("status", "staging").out
    assert shop.releases("staging") == {"web1": "1.3.0"}
    killed(worker)
    shop.run("worker", "--once")
    assert holder(shop)["activity"] == "paused"
    shop.run("implementation", "done", "IP-1", "names", "--evidence", "changed")
    worker = shop.start("worker")
    until(lambda: shop.status("staging")["lease"] is None or holder(shop)["control"] == "")
    killed(worker)
    shop.run("worker", "--once")
    assert shop.story("staging")["run"]["state"] == "succeeded"
    assert [step["name"] for step in shop.story("staging")["steps"]].count("implement.switch") == 1
    assert [plan["id"] for plan in shop.run("implementation", "list", "--all", "--json").json["plans"]] == ["IP-1"]


@pytest.mark.timeout(900)
def test_an_aborted_plan_rolls_back_and_is_undone_by_a_plan(shop: Project) -> None:
    """Without a worker, the command ends while the run waits; after an abort, `resume` rolls back, and waits for what undoes it."""
    lay(shop)
    release = lay_release(shop, "1.3.0", steps=STEPS)
    waiting = shop.run("promote", release, "--to", "staging", code=None)
    assert "waits for the end of IP-1" in waiting.err
    run = str(holder(shop)["id"])
    early = shop.run("resume", run, code=None)
    assert "waits for the end of IP-1" in early.err
    shop.run("implementation", "abort", "IP-1", "-m", "the registrar is away", "--yes")
    going_back = shop.run("resume", run, code=None)
    assert "waits for the end of IP-2" in going_back.err
    assert shop.run("implementation", "status", "IP-2", "--json").json["plan"]["title"] == "Switch back to 1.3.0"
    shop.run("implementation", "done", "IP-2", "names")
    shop.run("resume", run, code=4)
    assert shop.releases("staging") == {"web1": "1.0.0"}
    assert "the registrar is away" in shop.run("show", run).out


def holder(shop: Project) -> "dict[str, object]":
    """The run that holds staging."""
    found: dict[str, object] = shop.status("staging")["holder"]
    return found


def open_plans(shop: Project) -> list[object]:
    found: list[object] = shop.run("implementation", "list", "--json").json["plans"]
    return found
