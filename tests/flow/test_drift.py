"""What has changed in an environment since its last release, on the world in memory; and the gate that asks for it."""

import dataclasses
import functools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.provisioner import MemoryProvisioner
from orchestrator.adapters.memory.verifier import MemoryVerifier
from orchestrator.domain.drift import Drift
from orchestrator.domain.errors import JobLost, OrchestratorError
from orchestrator.domain.journal import Entry
from orchestrator.domain.promotion import State
from orchestrator.flow import promotion
from orchestrator.inspect import drift
from orchestrator.inspect.release_history import last_verified
from orchestrator.services import NullFindings
from tests.flow.test_promotion import Stage, release

PLACE = "production"


@dataclasses.dataclass
class KeepingFindings(NullFindings):
    """`Findings` in memory."""

    drifts: list[Drift] = dataclasses.field(default_factory=list)

    def of(self, by: str, run: str) -> "KeepingFindings":  # noqa: ARG002 - the port's
        return self

    def found_drift(self, found: Drift) -> None:
        self.drifts.append(found)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path)
    made.walk("1.0.0")
    return made


def look(stage: Stage) -> Drift:
    return drift.find_drift(stage.services(), PLACE, "drift-1", lambda _entry: None)


def gated(stage: Stage) -> None:
    """Let production ask for the gate."""
    stage.rules[PLACE] = {"require": {"no_drift": True}}


def test_nothing_has_changed(stage: Stage) -> None:
    """Right after a promotion nothing has changed, everything was asked, and nothing is done by asking."""
    ledger, records = list(stage.world.ledger), len(stage.store.runs())
    found = look(stage)
    assert (found.is_empty, found.findings, found.unknown) == (True, (), ())
    assert found.release.version == "1.0.0"
    assert (stage.world.ledger, len(stage.store.runs())) == (ledger, records)


def test_each_thing_is_named(stage: Stage) -> None:
    """A resource that was edited, a file beside the release's own, another release on a host, and the test that fails for it are each named."""
    other = stage.packages.put(release("0.9.0"))
    stage.world.edited.add("p1")
    stage.world.running[PLACE, "p2"] = other.digest
    mark = last_verified(stage.services(), PLACE)
    assert mark is not None
    stage.world.files[PLACE, "p3"] = {f"releases/{mark.release.digest[7:19]}/more": "text"}
    found = look(stage)
    assert sorted(map(str, found.findings)) == [
        "p2: release shop 0.9.0 is current, and not shop 1.0.0",
        "p2: test serves of the suite smoke fails",
        "p3: file current/more was added",
        "resource host p1 is another in size",
    ]


def test_another_stack_is_named(stage: Stage) -> None:
    """A stack that was updated by another definition is compared with the definition of the release: what that one would change is named."""
    stage.world.up[PLACE] = ["p1", "p2"]
    found = look(stage)
    assert [(item.part, item.name, item.what) for item in found.findings] == [
        ("resource", "memory:host p3", "is missing"),
        ("host", "p3", "no longer exists"),
    ]


def test_what_could_not_be_asked_is_unknown(stage: Stage) -> None:
    """A host that is away is unknown and not a change, and nobody says that nothing has changed."""
    stage.world.gone.add("p2")
    found = look(stage)
    assert (found.is_empty, found.findings) == (False, ())
    assert found.unknown[0] == "p2: unreachable"


@pytest.mark.parametrize(("times", "unknown"), [(2, ()), (3, ("the hosts: killed", "the stack: killed"))])
def test_what_died_while_it_read_is_asked_again(stage: Stage, times: int, unknown: tuple[str, ...]) -> None:
    """A refresh, a look at the hosts, a check and a suite that die before they can answer are asked again; what dies three times is unknown."""
    services, died = stage.services(), Counter[str]()

    def dying(port: object, *verbs: str) -> Any:
        """*port*, each of whose *verbs* dies for so many times."""

        def ask(verb: str, *args: Any) -> Any:
            died[verb] += 1
            if died[verb] <= times:
                raise JobLost("E111", "killed")
            return getattr(type(port), verb)(port, *args)

        for verb in verbs:
            setattr(port, verb, functools.partial(ask, verb))
        return port

    asked = dataclasses.replace(
        services,
        provisioner=dying(MemoryProvisioner(stage.world), "drifted"),
        deployer=dying(MemoryDeployer(stage.world), "snapshot", "check"),
        verifier=dying(MemoryVerifier(stage.world), "verify"),
    )
    found = drift.find_drift(asked, PLACE, "drift-1", lambda _entry: None)
    assert (found.findings, tuple(sorted(found.unknown))) == ((), unknown)
    assert died["drifted"] == died["snapshot"] == 3


