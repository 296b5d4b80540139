"""Plans and update plans are verified immediately before they are used: whatever was changed since is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.domain.authentication import FIELD
from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Run
from orchestrator.domain.model import digest_of
from orchestrator.domain.plan import Acknowledgements, Plan, StackPreview, StackSpec
from orchestrator.domain.promotion import State
from orchestrator.domain.release import Package
from orchestrator.domain.step import StepResult
from orchestrator.domain.wave_plan import PlannedEnvironment, WavePlan
from orchestrator.domain.waves import Waves
from orchestrator.flow import promotion
from orchestrator.planning import make, plan_store
from orchestrator.planning.survey import PlanRequest
from orchestrator.ports import DEFAULTS, SavedPlan
from tests.flow.test_promotion import Stage, release


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return losing(tmp_path)


def losing(folder: Path) -> Stage:
    """Production runs 1.0.0 on four hosts, and its program now wants one of them gone: the stateful one."""
    made = Stage(folder, stateful=[{"type": "memory:host", "name": "p4"}])
    made.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    made.walk("1.0.0")
    made.world.stacks["production"] = ["p1", "p2", "p3", "p5"]
    made.promote("1.1.0", "staging")
    return made


def planned(stage: Stage, named: Acknowledgements = Acknowledgements()) -> tuple[Package, Path]:  # noqa: B008 - frozen
    package = stage.packages.put(release("1.1.0"))
    wanted = PlanRequest(package, "production", named=named)
    made = make.make(stage.services(), wanted, f"p{stage.count}", lambda _entry: None)
    return package, plan_store.save(stage.services(), made)


def execute(stage: Stage, package: Package, file: Path) -> State | str:
    """Execute the plan in *file* as `promote --plan FILE` does: the state of the run, or the code of the refusal."""
    try:
        approved = plan_store.read_plan(stage.services(), file)
        plan_store.save(stage.services(), approved)
    except OrchestratorError as error:
        return error.code
    run = promotion(stage.ctx(package, "production", approved=approved.digest))
    return run.state if run.state is State.SUCCEEDED else code_of(stage, run)


def code_of(stage: Stage, run: Run) -> str:
    """The code with which the last step of *run* failed."""
    finished = [record.data for record in stage.store.records(run.id) if record.kind == "step.finished"]
    return str(finished[-1]["data"].get("code"))


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value in a document, of leaves and of what holds others."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield (*at, key)
        yield from places(below, (*at, key))


def changes(document: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    """*document* as text with one value replaced, removed or doubled, for each of its values; and what was changed."""
    for path in places(document):
        for how in ("replace", "remove", "add"):
            copy = json.loads(json.dumps(document))
            holder = copy
            for key in path[:-1]:
                holder = holder[key]
            value = holder[path[-1]]
            if how == "replace":
                holder[path[-1]] = (
                    not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else "x"
                )
            elif how == "remove":
                del holder[path[-1]]
            elif isinstance(value, dict):
                value["another"] = 1
            elif isinstance(value, list):
                value.append(value[0] if value else "x")
            else:
                continue
            if copy != document:
                yield path, json.dumps(copy)


def resigned(text: str) -> str:
    """The document with the digest and the code that its content has: what somebody with the project key could write."""
    data = json.loads(text)
    plain = {name: value for name, value in data.items() if name not in {"digest", FIELD}}
    document = Plan.from_json(plain).document()
    return json.dumps(MemoryKeys().authenticate(document))


def test_the_untouched_plan_is_executed(stage: Stage) -> None:
    """The plan itself, with its loss agreed to by name, is executed from its file."""
    package, file = planned(stage, Acknowledgements(replace=("p4",)))
    assert execute(stage, package, file) is State.SUCCEEDED
    assert stage.world.up["production"] == ["p1", "p2", "p3", "p5"]


def test_any_change_of_a_plan_file_is_refused(stage: Stage, tmp_path: Path) -> None:
    """A plan file in which any value was replaced, removed or added is refused before anything is planned."""
    package, file = planned(stage, Acknowledgements(replace=("p4",)))
    copy, accepted, tried = tmp_path / "copy.json", [], 0
    for path, text in changes(json.loads(file.read_text())):
        copy.write_text(text)
        tried += 1
        if execute(stage, package, copy) not in {"R121", "R122", "R240", "R241", "R242"}:
            accepted.append(path)
    assert accepted == []
    assert tried > 200


def test_any_change_of_a_wave_plan_file_is_refused(stage: Stage, tmp_path: Path) -> None:
    """The same holds of the plan over several environments, down to the plans in it."""
    package, file = planned(stage)
    plan = plan_store.read_plan(stage.services(), file)
    assert isinstance(plan, Plan)
    made = WavePlan(
        project="demo",
        release=package.ref,
        rollout=Waves.from_json({"name": "all", "environments": [["staging"], ["production"]]}),
        waves=(
            (PlannedEnvironment(environment="staging"),),
            (PlannedEnvironment(environment="production", digest=plan.digest, plan=plan),),
        ),
        created_at="2026-01-01T00:00:00Z",
    )
    document = plan_store.document(stage.services(), made)
    copy, accepted = tmp_path / "copy.json", []
    copy.write_text(json.dumps(document))
    assert plan_store.read_plan(stage.services(), copy) == made
    for path, text in changes(document):
        copy.write_text(text)
        try:
            plan_store.read_plan(stage.services(), copy)
            accepted.append(path)
        except OrchestratorError:
            continue
    assert accepted == []


def test_what_a_plan_states_of_the_stack_is_never_believed(stage: Stage, tmp_path: Path) -> None:
    """Operations, losses and hosts that differ from the saved update plan are refused, also with a valid digest and code."""
    package, file = planned(stage, Acknowledgements(replace=("p4",)))
    document = json.loads(file.read_text())
    stated = {name: document.pop(name) for name in ("stack", "losses")}
    before, copy, accepted, tried = list(stage.world.ledger), tmp_path / "copy.json", [], 0
    for path, text in changes(stated):
        try:
            copy.write_text(resigned(json.dumps({**document, **json.loads(text)})))
        except ValueError:  # no plan at all
            continue
        if json.loads(copy.read_text())["stack"] == stated["stack"] and path[0] == "stack":
            continue  # a default that was left out
        tried += 1
        if execute(stage, package, copy) not in {"E140", "E162", "E163", "E164", "R120"}:
            accepted.append(path)
    assert accepted == []
    assert tried > 15
    assert stage.world.ledger == before


def test_a_loss_that_was_taken_out_of_the_document_still_needs_its_name(stage: Stage, tmp_path: Path) -> None:
    """A document in which a deletion became an update and the loss was taken out does not delete anything."""
    package, file = planned(stage)
    document = json.loads(file.read_text())
    assert [loss["name"] for loss in document["losses"]] == ["p4"]
    for change in document["stack"]["changes"]:
        change["op"] = "update" if change["name"] == "p4" else change["op"]
    document["stack"]["counts"] = {"update": 1, "create": 1, "same": 3}
    document["losses"], document["notes"] = [], []
    copy = tmp_path / "copy.json"
    copy.write_text(resigned(json.dumps(document)))
    assert execute(stage, package, copy) == "E164"
    assert "p4" in stage.world.up["production"]


def test_a_plan_of_an_older_version_counts_no_more_as_a_file(stage: Stage) -> None:
    """A plan without a code is refused when an operator gives it, and found by a run whose journal has its digest."""
    _, file = planned(stage)
    document = json.loads(file.read_text())
    del document[FIELD]
    file.write_text(json.dumps(document))
    with pytest.raises(OrchestratorError) as refused:
        plan_store.read_plan(stage.services(), file)
    assert refused.value.code == "R240"
    with pytest.raises(OrchestratorError) as refused:
        plan_store.load_any(stage.services(), document["digest"])
    assert refused.value.code == "R240"
    assert plan_store.load_plan(stage.services(), document["digest"]).digest == document["digest"]


def test_any_change_of_the_saved_update_plan_is_refused(stage: Stage) -> None:
    """The file to which the update is constrained is the one that was planned with, byte for byte, or nothing is done."""
    package, file = planned(stage, Acknowledgements(replace=("p4",)))
    plan = plan_store.read_plan(stage.services(), file)
    assert isinstance(plan, Plan)
    assert plan.stack is not None
    saved = plan_store.saved_plan(stage.services(), plan.stack).file
    data, before = saved.read_bytes(), list(stage.world.ledger)
    for changed in [*(text.encode() for _, text in changes(json.loads(data))), data + b" ", b""]:
        saved.unlink()
        saved.write_bytes(changed)
        assert execute(stage, package, file) == "E163"
    saved.unlink()
    assert execute(stage, package, file) == "E162"
    assert stage.world.ledger == before
    saved.write_bytes(data)
    assert execute(stage, package, file) is State.SUCCEEDED


def test_the_update_plan_is_verified_again_immediately_before_the_update(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update plan that is replaced between the plan and the update of one run changes nothing."""
    package, file = planned(stage, Acknowledgements(replace=("p4",)))
    plan = plan_store.read_plan(stage.services(), file)
    assert isinstance(plan, Plan)
    assert plan.stack is not None
    saved = plan_store.saved_plan(stage.services(), plan.stack).file
    ctx = stage.ctx(package, "production", approved=plan.digest)
    provisioner = ctx.services.provisioner
    planned_before = provisioner.planned

    def then_replaced(spec: StackSpec, update: SavedPlan) -> StackPreview:
        found = planned_before(spec, update)
        saved.unlink()
        saved.write_text("{}")
        return found

    monkeypatch.setattr(provisioner, "planned", then_replaced)
    before = list(stage.world.ledger)
    run = promotion(ctx)
    assert (run.state, code_of(stage, run)) == (State.FAILED, "E163")
    assert stage.world.ledger == before


