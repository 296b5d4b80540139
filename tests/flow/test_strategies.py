"""Canaries, gates, what is flaky and the probe, on the world in memory."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.adapters.memory.verifier import MemoryGates, MemoryProber
from orchestrator.domain.environment import Environment
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.plan import Plan
from orchestrator.domain.promotion import State
from orchestrator.domain.release import Release
from orchestrator.domain.story import RunView
from orchestrator.flow import promotion
from orchestrator.flow.run_context import RunContext
from orchestrator.planning.plan_store import load_plan
from orchestrator.services import Services
from tests.flow import test_promotion as plain

GATE = {"name": "errors", "prometheus": {"server": "http://127.0.0.1", "query": "q", "below": 1}}
CANARY = {"hosts": 1, "observe": "3s", "every": "1s", "gates": [GATE]}


def canary(**more: Any) -> dict[str, Any]:
    rollout = {"strategy": "canary", "canary": {**CANARY, **more}}
    return {"steps": [{"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "rollout": rollout}]}


def watch(**more: Any) -> dict[str, Any]:
    return {"watch": {"for": "3s", "every": "1s", "tests": "tests", **more}}


@dataclass
class Told:
    """A notifier that remembers."""

    texts: list[str] = field(default_factory=list)

    def notify(self, run: Run, what: str) -> None:
        if not run.ended:
            self.texts.append(what)


@dataclass
class Stage(plain.Stage):
    """A stage with gates and a probe. *own* are further words of `environment.yaml`."""

    own: dict[str, Any] = field(default_factory=dict)
    told: Told = field(default_factory=Told)

    def services(self) -> Services:
        made = super().services()
        environments = {
            name: (Environment.from_json({**environment.to_json(), **self.own}), folder)
            for name, (environment, folder) in made.environments.items()
        }
        gates, prober = MemoryGates(self.world), MemoryProber(self.world)
        return replace(made, environments=environments, gates=gates, prober=prober, notifier=self.told)

    def story(self, run: Run) -> RunView:
        return RunView.of(run, self.store.records(run.id))

    def plan(self, run: Run) -> Plan:
        return load_plan(self.services(), str(self.store.run(run.id).plan))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Production runs 1.0.0."""
    made = Stage(tmp_path)
    made.walk("1.0.0")
    made.world.ledger.clear()
    return made


def deployed(stage: Stage, version: str) -> list[str]:
    """The hosts of production that *version* was deployed to, in order."""
    return [
        line.split("/")[-1] for line in stage.world.ledger if f"shop {version} production/" in line and ".yml" in line
    ]


def steps(stage: Stage, run: Run) -> list[str]:
    return [step for step in stage.kinds(run, "step.started") if step.startswith(("deploy", "verify", "gate"))]


def test_a_canary_is_looked_at_before_the_others_follow(stage: Stage) -> None:
    """The canary is deployed to and proved, then its gates are asked for the declared time, then the rest follows."""
    run = stage.walk("1.1.0", **canary())
    assert run.state is State.SUCCEEDED
    assert steps(stage, run) == [
        "deploy.1", "verify.smoke.deploy.1",
        *(f"gate.errors.deploy.1.look.{number}" for number in (1, 2, 3)),
        "deploy.2", "verify.smoke.environment",
    ]  # fmt: skip
    asked = [line for line in stage.world.ledger if line.startswith("gate") and "production" in line]
    assert asked == ["gate errors of shop 1.1.0 production/p1"] * 3


def test_a_gate_that_is_shut_takes_the_canary_back(stage: Stage) -> None:
    """A gate that fails during the look rolls back the canary, and no other host is touched by anything."""
    stage.promote("1.1.0", "staging", **canary())
    stage.world.faults.add(("gate", "errors", "1.1.0"))
    run = stage.promote("1.1.0", "production", **canary())
    assert run.state is State.ROLLED_BACK
    assert stage.failure(run)["failure"]["code"] == "V140"
    assert deployed(stage, "1.1.0") == deployed(stage, "1.0.0") == ["p1"]


