"""Requests are typed, and their recorded form is that of every version before."""

from typing import Any

import pytest

from orchestrator.app.requests import (
    AssumeHost,
    AssumeLiveSide,
    Destroy,
    Observe,
    Promote,
    PromoteInWaves,
    Provision,
    Reap,
    Rehearse,
    Resolve,
    RetryFrom,
    RollBack,
    Unknown,
    parse_request,
)
from orchestrator.domain.journal import Run
from orchestrator.domain.plan import Acknowledgements

DIGEST = f"sha256:{'1' * 64}"
RELEASE = {"name": "shop", "version": "1.4.0", "digest": DIGEST}
NAMED = {"replace": ["db"], "no_return": ["migrate"]}
WALK = {
    "name": "regions",
    "environments": [["eu-1"], ["us-1"]],
    "max_failures": 0,
    "soak": "1s",
    "on_failure": "rollback",
}


def recorded(kind: str, about: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A request as every version has recorded it."""
    common = {"root": "abc123", "kind": kind, "targets": ["eu-1", "us-1"], "by": "ann", "wait": 60.0}
    return {**common, "release": None, "plan": None, "retry": None, "parameters": about, **more}


RECORDED = [
    (Promote, recorded("promotion", {}, release=RELEASE, plan=DIGEST)),
    (
        Promote,
        recorded("promotion", {"acknowledgements": NAMED, "override_reason": "the cause is mended"}, release=RELEASE),
    ),
    (Promote, recorded("promotion", {}, release=RELEASE, retry={"run": "abc000-eu-1", "step": "deploy.1"})),
    (PromoteInWaves, recorded("promotion", {"waves": {"rollout": WALK, "plans": {"eu-1": DIGEST}}}, release=RELEASE)),
    (
        PromoteInWaves,
        recorded(
            "promotion",
            {"waves": {"rollout": WALK, "plans": {}, "redeploy": True}, "acknowledgements": NAMED},
            release=RELEASE,
        ),
    ),
    (Rehearse, recorded("rehearsal", {}, release=RELEASE)),
    (RollBack, recorded("rollback", {}, release=RELEASE, plan=DIGEST)),
    (RollBack, recorded("rollback", {"at": "2026-11-20T10:00:00.000Z"}, release=RELEASE, plan=DIGEST)),
    (Provision, recorded("provision", {})),
    (Provision, recorded("provision", {"acknowledgements": {"replace": ["db"], "no_return": []}})),
    (Destroy, recorded("destroy", {"acknowledgements": {"replace": ["db"], "no_return": []}})),
    (Resolve, recorded("resolve", {"created": {"urn:1": "id-1"}, "absent": ["*"], "why": "seen in the console"})),
    (Observe, recorded("observe", {})),
    (Observe, recorded("observe", {"token": 4000})),
    (AssumeHost, recorded("override", {"host": "web-1", "release": RELEASE, "why": "seen"})),
    (AssumeHost, recorded("override", {"host": "web-1", "release": None, "why": "new"})),
    (AssumeLiveSide, recorded("override", {"live": "blue", "why": "the router says so"})),
    (Reap, recorded("reap", {"run": "abc000-eu-1"})),
    (Unknown, recorded("teleport", {"to": "the moon"}, release=RELEASE, extra=1)),
]


@pytest.mark.parametrize(("kind", "data"), RECORDED)
def test_recorded_form(kind: type, data: dict[str, Any]) -> None:
    """What was recorded is read as the type of its kind, and recorded again as it was: no difference for the engine."""
    request = parse_request(data)
    assert type(request) is kind
    assert request.to_json() == data
    assert (request.root, request.by, request.targets, request.wait) == ("abc123", "ann", ("eu-1", "us-1"), 60.0)


def test_requests_of_the_first_versions() -> None:
    """A request that was recorded without wait, retry and parameters is read."""
    data = {"root": "abc123", "kind": "promotion", "release": RELEASE, "targets": ["eu-1"], "by": "ann", "plan": None}
    request = parse_request(data)
    assert (request.wait, request.retry, request.agreed, request.override_reason) == (0.0, None, Acknowledgements(), "")


def test_what_a_workflow_takes_from_a_request() -> None:
    """The agreement, the reason and the retry of a promotion are where a run takes them from."""
    data = recorded(
        "promotion", {"acknowledgements": NAMED, "again": "why"}, again={"run": "r", "step": "s"}, release=RELEASE
    )
    request = parse_request(data)
    assert request.agreed == Acknowledgements(replace=("db",), no_return=("migrate",))
    assert (request.override_reason, request.retry) == ("why", RetryFrom("r", "s"))
    assert request.from_environment("us-1").targets == ("us-1",)


def test_one_run_of_a_rollout_alone() -> None:
    """The request of one run of a rollout in waves has the plan of its environment; a rollback has none."""
    data = recorded("promotion", {"waves": {"rollout": WALK, "plans": {"eu-1": DIGEST}}}, release=RELEASE)
    request = parse_request(data)
    assert isinstance(request, PromoteInWaves)
    run = Run(id="abc123-eu-1", root="abc123", kind="promotion", environment="eu-1", release=request.package)
    alone = request.alone(run)
    assert (alone.kind, alone.targets, alone.plan, alone.waves) == ("promotion", ("eu-1",), DIGEST, None)
    back = request.alone(run.model_copy(update={"kind": "rollback"}))
    assert (back.kind, back.plan, back.to_json()["parameters"]) == ("rollback", None, {})
