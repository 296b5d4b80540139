"""Two sides, of which one is live: where a release goes, the switch, and the way back, on the world in memory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.cli import words
from orchestrator.cli.planned import print_plan
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.plan import PlanAction
from orchestrator.domain.promotion import State
from orchestrator.domain.release import Release
from orchestrator.domain.rollback_plan import RollbackPlan
from orchestrator.domain.rollback_text import rollback_lines
from orchestrator.flow import WORKFLOWS, going_back, promotion
from orchestrator.flow.run_context import RunContext
from orchestrator.inspect import drift, release_history
from orchestrator.inspect.blue_green import BlueGreenState
from orchestrator.planning import make, rollback_plan
from orchestrator.planning.plan_store import load_plan
from orchestrator.planning.survey import PlanRequest
from tests.flow import test_promotion as plain
from tests.flow.test_strategies import GATE, Crash, Stage, deployed, watch

BLUE, GREEN = ("p1", "p2"), ("p3", "p4")


def sides(**more: Any) -> dict[str, Any]:
    about = {"blue": "p1:p2", "green": "p3:p4", "switch": "switch.yml", **more}
    rollout = {"strategy": "blue_green", "batches": [1, "100%"], "blue_green": about}
    return {"steps": [{"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "rollout": rollout}]}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Production has four hosts, and no release yet."""
    made = Stage(tmp_path)
    made.world.stacks["production"] = [*BLUE, *GREEN]
    return made


@pytest.fixture
def second(stage: Stage) -> Stage:
    """1.0.0 is live on blue, and green has nothing."""
    stage.walk("1.0.0", **sides())
    stage.world.ledger.clear()
    return stage


def standing(stage: Stage) -> BlueGreenState:
    return BlueGreenState.of(stage.store.hosts("production"))


def runs(stage: Stage) -> dict[str, str | None]:
    return {state.host: state.release.version if state.release else None for state in stage.store.hosts("production")}


def routed(stage: Stage) -> set[tuple[str, ...]]:
    return {hosts for (where, _), hosts in stage.world.routed.items() if where == "production"}


def done(stage: Stage, run: Run) -> list[str]:
    return stage.kinds(run, "step.finished")


def back(stage: Stage, version: str, **more: Any) -> Run:
    package = stage.packages.put(plain.release(version, **more))
    return going_back(stage.ctx(package, "production", kind="rollback"))


def switches(stage: Stage) -> list[str]:
    """To which side it was switched, each time once."""
    found = [line.split()[1] for line in stage.world.ledger if line.startswith("switch.yml")]
    return [side for number, side in enumerate(found) if not number or found[number - 1] != side]


def test_a_first_release_goes_to_blue(stage: Stage) -> None:
    """Where nobody has ever switched, the release goes to blue, which is live from then on; green is not touched."""
    run = stage.walk("1.0.0", **sides())
    assert run.state is State.SUCCEEDED
    assert deployed(stage, "1.0.0") == list(BLUE)
    assert (standing(stage).live, routed(stage)) == ("blue", {BLUE})
    assert runs(stage) == {"p1": "1.0.0", "p2": "1.0.0", "p3": None, "p4": None}


def test_the_next_one_goes_to_the_other_side(second: Stage) -> None:
    """The next release goes to the side that is not live, batch by batch; that is proved before the switch, and what is live after it."""
    run = second.walk("1.1.0", **sides())
    assert run.state is State.SUCCEEDED
    assert [step for step in done(second, run) if step.startswith(("deploy", "verify", "switch"))] == [
        "deploy.1", "verify.smoke.deploy.1", "deploy.2", "verify.smoke.side", "switch", "verify.smoke.environment",
    ]  # fmt: skip
    assert deployed(second, "1.1.0") == list(GREEN)
    assert (standing(second).live, routed(second)) == ("green", {GREEN})
    assert runs(second) == {"p1": "1.0.0", "p2": "1.0.0", "p3": "1.1.0", "p4": "1.1.0"}
    assert release_history.on_all_hosts(
        second.services(), "production", second.store.verified("production")[0].release.digest
    )
    third = second.walk("1.2.0", **sides())
    assert third.state is State.SUCCEEDED
    assert (standing(second).live, deployed(second, "1.2.0")) == ("blue", list(BLUE))