def test_no_update_is_unconstrained(stage: Stage, tmp_path: Path) -> None:
    """A plan that changes the stack and names no saved update plan is refused."""
    package, file = planned(stage, Acknowledgements(replace=("p4",)))
    document = json.loads(file.read_text())
    document["stack"]["update_plan"] = None
    copy = tmp_path / "copy.json"
    copy.write_text(resigned(json.dumps(document)))
    assert execute(stage, package, copy) == "E162"


def test_the_digest_of_a_plan_is_that_of_what_it_does(stage: Stage) -> None:
    """The digest leaves out when the plan was made and how the update plan was encrypted; the code covers both."""
    _, file = planned(stage)
    document = json.loads(file.read_text())
    plain = {name: value for name, value in document.items() if name not in {"digest", FIELD, "created_at"}}
    plain["stack"] = {name: value for name, value in plain["stack"].items() if name != "update_file"}
    assert digest_of(plain) == document["digest"]
    assert document["apiVersion"] == "orchestrator/v3"


@pytest.mark.parametrize("other", [True, False])
def test_an_inventory_that_is_changed_during_a_run_is_refused_before_the_next_step(tmp_path: Path, other: bool) -> None:
    """Inventory files that give other variables after the first batch stop the run before the second one, and what was touched goes back; a changed comment does not matter."""
    stage = Stage(tmp_path)
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")

    class Edited(MemoryDeployer):
        edited = read = False

        def deploy(self, *args: Any) -> StepResult:
            self.edited = True
            return super().deploy(*args)

        def is_outdated(self, _inventory: Inventory) -> bool:
            return self.edited and not self.read

        def resolve(self, inventory: Inventory, _settings: AnsibleSettings = DEFAULTS) -> Inventory:
            self.read = self.edited
            changed = {host: {**known, "size": 2} for host, known in inventory.hosts.items()}
            return inventory.model_copy(update={"hosts": changed}) if self.edited and other else inventory

    ctx = stage.ctx(stage.packages.put(release("1.1.0")), "production")
    object.__setattr__(ctx.services, "deployer", Edited(stage.world))
    run = promotion(ctx)
    assert run.state is (State.ROLLED_BACK if other else State.SUCCEEDED)
    if other:
        assert stage.failure(run)["failure"]["code"] == "R123"
        deployed = [line.split()[-1] for line in stage.world.ledger if "1.1.0" in line and "production" in line]
        assert {place.rpartition("/")[2] for place in deployed} == {"p1"}
