"""Laying down and starting one play: its inventory, its variables, and the words of Ansible's command line."""

import contextlib
import json
import math
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible.configuration import Configurations, Effective
from orchestrator.adapters.ansible.control import ControlSockets
from orchestrator.adapters.ansible.controller_files import CONTENT, collect, lay_copy
from orchestrator.adapters.ansible.document import dump
from orchestrator.adapters.ansible.handlers import notify_again
from orchestrator.adapters.ansible.kept_files import KeptFiles, Writer
from orchestrator.adapters.ansible.known_secrets import KnownSecrets
from orchestrator.adapters.ansible.ledger import AROUND, LedgerKey, records_itself, tags_of
from orchestrator.adapters.ansible.prompts import askpass
from orchestrator.adapters.ansible.resolution import asks_us, static_document
from orchestrator.adapters.ansible.shared_files import SharedFiles
from orchestrator.adapters.ansible.tally import Tally
from orchestrator.adapters.explanations import explained
from orchestrator.adapters.views import CONTROL
from orchestrator.domain.configuration import CONFIG_FILE
from orchestrator.domain.context import Context
from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.job_event import has_shape, parsed
from orchestrator.domain.plan import PlaySpec
from orchestrator.domain.quantities import seconds
from orchestrator.domain.release import Package
from orchestrator.domain.step import HostResult, StepResult
from orchestrator.domain.variables import (
    RELEASE,
    SECRETS,
    Unsafe,
    base_vars,
    inventory_document,
    marked_unsafe,
    unsafe,
    with_old_names,
)
from orchestrator.domain.view import View
from orchestrator.file_system import read_bounded
from orchestrator.isolation.mounts import clear
from orchestrator.ports import SECRETS_FOLDER, Job, JobOutcome, Jobs
from orchestrator.secret_values import SecretValues
from orchestrator.trees import discard

QUESTION = "look.yml"
OVERLAY, RESOLVED = "overlay.yml", "resolved.yml"
LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})  # the names of the controller itself, as Ansible has them
LARGEST = 1 << 20  # bytes of an answer
CONNECTS = 10  # seconds in which a connection is made, as Ansible has it
UNANSWERED = 3  # questions of ssh to a host's server that stay without an answer before the connection is given up
SCRATCH = "~/.ansible/tmp"  # where modules work on a host whose settings name no other folder
TEMPORARY = ("home", "tmp")  # the folders of Ansible's own temporary files, in the folder of the job


@dataclass(frozen=True)
class PlayRequest:
    """One play to run as the job *job*: of a *package*, or our own question to hosts.

    Attributes:
        question: the playbook of a question to hosts; empty for a package's playbook.
        stdout: how many characters of each task's output are kept; 0: as usual.
    """

    play: PlaySpec
    package: Package | None
    inventory: Inventory
    context: Context
    job: str
    check: bool = False
    question: bytes = b""
    stdout: int = 0