def test_a_side_is_looked_at_before_it_is_live(second: Stage) -> None:
    """With a look, the gates are asked about the idle side before the switch; one that is shut lets nothing be switched."""
    about = sides(observe="2s", every="1s", gates=[GATE])
    good = second.walk("1.1.0", **about)
    steps = done(second, good)
    assert steps.index("gate.errors.switch.look.2") < steps.index("switch")
    second.promote("1.2.0", "staging", **about)
    second.world.faults.add(("gate", "errors", "1.2.0"))
    second.world.ledger.clear()
    run = second.promote("1.2.0", "production", **about)
    assert run.state is State.ROLLED_BACK
    assert switches(second) == []
    assert (standing(second).live, routed(second)) == ("green", {GREEN})
    assert runs(second) == dict.fromkeys((*BLUE, *GREEN), "1.1.0")


@pytest.mark.parametrize(
    "fault", [("switch", "green", "1.1.0"), ("verify", "p3", "1.1.0"), ("gate", "errors", "1.1.0")]
)
def test_it_is_switched_back_first(second: Stage, fault: tuple[str, str, str]) -> None:
    """A switch that fails, a test after it and a gate of the watch: first it is switched back, then the touched hosts go back."""
    about = {**sides(), **watch(gates=[GATE])}
    second.promote("1.1.0", "staging", **about)
    ctx = second.ctx(second.packages.put(plain.release("1.1.0", **about)), "production")
    at = {"switch": "switch", "verify": "verify.smoke.environment", "gate": "watch.1.wait"}[fault[0]]
    ctx.durable = Spoiling(at, lambda: second.world.faults.add(fault))
    run = promotion(ctx)
    assert run.state is State.ROLLED_BACK
    steps = done(second, run)
    assert steps.index("switch.back") < steps.index("restore.deploy") < steps.index("verify.smoke.restored")
    assert switches(second) == ["green", "blue"]
    assert (standing(second).live, standing(second).switch_uncertain, routed(second)) == ("blue", False, {BLUE})
    assert runs(second) == dict.fromkeys((*BLUE, *GREEN), "1.0.0")
    planned = RollbackPlan.from_json({k: v for k, v in second.story(run).rollback_plan.items() if k != "digest"})
    assert planned.switch is not None
    assert (planned.live, planned.touched, planned.untouched) == ("blue", GREEN, BLUE)
    assert second.story(run).switch_back is not None


class Spoiling(MemoryDurable):
    """Puts a fault into the world before the step *at*."""

    def __init__(self, at: str, spoil: Any) -> None:
        super().__init__({})
        self._at, self._spoil = at, spoil

    def step(self, name: str, work: Any) -> Any:
        if name == self._at:
            self._spoil()
        return super().step(name, work)

    def sleep(self, name: str, seconds: float, awake: Any = lambda: False) -> None:  # noqa: ARG002 - the port's
        if name == self._at:
            self._spoil()


def test_a_failure_before_the_switch_touches_the_idle_side_alone(second: Stage) -> None:
    """A batch that fails on the idle side goes back; nothing is switched, and no proof is about what stands by untouched."""
    second.promote("1.1.0", "staging", **sides())
    second.world.faults.add(("deploy", "p3", "1.1.0"))
    run = second.promote("1.1.0", "production", **sides())
    assert run.state is State.ROLLED_BACK
    assert switches(second) == []
    assert runs(second) == {"p1": "1.0.0", "p2": "1.0.0", "p3": "1.0.0", "p4": None}
    assert second.world.running.get(("production", "p4")) is None


