"""Two stacks of one program as the sides of an environment, on the world in memory."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.journal import Entry, Kind, Run
from orchestrator.domain.plan import NOTHING, Acknowledgements
from orchestrator.domain.promotion import State
from orchestrator.domain.sides import joined
from orchestrator.domain.step import Outcome
from orchestrator.flow import WORKFLOWS, going_back, promotion
from orchestrator.flow.run_context import RunContext
from orchestrator.inspect import drift, release_history
from orchestrator.inspect.blue_green import BlueGreenState
from orchestrator.inspect.stacks import inventory_of, outputs_of
from tests.flow import test_promotion as plain
from tests.flow.test_blue_green import Spoiling
from tests.flow.test_strategies import Stage

STACKS = {"blue": "prod-blue", "green": "prod-green"}
BLUE, GREEN = ("prod-blue-a", "prod-blue-b"), ("prod-green-a", "prod-green-b")


def sides(**more: Any) -> dict[str, Any]:
    about = {"blue": "blue", "green": "green", "switch": "switch.yml", **more}
    rollout = {"strategy": "blue_green", "blue_green": about}
    return {"steps": [{"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "rollout": rollout}]}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Production has two stacks, of two hosts each, and neither is there yet."""
    made = Stage(tmp_path)
    made.world.stacks["production"] = ["a", "b"]
    made.world.sided = set(STACKS.values())
    made.rules["production"] = {"sides": STACKS}
    return made


@pytest.fixture
def second(stage: Stage) -> Stage:
    """1.0.0 is live on blue; there is no green stack."""
    assert stage.walk("1.0.0", **sides()).state is State.SUCCEEDED
    stage.world.ledger.clear()
    return stage


def standing(stage: Stage) -> BlueGreenState:
    return BlueGreenState.of(stage.store.hosts("production"))


def runs(stage: Stage) -> dict[str, str | None]:
    return {state.host: state.release.version if state.release else None for state in stage.store.hosts("production")}


def ups(stage: Stage) -> list[str]:
    return [line for line in stage.world.ledger if line.startswith(("up prod", "destroy prod"))]


def routed(stage: Stage) -> set[tuple[str, ...]]:
    return {hosts for (where, _), hosts in stage.world.routed.items() if where == "production"}


def back(stage: Stage, version: str, **more: Any) -> Run:
    package = stage.packages.put(plain.release(version, **more))
    return going_back(stage.ctx(package, "production", kind="rollback"))


def test_a_release_updates_the_stack_that_is_not_live(second: Stage) -> None:
    """The first release makes the blue stack, the next one the green one; the stack that is live is not touched."""
    assert (standing(second).live, routed(second)) == ("blue", {BLUE})
    assert set(runs(second)) == set(BLUE)
    run = second.walk("1.1.0", **sides())
    assert run.state is State.SUCCEEDED
    assert ups(second) == ["up prod-green"]
    assert (standing(second).live, routed(second)) == ("green", {GREEN})
    assert runs(second) == {**dict.fromkeys(BLUE, "1.0.0"), **dict.fromkeys(GREEN, "1.1.0")}
    inventory = inventory_of(second.services(), "production", outputs_of(second.services(), "production"))
    assert {name: group.hosts for name, group in inventory.groups.items()} == {
        "web": (*BLUE, *GREEN), "blue": BLUE, "green": GREEN,
    }  # fmt: skip
    assert release_history.rollback_target(second.services(), "production").version == "1.0.0"


def test_a_changed_program_changes_one_stack(second: Stage) -> None:
    """A change of the program comes to the stack that the release goes to; the other one stays as it was, and drift says nothing of it."""
    second.walk("1.1.0", **sides())
    second.world.stacks["production"] = ["a", "b", "c"]
    second.world.ledger.clear()
    run = second.walk("1.2.0", **sides())
    assert run.state is State.SUCCEEDED
    assert ups(second) == ["up prod-blue"]
    assert routed(second) == {(*BLUE, "prod-blue-c")}
    assert drift.find_drift(second.services(), "production", "j.drift", lambda _entry: None).is_empty
    second.world.edited.add("prod-green-a")
    found = drift.find_drift(second.services(), "production", "j.drift", lambda _entry: None).findings
    assert [finding.name for finding in found] == ["host prod-green-a"]