class PlayRunner:
    """Runs plays as jobs; see `AnsibleDeployer` for the arguments."""

    def __init__(
        self,
        jobs: Jobs,
        configurations: Configurations,
        control: ControlSockets,
        state: Path,
        shared: SharedFiles | None = None,
        known: KnownSecrets | None = None,
    ) -> None:
        self._jobs, self._configurations, self._control = jobs, configurations, control
        self._state, self._shared = state, shared
        self._known = known or KnownSecrets(configurations, SecretValues())

    def run(self, request: PlayRequest, tally: Tally) -> JobOutcome:
        """Lay down inventory and variables, run the play as a job, and take away what is secret."""
        folder = self._jobs.folder(request.job)
        marked_unsafe({**request.play.vars, **request.play.extra_vars})  # before anything is laid down
        copy = self._copy(request, folder)
        effective = self._configuration(request, copy)
        self._known.of_play(request.package, request.inventory.files, effective)
        self._known.of_context(request.context, copy)
        content = content_of(request.package, copy) if request.package is not None else folder
        if request.play.pending and not (folder / "job.json").exists():
            notify_again(request.play, content, tags_of(request.play))
        found = content_of(request.package, effective.copy) if request.package is not None else folder
        files = _files(request, content, found) | {CONFIG_FILE: effective.config}
        spec = self._spec(request, effective, folder, found)
        files["spec.json"] = json.dumps(spec).encode()
        started = Job(
            key=request.job,
            argv=(sys.executable, "-P", "-m", "orchestrator.adapters.ansible.child"),
            env=self._play_env(request, effective, content, found, folder),
            cwd=effective.folder,
            files=files,
            secrets=_secret_files(request, found),
            timeout=request.play.timeout,
            writes=(CONTENT, *TEMPORARY),
            unmasked=tuple(f"{CONTENT}/{path}" for path in request.context.controller_files),
            view=self._view(request, effective),
        )
        outcome = self._jobs.run(started, tally.take)
        # Not after an error: the play may still run. A folder that it mounts on would be lost to it.
        if copy is not None and request.package is not None:
            _clear(folder, copy, request.package)
        for name in TEMPORARY:
            discard(folder / name)
        return outcome

    def advised(self, host: HostResult, inventory: Inventory, context: Context) -> HostResult:
        """The inspected *host*, with the line to add if it accepted no key that an isolated process has."""
        views, settings = self._configurations.views, context.settings
        if host.outcome.good or not views.isolates:
            return host
        view = self._configurations.of_hosts(inventory.files, settings).view(settings, views.inventory(inventory))
        found = views.refused(host.message, view, settings, f"the environment.yaml of {context.environment}")
        return host.model_copy(update={"message": f"{host.message}; {found}"}) if found else host

    def explained(self, request: PlayRequest, result: StepResult) -> StepResult:
        """The *result* of a play, with the line to add if isolation refused what it needed."""
        folder, settings = self._jobs.folder(request.job), request.context.settings
        views, where = self._configurations.views, f"the environment.yaml of {request.context.environment}"

        def advice(text: str) -> str:
            view = self._view(request, self._configuration(request, folder / CONTENT))
            return views.refused(text, view, settings, where)

        return explained(result, folder, advice) if views.isolates else result

    def _sources(self, inventory: Inventory, folder: Path) -> list[str]:
        """The inventory files of the user. An isolated play gets what was resolved of those that start us."""
        if not self._configurations.views.isolates or not any(map(asks_us, inventory.files)):
            return list(inventory.files)
        return [*(file for file in inventory.files if not asks_us(file)), str(folder / SECRETS_FOLDER / RESOLVED)]

    def _view(self, request: PlayRequest, effective: Effective) -> View:
        """The view of the play: besides its copy, the files that it needs to reach the hosts of its environment."""
        return effective.view(request.context.settings, self._configurations.views.inventory(request.inventory))

    def _control_folder(self) -> Path:
        """The folder of control sockets: an isolated play has its own, and its connections end with it."""
        return Path(CONTROL) if self._configurations.views.isolates else self._control.folder()

    def discard(self, request: PlayRequest) -> None:
        """Remove the copy of a play that was not started."""
        discard(self._jobs.folder(request.job) / CONTENT)

    def written(self, request: PlayRequest) -> list[dict[str, Any]]:
        """The files that the play of *request* wrote on the controller; see `controller_files.collect`."""
        if request.package is None:
            return []
        files = collect(request.package, self._jobs.folder(request.job), self.kept(request.context))
        if files:
            self._jobs.mask(request.job)
        return files

    def keep(self, request: PlayRequest) -> OrchestratorError | None:
        """Keep the controller files of the environment as the play left them; the reason why that is not possible."""
        package, copy = request.package, self._jobs.folder(request.job) / CONTENT
        if package is None or package.root is None or not copy.is_dir():
            return None
        if self._known.of_context(request.context, copy):  # by passwords that the play has generated as well
            self._jobs.mask(request.job)
        try:
            self.kept(request.context).take(copy, Path(package.root), _writer(request, package))
        except OrchestratorError as error:
            return error
        return None

    def _copy(self, request: PlayRequest, folder: Path) -> Path | None:
        """The copy that a package's play runs in, with the controller files of the environment."""
        if request.package is None:
            return None
        new = not (folder / "job.json").exists()
        copy = lay_copy(request.package, folder)
        if new:
            self.kept(request.context).lay(copy, _writer(request, request.package))
        return copy

    def kept(self, context: Context) -> KeptFiles:
        """The controller files of the environment of *context*."""
        return KeptFiles(self._state, context, self._shared)

    def _configuration(self, request: PlayRequest, copy: Path | None) -> Effective:
        settings = request.context.settings
        if request.package is None:
            return self._configurations.of_hosts(request.inventory.files, settings)
        return self._configurations.of_play(request.package, request.play.playbook, settings, copy)

    def _play_env(
        self, request: PlayRequest, effective: Effective, content: Path, found: Path, folder: Path
    ) -> dict[str, str]:
        """The environment variables of a play: with our own playbook around it, and results of the requested size.

        *found* is the *content* as the play finds it.
        """
        play = request.play
        env = effective.environment(folder, self._control_folder(), len(play.limit))
        env |= _connection(effective, request.context.settings) | askpass(folder)
        packages = str(Path(__file__).resolve().parents[3])
        if _is_checkout(packages):
            env["PYTHONPATH"] = packages
        if request.stdout:  # ansible-runner drops results that are longer, and has every line of them twice
            env["MAX_EVENT_RES"] = str(4 * request.stdout)
        beside = Path(play.playbook).parent / "collections"
        # Collections are found beside the playbook that is started, and that one is ours.
        if request.package is not None and (content / beside).is_dir():
            env["ANSIBLE_COLLECTIONS_PATH"] = f"{found / beside}{os.pathsep}{env['ANSIBLE_COLLECTIONS_PATH']}"
        return env

    def _spec(self, request: PlayRequest, effective: Effective, folder: Path, found: Path) -> dict[str, Any]:
        """The specification of the play for the child process, which finds the content at *found*."""
        play, settings, inventory = request.play, request.context.settings, request.inventory
        words = ["--check", "--diff"] if request.check else []
        words += [word for name in _extra_vars(request) for word in ("-e", f"@{folder / SECRETS_FOLDER / name}")]
        return {
            "project": str(effective.folder),
            "playbook": str(folder / (AROUND if request.package is not None else QUESTION)),
            "own": os.path.realpath(folder / AROUND),
            "inventory": [str(folder / SECRETS_FOLDER / OVERLAY), *self._sources(inventory, folder)],
            "limit": _limit(folder / "limit", request),
            "tags": ",".join(play.tags),
            "skip_tags": ",".join(play.skip_tags),
            "verbosity": settings.verbosity,
            "cmdline": shlex.join(words),
            "check": request.check,
            "stdout": request.stdout,
            "content": str(found if request.package is None else effective.copy),
            "copy": str(folder / CONTENT),
            "scratch": _scratch(effective, inventory) if self._configurations.views.isolates else [],
        }


