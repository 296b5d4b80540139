"""What `doctor` looks at: one function a question, each with its remedy."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from orchestrator.cli.checks import check_project
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors, lookup
from orchestrator.domain.model import Model
from orchestrator.domain.text import counted
from orchestrator.resources import shortage

Level = Literal["ok", "warning", "problem"]
ROOMY = 500 * 2**20  # bytes: packages, logs and plans of a few promotions
RUN_JOB = re.compile(r"[0-9a-f]{6}-")  # the jobs of runs, not those of plans and inspections
SHORT = 104  # bytes: the longest path of a Unix socket on macOS, the shorter of the two


class Check(Model):
    """One thing that was looked at: what was found, and what to do when it is not *ok*."""

    name: str
    level: Level
    says: str
    remedy: str = ""


def examine(start: Path, environ: Mapping[str, str]) -> list[Check]:
    """Look at the machine, then at the project around *start* when there is one."""
    machine = [
        _python(),
        _programs(),
        _pip(),
        _pulumi(environ),
        _sshd(environ),
        _ssh(environ),
        _locale(environ),
        _sockets(),
        _isolation(start, environ),
    ]
    return machine + examine_project(start, environ)


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


def _pip() -> Check:
    from orchestrator.adapters.pulumi.engine import interpreter_problem

    problem = interpreter_problem()
    if problem:
        return Check(name="pip", level="problem", says=problem, remedy=f"{sys.executable} -m ensurepip")
    return Check(name="pip", level="ok", says="the interpreter has it, as Pulumi's Python host wants")


def _pulumi(environ: Mapping[str, str]) -> Check:
    from orchestrator.adapters.pulumi import engine

    try:
        found = engine.find_engine(environ)
    except OrchestratorError as error:
        chosen = environ.get("ORCHESTRATOR_PULUMI")
        remedy = "correct ORCHESTRATOR_PULUMI, or unset it" if chosen else "orchestrator engine install"
        return Check(name="Pulumi engine", level="problem", says=error.message, remedy=remedy)
    return Check(name="Pulumi engine", level="ok", says=f"{found.version} at {found.path} (from {found.source})")


def _sshd(environ: Mapping[str, str]) -> Check:
    from orchestrator.hosts import loopback, sshd

    try:
        found = sshd.find_server(environ)
    except OrchestratorError as error:
        remedy = "orchestrator hosts install (only loopback hosts need it)"
        return Check(name="sshd", level="warning", says=error.message, remedy=remedy)
    if not found.path.is_file():
        says = f"{found.path} is not there"
        return Check(name="sshd", level="problem", says=says, remedy="correct ORCHESTRATOR_SSHD, or unset it")
    if not loopback.isolation():
        remedy = "install bubblewrap, and allow user namespaces, to isolate loopback hosts from this machine"
        return Check(name="sshd", level="warning", says=f"{found.path}; hosts are not isolated", remedy=remedy)
    return Check(name="sshd", level="ok", says=f"{found.path}; loopback hosts are isolated by bubblewrap")


def _ssh(environ: Mapping[str, str]) -> Check:
    from orchestrator.config import search_path

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


def _isolation(start: Path, environ: Mapping[str, str]) -> Check:
    """What isolates processes that run code of a package, as the project wants it."""
    from orchestrator.config import find_project, load_project
    from orchestrator.isolation.find import UNSET, find_isolator
    from orchestrator.isolation.isolator import NONE

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


# -- the project ---------------------------------------------------------------------------------------------------


def examine_project(start: Path, environ: Mapping[str, str]) -> list[Check]:
    """Look at the project around *start*; when there is none, say so."""
    try:
        checked, errors, warnings = check_project(start)
    except OrchestratorError:
        return [Check(name="project", level="ok", says="none here: only the machine was looked at")]
    if errors:
        says = f"{counted(len(errors), 'error')} in its files"
        return [Check(name="project", level="problem", says=says, remedy="orchestrator validate shows them")]
    says = f"{counted(len(checked), 'file')} valid" + (f", {counted(len(warnings), 'warning')}" if warnings else "")
    state = _guarded(lambda: _state(start, environ))
    checks: list[Callable[[], Check]] = [lambda: _folder(start), lambda: _vaults(start), lambda: _ignored(start)]
    if state.level != "problem":  # all the others stand on it
        checks += [
            lambda: _stacks(start, environ),
            lambda: _runtimes(start, environ),
            lambda: _store(start, environ),
            lambda: _databases(start, environ),
            lambda: _artifacts(start, environ),
            lambda: _claims(start, environ),
        ]
    found = [Check(name="project", level="ok", says=says), state, *(_guarded(check) for check in checks)]
    if state.level == "problem":
        return found
    try:
        return [*found, *_situation(start, environ)]
    except (OrchestratorError, OrchestratorErrors):  # the checks above have named it
        return found


def _guarded(check: Callable[[], Check]) -> Check:
    """A check that cannot even look is a problem with the same words as anywhere else."""
    try:
        return check()
    except OrchestratorError as error:
        name = "store" if error.code.startswith("S") else "project"
        return Check(name=name, level="problem", says=error.message, remedy=f"orchestrator explain {error.code}")
    except OrchestratorErrors as errors:
        return Check(name="project", level="problem", says=str(errors), remedy="orchestrator validate")


def _state(start: Path, environ: Mapping[str, str]) -> Check:
    from orchestrator.config import find_project, state_folder

    try:
        folder = state_folder(find_project(start), environ)
    except OrchestratorError as error:
        remedy = error.hint or "make the folder above it yours"
        return Check(name="state folder", level="problem", says=error.message, remedy=remedy)
    if folder.stat().st_mode & 0o077:
        says = f"others may read {folder}, which holds secrets"
        return Check(name="state folder", level="problem", says=says, remedy=f"chmod 700 {folder}")
    if missing := shortage(folder):
        return Check(name="state folder", level="problem", says=missing, remedy="make room: nothing is begun before")
    free = shutil.disk_usage(folder).free
    if free < ROOMY:
        says = f"only {free // 2**20} MiB are free at {folder}"
        return Check(name="state folder", level="warning", says=says, remedy="make room before you promote")
    if not os.access(folder, os.W_OK):
        return Check(name="state folder", level="problem", says=f"{folder} cannot be written to", remedy="chown it")
    return Check(name="state folder", level="ok", says=f"{folder}, {free // 2**30} GiB free")


def _folder(start: Path) -> Check:
    """Ansible trusts no settings in a folder that everybody may write to."""
    from orchestrator.config import find_project

    root = find_project(start)
    if root.stat().st_mode & 0o002:
        says = f"everybody may write to {root}; Ansible ignores an ansible.cfg there"
        return Check(name="project folder", level="warning", says=says, remedy=f"chmod o-w {root}")
    return Check(name="project folder", level="ok", says=str(root))


def _vaults(start: Path) -> Check:
    """The files with passwords of vaults, which stay in the project and are never packed."""
    from orchestrator.config import ENVIRONMENT, find_project, load_environments, load_project

    root = find_project(start)
    for environment, folder in load_environments(root, load_project(root)).values():
        for vault in environment.ansible.vault_ids:
            path = vault.rpartition("@")[2]
            if path not in {"prompt", "prompt_ask_vault_pass"} and not (root / Path(path).expanduser()).exists():
                says = f"{environment.name} wants {path}, which is not there"
                where = (folder / ENVIRONMENT).relative_to(root)
                remedy = f"put the password there, or correct ansible.vault_ids in {where}"
                return Check(name="vault passwords", level="problem", says=says, remedy=remedy)
    return Check(name="vault passwords", level="ok", says="every file that is named is there")


def _stacks(start: Path, environ: Mapping[str, str]) -> Check:
    """What Pulumi must be given for each environment's stack."""
    from orchestrator.adapters.pulumi.settings import missing_credential
    from orchestrator.app.opening import open_application

    app = open_application(start, environ)
    if missing := [str(app.state / item.name) for item in app.withheld.missing()]:
        says = f"the restored state lacks {' and '.join(missing)}"
        return Check(name="stack secrets", level="problem", says=says, remedy="orchestrator explain S193")
    for name, (environment, folder) in app.environments.items():
        if environment.program is not None:
            found = missing_credential(app.provisioner.definition(environment, folder), environ)
            if found is not None:
                says, remedy = found
                return Check(name="stack secrets", level="problem", says=f"{name}: {says}", remedy=remedy)
    return Check(name="stack secrets", level="ok", says="passphrases and logins are there")


