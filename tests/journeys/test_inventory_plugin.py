"""Plain Ansible with the inventory of an environment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.domain.variables import plain_text
from tests.journeys.conftest import ROOT, Project


def _ansible(project: Project, *words: str) -> "subprocess.CompletedProcess[str]":
    env = {**project.environ(), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "orchestrator/ansible")}
    argv = [str(Path(sys.executable).parent / words[0]), *words[1:]]
    return subprocess.run(argv, cwd=project.root, env=env, capture_output=True, text=True, check=False)


def test_plain_ansible_sees_the_same_hosts(project: Project) -> None:
    """`ansible-inventory` and `ansible` see the hosts, groups and variables that we see, and reach the hosts with their keys checked; templates in outputs are text until the environment says otherwise; another environment can have the same hosts."""
    project.env |= {
        "PULUMI_BACKEND_URL": f"file://{project.root / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "of all stacks",
    }
    (project.root / "backend").mkdir()
    project.run("init")
    project.replace("environments/staging/Pulumi.yaml", "default: 2", "default: 1")
    said = 'inventory({"greeting": "hello {{ inventory_hostname }}"}, web=web)'
    project.replace("environments/staging/__main__.py", "inventory(web=web)", said)
    project.run("environment", "up", "staging", "--yes")
    project.write("inventories/staging.pulumi.yml", "plugin: orchestrator.release.pulumi\nenvironment: staging\n")

    done = _ansible(project, "ansible-inventory", "-i", "inventories/staging.pulumi.yml", "--list")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout, object_hook=plain_text)
    ours = project.variables("staging")
    assert {host: listed["_meta"]["hostvars"][host].items() >= about.items() for host, about in ours.items()} == {
        "web1": True
    }
    assert "UserKnownHostsFile" in listed["_meta"]["hostvars"]["web1"]["ansible_ssh_common_args"]
    assert listed["web"]["hosts"] == ["web1"]

    words = ("ansible", "web", "-i", "inventories/staging.pulumi.yml", "-m", "shell", "-a", "echo {{ greeting }}")
    assert "hello {{ inventory_hostname }}" in _ansible(project, *words).stdout.replace("\\", "")
    file = project.root / "environments/staging/environment.yaml"
    file.write_text(f"{file.read_text()}inventory: {{templates: true}}\n")
    reached = _ansible(project, *words)
    assert "hello web1" in reached.stdout, reached.stdout + reached.stderr

    counted = {
        item["name"]: item["hosts"] for item in project.run("environment", "list", "--json").json["environments"]
    }
    assert counted == {"staging": 1, "production": None}

    also = "apiVersion: orchestrator/v1\nkind: Environment\nname: also\nprogram: null\n"
    project.write(
        "environments/also/environment.yaml", f"{also}inventory: {{files: [inventories/staging.pulumi.yml]}}\n"
    )
    assert "web1" in project.run("environment", "inventory", "also").out

    project.write("wrong.pulumi.yml", "plugin: orchestrator.release.pulumi\nenvironment: nowhere\n")
    refused = _ansible(project, "ansible-inventory", "-i", "wrong.pulumi.yml", "--list")
    assert "there is no environment 'nowhere'" in refused.stderr
    assert "(R103)" in refused.stderr
    project.run("environment", "destroy", "staging", "--yes")


@pytest.mark.rare
def test_an_inventory_that_names_itself(project: Project) -> None:
    """An environment whose own files lead back to it is refused, instead of asking for ever."""
    project.write("orchestrator.yaml", "apiVersion: orchestrator/v1\nkind: Project\nname: shop\n")
    about = "apiVersion: orchestrator/v1\nkind: Environment\nname: staging\nprogram: null\n"
    project.write("environments/staging/environment.yaml", f"{about}inventory:\n  files: [hosts.pulumi.yml]\n")
    project.write("hosts.pulumi.yml", "plugin: orchestrator.release.pulumi\nenvironment: staging\n")
    refused = project.run("environment", "inventory", "staging", code=1)
    assert "error[D104]" in refused.err
