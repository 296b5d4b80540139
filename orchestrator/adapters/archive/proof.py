"""A package is proved before it gets its name: Ansible itself finds from it alone what its playbooks name."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestrator.adapters.ansible.configuration import Configurations, working_folder_of
from orchestrator.adapters.archive.sealed import playbooks
from orchestrator.domain.configuration import CONFIG_FILE
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Package
from orchestrator.domain.text import clean_text

MACHINE = {"ANSIBLE_ROLES_PATH": "roles", "ANSIBLE_COLLECTIONS_PATH": "collections"}
TIMEOUT = 120.0  # seconds, for the playbooks of one release
SHOWN = 1500  # characters of what Ansible said
AT_RUN_TIME = re.compile(r"undefined|vault|decrypt", re.IGNORECASE)


class Proof:
    """Checks the playbooks of an unpacked package with `ansible-playbook --syntax-check`, which runs nothing.

    Args:
        collections: the folder that holds `ansible_collections/orchestrator`.
        environ: the environment variables to act under.
    """

    def __init__(self, collections: Path, environ: Mapping[str, str]) -> None:
        self._collections, self._environ = collections, environ

    def __call__(self, package: Package) -> Iterator[OrchestratorError]:
        """What the operator should know about an unpacked *package*, as a warning (P115).

        Raises P114 when it needs roles or collections of this machine, and P113 when Ansible cannot read a playbook, or
        does not find what it names.
        """
        folders: dict[str, list[str]] = {}
        for playbook in dict.fromkeys(playbooks(package.manifest.release)):
            folders.setdefault(working_folder_of(package, playbook), []).append(playbook)
        for folder, names in folders.items():
            yield from self._folder(package, folder, names)

    def _folder(self, package: Package, folder: str, names: list[str]) -> Iterator[OrchestratorError]:
        """What there is to know about the playbooks that run in one *folder*."""
        project = Path(str(package.root)) / folder
        with tempfile.TemporaryDirectory(prefix="orchestrator-proof-") as scratch:
            (Path(scratch) / "password").write_text("none\n")
            env = self._environment(package, project, Path(scratch))
            alone = _said(package, project, names, _only(package, project, env))
            if alone is None:
                return
            with_machine = _said(package, project, names, env)
        if with_machine is None:
            message = "the playbooks need roles or collections of this machine, which no run is given"
            hint = "put them into the project, or name them in its requirements.yml"
            raise OrchestratorError("P114", f"{message}: {alone}", hint=hint)
        elif AT_RUN_TIME.search(with_machine):
            message = f"the playbooks could not be checked without what is known at run time only: {with_machine}"
            hint = "nothing is wrong when the missing variable or password is there when the release runs"
            yield OrchestratorError("P115", message, hint=hint)
        else:
            hint = "what a playbook names must lie in the project; ansible-playbook --syntax-check shows the same"
            raise OrchestratorError("P113", f"Ansible cannot use the packed playbooks: {with_machine}", hint=hint)

    def _environment(self, package: Package, project: Path, scratch: Path) -> dict[str, str]:
        """As in a run, but without any secret: no password is read or asked for."""
        home = Path(self._environ.get("HOME") or Path.home()) / ".ansible"
        effective = Configurations(self._environ, None, self._collections, scratch).of_folder(project, package)
        env = effective.environment(scratch, scratch, 1)
        (scratch / CONFIG_FILE).write_bytes(effective.config)
        for name, folder in MACHINE.items():
            env[name] = os.pathsep.join([env[name], str(home / folder), f"/usr/share/ansible/{folder}"])
        password = str(scratch / "password")
        return env | {
            "ANSIBLE_LOG_PATH": os.devnull,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_VAULT_PASSWORD_FILE": password,
            "ANSIBLE_VAULT_IDENTITY_LIST": f"build@{password}",
        }


def _only(package: Package, project: Path, env: Mapping[str, str]) -> dict[str, str]:
    """*env* with roles and collections of the package alone."""
    paths, home = {}, Path(str(package.home))
    for name, folder in MACHINE.items():
        inside = [path for path in env[name].split(os.pathsep) if Path(path).is_relative_to(home)]
        paths[name] = os.pathsep.join(inside or [str(project / folder)])
    return {**env, **paths, "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "False"}


def _said(package: Package, project: Path, names: list[str], env: Mapping[str, str]) -> str | None:
    """What Ansible finds wrong with the playbooks *names*; None when it finds nothing."""
    names = [os.path.relpath(Path(str(package.root)) / name, project) for name in names]
    command = [sys.executable, "-P", "-m", "ansible", "playbook", "--syntax-check", "-i", "localhost,", *names]
    try:
        done = subprocess.run(
            command, cwd=project, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return f"what is undefined: Ansible took more than {TIMEOUT:.0f} s"
    if done.returncode == 0:
        return None
    text = clean_text((done.stderr or done.stdout).decode("utf-8", "replace"))
    lines = [line for line in text.replace(f"{package.root}/", "").splitlines() if not line.startswith("[WARNING]")]
    return "\n".join(lines).strip()[:SHOWN]
