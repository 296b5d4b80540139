"""Hosts whose failure is tolerated, and hosts that are no longer there."""

from pathlib import Path

import pytest

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.domain.plan import HostState
from orchestrator.domain.promotion import State
from orchestrator.flow import promotion
from orchestrator.planning import targets
from tests.flow.test_promotion import Stage, ref_of, release

ONE = [{"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "rollout": {"batches": [1], "max_failures": 1}}]
TWO = [*ONE, {"name": "after", "playbook": "after.yml", "hosts": "web"}]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Production runs 1.0.0, and 1.1.0 is verified in staging."""
    made = Stage(tmp_path)
    made.walk("1.0.0")
    made.promote("1.1.0", "staging", steps=ONE)
    return made


def known(stage: Stage) -> dict[str, HostState]:
    return {state.host: state for state in stage.store.hosts("production")}


def test_a_host_that_is_away_and_tolerated_is_left_out(stage: Stage) -> None:
    """With `max_failures: 1` an unreachable host does not stop the release, is never proved, and is told as unknown."""
    stage.world.gone.add("p1")
    run = stage.promote("1.1.0", "production", steps=ONE)
    assert (run.state, stage.failure(run)["exit"]) == (State.SUCCEEDED, 0)
    assert "but not verified on p1 (unknown)" in run.message
    assert {host: (state.truth, ref_of(state).version) for host, state in known(stage).items()} == {
        "p1": ("unknown", "1.0.0"), "p2": ("seen", "1.1.0"), "p3": ("seen", "1.1.0"),
    }  # fmt: skip


def test_a_host_that_fails_and_is_tolerated_is_left_out(stage: Stage) -> None:
    """With `max_failures: 1` a failed host is not proved, its state is not said to be the release, and a notice names it."""
    stage.world.faults |= {("deploy", "p2", "1.1.0"), ("verify", "p2", "1.1.0")}
    run = stage.promote("1.1.0", "production", steps=ONE)
    notices = [record.data["text"] for record in stage.store.records(run.id) if record.kind == "notice"]
    assert run.state is State.SUCCEEDED
    assert known(stage)["p2"].truth == "unknown"
    assert notices == ["p2 is left out: failed in deploy, which tolerates 1"]


def test_later_steps_leave_a_failed_host_alone(tmp_path: Path) -> None:
    """A host whose failure was tolerated is not worked on by the steps that come after."""
    stage = Stage(tmp_path)
    stage.promote("1.0.0", "staging", steps=TWO)
    stage.world.faults.add(("deploy", "p2", "1.0.0"))
    run = stage.promote("1.0.0", "production", steps=TWO)
    played = [line.split()[-1] for line in stage.world.ledger if line.startswith("after.yml") and "production" in line]
    assert played == ["production/p1", "production/p3"]
    assert run.state is State.SUCCEEDED


def test_more_failures_than_tolerated_roll_back(stage: Stage) -> None:
    """A second failed host is one too many: everything that was touched goes back."""
    stage.world.faults |= {("deploy", "p1", "1.1.0"), ("deploy", "p2", "1.1.0")}
    assert stage.promote("1.1.0", "production", steps=ONE).state is State.ROLLED_BACK


def test_a_step_that_is_good_nowhere_is_not_tolerated(stage: Stage) -> None:
    """When the only host of a step fails, tolerance does not make a success of it."""
    stage.world.faults.add(("deploy", "s1", "1.2.0"))
    assert stage.promote("1.2.0", "staging", steps=ONE).state is State.ROLLED_BACK


def test_more_hosts_away_than_tolerated_refuse(stage: Stage) -> None:
    """Two hosts that cannot be reached at plan time, where one is tolerated, refuse the run by name."""
    stage.world.gone |= {"p1", "p2"}
    run = stage.promote("1.1.0", "production", steps=ONE)
    assert run.state is State.FAILED
    assert "p1, p2" in run.message


def test_a_release_that_is_not_everywhere_may_be_promoted_again(stage: Stage) -> None:
    """An environment with a host that was left out is not passed over by the next walk of the same release."""
    stage.world.gone.add("p1")
    run = stage.promote("1.1.0", "production", steps=ONE)
    services = stage.services()
    assert targets.runs_there(services, "staging", ref_of(run))
    assert not targets.runs_there(services, "production", ref_of(run))


def test_hosts_that_were_removed_are_told_as_gone(stage: Stage) -> None:
    """After the stack shrinks, nothing is said any more of the host that it had, and its last record says that it is gone."""
    stage.world.stacks["production"] = ["p1", "p2"]
    run = stage.promote("1.1.0", "production", steps=ONE)
    told = [(record.host, record.data["truth"]) for record in stage.store.records(run.id) if record.kind == "host"]
    assert list(known(stage)) == ["p1", "p2"]
    assert told[0] == ("p3", "gone")


def test_a_new_host_that_is_away_blocks_after_provisioning(stage: Stage) -> None:
    """A host that only came with the update of the stack, and does not answer, stops the run and is told as unknown."""
    stage.promote("1.2.0", "staging")
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    stage.world.gone.add("p4")
    run = stage.promote("1.2.0", "production")
    told = {record.host: record.data["truth"] for record in stage.store.records(run.id) if record.kind == "host"}
    assert told["p4"] in {"unknown", "gone"}
    assert not any("1.2.0 production" in line for line in stage.world.ledger)


def test_a_new_host_that_is_away_and_tolerated_does_not_block(stage: Stage) -> None:
    """A host that only came with the update of the stack is tolerated like any other."""
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    stage.world.gone.add("p4")
    run = stage.promote("1.1.0", "production", steps=ONE)
    assert run.state is State.SUCCEEDED
    assert known(stage)["p4"] == HostState(host="p4", truth="unknown", since=known(stage)["p4"].since)


def test_a_host_that_refuses_is_never_tolerated(stage: Stage) -> None:
    """A host that has seen a newer fence stops the run, however many failures its step tolerates."""
    ctx = stage.ctx(stage.packages.put(release("1.1.0", steps=ONE)), "production")

    def meanwhile(name: str, when: str) -> None:
        """Somebody else acts on the host after everything was looked at."""
        if (name, when) == ("deploy.1", "before"):
            stage.world.fences["production", "p1"] = 99

    ctx.durable = MemoryDurable({}, meanwhile)
    run = promotion(ctx)
    assert (run.state, stage.failure(run)["failure"]["code"]) == (State.FAILED, "D140")