def _runtimes(start: Path, environ: Mapping[str, str]) -> Check:
    """What runs each environment's program: its language host, and the virtual environment that it names."""
    from orchestrator.adapters.pulumi import definition, engine, runtimes, settings
    from orchestrator.app.opening import open_application

    app, names = open_application(start, environ), list[str]()
    with contextlib.suppress(OrchestratorError):  # the engine has a check of its own
        found = engine.find_engine(environ)
        for name, (environment, folder) in app.environments.items():
            if environment.program is None:
                continue
            program = definition.find_program(environment, folder, app.root)
            project = settings.project_file(program.path)
            problem = runtimes.problem(project, found, environ, program.path)
            if problem is not None:
                says, remedy = f"{name}: {problem.message}", str(problem.hint)
                return Check(name="Pulumi programs", level="problem", says=says, remedy=remedy)
            names.append(runtimes.runtime(project)[0])
    says = f"{', '.join(dict.fromkeys(names))}: their language hosts are installed" if names else "none was checked"
    return Check(name="Pulumi programs", level="ok", says=says)


def _store(start: Path, environ: Mapping[str, str]) -> Check:
    """The journal: is it there, of which schema, and how is it kept?"""
    from orchestrator.adapters.database.engine import SCHEMA
    from orchestrator.app.opening import open_application

    app = open_application(start, environ)
    try:
        runs = len(app.store.runs(limit=1000))
    finally:
        app.close()
    kind = app.store_url.split("://")[0].partition("+")[0]
    how = _sqlite_mode() if kind == "sqlite" else "a server"
    return Check(name="store", level="ok", says=f"{kind} ({how}), schema {SCHEMA}, {counted(runs, 'run')}")


