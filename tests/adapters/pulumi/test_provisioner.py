"""One stack on the real engine: previewed, held to its plan, looked at, and never written where the user writes."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.pulumi import update_plan
from orchestrator.adapters.pulumi.events import SECRET as MARK
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.step import Outcome
from orchestrator.ports import SavedPlan
from tests.flow.test_verified_at_use import changes
from tests.killing import killing

from .conftest import SECRET, Updated

pytestmark = pytest.mark.engines


def test_preview(world: Updated) -> None:
    """A preview counts what it would do, names it, and foresees the hosts."""
    preview = world.preview
    assert preview.counts == {"create": 4, "output": 1}
    assert {change.name for change in preview.changes if change.op == "create"} >= {"web1", "web2", "key"}
    assert preview.inventory is not None
    assert list(preview.inventory.hosts) == ["web1", "web2"]
    assert preview.changes_something
    assert preview.update_plan is not None
    assert preview.update_plan.startswith("sha256:")
    assert preview.versions == {"pulumi": world.stage.provisioner._operations.engine.version}


def test_up(world: Updated) -> None:
    """An update that is held to its plan succeeds, and says how many resources it made."""
    assert world.up.result.outcome is Outcome.SUCCEEDED
    assert world.up.result.data["counts"] == {"create": 4}
    assert world.up.result.log is not None
    assert world.up.result.log.startswith("jobs/")
    assert (world.stage.things / "web1").read_text() == "hello"


def test_events(world: Updated) -> None:
    """Each resource is told as it starts and is done, under keys that are never the same, and debug lines are not told."""
    done = [entry.data["name"] for entry in world.emitted if entry.data.get("status") == "done"]
    assert {"web1", "web2", "key"} <= set(done)
    assert len({entry.key for entry in world.emitted}) == len(world.emitted)
    assert not [entry for entry in world.emitted if entry.data.get("level") == "debug"]
    assert [entry.data["text"] for entry in world.emitted if entry.kind == "notice"] == ["a bell rings"] * 2


def test_users_files(world: Updated) -> None:
    """Not a byte of the user's files is changed, and none is added."""
    assert world.stage.users_files() == world.before


def test_a_state_whose_reader_was_killed_is_read_again(world: Updated) -> None:
    """`kill -9` of the engine that prints the state is no answer: it is started again, and the resources are those of the stack."""
    with killing("pulumi stack export", 1) as killed:
        found = world.stage.provisioner.existing_resources(world.stage.spec())
    assert len(killed) == 1
    assert {change.name for change in found} >= {"web1", "web2"}


def test_secrets(world: Updated) -> None:
    """A secret is in no event, result or log, and in no file that we keep: only the operator's process sees it."""
    assert SECRET not in json.dumps([entry.to_json() for entry in world.emitted])
    assert SECRET not in world.preview.model_dump_json() + world.up.result.model_dump_json()
    assert SECRET not in world.stage.written() + world.plan.read_text()
    assert world.stage.provisioner.outputs(world.stage.spec()).secret == {"token": SECRET}


def test_private_files(world: Updated) -> None:
    """The passphrase and the job's files can be read by their owner only."""
    state = world.stage.state
    private = [state / "pulumi" / "passphrase", *state.glob("jobs/*/spec.json"), *state.glob("jobs/*/stack.yaml")]
    assert len(private) > 2
    assert {oct(path.stat().st_mode & 0o777) for path in private} == {"0o600"}


def test_unchanged(world: Updated) -> None:
    """A second preview finds nothing to do, and the same state: also for resources whose provider is in the program."""
    preview = world.stage.preview()
    assert preview.counts == {"same": 4}
    assert not preview.changes_something
    assert preview.state_digest == world.up.base == world.stage.provisioner.state_digest(world.stage.spec())
    assert preview.inventory == world.preview.inventory


def test_outputs(world: Updated) -> None:
    """Outputs are read from the backend, those marked as secret apart."""
    outputs = world.stage.provisioner.outputs(world.stage.spec())
    assert outputs.plain["texts"] == ["hello", "hello"]
    assert outputs.masked()["token"] == "[secret]"
    assert list(world.stage.provisioner.inventory(world.stage.environment(), outputs).hosts) == ["web1", "web2"]


def test_same_plan_same_digest(world: Updated, tmp_path: Path) -> None:
    """Two previews of the same thing save plans with the same digest."""
    stage = world.stage
    first, second = stage.preview(tmp_path / "1.json"), stage.preview(tmp_path / "2.json")
    assert first.update_plan == second.update_plan