def _clear(folder: Path, copy: Path, package: Package) -> None:
    """Remove what the mounts of an isolated play left in its *copy*: it is not a file that the play wrote."""
    with contextlib.suppress(OSError, ValueError):
        clear(str(copy), json.loads((folder / "job.json").read_text()).get("mounts", ()), str(package.root))


def _writer(request: PlayRequest, package: Package) -> Writer:
    return Writer.of(request.job, request.context, package.digest)


def result_code(outcome: JobOutcome) -> int | None:
    """The exit code of ansible-playbook, as the child left it."""
    try:
        result = parsed(read_bounded(outcome.folder / "result.json", LARGEST))
    except OSError:
        return outcome.code
    if not has_shape(result, {"rc": (int, type(None))}):
        return outcome.code
    return result["rc"] if result["rc"] is None else int(result["rc"])


def content_of(package: Package, copy: Path | None = None) -> Path:
    """The folder that the paths of the release are relative to: in the kept content, or in a *copy* of it."""
    if package.root is None:
        raise RuntimeError("the package is not unpacked")
    return Path(os.path.normpath((copy or Path(package.root)) / package.manifest.project))


def _claims(request: PlayRequest, content: Path) -> bool:
    """Whether hosts are claimed before the playbook, and what was done is recorded after it."""
    if request.check or not _claim(request).wanted:
        return False
    return not records_itself(content / request.play.playbook)


