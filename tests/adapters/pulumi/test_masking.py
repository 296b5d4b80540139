"""Secrets of a real stack: known before an operation begins, and masked in what it leaves."""

import functools
import json
import os
import subprocess
from pathlib import Path

import pytest

from orchestrator.adapters.pulumi import engine
from orchestrator.adapters.pulumi.config_secrets import configured_secrets
from orchestrator.adapters.pulumi.provisioner import PulumiProvisioner
from orchestrator.engine.jobs import LocalJobs
from orchestrator.secret_values import SecretValues

from .conftest import SECRET, Stage

pytestmark = pytest.mark.engines

SAYS = "import base64, os\npulumi.log.info('it is ' + os.environ['SHOP_TOKEN'])\nprint(os.environ['SHOP_TOKEN'].encode().hex())\n"


def with_secrets(stage: Stage) -> SecretValues:
    """A provisioner of a new process, with what that knows."""
    secrets = SecretValues()
    stage.jobs = LocalJobs(stage.state / "jobs", secrets=secrets)
    find = functools.partial(engine.find_engine, dict(os.environ))
    stage.provisioner = PulumiProvisioner(
        stage.jobs, stage.state / "pulumi", stage.project, find, stage.environ, secrets=secrets
    )
    return secrets


def test_a_program_that_repeats_a_secret_of_the_state(tmp_path: Path) -> None:
    """A process that finds a stack knows its secrets before the first operation: what the program prints of them is masked."""
    stage = Stage(tmp_path)
    with_secrets(stage)
    assert stage.up().result.good
    program = stage.folder / "__main__.py"
    program.write_text(program.read_text() + SAYS)
    secrets = with_secrets(stage)
    assert stage.up().result.good
    assert {secret.key for secret in secrets.redactor.strong} >= {"token", "text", "passphrase"}
    assert SECRET not in json.dumps([entry.to_json() for entry in stage.entries])
    assert "it is [secret]" in json.dumps([entry.to_json() for entry in stage.entries])
    assert SECRET not in stage.written()
    assert SECRET.encode().hex() not in stage.written()


def test_files_of_the_update_that_makes_a_secret(tmp_path: Path) -> None:
    """What the program prints of a secret in the update that makes it is masked in the files of the job afterwards."""
    stage = Stage(tmp_path)
    program = stage.folder / "__main__.py"
    program.write_text(program.read_text() + SAYS)
    with_secrets(stage)
    assert stage.up().result.good
    files = [path.read_text(errors="replace") for path in (stage.state / "jobs").rglob("*") if path.is_file()]
    assert not [text for text in files if SECRET in text or SECRET.encode().hex() in text]


def test_configuration_as_the_engine_encrypts_it(tmp_path: Path) -> None:
    """A value that `pulumi config set --secret` has encrypted is decrypted as the engine does it."""
    program = str(engine.find_engine(dict(os.environ)).path)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}",
        "PULUMI_CONFIG_PASSPHRASE": "a phrase",
    }
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    for words, given in (
        (["stack", "init", "staging"], ""),
        (["config", "set", "--secret", "token", "--stack", "staging"], "of the shop"),
        (["config", "set", "--secret", "--path", "db.password", "--stack", "staging"], "of the database"),
    ):
        argv = [program, *words, "--non-interactive"]
        subprocess.run(argv, cwd=tmp_path, env=env, input=given, text=True, check=True, capture_output=True)

    def fail() -> str:
        raise AssertionError("asked")

    found = configured_secrets((tmp_path / "Pulumi.staging.yaml").read_text(), env, fail)
    assert {(secret.key, secret.value) for secret in found} == {
        ("token", b"of the shop"),
        ("password", b"of the database"),
    }
