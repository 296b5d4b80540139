"""Where stacks are kept, and which of them is meant: as it is by hand, and one not taken for another."""

import contextlib
import dataclasses
import json
import subprocess
from pathlib import Path

import pytest

from orchestrator.adapters.pulumi import settings
from orchestrator.domain.environment import PulumiSettings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import digest_of
from orchestrator.domain.step import Outcome
from orchestrator.ports import SavedPlan

from .conftest import PLAIN, Infrastructure

pytestmark = [pytest.mark.engines, pytest.mark.long]


def test_stacks_of_one_name(tmp_path: Path) -> None:
    """Two environments whose stacks have the same name each have their own outputs, also in one process."""
    made = Infrastructure(tmp_path)
    specs = [made.environment("staging"), made.environment("production")]
    for spec in specs:
        assert made.provisioner.up(spec, f"up-{spec.environment}", lambda _: None).result.outcome is Outcome.SUCCEEDED
    found = [made.provisioner.outputs(spec).plain["ansible_inventory"]["web"]["hosts"] for spec in specs]
    assert found == [["staging1"], ["production1"]]


@pytest.mark.parametrize("where", ["project", "variable"])
def test_relative_backend(tmp_path: Path, where: str) -> None:
    """A relative file backend is the one beside the user's program: what was made by hand is there, and is destroyed."""
    url = "file://." if where == "project" else "file://./state?no_tmp_dir=true"
    made = Infrastructure(tmp_path, **({"PULUMI_BACKEND_URL": url} if where == "variable" else {}))
    spec = made.environment("staging", url if where == "project" else "")
    (made.root / "environments/staging/state").mkdir()
    made.by_hand("staging", "stack", "init")
    made.by_hand("staging", "up", "--yes", "--skip-preview")
    preview = made.provisioner.preview(spec, "preview", lambda _: None)
    assert not preview.changes_something
    assert preview.inventory is not None
    assert list(preview.inventory.hosts) == ["staging1"]
    assert made.provisioner.resources(spec) == 2  # the stack itself and its component
    assert made.provisioner.destroy(spec, "destroy", lambda _: None).outcome is Outcome.SUCCEEDED
    assert '"resources"' not in made.by_hand("staging", "stack", "export")


@pytest.mark.parametrize(
    ("secret", "needs_engine"), [("", False), ("pulumi.export('token', pulumi.Output.secret('s3cr3t'))", True)]
)
def test_a_state_as_the_engine_exports_it(tmp_path: Path, secret: str, needs_engine: bool) -> None:
    """The state of a stack in a folder is what the engine exports with its secrets; it is asked only if there are any, or the file has a format that we do not know."""
    made = Infrastructure(tmp_path)
    spec = made.environment("staging", "file://.", f"{PLAIN}\n{secret}\n")
    operations = made.provisioner._operations
    assert operations.export(spec) == {}
    made.by_hand("staging", "stack", "init")
    made.by_hand("staging", "up", "--yes", "--skip-preview")
    exported = json.loads(made.by_hand("staging", "stack", "export", "--show-secrets"))["deployment"]
    assert operations.export(spec) == exported
    assert ("s3cr3t" in json.dumps(exported)) == needs_engine

    operations._found = dataclasses.replace(made.engine, path=tmp_path / "none")
    with pytest.raises(OSError, match="none") if needs_engine else contextlib.nullcontext():
        assert operations.export(spec) == exported
    (file,) = (made.root / "environments/staging/.pulumi/stacks").glob("*/main.json")
    file.write_text(file.read_text().replace('"version":3', '"version":4'))
    with pytest.raises(OSError, match="none"):
        operations.export(spec)


@pytest.mark.parametrize("text", ["- a\n- b\n", "config: [1]\n", "config: {", "text"])
def test_a_configuration_that_is_none(tmp_path: Path, text: str) -> None:
    """A stack's configuration that is no mapping is an error of its own when ours should be laid over it."""
    made = Infrastructure(tmp_path)
    spec = made.environment("staging", pulumi=PulumiSettings(config={"a": "1"}))
    Path(spec.program, "Pulumi.main.yaml").write_text(text)
    with pytest.raises(OrchestratorError) as caught:
        settings.config_text(spec, {"name": "shop"}, tmp_path / "salt")
    assert caught.value.code == "E106"


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("file://.", "file://{own}"),
        ("file://../state?no_tmp_dir=true", "file://{own.parent}/state?no_tmp_dir=true"),
        ("file://~/state", "file://~/state"),
        ("file:///var/state", "file:///var/state"),
        ("s3://bucket/path", "s3://bucket/path"),
    ],
)
def test_what_a_backend_means(tmp_path: Path, url: str, meant: str) -> None:
    """Only what is relative is counted from the user's program: file backends, and the passphrase's file."""
    made = Infrastructure(tmp_path, PULUMI_CONFIG_PASSPHRASE_FILE="../phrase")
    own = made.root / "environments" / "staging"
    env = settings.environment(made.environment("staging", url), made.engine, made.environ, tmp_path / "state", own)
    assert env["PULUMI_BACKEND_URL"] == meant.format(own=own)
    assert env["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(own.parent / "phrase")


def test_variables_that_decide_what_pulumi_does_are_part_of_the_plan(tmp_path: Path) -> None:
    """Settings of Pulumi are passed on, shown and held; an option of the command line that is set by a variable is not passed on, although it counts by hand."""
    nothing = {"PULUMI_OPTION_TARGET": "urn:pulumi:main::infrastructure-staging::a:b:C::none"}
    made = Infrastructure(tmp_path, PULUMI_DISABLE_VALIDATION="true", PULUMI_OWN="1", PULUMI_OTHER="2", **nothing)
    spec = made.environment("staging", "file://.", pulumi=PulumiSettings(environment=("PULUMI_OWN", *nothing)))
    with pytest.raises(subprocess.CalledProcessError):
        made.by_hand("staging", "stack", "init")
        made.by_hand("staging", "preview")
    preview = made.provisioner.preview(spec, "preview", lambda _: None, save_plan=tmp_path / "plan")
    assert preview.counts["create"] == 2
    assert preview.settings == {"PULUMI_DISABLE_VALIDATION": "true", "PULUMI_OWN": digest_of("1")}
    unused = made.provisioner.unused_settings(spec.settings)
    assert [note.split()[0] for note in unused] == ["PULUMI_OPTION_TARGET", "PULUMI_OTHER"]
    saved = SavedPlan(tmp_path / "plan", preview.update_plan, preview.update_file, preview.settings)
    made.environ["PULUMI_OWN"] = "2"
    refused = made.provisioner.up(spec, "refused", lambda _: None, plan=saved).result
    assert (refused.outcome, refused.data["code"], refused.data["untouched"]) == (Outcome.FAILED, "R120", True)
    assert "PULUMI_OWN" in refused.message
    made.environ["PULUMI_OWN"] = "1"
    assert made.provisioner.up(spec, "up", lambda _: None, plan=saved).result.outcome is Outcome.SUCCEEDED