@pytest.mark.parametrize("at", ["switch", "verify.smoke.environment"])
def test_a_failure_leaves_the_live_stack_alone(second: Stage, at: str) -> None:
    """After a failure it is switched back, and the other stack goes back to the definition and the release that were verified."""
    second.walk("1.1.0", **sides())
    second.world.stacks["production"] = ["a", "b", "c"]
    second.promote("1.2.0", "staging", **sides())
    second.world.ledger.clear()
    ctx = second.ctx(second.packages.put(plain.release("1.2.0", **sides())), "production")
    fault = ("switch", "blue", "1.2.0") if at == "switch" else ("verify", BLUE[0], "1.2.0")
    ctx.durable = Spoiling(at, lambda: second.world.faults.add(fault))
    run = promotion(ctx)
    assert run.state is State.ROLLED_BACK
    assert (standing(second).live, standing(second).switch_uncertain, routed(second)) == ("green", False, {GREEN})
    assert ups(second) == ["up prod-blue", "up prod-blue"]
    assert runs(second) == dict.fromkeys((*BLUE, *GREEN), "1.1.0")


def test_a_person_goes_back(second: Stage) -> None:
    """A rollback that a person asks for switches, and touches neither stack."""
    second.walk("1.1.0", **sides())
    second.world.ledger.clear()
    run = back(second, "1.0.0", **sides())
    assert run.state is State.ROLLED_BACK
    assert ups(second) == []
    assert [line for line in second.world.ledger if line.startswith("deploy")] == []
    assert (standing(second).live, routed(second)) == ("blue", {BLUE})


def test_what_turns_out_not_to_fit(second: Stage) -> None:
    """Sides that turn out not to be those of the stacks, once the second one is made, are rolled back; nothing is switched."""
    second.promote("2.0.1", "staging", **sides(blue="green", green="blue"))
    run = second.promote("2.0.1", "production", **sides(blue="green", green="blue"))
    assert run.state is State.ROLLED_BACK
    assert second.failure(run)["failure"]["code"] == "E152"
    assert (standing(second).live, routed(second)) == ("blue", {BLUE})


def test_what_does_not_fit(second: Stage) -> None:
    """A release without sides, and sides that are not those of the stacks, are refused with nothing done."""
    second.walk("1.1.0", **sides())
    for version, about, code in (("2.0.0", {}, "R215"), ("2.0.1", sides(blue="green", green="blue"), "E152")):
        second.promote(version, "staging", **about)
        second.world.ledger.clear()
        run = second.promote(version, "production", **about)
        assert run.state is State.FAILED
        assert second.failure(run)["failure"]["code"] == code
        assert second.world.ledger == []


def test_both_stacks_are_the_environment(second: Stage) -> None:
    """`environment up` and `environment destroy` are about both; once all is destroyed, nothing is live."""
    both: tuple[tuple[Kind, str], ...] = (("provision", "up"), ("destroy", "destroy"))
    for kind, words in both:
        run = Run(id=f"{kind}-production", root=kind, kind=kind, environment="production")
        second.store.create(run)
        second.store.append(run.id, [Entry(kind="requested", data={"parameters": {}}, key="requested")])
        ctx = second.ctx(second.packages.put(plain.release("1.0.0", **sides())), "production", kind=kind)
        second.world.ledger.clear()
        assert WORKFLOWS[kind](ctx).state is State.SUCCEEDED
        assert ups(second) == [f"{words} prod-blue", f"{words} prod-green"]
    assert standing(second).live is None


@pytest.mark.parametrize(("kind", "code"), [("provision", "R230"), ("destroy", "R231")])
def test_what_either_would_lose_is_named_before_one_is_changed(second: Stage, kind: Kind, code: str) -> None:
    """Where the second of two stacks would lose something stateful, the first is not changed either, until that is named."""
    second.walk("1.1.0", **sides())
    second.stateful = [{"name": "prod-green-b"}]
    second.world.stacks["production"] = ["a"]
    second.world.ledger.clear()
    for number, named in enumerate(
        (NOTHING, Acknowledgements(replace=("prod-blue-b",)), Acknowledgements(replace=("prod-green-b",)))
    ):
        run = Run(id=f"{kind}{number}-production", root=f"{kind}{number}", kind=kind, environment="production")
        second.store.create(run)
        ctx = RunContext(second.services(), MemoryDurable({}), run, acknowledgements=named)
        ended = WORKFLOWS[kind](ctx)
        if number < 2:
            assert (ended.state, second.failure(ended)["failure"]["code"]) == (State.FAILED, code)
            assert ups(second) == []
    assert ended.state is State.SUCCEEDED
    verb = "up" if kind == "provision" else "destroy"
    assert ups(second) == [f"{verb} prod-blue", f"{verb} prod-green"]