def test_a_run_at_work_is_told(stage: Stage) -> None:
    """While a run holds the environment nobody says that nothing has changed; a person's lock is no such thing."""
    stage.store.acquire(PLACE, "lock:abc", "ann", "tea")
    assert look(stage).is_empty
    stage.store.release(PLACE, "lock:abc")
    stage.store.acquire(PLACE, "r9-production", "ann", "promotion")
    found = look(stage)
    assert (found.is_empty, found.findings) == (False, ())
    assert "r9-production is changing it" in found.unknown[0]


def test_without_a_release_there_is_nothing_to_compare(tmp_path: Path) -> None:
    """An environment in which no release was verified yet is refused by name."""
    with pytest.raises(OrchestratorError, match="no release has been verified in production") as caught:
        look(Stage(tmp_path))
    assert caught.value.code == "R180"


def test_the_gate(stage: Stage) -> None:
    """With the gate a promotion into an environment that has drifted is refused before any effect, naming what; the release that is there may come again and puts it right."""
    gated(stage)
    stage.promote("1.1.0", "staging")
    stage.world.running[PLACE, "p2"] = stage.packages.put(release("0.9.0")).digest
    ledger = list(stage.world.ledger)
    run = stage.promote("1.1.0", PLACE)
    ended = stage.failure(run)
    assert (run.state, ended["exit"], ended["failure"]["code"]) == (State.FAILED, 3, "R181")
    assert "p2: release shop 0.9.0 is current" in str(ended["message"])
    assert stage.world.ledger == ledger
    assert stage.promote("1.0.0", PLACE).state is State.SUCCEEDED
    assert stage.promote("1.1.0", PLACE).state is State.SUCCEEDED


def test_unknown_shuts_the_gate(stage: Stage) -> None:
    """A host that cannot be asked shuts the gate as well."""
    gated(stage)
    stage.promote("1.1.0", "staging", steps=[{"name": "deploy", "playbook": "d.yml", "rollout": {"max_failures": 1}}])
    stage.world.gone.add("p2")
    steps = [{"name": "deploy", "playbook": "d.yml", "rollout": {"max_failures": 1}}]
    run = stage.promote("1.1.0", PLACE, steps=steps)
    assert stage.failure(run)["failure"]["code"] == "R181"


def test_without_the_gate_nobody_asks(stage: Stage) -> None:
    """Without the gate a drifted environment takes the next release as it always did."""
    stage.promote("1.1.0", "staging")
    stage.world.running[PLACE, "p2"] = stage.packages.put(release("0.9.0")).digest
    assert stage.promote("1.1.0", PLACE).state is State.SUCCEEDED


def test_a_plan_reports_the_drift_that_it_finds(stage: Stage) -> None:
    """What a plan finds for `no_drift` is reported for release management, as what `drift` finds is."""
    gated(stage)
    stage.promote("1.1.0", "staging")
    stage.world.edited.add("p1")
    kept = KeepingFindings()
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), PLACE)
    ctx.services = dataclasses.replace(ctx.services, findings=kept)
    assert promotion(ctx).state is State.FAILED
    assert [str(found.findings[0]) for found in kept.drifts] == ["resource host p1 is another in size"]


@pytest.mark.parametrize(("state", "changing"), [(None, False), ("planning", False), ("deploying", True)])
def test_an_environment_is_changed_by_a_run_that_has_begun(stage: Stage, state: str | None, changing: bool) -> None:
    """A run changes its environment from its first effect on, and not while it only plans."""
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), PLACE)
    if state is not None:
        ctx.enter()
        ctx.note(Entry(kind="state", data={"from": "requested", "event": "plan", "to": state}, key="state:9"))
    assert drift.is_changing(stage.store, PLACE) is changing
