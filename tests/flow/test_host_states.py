"""What is recorded of hosts: while a step may change them, afterwards, and by an inspection that changes nothing."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.domain.plan import HostState
from orchestrator.domain.promotion import State
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.flow import promotion
from orchestrator.flow.run_context import RunContext
from tests.flow.test_promotion import Stage, release


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def known(stage: Stage, environment: str = "production") -> dict[str, tuple[str, str | None]]:
    return {
        state.host: (state.truth, state.release.version if state.release else None)
        for state in stage.store.hosts(environment)
    }


class Dies(BaseException):
    """The process is gone."""


class Watched(MemoryDeployer):
    """Notes what the journal says of every host while a play acts on the first one, and may die there."""

    def __init__(self, stage: Stage, dies: bool = False) -> None:
        super().__init__(stage.world)
        self.stage, self.dies, self.seen = stage, dies, list[tuple[str, dict[str, Any]]]()

    def _one(self, host: str, *args: Any) -> HostResult:
        result = super()._one(host, *args)
        self.seen.append((host, known(self.stage)))
        if self.dies:
            raise Dies
        return result


def started(stage: Stage, deployer: MemoryDeployer, **more: Any) -> RunContext:
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), "production", **more)
    object.__setattr__(ctx.services, "deployer", deployer)
    return ctx


def test_a_host_is_changing_while_a_step_may_change_it(stage: Stage) -> None:
    """From the moment at which a step may touch a host until its result is known, the host is *changing*, and the others are as they were."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    watched = Watched(stage)
    assert promotion(started(stage, watched)).state is State.SUCCEEDED
    first, second, third = (seen for _, seen in watched.seen)
    assert first == {"p1": ("changing", "1.0.0"), "p2": ("seen", "1.0.0"), "p3": ("seen", "1.0.0")}
    assert second == {"p1": ("seen", "1.1.0"), "p2": ("changing", "1.0.0"), "p3": ("changing", "1.0.0")}
    assert third == second
    assert set(known(stage).values()) == {("seen", "1.1.0")}


def test_a_host_stays_changing_when_the_process_dies(stage: Stage) -> None:
    """After a kill the host is still *changing*, which is *unknown* to whoever plans; once the run has been resumed it is what it is."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    answers: dict[str, Any] = {}
    ctx = started(stage, Watched(stage, dies=True))
    ctx.durable = MemoryDurable(answers)
    with pytest.raises(Dies):
        promotion(ctx)
    state = next(state for state in stage.store.hosts("production") if state.host == "p1")
    assert (state.truth, state.settled.truth, state.before and state.before.truth) == ("changing", "unknown", "seen")
    again = RunContext(stage.services(), MemoryDurable(answers), ctx.run)
    assert promotion(again).state is State.SUCCEEDED
    assert set(known(stage).values()) == {("seen", "1.1.0")}


def test_a_host_that_a_step_did_not_touch_is_what_it_was(stage: Stage) -> None:
    """A host that refused the step, or was not reached by it, keeps what was known of it: release, time and run."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    before = stage.store.hosts("production")

    class Refusing(MemoryDeployer):
        def deploy(self, play: Any, *args: Any) -> StepResult:
            del args
            hosts = tuple(HostResult(host=host, outcome=Outcome.FAILED, touched=False) for host in play.limit)
            return StepResult(outcome=Outcome.FAILED, hosts=hosts)

    assert promotion(started(stage, Refusing(stage.world))).state is State.FAILED
    assert stage.store.hosts("production") == before


def test_a_step_without_a_word_of_its_hosts_leaves_them_unknown(stage: Stage) -> None:
    """A step that broke before it could report on any host may have changed them all."""
    stage.walk("1.0.0")
    stage.automatic = False
    stage.promote("1.1.0", "staging")

    class Broken(MemoryDeployer):
        def deploy(self, *args: Any) -> StepResult:
            del args
            return StepResult(outcome=Outcome.ERRORED, message="it broke")

        def inspect(self, *args: Any) -> StepResult:
            found = super().inspect(*args)
            return found.model_copy(
                update={"hosts": tuple(h.model_copy(update={"release": None}) for h in found.hosts)}
            )

    assert promotion(started(stage, Broken(stage.world))).state is State.NEEDS_INTERVENTION
    assert {host: truth for host, (truth, _) in known(stage).items()} == {
        "p1": "unknown",
        "p2": "unknown",
        "p3": "unknown",
    }