def test_unknown_rolls_nothing_back_and_alerts_once(stage: Stage) -> None:
    """A gate that cannot be asked stops nothing; people are told once, however often it is asked."""
    stage.world.deaf.add("errors")
    run = stage.walk("1.1.0", **canary())
    assert run.state is State.SUCCEEDED
    assert [alert["text"] for alert in stage.story(run).alerts] == ["gate errors could not be checked: no response"]
    assert stage.told.texts == ["gate errors could not be checked: no response"] * 2  # in staging, in production
    assert len([step for step in steps(stage, run) if step.startswith("gate")]) == 3


def test_the_only_host_is_a_canary_too(stage: Stage) -> None:
    """Where the canary is all that the step has, it is proved and looked at all the same."""
    run = stage.promote("1.1.0", "staging", **canary())
    assert steps(stage, run)[:3] == ["deploy.1", "verify.smoke.deploy.1", "gate.errors.deploy.1.look.1"]
    assert run.state is State.SUCCEEDED


def test_a_canary_whose_failure_is_tolerated_is_none(stage: Stage) -> None:
    """However many failures a step tolerates, without a canary that works nothing follows it."""
    about = canary()
    about["steps"][0]["rollout"]["max_failures"] = 2
    stage.promote("1.1.0", "staging", **about)
    stage.world.faults.add(("deploy", "p1", "1.1.0"))
    run = stage.promote("1.1.0", "production", **about)
    assert run.state is State.ROLLED_BACK
    assert deployed(stage, "1.1.0") == ["p1"]


def test_a_canary_that_failed_in_a_step_before(stage: Stage) -> None:
    """Where the canary was left out by a step before, the run halts before the other hosts go without it."""
    first = {"name": "first", "playbook": "first.yml", "hosts": "web", "rollout": {"max_failures": 1}}
    steps = [first, *canary()["steps"]]
    stage.promote("1.1.0", "staging", steps=steps)
    stage.world.faults.add(("deploy", "p1", "1.1.0"))
    run = stage.promote("1.1.0", "production", steps=steps)
    assert run.state is State.ROLLED_BACK
    assert stage.failure(run)["failure"]["code"] == "R171"


def test_no_canary(stage: Stage) -> None:
    """A canary that no host is, is refused when the plan is made, with nothing done."""
    run = stage.promote("1.1.0", "staging", **canary(hosts="nobody"))
    assert run.state is State.FAILED
    assert stage.failure(run)["failure"]["code"] == "R170"
    assert stage.world.ledger == []


def test_a_variable_that_is_not_there(stage: Stage) -> None:
    """A gate that names a variable which a host does not have is refused when the plan is made, with nothing done."""
    gate = {"name": "health", "http": {"url": "http://{{ inventory_hostname }}:{{ app_port }}/"}}
    run = stage.promote("1.1.0", "staging", **canary(gates=[gate]))
    assert stage.failure(run)["failure"]["code"] == "V142"
    assert stage.world.ledger == []


@pytest.mark.parametrize("about", [canary(), watch(gates=[GATE])])
def test_a_secret_that_is_not_there(stage: Stage, about: dict[str, Any]) -> None:
    """A gate whose secret is not on this machine is refused when the plan is made, with nothing done."""
    stage.world.faults.add(("need", "errors", "1.1.0"))
    run = stage.promote("1.1.0", "staging", **about)
    assert (run.state, stage.failure(run)["failure"]["code"]) == (State.FAILED, "E160")
    assert stage.world.ledger == []


def test_the_plan_has_it_all(stage: Stage) -> None:
    """The plan has strategy, order, seed, look, gates and probe, and another gate makes another digest."""
    stage.own = {"gates": [{"name": "own", "command": ["true"]}], "probe": {"service": "http://127.0.0.1/"}}
    about = canary()
    about["steps"][0]["rollout"]["order"] = "shuffled"
    run = stage.promote("1.1.0", "staging", **about, **watch(gates=[GATE]))
    plan = stage.plan(run)
    step = plan.steps[0]
    assert (step.strategy, step.order, len(step.seed)) == ("canary", "shuffled", 16)
    assert step.canary is not None
    assert (step.canary.observation.times, [gate.name for gate in step.canary.observation.gates]) == (
        3,
        ["errors", "environment.own"],
    )
    assert plan.watch is not None
    assert [gate.name for gate in plan.watch.gates] == ["errors", "environment.own"]
    assert plan.probe is not None
    other = plan.model_copy(update={"watch": plan.watch.model_copy(update={"gates": ()})})
    assert other.digest != plan.digest


