"""Makes the data of the upgrade test: a project as an earlier version of the program leaves it.

    python -m tests.journeys.upgrade_data COMMIT FILE.tar.gz

The project is made with the program of COMMIT, in a checkout of its own: the release hello 1.0.0 is promoted into `staging`, whose only
host is this machine, and verified there. Every issue adds the data of the last commit before it to `test_upgrade.py`.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = ("jobs", "executors", "ssh", "connections", "isolation")
"""Folders of the state that no later command needs. Unpacked packages and the inventory, which has paths, are left out too."""
FILES = {
    "orchestrator.yaml": "apiVersion: orchestrator/v1\nkind: Project\nname: hello\n",
    "environments/staging/environment.yaml": """
apiVersion: orchestrator/v1
kind: Environment
name: staging
program: null
inventory: {files: [inventory.yml]}
controller_files: [credentials/]
""",
    "app/hello.txt": "1.0.0\n",
    "playbooks/deploy.yml": """
- hosts: all
  gather_facts: false
  vars_files: [vars/own.yml]
  roles: [../roles/motd]
  tasks:
    - orchestrator.release.deploy: {}
""",
    "playbooks/vars/own.yml": "greeting: hello from {{ orchestrator_release.version }}\n",
    "roles/motd/tasks/main.yml": r"""
- ansible.builtin.copy:
    content: "{{ greeting }}, {{ orchestrator_release.artifacts['hello.txt'].size }}\n"
    dest: "{{ host_root }}/motd"
    mode: "0644"
- ansible.builtin.copy:
    content: "{{ lookup('ansible.builtin.password', playbook_dir ~ '/../credentials/token', length=20) }}\n"
    dest: "{{ host_root }}/token"
    mode: "0600"
""",
    "tests/smoke/test_hello.py": """
import os


def test_the_release_is_current(host) -> None:
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/current/hello.txt").content_string.strip() == os.environ["ORCHESTRATOR_VERSION"]
    assert os.environ["ORCHESTRATOR_VERSION"] in host.file(f"{root}/motd").content_string
""",
    "releases/hello/release.yaml": """
apiVersion: orchestrator/v1
kind: Release
name: hello
version: "1.0.0"
artifacts: [{path: app/hello.txt}]
environments: [staging]
steps: [{name: deploy, playbook: playbooks/deploy.yml}]
verify: [{name: smoke, tests: tests/smoke}]
""",
}


def inventory(root: Path) -> str:
    """The inventory of the project in *root*: this machine."""
    about = {
        "ansible_connection": "local",
        "host_root": f"{root}/host",
        "ansible_python_interpreter": sys.executable,
    }
    return json.dumps({"all": {"hosts": {"web1": about}}})


def make(commit: str, target: Path) -> None:
    """Write the archive *target* with a project that the program of *commit* has made."""
    with tempfile.TemporaryDirectory(prefix="upgrade-") as name:
        program, project = Path(name, "program"), Path(name, "hello")
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(program), commit], cwd=ROOT, check=True)
        try:
            for path, text in {**FILES, "inventory.yml": inventory(project)}.items():
                (project / path).parent.mkdir(parents=True, exist_ok=True)
                (project / path).write_text(text.lstrip("\n"))
            (project / "host").mkdir()
            kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
            words = [sys.executable, "-m", "orchestrator", "promote", "releases/hello", "--to", "staging"]
            subprocess.run(words, cwd=project, env={**kept, "PYTHONPATH": str(program)}, check=True)
            with tarfile.open(target, "w:gz") as archive:
                archive.add(project, ".", filter=_kept)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(program)], cwd=ROOT, check=True)


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(member.name).parts
    state = parts[1:] if parts[:1] == (".orchestrator",) else ()
    unpacked = state[:1] == ("packages",) and len(state) > 2
    passing = "__pycache__" in parts or member.name.endswith((".lock", "-wal", "-shm"))
    if (state[:1] and state[0] in LEFT_OUT) or unpacked or passing or parts == ("inventory.yml",):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]))