def _sqlite_mode() -> str:
    """Which journal mode is used, and why."""
    from orchestrator.adapters.database.driver import driver, journal_mode

    mode = journal_mode()
    why = "" if mode == "WAL" else ": its write-ahead log has a known fault in this version"
    return f"SQLite {driver().sqlite_version}, journal mode {mode}{why}"


def _databases(start: Path, environ: Mapping[str, str]) -> Check:
    """Each database file by SQLite's own check, and the space where they lie."""
    from orchestrator.adapters.database.engine import engine_url, integrity, sqlite_path
    from orchestrator.app.opening import open_application

    url = open_application(start, environ).store_url
    if not url.startswith("sqlite"):
        return Check(name="database files", level="ok", says="none: Postgres looks after its own")
    files = [sqlite_path(found) for found in (url, engine_url(url)) if sqlite_path(found).exists()]
    wrong = [f"{path.name}: {problem}" for path in files for problem in integrity(f"sqlite:///{path}")[:1]]
    if wrong:
        remedy = "orchestrator restore BACKUP --yes, or put an undamaged copy of the file in its place"
        return Check(name="database files", level="problem", says=f"damaged: {'; '.join(wrong)}", remedy=remedy)
    free = min((shutil.disk_usage(path.parent).free for path in files), default=ROOMY)
    if free < ROOMY:
        says = f"only {free // 2**20} MiB are free beside them"
        return Check(name="database files", level="warning", says=says, remedy="make room before you promote")
    says = f"{', '.join(path.name for path in files) or 'none yet'}: whole"
    return Check(name="database files", level="ok", says=says)