def test_a_rehearsal_leaves_the_stack_where_it_is(second: Stage) -> None:
    """A release that comes with another definition is rehearsed on the side's hosts; its stack is not walked back, and that is said."""
    second.walk("1.1.0", **sides())
    second.world.stacks["production"] = ["a", "b", "c"]
    second.promote("1.2.0", "staging", **sides())
    second.world.ledger.clear()
    package = second.packages.put(plain.release("1.2.0", **sides()))
    run = WORKFLOWS["rehearsal"](second.ctx(package, "production", kind="rehearsal"))
    assert run.state is State.SUCCEEDED, run.message
    assert ups(second) == ["up prod-blue"]
    spared = second.story(run).steps["rehearse.stack.back"].result
    assert spared is not None
    assert spared.outcome is Outcome.SKIPPED
    assert "one of two sides" in spared.message
    assert routed(second) == {(*BLUE, "prod-blue-c")}
    assert runs(second) == {**dict.fromkeys((*BLUE, "prod-blue-c"), "1.2.0"), **dict.fromkeys(GREEN, "1.1.0")}


def test_one_name_is_one_host() -> None:
    """Hosts of one name in both stacks, and groups with other variables in each, cannot be one inventory; variables of all become those of the side."""
    one = Inventory(hosts={"a": {}}, groups={"web": Group(hosts=("a",)), "all": Group(vars={"tax": 7})})
    other = Inventory(hosts={"b": {}}, groups={"web": Group(hosts=("b",)), "all": Group(vars={"tax": 8})})
    found = joined({"blue": one, "green": other})
    assert (found.groups["blue"].vars, found.groups["green"].vars, found.groups["web"].hosts) == (
        {"tax": 7}, {"tax": 8}, ("a", "b"),
    )  # fmt: skip
    strange = other.model_copy(update={"groups": {"web": Group(hosts=("b",), vars={"x": 1})}})
    for wrong, code in ((one, "E150"), (strange, "E151")):
        with pytest.raises(OrchestratorError) as raised:
            joined({"blue": one, "green": wrong})
        assert raised.value.code == code


def test_every_crash_ends_alike(tmp_path: Path) -> None:
    """Wherever the process dies, whoever takes over updates the same stack, and switches to the same side."""
    from dataclasses import replace

    from orchestrator.flow.run_context import RunContext
    from tests.flow.test_strategies import Crash

    def once(folder: Path, point: tuple[str, str] | None) -> tuple[Any, ...]:
        made = Stage(folder)
        made.world.stacks["production"], made.world.sided = ["a", "b"], set(STACKS.values())
        made.rules["production"] = {"sides": STACKS}
        made.walk("1.0.0", **sides())
        made.promote("1.1.0", "staging", **sides())
        made.world.ledger.clear()
        seen: list[str] = []
        answers: dict[str, Any] = {}

        def crash(name: str, when: str) -> None:
            seen.append(f"{name} {when}")
            if name == "verify.smoke.environment" and when == "before":
                made.world.faults.add(("verify", GREEN[0], "1.1.0"))
            if point == (name, when) and seen.count(f"{name} {when}") == 1:
                raise Crash

        ctx = made.ctx(made.packages.put(plain.release("1.1.0", **sides())), "production")
        try:
            run = promotion(replace(ctx, durable=MemoryDurable(answers, crash)))
        except Crash:
            run = promotion(RunContext(services=made.services(), durable=MemoryDurable(answers, crash), run=ctx.run))
        return run.state, made.kinds(run, "step.finished"), list(made.world.ledger), standing(made), runs(made), seen

    whole = once(tmp_path / "whole", None)
    assert (whole[0], whole[3].live) == (State.ROLLED_BACK, "blue")
    for number, point in enumerate(whole[-1]):
        name, _, when = point.rpartition(" ")
        if when != "done":
            assert once(tmp_path / f"{number}", (name, when))[:-1] == whole[:-1], point