@pytest.mark.parametrize("fails", [None, "p1"])
def test_an_inspection_that_died_records_no_release(stage: Stage, fails: str | None) -> None:
    """An inspection whose process died, and that cannot tell whether it touched anything, changes nothing of what is known of a host."""
    stage.world.silent = {"p1", "p2", "p3", "p4"}
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    stage.world.faults |= {("verify", fails, "1.1.0")} if fails else set()

    class Dying(MemoryDeployer):
        def __init__(self) -> None:
            super().__init__(stage.world)
            self.deaths, self.seen = 1, dict[str, Any]()

        def inspect(self, requirements: Any, inventory: Any, context: Any, job: str, emit: Any) -> StepResult:
            if ".plan" not in job and self.deaths:
                self.deaths -= 1
                hosts = tuple(HostResult(host=host, outcome=Outcome.SKIPPED, touched=True) for host in inventory.hosts)
                return StepResult(outcome=Outcome.ERRORED, hosts=hosts, data={"code": "D130", "how": "lost"})
            return super().inspect(requirements, inventory, context, job, emit)

        def deploy(self, *args: Any) -> StepResult:
            self.seen = self.seen or known(stage)
            return super().deploy(*args)

    dying = Dying()
    run = promotion(started(stage, dying))
    assert "require~2" in stage.kinds(run, "step.finished")
    assert {host: dying.seen[host] for host in ("p2", "p3")} == {"p2": ("assumed", "1.0.0"), "p3": ("assumed", "1.0.0")}
    if fails:
        assert run.state is State.ROLLED_BACK
        assert set(known(stage).values()) == {("assumed", "1.0.0")}


def test_a_host_that_only_undo_playbooks_brought_back_runs_the_old_release(stage: Stage) -> None:
    """Where every step has an undo and nothing is deployed again, a verified rollback says that the host runs the old release."""
    steps = [{"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "undo": "undo.yml"}]
    stage.world.silent = {"p1", "p2", "p3"}
    stage.walk("1.0.0", steps=steps)
    stage.promote("1.1.0", "staging", steps=steps)
    stage.world.faults.add(("verify", "p1", "1.1.0"))

    class Undoing(MemoryDeployer):
        def deploy(self, play: Any, package: Any, *args: Any) -> StepResult:
            old = stage.store.verified("production")[0].release.digest
            if play.playbook != "undo.yml":
                return super().deploy(play, package, *args)
            stage.world.running |= {("production", host): old for host in play.limit}
            hosts = tuple(HostResult(host=host, outcome=Outcome.SUCCEEDED, touched=True) for host in play.limit)
            return StepResult(outcome=Outcome.SUCCEEDED, hosts=hosts)

    ctx = stage.ctx(stage.packages.put(release("1.1.0", steps=steps)), "production")
    object.__setattr__(ctx.services, "deployer", Undoing(stage.world))
    assert promotion(ctx).state is State.ROLLED_BACK
    assert set(known(stage).values()) == {("assumed", "1.0.0")}


def test_what_a_changing_host_was_stays_known_over_attempts() -> None:
    """A second attempt at a step keeps what was known before the first one."""
    seen = HostState(host="web1", truth="assumed", run="r1")
    once = seen.changed_by("r2")
    assert once.changed_by("r2").before == seen
    assert HostState.from_json(once.to_json()) == once


TWO = [
    {"name": "database", "playbook": "database.yml", "hosts": "web", "rollout": {"batches": [1, "100%"]}},
    {"name": "deploy", "playbook": "deploy.yml", "hosts": "web[0:1]"},
]


def test_a_host_has_a_release_when_all_of_its_steps_have_run(stage: Stage) -> None:
    """Between two steps a host that the second one changes as well is *changing*, and one whose steps have all run has the release."""
    stage.walk("1.0.0", steps=TWO)
    stage.promote("1.1.0", "staging", steps=TWO)
    watched = Watched(stage)
    ctx = stage.ctx(stage.packages.put(release("1.1.0", steps=TWO)), "production")
    object.__setattr__(ctx.services, "deployer", watched)
    assert promotion(ctx).state is State.SUCCEEDED
    _, second, _, *then = (seen for _, seen in watched.seen)
    assert second == {"p1": ("changing", "1.0.0"), "p2": ("changing", "1.0.0"), "p3": ("changing", "1.0.0")}
    assert then == [{"p1": ("changing", "1.0.0"), "p2": ("changing", "1.0.0"), "p3": ("seen", "1.1.0")}] * 2
    assert set(known(stage).values()) == {("seen", "1.1.0")}


@pytest.mark.parametrize("automatic", [True, False])
def test_a_run_that_ends_between_two_steps_leaves_no_host_with_the_release(stage: Stage, automatic: bool) -> None:
    """A host that got the first step and not the second is *unknown* when the run ends, and what it was once it has been rolled back."""
    stage.world.silent = {"p1", "p2", "p3"}
    stage.walk("1.0.0", steps=TWO)
    stage.automatic = automatic
    stage.promote("1.1.0", "staging", steps=TWO)
    stage.world.faults.add(("verify", "p1", "1.1.0"))
    ctx = stage.ctx(stage.packages.put(release("1.1.0", steps=TWO)), "production")
    assert promotion(ctx).state is (State.ROLLED_BACK if automatic else State.NEEDS_INTERVENTION)
    truth = "assumed" if automatic else "unknown"
    assert {host: known(stage)[host][0] for host in ("p1", "p2")} == {"p1": truth, "p2": "assumed"}
