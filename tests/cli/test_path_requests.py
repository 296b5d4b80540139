"""Promotions along a path whose later environments need approvals, left to workers or to the background."""

from typing import Any

import pytest

from orchestrator.documents.register import MODELS
from orchestrator.domain.promotion import State
from orchestrator.wiring import App
from tests.cli.request_project import PLACE, RULE, RequestProject, office
from tests.flow.test_promotion import release

__all__ = ["office"]  # the fixture
NAMES = ("staging", "acceptance", PLACE)


@pytest.fixture
def path(office: RequestProject) -> RequestProject:
    """Staging needs no vote, acceptance after it and production after that need one each."""
    (office.folder / "environments" / "acceptance").mkdir()
    office.world.stacks["acceptance"] = ["a1"]
    office.rule(f"after: staging\n{RULE}", "acceptance")
    office.rule(f"after: acceptance\n{RULE}")
    office.packages.put(release("1.0.0", environments=list(NAMES)))
    return office


def places(asked: Any) -> list[tuple[str, str]]:
    return [(each["request"]["environment"], each["state"]) for each in asked["requests"]]


def missing(office: RequestProject, run: str) -> list[str]:
    """What the start of a request waits for."""
    found = office.by("vic", "approvals", run)["admission"]["conditions"]
    return [each["reason"] for each in found if each["state"] in {"waiting", "refused"}]


def test_requests_are_recorded_at_once_for_a_queued_path(path: RequestProject) -> None:
    """`--queue` records the requests of all environments that need votes, and each starts after its votes and the environment before."""
    asked = path.by("ann", "promote", "1.0.0", "--queue", "default")
    assert [name.partition("-")[2] for name in asked["requests"]] == ["acceptance", PLACE]
    acceptance, production = asked["requests"]
    assert path.store.run(asked["run"]).environment == "staging"
    MODELS["run-requests"].from_json(listed := path.by("vic", "approvals"))
    assert sorted(places(listed)) == [("acceptance", "waiting"), (PLACE, "waiting")]
    assert missing(path, acceptance)[0] == "has not been verified in staging"
    for run in (acceptance, production):
        assert path.by("bob", "approve", run)["state"] == "ready"
    assert path.duties() == []

    for environment, run, after in (("staging", asked["run"], acceptance), ("acceptance", acceptance, production)):
        assert path.execute(run).state is State.SUCCEEDED, environment
        assert f"{after} started as {after}, for the workers of default" in path.duties()
    done = path.execute(production)
    assert (done.state, done.by, done.environment) == (State.SUCCEEDED, "ann", PLACE)
    assert path.duties()[-1].startswith(f"{production} is finished")


def test_a_detached_path_records_its_requests(path: RequestProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--detach` leaves the first environment to a process in the background, prints the requests of the others, and ends with 0."""
    monkeypatch.setattr(App, "run_in_background", lambda *_: 4711)
    said = path.tells("ann", "promote", "1.0.0", "--detach")
    assert "continues in the background (process 4711)" in said
    assert "→ acceptance, normal change" in said
    assert "has not been verified in staging" in said
    assert "→ production, normal change" in said
    assert [run.environment for run in path.store.runs()] == ["staging"]


def test_a_path_that_needs_votes_everywhere_has_a_request_for_each_environment(path: RequestProject) -> None:
    """Without an environment that may start, all requests are recorded and printed as one list."""
    path.rule(RULE, "staging")
    asked = path.by("ann", "promote", "1.0.0")
    MODELS["run-requests"].from_json(asked)
    assert places(asked) == [(name, "waiting") for name in NAMES]
    assert path.store.runs() == []
    again = path.by("ann", "promote", "1.0.0", "--queue", "default")
    assert [each["request"]["id"] for each in again["requests"]] == [
        each["request"]["id"] for each in asked["requests"]
    ]


def test_nothing_is_promoted_if_a_later_plan_cannot_be_executed(path: RequestProject) -> None:
    """A release that may not be promoted to the last environment without a word is refused before the first one is queued."""
    path.packages.put(release("1.1.0", environments=list(NAMES), steps=[
        {"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "undo": "impossible"},
    ]))  # fmt: skip
    code, text = path.refused("ann", "promote", "1.1.0", "--queue", "default")
    assert (code, "deploy cannot be undone" in text) == ("R201", True)
    assert (path.store.runs(), path.by("vic", "approvals")["requests"]) == ([], [])


def test_a_failed_path_leaves_the_requests_waiting(path: RequestProject) -> None:
    """If the environment before fails, an approved request waits, says for what, and its requester can withdraw it."""
    asked = path.by("ann", "promote", "1.0.0", "--queue", "default")
    acceptance = asked["requests"][0]
    path.by("bob", "approve", acceptance)
    path.world.faults.add(("deploy", "s1", "1.0.0"))
    failed = path.execute(asked["run"])
    assert failed.state is not State.SUCCEEDED
    assert path.duties() == [f"the review of {failed.id} was opened: intervention"]
    assert missing(path, acceptance) == ["has not been verified in staging"]
    assert path.by("ann", "withdraw", acceptance)["state"] == "withdrawn"


def test_the_verifier_is_known_at_the_start(path: RequestProject) -> None:
    """A request that was recorded before the verification is held if its requester verified the release, and identities must be separate."""
    path.rule("after: staging\napprovals: {count: 1, separate: [requester, verifier]}\n", "acceptance")
    asked = path.by("ann", "promote", "1.0.0", "--queue", "default")
    acceptance = asked["requests"][0]
    path.by("bob", "approve", acceptance)
    assert path.execute(asked["run"]).state is State.SUCCEEDED
    assert path.duties() == []
    assert missing(path, acceptance) == ["ann is requester and verifier"]


def test_the_verifier_of_waves_is_their_requester(path: RequestProject) -> None:
    """In waves the release is verified by the requester's own runs, so a promotion that needs another verifier does not start."""
    path.rule("after: staging\napprovals: {count: 1, separate: [requester, verifier]}\n", "acceptance",
              "waves: [{name: two, environments: [[staging], [acceptance]]}]\n")  # fmt: skip
    run = path.by("ann", "promote", "1.0.0", "--to", "two")["request"]["id"]
    path.by("bob", "approve", run)
    assert path.duties() == []
    assert "ann is requester and verifier" in missing(path, run)[0]
