"""The project of the upgrade test: a release, and environments whose only host each is a folder of this machine."""

import json
from pathlib import Path

FOLDER = Path("/tmp/upgrade-_ghiy4yx/hello")
"""Where the project is recorded and laid: digests of its plans cover this path."""
INTERPRETER = "/usr/bin/python3"
"""Of the hosts: digests of inventories cover this path, so that it is the same on every machine."""
NAMES = ("staging", "edge-a", "edge-b", "late", "cut", "broken")
FILES = {
    "orchestrator.yaml": """
apiVersion: orchestrator/v1
kind: Project
name: hello
package: {exclude: [hosts/]}
waves:
  - {name: edges, environments: [[edge-a], [edge-b]], on_failure: rollback}
""",
    "app/hello.txt": "1.0.0\n",
    "playbooks/deploy.yml": r"""
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.shell: |
        set -e
        test ! -e {{ host_root }}/refuse
        while test -e {{ host_root }}/hold; do touch {{ host_root }}/holds; sleep 0.2; done
    - orchestrator.release.deploy: {}
""",
    "tests/smoke/test_hello.py": """
import os


def test_the_release_is_current(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/current/hello.txt").content_string.strip() == os.environ["ORCHESTRATOR_VERSION"]
""",
    "releases/hello/release.yaml": """
apiVersion: orchestrator/v1
kind: Release
name: hello
version: "1.0.0"
artifacts: [{path: app/hello.txt}]
environments: [staging, edge-a, edge-b, late, cut, broken]
steps: [{name: deploy, playbook: playbooks/deploy.yml}]
verify: [{name: smoke, tests: tests/smoke}]
""",
}
ENVIRONMENT = """
apiVersion: orchestrator/v1
kind: Environment
name: {name}
program: null
inventory: {{files: [inventory-{name}.yml]}}
"""
ISOLATION = "isolation: {write: [hosts]}\n"


def inventory_of(folder: Path, name: str) -> str:
    """The inventory of the environment *name* of the project in *folder*: this machine."""
    about = {
        "ansible_connection": "local",
        "host_root": f"{folder}/hosts/{name}",
        "ansible_python_interpreter": INTERPRETER,
    }
    return json.dumps({"all": {"hosts": {name: about}}})


def lay_inventories(folder: Path) -> None:
    """Write the inventory of each environment."""
    for name in NAMES:
        (folder / f"inventory-{name}.yml").write_text(inventory_of(folder, name))


def lay_project(folder: Path, *, isolated: bool) -> None:
    """Write the files of the project to *folder*, and the folders that are its hosts."""
    files = {f"environments/{name}/environment.yaml": ENVIRONMENT.format(name=name) for name in NAMES}
    for path, text in {**FILES, **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        isolation = ISOLATION if isolated and path in files else ""
        (folder / path).write_text(text.lstrip("\n") + isolation)
    for name in NAMES:
        (folder / "hosts" / name).mkdir(parents=True)
    lay_inventories(folder)