def test_a_switch_that_fails_both_ways(second: Stage) -> None:
    """When the way back fails as well, nobody knows which side is live: a promotion is refused, and a rollback switches for certain."""
    second.promote("1.1.0", "staging", **sides())
    second.world.faults |= {("switch", "green", "1.1.0"), ("switch", "blue", "1.1.0")}
    run = second.promote("1.1.0", "production", **sides())
    assert run.state is State.NEEDS_INTERVENTION
    assert standing(second) == BlueGreenState("blue", True, {"p1": "blue", "p2": "blue", "p3": "green", "p4": "green"})
    second.world.faults.clear()
    refused = second.promote("1.0.0", "production", **sides())
    assert second.failure(refused)["failure"]["code"] == "R211"
    assert release_history.rollback_target(second.services(), "production").version == "1.0.0"
    assert back(second, "1.0.0", **sides()).state is State.ROLLED_BACK
    assert (standing(second).live, standing(second).switch_uncertain, routed(second)) == ("blue", False, {BLUE})


def test_a_person_goes_back(second: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A rollback that a person asks for switches to the side that has the release still, and deploys nothing; and there and back again."""
    second.walk("1.1.0", **sides())
    second.world.ledger.clear()
    assert release_history.rollback_target(second.services(), "production").version == "1.0.0"
    run = back(second, "1.0.0", **sides())
    assert run.state is State.ROLLED_BACK
    assert [line for line in second.world.ledger if line.startswith("deploy")] == []
    assert (standing(second).live, routed(second)) == ("blue", {BLUE})
    plan = load_plan(second.services(), str(second.store.run(run.id).plan))
    assert "blue has it already: it is switched to first" in plan.notes
    print_plan(plan)
    assert "Step 1   deploy: not run, its hosts have shop 1.0.0" in capsys.readouterr().out


def test_a_person_goes_back_to_what_is_nowhere(second: Stage) -> None:
    """Where no side has the release any more, it is put on the idle one, proved there, and then switched to."""
    second.walk("1.1.0", **sides())
    second.walk("1.2.0", **sides())
    run = back(second, "1.0.0", **sides())
    assert run.state is State.ROLLED_BACK
    steps = done(second, run)
    assert steps.index("restore.deploy") < steps.index("verify.smoke.side") < steps.index("switch")
    assert runs(second) == {"p1": "1.2.0", "p2": "1.2.0", "p3": "1.0.0", "p4": "1.0.0"}
    assert (standing(second).live, routed(second)) == ("green", {GREEN})


def test_the_old_side_is_retired_in_the_end(second: Stage) -> None:
    """The playbook for the idle side runs when all is over; until then that side is kept, and afterwards it has nothing."""
    run = second.walk("1.1.0", **sides(retire="retire.yml"), **watch())
    assert run.state is State.SUCCEEDED
    steps = done(second, run)
    assert steps.index("verify.watch.watch.3") < steps.index("retire")
    assert runs(second) == {"p1": None, "p2": None, "p3": "1.1.0", "p4": "1.1.0"}
    assert drift.find_drift(second.services(), "production", "j.drift", lambda _entry: None).is_empty
    again = back(second, "1.0.0", **sides())
    assert again.state is State.ROLLED_BACK
    assert runs(second) == {"p1": "1.0.0", "p2": "1.0.0", "p3": "1.1.0", "p4": "1.1.0"}


def test_nothing_is_retired_where_nothing_is(stage: Stage) -> None:
    """A first release has no old side: the playbook is not run where nothing runs, nor where it was run before."""
    about = sides(retire="retire.yml")
    runs_ = [stage.walk(version, **about) for version in ("1.0.0", "1.1.0", "1.2.0")]
    assert ["retire" in done(stage, run) for run in runs_] == [False, True, True]
    assert [line.split()[1] for line in stage.world.ledger if line.startswith("retire")] == ["p1", "p2", "p3", "p4"]


def test_a_retirement_that_fails_undoes_nothing(second: Stage) -> None:
    """When the old side cannot be retired, the release stays live and verified, and a person is asked."""
    second.promote("1.1.0", "staging", **sides(retire="retire.yml"))
    second.world.faults.add(("retire", "p1", "1.1.0"))
    run = second.promote("1.1.0", "production", **sides(retire="retire.yml"))
    assert run.state is State.NEEDS_INTERVENTION
    assert second.store.verified("production")[0].release.version == "1.1.0"
    assert (standing(second).live, routed(second)) == ("green", {GREEN})


def test_an_approved_plan_knows_which_side_is_live(second: Stage) -> None:
    """A plan that was approved holds no longer once the sides were switched."""
    second.promote("1.1.0", "staging", **sides())
    package = second.packages.put(plain.release("1.1.0", **sides()))
    first = promotion(second.ctx(package, "production"))
    digest = str(second.store.run(first.id).plan)
    late = promotion(second.ctx(package, "production", approved=digest))
    assert late.state is State.FAILED
    assert "which side is live" in str(second.failure(late)["message"])


def test_a_small_environment_has_no_sides(stage: Stage) -> None:
    """Where neither side has a host, the step goes out as rolling, nothing is switched, and the plan says so."""
    stage.walk("0.9.0")
    run = stage.promote("1.0.0", "staging", **sides())
    plan = stage.plan(run)
    assert (plan.blue_green, plan.steps[0].strategy) == (None, "rolling")
    assert "no host of staging is on a side (p1:p2, p3:p4): it is deployed as rolling" in plan.notes
    assert switches(stage) == []


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"green": "nobody"}, "has no green side"),
        ({"green": "p2:p3:p4"}, "p2 would be on both sides"),
        ({"green": "p3"}, "p4 would be on neither side"),
    ],
)
def test_sides_that_do_not_fit(stage: Stage, about: dict[str, str], words: str) -> None:
    """One side without a host, a host on both, and one on neither are refused when the plan is made, with nothing done."""
    stage.walk("0.9.0")
    stage.promote("1.0.0", "staging", **sides(**about))
    run = stage.promote("1.0.0", "production", **sides(**about))
    assert run.state is State.FAILED
    assert stage.failure(run)["failure"]["code"] == "R210"
    assert words in str(stage.failure(run)["message"])


def test_a_host_that_changes_sides(second: Stage) -> None:
    """A release that counts a live host to the idle side is refused."""
    about = sides(blue="p1:p3", green="p2:p4")
    second.promote("1.1.0", "staging", **about)
    run = second.promote("1.1.0", "production", **about)
    assert second.failure(run)["failure"]["code"] == "R212"


def test_a_step_that_would_touch_the_live_side(stage: Stage) -> None:
    """A step without sides that is for hosts of one is refused."""
    steps = [{"name": "tune", "playbook": "tune.yml", "hosts": "web"}, *sides()["steps"]]
    stage.promote("1.0.0", "staging", steps=steps)
    run = stage.promote("1.0.0", "production", steps=steps)
    assert stage.failure(run)["failure"]["code"] == "R213"


def test_from_a_rolling_release_to_sides(stage: Stage) -> None:
    """The first release with sides, after one without: a failure after the switch leads to the side that still has the old one."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging", **sides())
    ctx = stage.ctx(stage.packages.put(plain.release("1.1.0", **sides())), "production")
    ctx.durable = Spoiling("verify.smoke.environment", lambda: stage.world.faults.add(("verify", "p1", "1.1.0")))
    run = promotion(ctx)
    assert run.state is State.ROLLED_BACK
    assert (standing(stage).live, routed(stage)) == ("green", {GREEN})
    assert runs(stage) == dict.fromkeys((*BLUE, *GREEN), "1.0.0")