def test_gates_of_the_environment_are_asked_of_every_release(stage: Stage) -> None:
    """A gate of `environment.yaml` is asked in the watch of a release that knows nothing of it, and can shut."""
    stage.promote("1.1.0", "staging", **watch())
    stage.own = {"gates": [GATE]}
    stage.world.faults.add(("gate", "errors", "1.1.0"))
    run = stage.promote("1.1.0", "production", **watch())
    assert run.state is State.ROLLED_BACK
    assert "gate.environment.errors.watch.1" in steps(stage, run)


def test_a_late_failure_rolls_back(stage: Stage) -> None:
    """A gate that fails in the watch rolls back every host, and the release does not count as verified."""
    stage.promote("1.1.0", "staging", **watch(gates=[GATE]))
    stage.world.faults.add(("gate", "errors", "1.1.0"))
    run = stage.promote("1.1.0", "production", **watch(gates=[GATE]))
    assert run.state is State.ROLLED_BACK
    assert deployed(stage, "1.0.0") == ["p1", "p2", "p3"]
    assert [mark.release.version for mark in stage.store.verified("production")] == ["1.0.0", "1.0.0"]


def test_a_watch_may_have_gates_alone(stage: Stage) -> None:
    """A watch without a suite asks its gates."""
    run = stage.walk("1.1.0", watch={"for": "2s", "every": "1s", "gates": [GATE]})
    assert run.state is State.SUCCEEDED
    assert steps(stage, run)[-2:] == ["gate.errors.watch.1", "gate.errors.watch.2"]


@pytest.mark.parametrize("verb", ["gate", "verify"])
def test_what_passes_when_it_is_repeated_is_flaky(stage: Stage, verb: str) -> None:
    """A failure in the watch that passes when it is repeated is called flaky, by name, and rolls nothing back."""
    what = {"gate": "errors", "verify": "p2"}[verb]
    about = watch(gates=[GATE], flaky={"retries": 2, "within": "2s"})
    stage.promote("1.1.0", "staging", **about)
    fault = (verb, what, "1.1.0")
    ctx = stage.ctx(stage.packages.put(plain.release("1.1.0", **about)), "production")
    ctx.durable = Spoiling(lambda: stage.world.faults.add(fault))
    stage.world.passing[fault] = 2
    run = promotion(ctx)
    assert run.state is State.SUCCEEDED
    story = stage.story(run)
    assert [(flaky["failed"], flaky["step"].partition(".")[0]) for flaky in story.flaky] == [(2, verb)]
    assert story.failed_at is None


class Spoiling(MemoryDurable):
    """Puts a fault into the world once the release is promoted."""

    def __init__(self, spoil: Any) -> None:
        super().__init__({})
        self._spoil = spoil

    def sleep(self, name: str, seconds: float, awake: Any = lambda: False) -> None:  # noqa: ARG002 - the port's
        if name == "watch.1.wait":
            self._spoil()


def test_what_fails_every_time_is_not_flaky(stage: Stage) -> None:
    """A failure that stands whenever it is repeated rolls back, and its message says how often it was looked."""
    about = watch(gates=[GATE], flaky={"retries": 2, "within": "2s"})
    stage.promote("1.1.0", "staging", **about)
    stage.world.faults.add(("gate", "errors", "1.1.0"))
    run = stage.promote("1.1.0", "production", **about)
    assert run.state is State.ROLLED_BACK
    assert stage.story(run).flaky == []
    assert "and again, 2 times within 2s" in str(stage.failure(run)["failure"]["message"])


def test_a_flaky_suite_of_the_release(stage: Stage) -> None:
    """With a rule, a suite of `verify` that fails once passes and is called flaky; without one it rolls back."""
    fault = ("verify", "p1", "1.1.0")
    for rule, state in (({"flaky": {"retries": 1, "within": "1s"}}, State.SUCCEEDED), ({}, State.ROLLED_BACK)):
        verify = [{"name": "smoke", "tests": "tests", **rule}]
        stage.promote("1.1.0", "staging", verify=verify)
        stage.world.faults.add(fault)
        stage.world.passing[fault] = 1
        run = stage.promote("1.1.0", "production", verify=verify)
        assert run.state is state
        assert bool(stage.story(run).flaky) is bool(rule)


