"""What `doctor` checks of this machine: one function a question, each with its remedy."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from orchestrator.app.machine import Machine
from orchestrator.config import find_project, load_project, search_path
from orchestrator.domain.diagnosis import Check
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.isolation.find import UNSET, find_isolator
from orchestrator.isolation.isolator import NONE

SHORT = 104  # bytes: the longest path of a Unix socket on macOS, the shorter of the two


def examine_machine(start: Path, machine: Machine, environ: Mapping[str, str]) -> list[Check]:
    """Each check of the *machine*, for the project around *start* if there is one."""
    return [
        _python(),
        _programs(),
        _pip(machine),
        _pulumi(machine, environ),
        _sshd(machine),
        _ssh(environ),
        _locale(environ),
        _sockets(),
        check_isolation(start, environ),
    ]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Check(name="Python", level="ok", says=f"{version} at {sys.executable}")
    return Check(name="Python", level="warning", says=f"{version} is not one that is tested", remedy="use 3.11 to 3.13")


def _programs() -> Check:
    """Ansible's and pytest's programs, which must be those of our own installation."""
    here = Path(sys.executable).parent
    missing = [name for name in ("ansible-playbook", "ansible-inventory") if not (here / name).is_file()]
    if missing:
        remedy = "install orchestrator again, with its dependencies, in an environment of its own"
        return Check(name="Ansible", level="problem", says=f"{', '.join(missing)} is not beside Python", remedy=remedy)
    done = _run([str(here / "ansible-playbook"), "--version"])
    return Check(name="Ansible", level="ok", says=(done.splitlines() or ["?"])[0])


def _pip(machine: Machine) -> Check:
    problem = machine.pulumi.interpreter_problem()
    if problem:
        return Check(name="pip", level="problem", says=problem, remedy=f"{sys.executable} -m ensurepip")
    return Check(name="pip", level="ok", says="the interpreter has it, as Pulumi's Python host requires")


def _pulumi(machine: Machine, environ: Mapping[str, str]) -> Check:
    try:
        found = machine.pulumi.find()
    except OrchestratorError as error:
        chosen = environ.get("ORCHESTRATOR_PULUMI")
        remedy = "correct ORCHESTRATOR_PULUMI, or unset it" if chosen else "orchestrator engine install"
        return Check(name="Pulumi engine", level="problem", says=error.message, remedy=remedy)
    return Check(name="Pulumi engine", level="ok", says=f"{found.version} at {found.path} (from {found.source})")


def _sshd(machine: Machine) -> Check:
    try:
        found = machine.ssh_servers.find()
    except OrchestratorError as error:
        remedy = "orchestrator hosts install (only loopback hosts need it)"
        return Check(name="sshd", level="warning", says=error.message, remedy=remedy)
    if not found.is_file():
        says = f"{found} does not exist"
        return Check(name="sshd", level="problem", says=says, remedy="correct ORCHESTRATOR_SSHD, or unset it")
    if not machine.ssh_servers.isolates():
        remedy = "install bubblewrap, and allow user namespaces, to isolate loopback hosts from this machine"
        return Check(name="sshd", level="warning", says=f"{found}; hosts are not isolated", remedy=remedy)
    return Check(name="sshd", level="ok", says=f"{found}; loopback hosts are isolated by bubblewrap")


def _ssh(environ: Mapping[str, str]) -> Check:
    path = shutil.which("ssh", path=search_path(environ))
    if path is None:
        remedy = "install OpenSSH's client, or without root: orchestrator hosts install"
        return Check(name="ssh", level="problem", says="there is no ssh", remedy=remedy)
    return Check(name="ssh", level="ok", says=f"{_run([path, '-V']).strip()} at {path}")


def _locale(environ: Mapping[str, str]) -> Check:
    """Ansible refuses to start where the locale's encoding is not UTF-8."""
    name = next((environ[key] for key in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(key)), "")
    if name and "utf" not in name.lower():
        remedy = "nothing: plays get C.UTF-8; set LANG=C.UTF-8 to see every character here too"
        return Check(name="locale", level="warning", says=f"{name} is not UTF-8", remedy=remedy)
    return Check(name="locale", level="ok", says=name or "not set; plays get C.UTF-8")


def _sockets() -> Check:
    """OpenSSH's control sockets live in the temporary folder, and have a longest name."""
    folder = tempfile.gettempdir()
    if len(folder) + 60 > SHORT:
        remedy = "set TMPDIR to a short path, such as /tmp"
        return Check(name="temporary folder", level="warning", says=f"{folder} is too long for sockets", remedy=remedy)
    return Check(name="temporary folder", level="ok", says=folder)


def check_isolation(start: Path, environ: Mapping[str, str]) -> Check:
    """What isolates processes that run code of a package, by the setting of the project around *start*."""
    setting = UNSET
    with contextlib.suppress(OrchestratorError, OrchestratorErrors):  # the files have a check of their own
        setting = load_project(find_project(start)).isolation
    try:
        found = find_isolator(setting, environ)
    except OrchestratorError as error:
        remedy = "install bubblewrap, or allow user namespaces"
        return Check(name="isolation", level="problem", says=error.message, remedy=remedy)
    if found.isolates:
        says = f"by {found.kind}: code of a package finds its copy and what its environment declares"
        return Check(name="isolation", level="ok", says=says)
    says = f"processes are not isolated ({found.reason}): code of a package can do what you can do"
    remedy = "remove isolation: off" if found == NONE else "install bubblewrap, or allow user namespaces"
    return Check(name="isolation", level="warning", says=says, remedy=remedy)


def _run(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout or done.stderr
