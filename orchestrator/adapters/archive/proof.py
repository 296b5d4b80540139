"""A package is verified before it gets its name: Ansible finds from it alone what its playbooks name."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestrator.adapters.ansible.configuration import Configurations, working_folder_of
from orchestrator.adapters.ansible.document import dump
from orchestrator.adapters.archive.checks import Declared, StaticChecks
from orchestrator.adapters.archive.collected import SuiteCollection, without_credentials
from orchestrator.adapters.archive.implementation_checks import ReadTemplate, check_implementations
from orchestrator.adapters.archive.manifest_checks import playbooks
from orchestrator.adapters.archive.placeholder import placeholder
from orchestrator.adapters.views import Views
from orchestrator.domain.configuration import CONFIG_FILE
from orchestrator.domain.error_codes import SUITE_NOT_CHECKED
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.release import Package
from orchestrator.domain.text import clean_text
from orchestrator.domain.variables import inventory_document
from orchestrator.trees import temporary_folder

MACHINE = {"ANSIBLE_ROLES_PATH": "roles", "ANSIBLE_COLLECTIONS_PATH": "collections"}
HOSTS = "hosts.yml"
TIMEOUT = 120.0  # seconds, for the playbooks of one release
SHOWN = 1500  # characters of the output of Ansible
AT_RUN_TIME = re.compile(r"undefined|vault|decrypt", re.IGNORECASE)


class Proof:
    """Checks the playbooks of an unpacked package with `ansible-playbook --syntax-check`, which runs nothing.

    Its suites are collected by `pytest --collect-only`, which imports them and runs no test.

    Args:
        collections: the folder that holds `ansible_collections/orchestrator`.
        environ: the environment variables to act under.
        declared: what the environments of a release declare, by their names.
        views: what Ansible and pytest find of this machine; by default nothing but the package.
        read: the template of an implementation plan in a file of a package, whose root is the second argument.
    """

    def __init__(
        self,
        collections: Path,
        environ: Mapping[str, str],
        declared: Callable[[tuple[str, ...]], tuple[Declared, ...]] = lambda _names: (),
        views: Views | None = None,
        read: ReadTemplate | None = None,
    ) -> None:
        self._collections, self._environ, self._declared = collections, environ, declared
        self._read_template = read
        self._views = views or Views(None, Path("/nowhere"), environ)

    def __call__(self, package: Package) -> Iterator[OrchestratorError]:
        """The warnings about an unpacked *package* (P115, P134).

        Raises F-codes and G401 when an implementation plan of a step cannot be started, P126 to P133 when a playbook or
        suite cannot work as it does by hand, P114 when it needs roles or
        collections of this machine, and P113 when Ansible cannot read a playbook, or does not find what it names.
        """
        with temporary_folder("orchestrator-proof-") as folder:
            yield from self._checked(package, Path(folder))

    def _checked(self, package: Package, scratch: Path) -> Iterator[OrchestratorError]:
        content, release = Path(str(package.root)), package.manifest.release
        declared = self._declared(release.environments)
        _refuse(StaticChecks(content, release, self._search_paths(package, scratch), declared).errors())
        if self._read_template is not None:
            for environment in release.environments:
                check_implementations(content, release, environment, self._read_template)
        hosts = placeholder(content, release)
        names = {name for item in declared for name in item.environment}
        suites = SuiteCollection(content, release, hosts, scratch / "suites", self._environ, names, self._views)
        with ThreadPoolExecutor(max_workers=1) as pool:
            collecting = pool.submit(lambda: list(suites.problems()))
            yield from self._syntax(package, hosts, scratch)
            problems = collecting.result()
        _refuse([problem for problem in problems if problem.code != SUITE_NOT_CHECKED])
        yield from problems

    def _configurations(self, scratch: Path) -> Configurations:
        """The configuration of Ansible, for a package alone."""
        return Configurations(self._environ, None, self._collections, scratch, self._views)

    def _search_paths(self, package: Package, scratch: Path) -> Callable[[str], Mapping[str, str]]:
        """The folders of roles and collections that a playbook has."""
        configurations, content = self._configurations(scratch), str(package.root)

        def paths(playbook: str) -> Mapping[str, str]:
            return configurations.of_folder(
                Path(content) / working_folder_of(package, playbook), package
            ).search_paths()

        return paths

    def _syntax(self, package: Package, hosts: Inventory, scratch: Path) -> Iterator[OrchestratorError]:
        """What Ansible finds in the playbooks, for placeholder *hosts*."""
        folders: dict[str, list[str]] = {}
        for playbook in dict.fromkeys(playbooks(package.manifest.release)):
            folders.setdefault(working_folder_of(package, playbook), []).append(playbook)
        for number, (folder, names) in enumerate(folders.items()):
            own = scratch / f"syntax-{number}"
            own.mkdir()
            (own / "password").write_text("none\n")
            (own / HOSTS).write_bytes(dump(inventory_document(hosts, {})))
            yield from self._folder(package, folder, names, own)

    def _folder(self, package: Package, folder: str, names: list[str], scratch: Path) -> Iterator[OrchestratorError]:
        """The warnings about the playbooks that run in one *folder*."""
        project = Path(str(package.root)) / folder
        env = self._environment(package, project, scratch)
        alone = self._output(package, project, names, _only(package, project, env), scratch)
        if alone is None:
            return
        with_machine = self._output(package, project, names, env, scratch)
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
        """As in a run, but without any secret: no password is read or prompted for, and no agent or token is passed."""
        home = Path(self._environ.get("HOME") or Path.home()) / ".ansible"
        effective = self._configurations(scratch).of_folder(project, package)
        env = without_credentials(effective.environment(scratch, scratch, 1), scratch)
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

    def _output(
        self, package: Package, project: Path, names: list[str], env: Mapping[str, str], scratch: Path
    ) -> str | None:
        """What Ansible finds wrong with the playbooks *names*; None when it finds nothing."""
        names = [os.path.relpath(Path(str(package.root)) / name, project) for name in names]
        command = [sys.executable, "-P", "-m", "ansible", "playbook", "--syntax-check", "-i", str(scratch / HOSTS)]
        view = self._views.of(read=self._read(package, env), write=[scratch])
        try:
            done = self._views.run([*command, *names], view, cwd=project, env=env, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return f"what is undefined: Ansible took more than {TIMEOUT:.0f} s"
        if done.returncode == 0:
            return None
        text = clean_text((done.stderr or done.stdout).decode("utf-8", "replace"))
        lines = [line for line in text.replace(f"{package.root}/", "").splitlines() if not line.startswith("[WARNING]")]
        return "\n".join([*lines, self._views.refused(text, view)]).strip()[:SHOWN]

    def _read(self, package: Package, env: Mapping[str, str]) -> Iterator[str]:
        """What Ansible may read: the package, our collection, and the roles and collections that *env* leads to."""
        yield from (str(package.root), str(package.home or package.root), str(self._collections))
        for name in MACHINE:
            yield from (path for path in env[name].split(os.pathsep) if path)


def _only(package: Package, project: Path, env: Mapping[str, str]) -> dict[str, str]:
    """*env* with roles and collections of the package alone."""
    paths, home = {}, Path(str(package.home))
    for name, folder in MACHINE.items():
        inside = [path for path in env[name].split(os.pathsep) if Path(path).is_relative_to(home)]
        paths[name] = os.pathsep.join(inside or [str(project / folder)])
    return {**env, **paths, "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "False"}


def _refuse(errors: list[OrchestratorError]) -> None:
    """Raise what is wrong, one error as itself."""
    if len(errors) > 1:
        raise OrchestratorErrors(errors)
    if errors:
        raise errors[0]
