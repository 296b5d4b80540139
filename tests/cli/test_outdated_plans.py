"""A run request whose plan another release has overtaken gets a new plan, and no run that fails."""

import time
from typing import Any

import pytest

from orchestrator.domain.promotion import State
from tests.cli.request_project import PLACE, RULE, RequestProject, office

__all__ = ["office"]  # the fixture


def shown(office: RequestProject, run: str) -> Any:
    return office.by("vic", "approvals", run)


def asked(office: RequestProject, *more: str) -> list[str]:
    """The requests for two releases, one after the other."""
    found = []
    for version in ("1.0.0", "1.1.0"):
        found.append(office.ask(version, *more)["request"]["id"])
        office.store.clock.jump(1)
    return found


@pytest.fixture
def two(office: RequestProject) -> tuple[RequestProject, str, str]:
    """A project in which every release is promoted, with the approved requests for two of them."""
    office.rule(f"{RULE}queue: {{supersede: false}}\n")
    first, second = asked(office)
    for run in (first, second):
        office.by("bob", "approve", run)
    office.store.clock.jump(120)  # the journal has a clock of its own, and what follows is later than the plans
    return office, first, second


def test_a_request_behind_another_release_waits_and_is_planned_again(two: tuple[RequestProject, str, str]) -> None:
    """Of two requests that are ready the second waits for the run of the first, then for votes for a new plan; no run fails."""
    office, first, second = two
    assert office.duties() == [f"{first} started as {first}, for the workers of default"]
    lease = next(each for each in shown(office, second)["admission"]["conditions"] if each["condition"] == "lease")
    assert lease["reason"] == f"the environment is in use: run {first} by ann waits for it"
    assert office.duties() == []
    assert office.execute(first).state is State.SUCCEEDED
    told = office.duties()
    assert told[0] == f"{first} is finished: {first} ended: succeeded"
    assert told[1].startswith(f"{second} is waiting: the plan no longer held: ")
    seen = shown(office, second)
    assert (seen["request"]["round"], "what runs on the hosts" in seen["request"]["differences"]) == (2, True)
    assert seen["approval"]["void"] == {"bob": "it is for another plan"}
    assert office.duties() == []
    office.by("bob", "approve", second)
    assert office.duties() == [f"{second} started as {second}, for the workers of default"]
    assert office.execute(second).state is State.SUCCEEDED
    assert [run.state for run in office.store.runs(PLACE)] == [State.SUCCEEDED] * 2


def test_a_request_that_needs_no_votes_starts_with_its_new_plan(office: RequestProject) -> None:
    """Where no vote is needed, the request with the new plan starts without a user."""
    office.rule("queue: {supersede: false}\n")
    first, second = asked(office, "--at", "+8s")
    time.sleep(8)
    office.store.clock.jump(120)
    assert office.duties() == [f"{first} started as {first}, for the workers of default"]
    office.execute(first)
    told = [*office.duties(), *office.duties()]
    assert told[1] == f"{second} is ready"
    assert told[2:] == [f"{second} started as {second}, for the workers of default"]
    assert office.execute(second).state is State.SUCCEEDED
    assert [run.state for run in office.store.runs(PLACE)] == [State.SUCCEEDED] * 2


def test_without_another_plan_the_run_records_why(two: tuple[RequestProject, str, str]) -> None:
    """If no new plan can be made, the request starts, and its run records what failed."""
    office, first, second = two
    office.duties()
    office.execute(first)
    package = office.packages.ref(shown(office, second)["request"]["package"])
    assert package is not None
    office.packages.remove(package)
    assert office.duties()[-1] == f"{second} started as {second}, for the workers of default"
    assert office.execute(second).state is State.FAILED