def test_a_rehearsal_with_sides(second: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A rehearsal puts the old release on the idle side first, and then goes there, back and there again, with a switch each time."""
    second.promote("1.1.0", "staging", **sides())
    ctx = second.ctx(second.packages.put(plain.release("1.1.0", **sides())), "production", kind="rehearsal")
    run = WORKFLOWS["rehearsal"](ctx)
    assert run.state is State.SUCCEEDED
    assert switches(second) == ["green", "blue", "green"]
    steps = done(second, run)
    order = ["rehearse.level.deploy", "switch", "rehearse.back.switch.back", "rehearse.back.deploy",
             "rehearse.again.switch", "rehearse.judge"]  # fmt: skip
    assert [step for step in steps if step in order] == order
    assert run.plan is not None
    plan = load_plan(second.services(), run.plan)
    print_plan(plan)
    assert "first shop 1.0.0 on p3, p4, which are on standby with another release" in capsys.readouterr().out
    assert runs(second) == {"p1": "1.0.0", "p2": "1.0.0", "p3": "1.1.0", "p4": "1.1.0"}


def test_what_a_rehearsal_with_sides_finds(second: Stage) -> None:
    """What the release leaves behind on the idle side is found, and it goes back to the side that was live."""
    second.promote("1.1.0", "staging", **sides())
    second.world.leaves["1.1.0"] = "etc/left"
    ctx = second.ctx(second.packages.put(plain.release("1.1.0", **sides())), "production", kind="rehearsal")
    run = WORKFLOWS["rehearsal"](ctx)
    assert run.state is State.ROLLED_BACK
    assert second.failure(run)["failure"]["code"] == "R184"
    assert (standing(second).live, routed(second)) == ("blue", {BLUE})


def test_the_way_back_under_way(second: Stage) -> None:
    """While a promotion is under way, its way back has the switch once that was begun, and is the one that it goes."""
    second.promote("1.1.0", "staging", **sides())
    ctx = second.ctx(second.packages.put(plain.release("1.1.0", **sides())), "production")
    seen: list[RollbackPlan] = []

    def spoil() -> None:
        seen.append(rollback_plan.current_rollback_plan(second.services(), second.store.run(ctx.run.id)))
        second.world.faults.add(("verify", "p3", "1.1.0"))

    ctx.durable = Spoiling("verify.smoke.environment", spoil)
    run = promotion(ctx)
    assert seen[0].live == "blue"
    assert second.story(run).rollback_plan["digest"] == seen[0].digest


def test_drift_asks_each_side_for_its_own(second: Stage) -> None:
    """A side that stands by is asked for the release that was left there, and nothing else; another one is a finding."""
    second.walk("1.1.0", **sides())

    def look() -> list[str]:
        found = drift.find_drift(second.services(), "production", "j.drift", lambda _entry: None)
        return [str(item) for item in found.findings]

    assert look() == []
    second.world.running["production", "p1"] = second.packages.put(plain.release("1.1.0", **sides())).digest
    assert look() == ["p1: release shop 1.1.0 is current, and not shop 1.0.0"]


def test_a_destroyed_environment_has_no_live_side(second: Stage) -> None:
    """Once an environment is destroyed, nothing is live there."""
    ctx = second.ctx(second.packages.put(plain.release("1.0.0", **sides())), "production", kind="destroy")
    WORKFLOWS["destroy"](replace(ctx, run=ctx.run))
    assert standing(second) == BlueGreenState(None, False, {})


def test_every_crash_of_a_switch_ends_alike(tmp_path: Path) -> None:
    """Wherever the process dies, on the way forward or back, whoever takes over takes the same way, and does nothing twice."""
    about = {**sides(observe="1s", every="1s", gates=[GATE], retire="retire.yml"), **watch(gates=[GATE])}

    def once(folder: Path, bad: bool, point: tuple[str, str] | None) -> tuple[Any, ...]:
        stage = Stage(folder)
        stage.world.stacks["production"] = [*BLUE, *GREEN]
        stage.walk("1.0.0", **sides())
        stage.promote("1.1.0", "staging", **about)
        stage.world.ledger.clear()
        seen: list[str] = []
        answers: dict[str, Any] = {}

        def crash(name: str, when: str) -> None:
            seen.append(f"{name} {when}")
            if bad and name == "verify.smoke.environment" and when == "before":
                stage.world.faults.add(("verify", "p3", "1.1.0"))
            if point == (name, when) and seen.count(f"{name} {when}") == 1:
                raise Crash

        release = Release.from_json(plain.release("1.1.0", **about).model_dump(mode="json", by_alias=True))
        ctx = stage.ctx(stage.packages.put(release), "production")
        try:
            run = promotion(replace(ctx, durable=MemoryDurable(answers, crash)))
        except Crash:
            run = promotion(RunContext(services=ctx.services, durable=MemoryDurable(answers, crash), run=ctx.run))
        assert run.state is (State.ROLLED_BACK if bad else State.SUCCEEDED)
        ledger = [line for line in stage.world.ledger if ".yml" in line]
        return stage.kinds(run, "step.finished"), ledger, standing(stage), routed(stage), runs(stage), seen

    for bad in (False, True):
        whole = once(tmp_path / f"{bad}", bad, None)
        assert whole[2].live == ("blue" if bad else "green")
        names = [point.rpartition(" ")[0] for point in whole[-1] if point.endswith("before")]
        for number, name in enumerate(names):
            for when in ("before", "after"):
                again = once(tmp_path / f"{bad}{number}{when}", bad, (name, when))
                assert again[:-1] == whole[:-1], f"{name} {when}"


@pytest.mark.parametrize("here", [True, False], ids=["the idle side has it", "no side has it"])
def test_every_crash_of_a_rollback_ends_alike(tmp_path: Path, here: bool) -> None:
    """Wherever the process of a rollback dies, whoever takes over switches as it would have, and does nothing twice."""

    def once(folder: Path, point: tuple[str, str] | None) -> tuple[Any, ...]:
        stage = Stage(folder)
        stage.world.stacks["production"] = [*BLUE, *GREEN]
        for version in ("1.0.0", "1.1.0", *(() if here else ("1.2.0",))):
            stage.walk(version, **sides())
        stage.world.ledger.clear()
        seen: list[str] = []
        answers: dict[str, Any] = {}

        def crash(name: str, when: str) -> None:
            seen.append(f"{name} {when}")
            if point == (name, when) and seen.count(f"{name} {when}") == 1:
                raise Crash

        package = stage.packages.put(plain.release("1.0.0", **sides()))
        ctx = stage.ctx(package, "production", kind="rollback")
        try:
            run = going_back(replace(ctx, durable=MemoryDurable(answers, crash)))
        except Crash:
            run = going_back(RunContext(services=ctx.services, durable=MemoryDurable(answers, crash), run=ctx.run))
        assert run.state is State.ROLLED_BACK
        return stage.kinds(run, "step.finished"), list(stage.world.ledger), standing(stage), runs(stage), seen

    whole = once(tmp_path / "whole", None)
    assert (whole[2].live, whole[2].switch_uncertain) == ("blue" if here else "green", False)
    for number, point in enumerate(whole[-1]):
        name, _, when = point.rpartition(" ")
        if when != "done":
            assert once(tmp_path / f"{number}", (name, when))[:-1] == whole[:-1], point


def test_there_is_one_switch_after_the_last_step(second: Stage) -> None:
    """Several steps with sides go to the idle side one after the other, and then it is switched, once."""
    first = {**sides()["steps"][0], "name": "config", "playbook": "config.yml"}
    run = second.walk("1.1.0", steps=[first, *sides()["steps"]])
    steps = [step for step in done(second, run) if step.startswith(("config", "deploy", "switch"))]
    assert steps == ["config.1", "config.2", "deploy.1", "deploy.2", "switch"]
    assert {line.split("/")[-1] for line in second.world.ledger if line.startswith(("config", "deploy"))} >= set(GREEN)
    assert not any(
        line.endswith(("/p1", "/p2")) for line in second.world.ledger if line.startswith(("config", "deploy"))
    )


def test_a_router_of_its_own(stage: Stage) -> None:
    """With a router, the switch runs there alone; that host is on no side, and is proved with the side that is live."""
    stage.world.stacks["production"] = [*BLUE, *GREEN, "lb"]
    about = {"steps": [{**sides(router="lb")["steps"][0], "hosts": "p1:p2:p3:p4"},
                       {"name": "tune", "playbook": "tune.yml", "hosts": "lb"}]}  # fmt: skip
    ctx = stage.ctx(stage.packages.put(plain.release("1.0.0", environments=["production"], **about)), "production")
    environment, folder = ctx.services.environments["production"]
    alone = {"production": (environment.model_copy(update={"after": None}), folder)}
    run = promotion(replace(ctx, services=replace(ctx.services, environments=alone)))
    assert run.state is State.SUCCEEDED
    assert stage.world.routed == {("production", "lb"): BLUE}
    assert [line for line in stage.world.ledger if line.startswith("switch")] == ["switch.yml blue production/lb"]
    assert runs(stage)["lb"] == "1.0.0"


def test_hosts_that_are_left_out_are_not_led_to(second: Stage) -> None:
    """A host of the idle side whose failure is tolerated is left out of the switch as well."""
    about = sides()
    about["steps"][0]["rollout"]["max_failures"] = 1
    second.promote("1.1.0", "staging", **about)
    second.world.faults.add(("deploy", "p4", "1.1.0"))
    run = second.promote("1.1.0", "production", **about)
    assert run.state is State.SUCCEEDED
    assert routed(second) == {("p3",)}


def test_a_new_host_on_each_side(second: Stage) -> None:
    """Hosts that come to the sides are deployed to on the idle one, and stand by with nothing on the other."""
    second.world.stacks["production"] = [*BLUE, *GREEN, "p5", "p6"]
    run = second.walk("1.1.0", **sides(blue="p1:p2:p5", green="p3:p4:p6"))
    assert run.state is State.SUCCEEDED
    assert routed(second) == {("p3", "p4", "p6")}
    assert runs(second) == {**dict.fromkeys(BLUE, "1.0.0"), **dict.fromkeys((*GREEN, "p6"), "1.1.0"), "p5": None}
    assert back(second, "1.0.0", **sides(blue="p1:p2:p5", green="p3:p4:p6")).state is State.ROLLED_BACK
    assert routed(second) == {("p1", "p2", "p5")}
    assert runs(second)["p5"] == "1.0.0"


def test_from_sides_to_a_rolling_release_and_back(second: Stage) -> None:
    """A release without sides goes to every host; the one with sides before it comes back to the side that is not live."""
    second.walk("1.1.0", **sides())
    run = second.walk("2.0.0")
    assert run.state is State.SUCCEEDED
    assert set(runs(second).values()) == {"2.0.0"}
    assert back(second, "1.1.0", **sides()).state is State.ROLLED_BACK
    assert (standing(second).live, routed(second)) == ("blue", {BLUE})
    assert runs(second) == {**dict.fromkeys(BLUE, "1.1.0"), **dict.fromkeys(GREEN, "2.0.0")}


@pytest.mark.parametrize("host", ["p1", "p3"])
def test_a_rolling_release_that_fails_leaves_the_sides(second: Stage, host: str) -> None:
    """A release without sides that fails puts the touched hosts back, and which side is live, and what stands by, stays."""
    second.walk("1.1.0", **sides())
    second.promote("2.0.0", "staging")
    second.world.faults.add(("deploy", host, "2.0.0"))
    run = second.promote("2.0.0", "production")
    assert run.state is State.ROLLED_BACK
    assert (standing(second).live, routed(second)) == ("green", {GREEN})
    assert runs(second) == {"p1": "1.1.0", "p2": "1.0.0" if host == "p1" else "1.1.0", "p3": "1.1.0", "p4": "1.1.0"}


def test_made_for_one_promotion_only(stage: Stage) -> None:
    """In an environment that is made for each promotion the first side is live, and once all is destroyed none is."""
    stage.world.stacks["staging"] = [*BLUE, *GREEN]
    stage.ephemeral = {"ttl": "1h"}
    for version in ("1.0.0", "1.1.0"):
        run = stage.promote(version, "staging", **sides())
        assert run.state is State.SUCCEEDED
        assert stage.story(run).switched[0]["live"] == "blue"
        assert BlueGreenState.of(stage.store.hosts("staging")) == BlueGreenState(None, False, {})


def test_a_persons_word_on_which_side_is_live(second: Stage) -> None:
    """After a switch that failed both ways a person can say which side is live; where there are no sides that is refused."""
    second.promote("1.1.0", "staging", **sides())
    second.world.faults |= {("switch", "green", "1.1.0"), ("switch", "blue", "1.1.0")}
    second.promote("1.1.0", "production", **sides())

    def say(environment: str) -> Run:
        package = second.packages.put(plain.release("1.0.0", **sides()))
        ctx = second.ctx(package, environment, kind="override")
        about = {"parameters": {"live": "green", "why": "I looked"}}
        second.store.append(ctx.run.id, [Entry(kind="requested", data=about)])
        return WORKFLOWS["override"](ctx)

    assert say("production").state is State.SUCCEEDED
    assert (standing(second).live, standing(second).switch_uncertain) == ("green", False)
    assert second.failure(say("staging"))["failure"]["code"] == "R214"


def test_a_plan_lists_the_plays_that_switch_and_retire(second: Stage) -> None:
    """A plan lists the plays of the playbooks that switch and retire, with their hosts; where nothing is switched, none."""
    about = sides(retire="retire.yml", router="p1")
    made = make.make(second.services(), _wanted(second, "1.1.0", "promote", **about), "p", lambda _entry: None)
    assert made.blue_green is not None
    assert [(play.where, play.on) for play in made.blue_green.switch_plays] == [("switch.yml:1", ("p1",))]
    assert [(play.where, play.on) for play in made.blue_green.retire_plays] == [("retire.yml:1", BLUE)]
    back = make.make(second.services(), _wanted(second, "1.0.0", "rollback", **sides()), "q", lambda _entry: None)
    assert back.blue_green is not None
    assert (back.blue_green.to, back.blue_green.switch_plays) == (None, ())


@pytest.mark.parametrize("switched", [True, False])
def test_the_plan_of_a_way_back_lists_its_plays(second: Stage, switched: bool) -> None:
    """The plan of an automatic rollback lists the plays of the switch back, if it switches, and of the steps that restore."""
    about = {**sides(router="p1"), **watch(gates=[GATE])}
    second.promote("1.1.0", "staging", **about)
    second.world.faults.add(("gate", "errors", "1.1.0") if switched else ("verify", "p3", "1.1.0"))
    run = second.promote("1.1.0", "production", **about)
    (data,) = [record.data for record in second.store.records(run.id) if record.kind == "rollback plan"]
    plan = RollbackPlan.from_json({key: value for key, value in data.items() if key != "digest"})
    assert set(plan.restore_plays) == {play.step for play in plan.restore} == {"deploy"}
    assert {play.on for play in plan.restore_plays["deploy"]} == {plan.restore[0].limit}
    assert [(play.where, play.on) for play in plan.switch_plays] == ([("switch.yml:1", ("p1",))] if switched else [])
    assert "    play deploy (deploy.yml:1): web → p3" in "\n".join(
        f"  {line}" for line in rollback_lines(data, words.listed_plays)
    )


def _wanted(stage: Stage, version: str, action: PlanAction, **about: Any) -> PlanRequest:
    package = stage.packages.put(plain.release(version, **about))
    if action == "promote":
        stage.promote(version, "staging", **about)
    return PlanRequest(package, "production", action)
