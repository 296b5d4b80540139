"""A play that repeats what it was given, on real hosts: nothing of it is left in clear."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.adapters.ansible.deployer import AnsibleDeployer
from orchestrator.domain.context import Outputs
from orchestrator.domain.secret import Secret
from orchestrator.engine.jobs import LocalJobs
from orchestrator.hosts import loopback
from orchestrator.secret_values import SecretValues

from .conftest import COLLECTIONS, FILES, Stage, staged

pytestmark = pytest.mark.engines

CANARY = 'canary-4711/"of the outputs"'
SAY = """
- hosts: web
  gather_facts: false
  tasks:
    - name: "Named {{ orchestrator_secrets.token }}"
      ansible.builtin.debug:
        msg: "{{ orchestrator_secrets.token }} {{ orchestrator_secrets.token | b64encode }}"
    - ansible.builtin.command: {argv: [cat], stdin: "{{ orchestrator_secrets.token }}"}
      changed_when: true
    - ansible.builtin.copy:
        content: "{{ orchestrator_secrets.token }}"
        dest: "{{ playbook_dir }}/written"
        mode: "0600"
      delegate_to: localhost
    - ansible.builtin.fail: {msg: "{{ orchestrator_secrets | to_json }}"}
"""


@pytest.fixture
def masking(servers: tuple[Path, list[loopback.Host]], tmp_path: Path) -> Iterator[tuple[Stage, SecretValues]]:
    with staged(servers[1], tmp_path / "project", {**FILES, "plays/say.yml": SAY}) as made:
        secrets = SecretValues()
        made.jobs = LocalJobs(made.folder / "state" / "jobs", secrets=secrets)
        env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        made.deployer.close()
        made.deployer = AnsibleDeployer(
            made.jobs, made.folder / "state", COLLECTIONS, env, made.folder, secrets=secrets
        )
        yield made, secrets


def test_a_secret_output_in_a_play_that_fails(masking: tuple[Stage, SecretValues]) -> None:
    """A secret output in a task's name, a message, a host's output, a written file and a failure is in no record, no result and no file of the job; the result of the play is the same."""
    stage, _ = masking
    result = stage.deploy("say.yml", "r1", 1, outputs=Outputs({}, {"token": CANARY}))
    assert {host.outcome.value for host in result.hosts} == {"failed"}
    said = json.dumps([entry.to_json() for entry in stage.entries]) + result.model_dump_json()
    assert "canary" not in said
    assert "[secret]" in said
    files = [path for path in (stage.folder / "state" / "jobs").rglob("*") if path.is_file()]
    assert not [
        path for path in files if b"canary" in path.read_bytes() or CANARY.encode().hex().encode() in path.read_bytes()
    ]


def test_a_secret_that_a_host_repeats_in_parts(masking: tuple[Stage, SecretValues]) -> None:
    """A value of several lines that comes line by line is masked line by line."""
    stage, secrets = masking
    value = "\n".join(f"row-{number}-of-the-canary" for number in range(3))
    secrets.learn("here", [Secret("key", value.encode())])
    stage.deploy("say.yml", "r2", 2, outputs=Outputs({}, {"token": value}))
    log = (stage.folder / "state" / "jobs" / "r2.deploy.1" / "output.log").read_text()
    assert "of-the-canary" not in log
    assert "[secret]" in log