def test_somebody_who_cancels_a_watch(stage: Stage) -> None:
    """A cancel during the watch goes back, and does not let the release pass unwatched."""
    about = watch()
    stage.promote("1.1.0", "staging", **about)
    ctx = stage.ctx(stage.packages.put(plain.release("1.1.0", **about)), "production")
    ctx.durable = Spoiling(
        lambda: stage.store.append(ctx.run.id, [Entry(kind="control", data={"control": "cancel", "by": "ann"})])
    )
    assert promotion(ctx).state is State.ROLLED_BACK


PROBE: dict[str, Any] = {"probe": {"url": "http://{{ inventory_hostname }}/", "every": "1s"}}


def test_the_probe_begins_with_the_rollout_and_ends_with_the_run(stage: Stage) -> None:
    """What is measured is in the journal of a run that succeeded and of one that went back, and nobody looks any more."""
    good = stage.walk("1.1.0", **PROBE)
    assert good.state is State.SUCCEEDED
    stage.promote("1.2.0", "staging", **PROBE)
    stage.world.faults.add(("deploy", "p2", "1.2.0"))
    back = stage.promote("1.2.0", "production", **PROBE)
    assert back.state is State.ROLLED_BACK
    for run in (good, back):
        assert stage.story(run).probe is not None
    assert stage.world.probes == set()


def test_a_rehearsal_looks_at_its_canary_once(stage: Stage) -> None:
    """Walked back and forward again, a canary goes first both times and is looked at the first time; one probe sees all."""
    run = stage.promote("1.1.0", "staging", rehearse=True, **canary(), **PROBE)
    assert run.state is State.SUCCEEDED
    done = stage.kinds(run, "step.finished")
    assert [step for step in done if step.startswith("gate")] == [f"gate.errors.deploy.1.look.{n}" for n in (1, 2, 3)]
    assert {"deploy.1", "rehearse.again.deploy.1"} <= set(done)
    assert done.count("probe") == 1
    assert stage.world.probes == set()


class Crash(BaseException):
    """As by kill -9."""


def test_every_crash_of_a_canary_ends_alike(tmp_path: Path) -> None:
    """Wherever the process dies, whoever takes over takes the same way: the same steps, hosts and looks, none twice."""
    about = {**canary(flaky={"retries": 1, "within": "1s"}), **watch(gates=[GATE]), **PROBE}

    def once(folder: Path, point: tuple[str, str] | None) -> tuple[list[str], list[str], list[str]]:
        stage = Stage(folder)
        stage.walk("1.0.0")
        stage.promote("1.1.0", "staging", **about)
        fault = ("gate", "errors", "1.1.0")
        stage.world.faults.add(fault)
        stage.world.passing[fault] = 1
        stage.world.ledger.clear()
        seen: list[str] = []
        answers: dict[str, Any] = {}

        def crash(name: str, when: str) -> None:
            seen.append(f"{name} {when}")
            if point == (name, when) and seen.count(f"{name} {when}") == 1:
                raise Crash

        package = stage.packages.put(
            Release.from_json(plain.release("1.1.0", **about).model_dump(mode="json", by_alias=True))
        )
        ctx = stage.ctx(package, "production")
        try:
            run = promotion(replace(ctx, durable=MemoryDurable(answers, crash)))
        except Crash:
            again = RunContext(services=ctx.services, durable=MemoryDurable(answers, crash), run=ctx.run)
            run = promotion(again)
        assert run.state is State.SUCCEEDED
        assert stage.world.probes == set()
        return stage.kinds(run, "step.finished"), [line for line in stage.world.ledger if ".yml" in line], seen

    steps_, ledger, points = once(tmp_path / "whole", None)
    names = [point.rpartition(" ")[0] for point in points if point.endswith("before")]
    for number, name in enumerate(names):
        for when in ("before", "after"):
            again = once(tmp_path / f"{number}{when}", (name, when))
            assert again[:2] == (steps_, ledger), f"{name} {when}"