def _claim(request: PlayRequest) -> LedgerKey:
    if request.package is None:
        return LedgerKey(request.context)
    return LedgerKey.of(request.job, request.context, request.package.digest)


def _files(request: PlayRequest, content: Path, found: Path) -> dict[str, bytes]:
    """The files of the job's folder at its start, without the child's specification and secrets."""
    play, claim = request.play, _claim(request)
    files = {"limit": "\n".join(_patterns(request)).encode() + b"\n"}
    if request.question:
        files[QUESTION] = request.question
    if request.package is not None:
        files[AROUND] = claim.around(found / play.playbook, play, claims=_claims(request, content))
    return files


def _secret_files(request: PlayRequest, found: Path) -> dict[str, bytes]:
    """The files that end with the play: variables, which may be secret."""
    variables = base_vars(request.package, request.play, request.context)
    if request.package is not None:
        variables[RELEASE] |= {**_claim(request).variables(), "package_dir": Unsafe(found)}
        variables = with_old_names(variables, request.package)
    files = {OVERLAY: dump(inventory_document(request.inventory, variables)), **_extra_vars(request)}
    if any(map(asks_us, request.inventory.files)):
        files[RESOLVED] = dump(static_document(request.inventory))
    return files


def _extra_vars(request: PlayRequest) -> dict[str, bytes]:
    """The files of variables that nothing else outdoes, by name; none for what there is nothing of."""
    extra = {**marked_unsafe(request.play.extra_vars), **request.context.settings.extra_vars}
    values = {"extra.yml": extra, "secret.yml": _secrets(request)}
    return {name: dump(found) for name, found in values.items() if found}


def _secrets(request: PlayRequest) -> dict[str, Any]:
    secret = request.context.outputs.secret
    return with_old_names({SECRETS: unsafe(dict(secret))}, request.package) if secret else {}


def _patterns(request: PlayRequest) -> list[str]:
    """The patterns of Ansible's limit.

    A playbook gets all hosts but those of the inventory that do not belong to the batch. So plays on localhost, and on
    hosts that `add_host` adds, run as they do by hand. A question goes to its hosts and to no others.
    """
    play, inventory = request.play, request.inventory
    if request.package is None:
        return list(play.limit)
    step = inventory.select(play.hosts) if LOCAL & set(inventory.hosts) else ()
    others = [host for host in inventory.hosts if host not in play.limit and (host not in LOCAL or host in step)]
    return ["all", "localhost", *([f"!~(?:{'|'.join(map(re.escape, others))})$"] if others else [])]


def _scratch(effective: Effective, inventory: Inventory) -> list[str]:
    """The folders in which modules on localhost work: Ansible warns when a module has to make one."""
    listed = (inventory.listing or {}).get("_meta", {}).get("hostvars", {}).values()
    every = (*inventory.hosts.values(), *(group.vars for group in inventory.groups.values()), *listed)
    named = [variables.get("ansible_remote_tmp") for variables in every]
    setting = effective.settings.get(("defaults", "remote_tmp")) or SCRATCH
    return sorted({path for path in (setting, *named) if isinstance(path, str) and "{{" not in path})


def _limit(file: Path, request: PlayRequest) -> str:
    """The patterns as Ansible takes them: in a *file*, unless its path would be taken for several patterns."""
    return ",".join(_patterns(request)) if re.search(r"[\s,]", str(file)) else f"@{file}"


def _connection(effective: Effective, settings: AnsibleSettings) -> dict[str, str]:
    """Variables by which ssh gives up a connection to a host that sends nothing any more."""
    silence = seconds(settings.unresponsive)
    interval = max(1, math.ceil(silence / UNANSWERED))
    alive = f"-o ServerAliveInterval={interval} -o ServerAliveCountMax={UNANSWERED}"
    more = effective.settings.get(("ssh_connection", "ssh_extra_args"))
    env = {"ANSIBLE_SSH_EXTRA_ARGS": f"{more} {alive}" if more else alive}
    if effective.settings.get(("defaults", "timeout")) is None:
        env["ANSIBLE_TIMEOUT"] = str(min(CONNECTS, math.ceil(silence)))
    return env


def _is_checkout(packages: str) -> bool:
    return (Path(packages) / "pyproject.toml").is_file()
