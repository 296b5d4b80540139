"""The configuration in a plan: it is pinned for the run, and hosts that could not be inspected block."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.project_key import FileKeys
from orchestrator.domain.configuration import Configuration, FolderSettings, Setting
from orchestrator.domain.journal import Run
from orchestrator.domain.plan import Plan
from orchestrator.domain.promotion import State
from orchestrator.flow import promotion
from orchestrator.planning import make, plan_store
from orchestrator.planning.survey import PlanRequest
from orchestrator.ports import Keys
from tests.flow.test_promotion import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def _approved(stage: Stage, keys: Keys | None = None) -> Plan:
    stage.promote("1.0.0", "staging")
    package = stage.packages.fetch(stage.store.verified("staging")[0].release.digest)
    stage.world.up["production"] = ["p1", "p2", "p3"]
    setting = replace(stage.services(), keys=keys or stage.services().keys)
    plan = make.make(setting, PlanRequest(package, "production"), "p", lambda _entry: None)
    plan_store.save(setting, plan)
    return plan


def _last_step(stage: Stage, run: Run) -> dict[str, Any]:
    return [record.data for record in stage.store.records(run.id) if record.kind == "step.finished"][-1]


def test_another_configuration_than_the_approved_one_is_refused_by_name(stage: Stage) -> None:
    """A plan that was made with one configuration is not executed with another one."""
    stage.world.configuration = Configuration(versions={"ansible-core": "2.19.0"})
    approved = _approved(stage)
    stage.world.configuration = Configuration(versions={"ansible-core": "2.20.0"})
    ctx = stage.ctx(stage.packages.fetch(approved.release.digest), "production", approved=approved.digest)
    run = promotion(ctx)
    ended = _last_step(stage, run)
    assert ended["data"]["code"] == "R120"
    assert ended["message"] == "since the plan was made, this has changed: the configuration"


def _short_secrets(pin: str) -> Configuration:
    """A configuration with digests of *pin*, as the adapter makes them."""
    digest = f"sha256:{hashlib.sha256(pin.encode()).hexdigest()}"
    settings = (Setting(name="defaults.become_pass", value=digest, origin="o"),)
    return Configuration(
        plays=(FolderSettings(folder=".", settings=settings),), hosts=settings, environment=("PIN",), values=digest
    )


def test_a_short_secret_cannot_be_guessed_from_a_plan(stage: Stage) -> None:
    """No digest in a plan is one that can be computed from the value without the project key."""
    stage.world.configuration = _short_secrets("1234")
    text = json.dumps(_approved(stage).document())
    assert hashlib.sha256(b"1234").hexdigest() not in text
    assert text.count("hmac-sha256:") == 3


@pytest.mark.parametrize(("pin", "good"), [("1234", True), ("1235", False)])
@pytest.mark.parametrize("key", ["rotated", "the same", "of an older version"])
def test_a_kept_plan_is_usable_after_a_rotation(stage: Stage, tmp_path: Path, pin: str, good: bool, key: str) -> None:
    """A kept plan holds after the key was rotated, and one of an older version holds; another secret is noticed in all."""
    clock = stage.store.clock
    keys = FileKeys(tmp_path / "project.key", clock)
    stage.world.configuration = _short_secrets("1234")
    approved = _approved(stage, keys)
    if key == "of an older version":
        approved = approved.model_copy(update={"configuration": _short_secrets("1234")})
        plan_store.save(replace(stage.services(), keys=keys), approved)
    if key == "rotated":
        keys.rotate()
    stage.world.configuration = _short_secrets(pin)
    ctx = stage.ctx(stage.packages.fetch(approved.release.digest), "production", approved=approved.digest)
    ctx.services = replace(ctx.services, keys=keys)
    run = promotion(ctx)
    assert (run.state is State.SUCCEEDED) is good
    if not good:
        assert _last_step(stage, run)["message"] == "since the plan was made, this has changed: the configuration"


def test_a_variable_of_the_controller_that_is_not_passed_on_changes_no_plan(stage: Stage) -> None:
    """A plan holds where the controller sets something that plays are not given, and the run reports it."""
    stage.world.unused_settings = ("ANSIBLE_FORKS is set here and is not passed on",)
    approved = _approved(stage)
    assert approved.notes[-1] == "ANSIBLE_FORKS is set here and is not passed on"
    stage.world.unused_settings = ("ANSIBLE_SKIP_TAGS is set here and is not passed on",)
    ctx = stage.ctx(stage.packages.fetch(approved.release.digest), "production", approved=approved.digest)
    run = promotion(ctx)
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
    plan = make.make(stage.services(), PlanRequest(package, "production"), "p", lambda _entry: None)
    assert "cannot be executed: the hosts are unknown: no vault secrets found" in plan.notes
    assert {state.truth for state in plan.current_hosts} == {"unknown"}
    ctx = stage.ctx(package, "production")
    ended = _last_step(stage, promotion(ctx))
    assert ended["data"]["code"] == "D151"
    assert ended["message"] == "no vault secrets found; nothing was changed"
    assert stage.world.ledger == []
