"""One stack on the real engine: previewed, held to its plan, looked at, and never written where the user writes."""

import json

import pytest

from orchestrator.domain.step import Outcome

from .conftest import SECRET

pytestmark = pytest.mark.engines


def test_preview(world):
    """A preview counts what it would do, names it, and foresees the hosts."""
    preview = world.preview
    assert preview.counts == {"create": 4, "output": 1}
    assert {change.name for change in preview.changes if change.op == "create"} >= {"web1", "web2", "key"}
    assert list(preview.inventory.hosts) == ["web1", "web2"]
    assert preview.changes_something
    assert preview.update_plan.startswith("sha256:")


def test_up(world):
    """An update that is held to its plan succeeds, and says how many resources it made."""
    assert world.up.result.outcome is Outcome.SUCCEEDED
    assert world.up.result.data["counts"] == {"create": 4}
    assert world.up.result.log.startswith("jobs/")
    assert (world.stage.things / "web1").read_text() == "hello"


def test_events(world):
    """Each resource is told as it starts and is done, under keys that are never the same, and debug lines are not told."""
    done = [entry.data["name"] for entry in world.emitted if entry.data.get("status") == "done"]
    assert {"web1", "web2", "key"} <= set(done)
    assert len({entry.key for entry in world.emitted}) == len(world.emitted)
    assert not [entry for entry in world.emitted if entry.data.get("level") == "debug"]
    assert [entry.data["text"] for entry in world.emitted if entry.kind == "notice"] == ["a bell rings"] * 2


def test_users_files(world):
    """Not a byte of the user's files is changed, and none is added."""
    assert world.stage.users_files() == world.before


def test_secrets(world):
    """A secret is in no event, result or log, and in no file that we keep: only the operator's process sees it."""
    assert SECRET not in json.dumps([entry.to_json() for entry in world.emitted])
    assert SECRET not in world.preview.model_dump_json() + world.up.result.model_dump_json()
    assert SECRET not in world.stage.written() + world.plan.read_text()
    assert world.stage.provisioner.outputs(world.stage.spec()).secret == {"token": SECRET}


def test_private_files(world):
    """The passphrase and the job's files can be read by their owner only."""
    state = world.stage.state
    private = [state / "pulumi" / "passphrase", *state.glob("jobs/*/spec.json"), *state.glob("jobs/*/stack.yaml")]
    assert len(private) > 2
    assert {oct(path.stat().st_mode & 0o777) for path in private} == {"0o600"}


def test_unchanged(world):
    """A second preview finds nothing to do, and the same state: also for resources whose provider is in the program."""
    preview = world.stage.preview()
    assert preview.counts == {"same": 4}
    assert not preview.changes_something
    assert preview.base == world.up.base == world.stage.provisioner.base(world.stage.spec())
    assert preview.inventory == world.preview.inventory


def test_outputs(world):
    """Outputs are read from the backend, those marked as secret apart."""
    outputs = world.stage.provisioner.outputs(world.stage.spec())
    assert outputs.plain["texts"] == ["hello", "hello"]
    assert outputs.masked()["token"] == "[secret]"
    assert list(world.stage.provisioner.inventory(world.stage.environment(), outputs).hosts) == ["web1", "web2"]


def test_same_plan_same_digest(world, tmp_path):
    """Two previews of the same thing save plans with the same digest."""
    stage = world.stage
    first, second = stage.preview(tmp_path / "1.json"), stage.preview(tmp_path / "2.json")
    assert first.update_plan == second.update_plan


def test_plan_violated(world, tmp_path):
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


def test_failed_resource(world):
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


def test_program_error(world):
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
    assert "ValueError: no such region" in result.message
