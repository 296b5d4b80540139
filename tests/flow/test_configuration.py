"""The configuration in a plan: it is pinned for the run, and hosts that could not be inspected block."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.configuration import Configuration
from orchestrator.domain.journal import Run
from orchestrator.domain.plan import Plan
from orchestrator.flow import kept_plans, promotion
from orchestrator.flow import plan as planning
from tests.flow.test_promotion import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def _approved(stage: Stage) -> Plan:
    stage.promote("1.0.0", "staging")
    package = stage.packages.fetch(stage.store.verified("staging")[0].release.digest)
    stage.world.up["production"] = ["p1", "p2", "p3"]
    plan = planning.make(stage.setting(), planning.Wanted(package, "production"), "p", lambda _entry: None)
    kept_plans.save(stage.setting(), plan)
    return plan


def _last_step(stage: Stage, run: Run) -> dict[str, Any]:
    return [record.data for record in stage.store.records(run.id) if record.kind == "step.finished"][-1]


def test_another_configuration_than_the_approved_one_is_refused_by_name(stage: Stage) -> None:
    """A plan that was made with one configuration is not executed with another one."""
    stage.world.configuration = Configuration(versions={"ansible-core": "2.19.0"})
    approved = _approved(stage)
    stage.world.configuration = Configuration(versions={"ansible-core": "2.20.0"})
    course = stage.course(stage.packages.fetch(approved.release.digest), "production", approved=approved.digest)
    run = promotion(course)
    ended = _last_step(stage, run)
    assert ended["data"]["code"] == "R120"
    assert ended["message"] == "since the plan was made, this has changed: the configuration"


def test_a_variable_of_the_controller_that_is_not_passed_on_changes_no_plan(stage: Stage) -> None:
    """A plan holds where the controller sets something that plays are not given, and the run reports it."""
    stage.world.unused_settings = ("ANSIBLE_FORKS is set here and is not passed on",)
    approved = _approved(stage)
    assert approved.notes[-1] == "ANSIBLE_FORKS is set here and is not passed on"
    stage.world.unused_settings = ("ANSIBLE_SKIP_TAGS is set here and is not passed on",)
    course = stage.course(stage.packages.fetch(approved.release.digest), "production", approved=approved.digest)
    run = promotion(course)
    texts = [record.data.get("text") for record in stage.store.records(run.id) if record.kind == "notice"]
    assert stage.world.releases("production") == [approved.release.digest] * 3
    assert texts == ["ANSIBLE_SKIP_TAGS is set here and is not passed on"]


def test_hosts_that_could_not_be_inspected_block_with_the_reason(stage: Stage) -> None:
    """A host inspection that failed as a whole leaves all hosts unknown: the plan shows why, and no effect follows."""
    stage.world.up["production"] = ["p1", "p2", "p3"]
    stage.promote("1.0.0", "staging")
    package = stage.packages.fetch(stage.store.verified("staging")[0].release.digest)
    stage.world.uninspected = "no vault secrets found"
    stage.world.ledger.clear()
    plan = planning.make(stage.setting(), planning.Wanted(package, "production"), "p", lambda _entry: None)
    assert "cannot be executed: the hosts are unknown: no vault secrets found" in plan.notes
    assert {state.truth for state in plan.base} == {"unknown"}
    course = stage.course(package, "production")
    ended = _last_step(stage, promotion(course))
    assert ended["data"]["code"] == "D151"
    assert ended["message"] == "no vault secrets found; nothing was changed"
    assert stage.world.ledger == []