def _artifacts(start: Path, environ: Mapping[str, str]) -> Check:
    """What several machines share: whether it can be written, read and listed now."""
    from orchestrator.app.opening import open_application

    app = open_application(start, environ)
    try:
        app.artifacts.check()
    except OrchestratorError as error:
        remedy = f"{lookup(error.code).remedy} (orchestrator explain {error.code})"
        return Check(name="artifacts", level="problem", says=error.message, remedy=remedy)
    if app.shared is None:
        return Check(name="artifacts", level="ok", says="kept on this machine only")
    return Check(name="artifacts", level="ok", says=f"shared in {app.artifacts.where}")


def _ignored(start: Path) -> Check:
    """The state folder must not be committed: it holds the passphrase and the state of stacks."""
    from orchestrator.config import find_project

    root = find_project(start)
    words = ["git", "-C", str(root), "check-ignore", "-q", ".orchestrator/state.db"]
    inside = shutil.which("git") and subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--git-dir"], capture_output=True, check=False
    )
    if not inside or inside.returncode != 0 or subprocess.run(words, capture_output=True, check=False).returncode == 0:
        return Check(name="version control", level="ok", says="the state folder is not in it")
    remedy = "orchestrator init writes .orchestrator/.gitignore"
    return Check(name="version control", level="warning", says="git would take .orchestrator/ in", remedy=remedy)


def _situation(start: Path, environ: Mapping[str, str]) -> list[Check]:
    """The facts of each environment, as `status` shows them: what needs intervention, what has no records."""
    from orchestrator.app.opening import open_application

    app = open_application(start, environ)
    try:
        facts = app.queries.facts_of_all(app.actor, tuple(app.environments))
        used = any(item.recorded for item in facts) or not _traces(app.state)
    finally:
        app.close()
    checks = []
    for item in facts:
        for problem in item.problems:
            if problem.kind == "unrecorded" and used:
                continue
            level: Level = "problem" if problem.kind == "intervention" else "warning"
            says = f"{problem.text}: {problem.reason}" if problem.reason else problem.text
            remedy = "; or ".join(found.command for found in problem.remedies[:3])
            checks.append(Check(name=item.name, level=level, says=says, remedy=remedy))
    if not used:
        says = f"the journal has no runs, but {app.state} has files of earlier ones"
        remedy = "orchestrator restore BACKUP, or orchestrator observe ENVIRONMENT to ask the hosts"
        checks.append(Check(name="journal", level="warning", says=says, remedy=remedy))
    return checks or [Check(name="environments", level="ok", says="none needs intervention, no run is interrupted")]


def _traces(state: Path) -> bool:
    """Whether runs were executed with this state folder, by the folders of their jobs."""
    jobs = state / "jobs"
    return jobs.is_dir() and any(RUN_JOB.match(folder.name) for folder in jobs.iterdir())


def _claims(start: Path, environ: Mapping[str, str]) -> Check:
    """Who works on what, and what waits for which workers."""
    from orchestrator.app.opening import open_application
    from orchestrator.cli.words import when

    app = open_application(start, environ)
    try:
        works = app.store.pending()
        claimed = {work.root for work in works if app.engine.works_on(work)}
    finally:
        app.close()
    waiting = Counter(work.queue for work in works if work.queue and work.root not in claimed)
    says = [f"{work.root} by {work.worker} until {when(work.until)}" for work in works if work.root in claimed]
    says += [f"{number} in the queue {queue}" for queue, number in sorted(waiting.items())]
    return Check(name="workers", level="ok", says="; ".join(says) or "no worker is running, and no run waits for one")


def _run(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout or done.stderr