def test_a_kept_definition_runs_with_what_was_kept(world: Updated) -> None:
    """A file that the program reads is part of the definition, and a kept one runs with that file as it was."""
    stage = world.stage
    naming, kept = stage.project / "shared" / "naming.py", stage.spec()
    text = naming.read_text()
    naming.write_text(text.replace("return name", "return name + '!'"))
    try:
        assert stage.spec().definition != kept.definition
        preview = stage.provisioner.preview(kept, stage.job(), stage.entries.append)
        assert stage.preview().counts == {"same": 2, "update": 2, "output": 1}
    finally:
        naming.write_text(text)
    assert preview.counts == {"same": 4}


def test_what_was_changed_after_it_was_kept_is_not_run(world: Updated) -> None:
    """A file of the kept definition that was changed is refused before anything runs, and so is a changed update plan."""
    stage = world.stage
    spec = stage.spec()
    file = (
        stage.state
        / "pulumi"
        / "definitions"
        / spec.definition.removeprefix("sha256:")
        / "tree"
        / "shared"
        / "naming.py"
    )
    text = file.read_text()
    file.write_text(text + "import os\n")
    try:
        with pytest.raises(OrchestratorError) as refused:
            stage.provisioner.up(spec, stage.job(), stage.entries.append)
    finally:
        file.write_text(text)
    assert refused.value.code == "E166"
    plan = stage.top / "changed.json"
    stage.preview(plan)
    saved = update_plan.saved(plan)
    plan.write_text(plan.read_text() + " ")
    result = stage.provisioner.up(spec, stage.job(), stage.entries.append, plan=saved).result
    assert (result.data["code"], result.data["untouched"]) == ("E163", True)


def secret(document: Any, path: tuple[Any, ...]) -> bool:
    """Whether something secret is at *path* in *document*, or around it: that is encrypted anew each time."""
    at = [document]
    for key in path:
        at.append(at[-1][key])
    return any(isinstance(value, dict) and MARK in value for value in at)


def test_what_a_plan_allows_is_derived_from_its_file(world: Updated) -> None:
    """Whatever of the saved update plan is changed, it is another plan, and what it allows is read from the file alone."""
    stage = world.stage
    data = world.plan.read_bytes()
    saved = update_plan.saved(world.plan)
    assert {change.name: change.op for change in update_plan.changes(data, {})} == {
        "key": "create", "web1": "create", "web2": "create", "shop-staging": "create",
    }  # fmt: skip
    copy, accepted, tried = stage.top / "copy.json", [], 0
    for path, text in changes(json.loads(data)):
        copy.write_text(text)
        tried += 1
        for known in (SavedPlan(copy, None, saved.update_file), SavedPlan(copy, saved.update_plan, None)):
            covered = known.update_file is not None or not (
                {"time", "seed"} & set(path) or secret(json.loads(data), path)
            )
            with contextlib.suppress(OrchestratorError):
                update_plan.read_update_plan(known)
                accepted += [path] if covered else []
    assert accepted == []
    assert tried > 150


def test_plan_violated(world: Updated, tmp_path: Path) -> None:
    """An update that would do something else than its plan stops before it touches anything, and says so."""
    stage = world.stage
    plan = tmp_path / "plan.json"
    stage.preview(plan)
    stage.settings["names"] = "web1,web2,web3"
    try:
        result = stage.up(plan).result
    finally:
        stage.settings["names"] = "web1,web2"
    assert (result.outcome, result.data["code"], result.data["untouched"]) == (Outcome.FAILED, "E131", True)
    assert "planned" in result.message
    assert not (stage.things / "web3").exists()


def test_failed_resource(world: Updated) -> None:
    """A resource that fails fails the update, with the provider's own words; others are told apart from it."""
    stage = world.stage
    stage.settings["text"] = "fail"
    try:
        result = stage.up().result
    finally:
        del stage.settings["text"]
    assert (result.outcome, result.data["code"], result.data["untouched"]) == (Outcome.FAILED, "E110", False)
    assert "told to fail" in result.message
    assert [entry.data["name"] for entry in stage.entries if entry.data.get("status") == "failed"]


def test_program_error(world: Updated) -> None:
    """A program that raises fails the update before anything is touched, with the error's own line."""
    stage = world.stage
    stage.settings["folder"] = ""
    program = stage.folder / "__main__.py"
    text = program.read_text()
    program.write_text(text + "\nraise ValueError('no such region')\n")
    try:
        result = stage.up().result
    finally:
        stage.settings["folder"] = str(stage.things)
        program.write_text(text)
    assert result.outcome is Outcome.FAILED
    line = f"environments/staging/__main__.py:{len((text + chr(10)).splitlines()) + 1}"
    assert f"{line}: ValueError: no such region" in result.message
