"""The project of the upgrade test: three releases, and environments whose hosts are folders of this machine.

Most environments have one host. `pair` has a host on each of two sides. `brief` has a stack that is made for each
promotion, and kept if that fails. `bare` has a stack, and no release is for it.
"""

import json
from pathlib import Path

FOLDER = Path("/tmp/upgrade-_ghiy4yx/hello")
"""Where the project is recorded and laid: digests of its plans cover this path."""
INTERPRETER = "/usr/bin/python3"
"""Of the hosts: digests of inventories cover this path, so that it is the same on every machine."""
NAMES = ("staging", "edge-a", "edge-b", "late", "cut", "broken", "pair", "brief")
"""The environments with hosts."""
PAIR = {"blue": "pair-1", "green": "pair-2"}
PROGRAM = 'import pulumi\n\npulumi.export("answer", 42)\n'
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
    "releases/sides/release.yaml": """
apiVersion: orchestrator/v1
kind: Release
name: sides
version: "1.0.0"
artifacts: [{path: app/hello.txt}]
environments: [pair]
steps:
  - name: deploy
    playbook: playbooks/deploy.yml
    rollout:
      strategy: blue_green
      blue_green: {blue: blue, green: green, switch: playbooks/switch.yml}
verify: [{name: smoke, tests: tests/smoke}]
""",
    "releases/short/release.yaml": """
apiVersion: orchestrator/v1
kind: Release
name: short
version: "1.0.0"
artifacts: [{path: app/hello.txt}]
environments: [brief]
steps: [{name: deploy, playbook: playbooks/deploy.yml}]
verify: [{name: smoke, tests: tests/smoke}]
""",
    "playbooks/switch.yml": """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.raw: echo {{ orchestrator_release.sides.live }} > {{ host_root }}/live
""",
    "environments/brief/Pulumi.yaml": "name: brief\nruntime: python\n",
    "environments/brief/__main__.py": PROGRAM,
    "environments/brief/environment.yaml": """
apiVersion: orchestrator/v1
kind: Environment
name: brief
inventory: {files: [inventory-brief.yml]}
ephemeral: {ttl: 4h, keep_on_failure: true}
""",
    "environments/bare/Pulumi.yaml": "name: bare\nruntime: python\n",
    "environments/bare/__main__.py": PROGRAM,
    "environments/bare/environment.yaml": """
apiVersion: orchestrator/v1
kind: Environment
name: bare
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
    """The inventory of the environment *name* of the project in *folder*: this machine, for each of its hosts."""
    hosts = list(PAIR.values()) if name == "pair" else [name]
    about = {
        host: {
            "ansible_connection": "local",
            "host_root": f"{folder}/hosts/{host}",
            "ansible_python_interpreter": INTERPRETER,
        }
        for host in hosts
    }
    sides: dict[str, object] = {side: {"hosts": {host: {}}} for side, host in PAIR.items()} if name == "pair" else {}
    return json.dumps({"all": {"hosts": about, **({"children": sides} if sides else {})}})


def lay_inventories(folder: Path) -> None:
    """Write the inventory of each environment."""
    for name in NAMES:
        (folder / f"inventory-{name}.yml").write_text(inventory_of(folder, name))


def lay_project(folder: Path, *, isolated: bool) -> None:
    """Write the files of the project to *folder*, and the folders that are its hosts."""
    files = {f"environments/{name}/environment.yaml": ENVIRONMENT.format(name=name) for name in NAMES}
    for path, text in {**files, **FILES}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        isolation = ISOLATION if isolated and path.endswith("environment.yaml") else ""
        (folder / path).write_text(text.lstrip("\n") + isolation)
    for name in {*NAMES, *PAIR.values()} - {"pair"}:
        (folder / "hosts" / name).mkdir(parents=True)
    lay_inventories(folder)
