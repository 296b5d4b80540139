"""Promotions in waves and rehearsals that wait for approvals, as several users."""

from typing import Any

import pytest

from orchestrator.app import access
from orchestrator.documents.register import MODELS
from orchestrator.domain.access.principals import Binding
from orchestrator.domain.promotion import State
from orchestrator.ports.lists import each_request, runs_of_request
from tests.cli.request_project import PLACE, RULE, RequestProject, office

__all__ = ["office"]  # the fixture
WAVES = "waves: [{name: both, environments: [[staging], [production]], on_failure: rollback}]\n"


@pytest.fixture
def rollout(office: RequestProject) -> RequestProject:
    """Staging needs no vote, and production one: by bob or cid, who approve everywhere."""
    office.rule(project=WAVES)
    return office


def requested(office: RequestProject, *more: str, version: str = "1.0.0") -> Any:
    office.packages.put(office.release(version))
    return office.by("ann", "promote", version, "--to", "both", *more)


def test_a_promotion_in_waves_is_approved_as_a_whole(rollout: RequestProject) -> None:
    """One request is for the plan over all environments: after its votes a worker starts it, and each run executes its own plan."""
    asked = requested(rollout)
    MODELS["run-request"].from_json(asked)
    run = asked["request"]["id"]
    assert (asked["state"], rollout.store.runs(), rollout.store.lease("staging")) == ("waiting", [], None)
    assert asked["approval"]["reason"] == "waiting for 1 of 1 approval: can be given by bob, cid"
    shown = rollout.tells("bob", "approvals", run)
    assert "Wave 2 of 2" in shown
    assert "Plan: promote shop 1.0.0 → production" in shown
    assert f"{run} waiting: shop 1.0.0 → both (staging, production), normal change" in rollout.tells(
        "vic", "status", PLACE
    )
    assert rollout.refused("ann", "approve", run)[0] in {"A101", "A204"}
    assert rollout.by("bob", "approve", run)["state"] == "ready"
    assert rollout.duties() == [f"{run} started as {run}, for the workers of default"]
    assert rollout.duties() == []
    done = rollout.execute_rollout(run)
    assert (done.kind, done.state, done.by) == ("waves", State.SUCCEEDED, "ann")
    plans = asked["request"]["rollout"]["plans"]
    assert {
        each.environment: each.plan for each in runs_of_request(rollout.store, run) if each.kind == "promotion"
    } == plans
    assert rollout.duties() == [f"{run} is finished: {run} ended: succeeded"]


def test_each_environment_of_the_waves_needs_its_votes(rollout: RequestProject) -> None:
    """A vote counts where its user may approve: with an approver for each environment, both have to vote."""
    rollout.rule(RULE, "staging", project=WAVES)
    with rollout.acting("root"):
        app = rollout.app()
        for name in ("bob", "cid"):
            access.revoke(app.acting, "approver", f"user:{name}", "*", "*")
        access.grant(app.acting, Binding(role="approver", to="user:bob", environment="staging"))
        access.grant(app.acting, Binding(role="approver", to="user:cid", environment=PLACE))
        app.register.close()
    run = requested(rollout)["request"]["id"]
    half = rollout.by("bob", "approve", run)
    assert (half["state"], half["approval"]["reason"]) == (
        "waiting",
        "waiting for 1 of 1 approval: can be given by cid",
    )
    assert rollout.duties() == []
    assert rollout.by("cid", "approve", run)["state"] == "ready"


def test_waves_hold_what_a_request_did_not_approve(rollout: RequestProject) -> None:
    """Without a request a promotion in waves changes nothing where votes are needed; a closed first wave holds an approved one."""
    run = requested(rollout)["request"]["id"]
    rollout.by("bob", "approve", run)
    rollout.by("ann", "line", "stop", "staging", "-m", "leak")
    assert rollout.duties() == []
    assert "line" in rollout.tells("vic", "approvals", run)
    rollout.by("ann", "line", "resume", "staging")
    rollout.duties()
    list(each_request(rollout.store))
    asked = rollout.store.work(run).request
    asked["parameters"]["waves"]["plans"] = {}
    done = rollout.execute_rollout(run)
    assert done.state is not State.SUCCEEDED
    assert rollout.world.running == {}


def test_waves_of_an_emergency_and_rights_everywhere(rollout: RequestProject) -> None:
    """An emergency is for one environment; the right to promote is needed in each environment of the waves."""
    rollout.packages.put(rollout.release("1.0.0"))
    emergency = ("--emergency", "-m", "down", "--incident", "https://x")
    rollout.by("ann", "promote", "1.0.0", "--to", "both", *emergency, code=2)
    with rollout.acting("root"):
        app = rollout.app()
        access.revoke(app.acting, "release-manager", "user:ann", "*", "*")
        access.grant(app.acting, Binding(role="release-manager", to="user:ann", environment="staging"))
        access.grant(app.acting, Binding(role="viewer", to="user:ann"))
        app.register.close()
    code, text = rollout.refused("ann", "promote", "1.0.0", "--to", "both")
    assert (code, "promote in production" in text) == ("A101", True)


def test_a_rehearsal_waits_for_approval(office: RequestProject) -> None:
    """A rehearsal in an environment with approvals records a request; its run executes exactly the plan that was shown."""
    office.rule("")
    office.execute(office.request(PLACE, "1.0.0").id)
    office.rule()
    office.packages.put(office.release("1.1.0"))
    asked = office.by("olga", "rehearse", "1.1.0", "--in", PLACE)
    MODELS["run-request"].from_json(asked)
    run = asked["request"]["id"]
    assert (asked["state"], asked["request"]["rehearsal"]) == ("waiting", True)
    assert "rehearsal" in office.tells("vic", "status")
    office.by("bob", "approve", run)
    assert office.duties() == [f"{run} started as {run}, for the workers of default"]
    done = office.execute(run)
    assert (done.kind, done.plan, done.by) == ("rehearsal", asked["request"]["plan"], "olga")
    assert done.state is State.SUCCEEDED
    assert office.duties() == [f"{run} is finished: {run} ended: succeeded"]
