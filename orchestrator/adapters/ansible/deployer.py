"""The `Deployer` port: plays, their results for each host, and what hosts say of themselves."""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible import settings as tuning
from orchestrator.adapters.ansible import snapshot as look
from orchestrator.adapters.ansible.document import dump
from orchestrator.adapters.ansible.ledger import AROUND, OWN, REFUSED, Claim, Told, records_itself
from orchestrator.domain.context import Context
from orchestrator.domain.environment import AnsibleSettings, SnapshotRule
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.model import digest_of
from orchestrator.domain.plan import HostPreview, PlaySpec, StepPreview
from orchestrator.domain.release import Package, Requirement, size_bytes
from orchestrator.domain.snapshot import Snapshot
from orchestrator.domain.step import HostResult, Outcome, StepResult, worst
from orchestrator.domain.text import clean_text, counted
from orchestrator.domain.variables import checked, inventory_document, lowest, unsafe
from orchestrator.ports import Emit, Job, JobOutcome, Jobs

HARMLESS = {
    "setup", "gather_facts", "ping", "debug", "set_fact", "assert", "fail", "stat", "slurp", "wait_for", "pause",
    "include_tasks", "import_tasks", "include_role", "import_role", "include_vars", "meta", "add_host", "group_by",
    "getent", "find", "package_facts", "service_facts", "wait_for_connection", "validate_argument_spec", "facts",
}  # fmt: skip
DONE = "done before, says its ledger"
FORGOTTEN = 2 * 86400  # seconds: no play leaves its connections alone for so long
ANSWER = 65536  # characters of what a host says of itself
COMMAND = re.compile(r"^[A-Za-z0-9_.+/-]{1,200}$")
NO_CONNECTION = re.compile(  # what ssh says when it never came so far that a task could begin
    r"ssh: connect to host|could not resolve hostname|host key verification failed|permission denied \("
    r"|banner exchange|kex_exchange_identification",
    re.IGNORECASE,
)


class AnsibleDeployer:
    """Plays of release packages on the hosts of an environment.

    Args:
        jobs: runs the plays.
        state: a folder for what is kept between plays.
        collections: the folder that holds `ansible_collections/orchestrator`.
        environ: the user's environment variables.
        home: the user's project, for files that are never packed (passwords of vaults, keys); None: there is none.
        apart: tells the connections of this one from those of others that are used, and closed, beside it.
    """

    def __init__(
        self,
        jobs: Jobs,
        state: Path,
        collections: Path,
        environ: Mapping[str, str],
        home: Path | None = None,
        apart: str = "",
    ) -> None:
        self._jobs, self._state, self._collections, self._environ = jobs, state, collections, environ
        self._home, self._own = home, apart

    def deploy(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Run the play on `play.limit`; in a second attempt, on those that have not done it by their own ledgers."""
        claim = Claim.of(job, context, package.digest)
        done = self._done_before(claim, play, inventory, job) if claim.attempt > 1 and claim.wanted else {}
        rest = play.model_copy(update={"limit": tuple(host for host in play.limit if host not in done)})
        if not rest.limit:
            return StepResult(outcome=Outcome.SUCCEEDED, message=DONE, hosts=tuple(done[host] for host in play.limit))
        tally = Tally(play.step, rest.limit, emit, job)
        outcome = self._play(rest, package, inventory, context, job, tally)
        result = tally.result(outcome, _rc(outcome), str(outcome.folder))
        hosts = {**done, **{host.host: host for host in result.hosts}}
        return result.model_copy(update={"hosts": tuple(hosts[host] for host in play.limit)})

    def check(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepPreview:
        """What the play would change, by `--check --diff`."""
        tally = Tally(play.step, play.limit, emit, job)
        outcome = self._play(play, package, inventory, context, job, tally, check=True)
        return tally.preview(tally.result(outcome, _rc(outcome), str(outcome.folder)))

    def require(
        self, requirements: tuple[Requirement, ...], inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Ask every host, in one round trip each, whether it is there, what it has, and which release it runs."""
        wanted = _wanted(requirements, inventory)
        claim = Claim(replace(context, run=context.run.partition(".")[0]))  # a plan asks for its run
        tally, outcome = self._ask(
            _question(requirements, claim, "look"), tuple(inventory.hosts), inventory, context, job
        )
        if outcome.how != "exited" or not tally.stats:
            return tally.result(outcome, _rc(outcome), str(outcome.folder))
        hosts = tuple(_answer(host, tally, wanted) for host in inventory.hosts)
        for host in hosts:
            if not host.outcome.good:
                emit(Entry(kind="notice", host=host.host, data={"level": "error", "text": host.message}))
        return _summary(hosts, outcome, {host: Told.by(_said(tally, host)).lines for host in inventory.hosts})

    def snapshot(self, rule: SnapshotRule, inventory: Inventory, context: Context, job: str, emit: Emit) -> Snapshot:
        """Ask every host, in one round trip each, what is on it."""
        del emit
        question = {"name": "Look at all of the host", "ansible.builtin.raw": look.script(rule), "changed_when": False}
        hosts = tuple(inventory.hosts)
        tally, outcome = self._ask(question, hosts, inventory, context, job, look.TIMEOUT, look.LIMIT)
        result = tally.result(outcome, _rc(outcome), str(outcome.folder))
        found, unknown = {}, {}
        for host in hosts:
            seen = look.read(tally.answers.get(host, ""), rule)
            if seen is not None:
                found[host] = seen
            elif tally.host(host).outcome.good:
                unknown[host] = "its answer ends early"
            else:
                unknown[host] = _first(tally.host(host).message or result.message)
        return Snapshot(hosts=found, unknown=unknown)

    def resolve(self, inventory: Inventory) -> Inventory:
        """The inventory with the user's *files* read into it by `ansible-inventory`."""
        if not inventory.files:
            return inventory
        with tempfile.TemporaryDirectory() as folder:
            own = Path(folder) / "overlay.yml"
            own.write_bytes(dump(inventory_document(inventory, {})))
            argv = [_program("ansible-inventory"), "--list", "-i", str(own)]
            argv += [word for file in inventory.files for word in ("-i", file)]
            env = self._env(Path(folder), len(inventory.hosts), AnsibleSettings())
            env["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "True"  # else it warns, and leaves those hosts out
            cwd = _project_of(inventory.files[0])
            done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = clean_text((done.stderr.strip().splitlines() or ["no message"])[-1], 500)
            raise OrchestratorError("D104", f"ansible-inventory cannot read {', '.join(inventory.files)}: {last}")
        found = _listed(json.loads(done.stdout), inventory)
        if not found.hosts:
            raise OrchestratorError("E120", f"there is no host in {', '.join(inventory.files)}")
        return found

    def close(self) -> None:
        """Close the connections that were kept open for speed, and remove their folder."""
        folder = self._control(make=False)
        if not folder.is_dir():
            return
        for socket in folder.iterdir():
            words = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "nobody"]
            env = dict(self._environ)
            subprocess.run(words, capture_output=True, check=False, stdin=subprocess.DEVNULL, env=env)
        shutil.rmtree(folder, ignore_errors=True)

    # -- running -------------------------------------------------------------------------------------------------

    def _ask(
        self,
        question: dict[str, Any],
        hosts: tuple[str, ...],
        inventory: Inventory,
        context: Context,
        job: str,
        timeout: float = 300.0,
        limit: int = ANSWER,
    ) -> tuple["Tally", JobOutcome]:
        """Put one question to each of *hosts*; answers are cut after *limit* characters."""
        tally = Tally("require", hosts, lambda _entry: None, job)
        playbook = dump([{"hosts": "all", "gather_facts": False, "tasks": [question]}])
        spec = PlaySpec(step="require", playbook="look.yml", hosts="all", limit=hosts, timeout=timeout)
        folder = self._jobs.folder(job)
        outcome = self._start(spec, folder, None, inventory, context, job, tally, {"look.yml": playbook}, stdout=limit)
        return tally, outcome

    def _done_before(self, claim: Claim, play: PlaySpec, inventory: Inventory, job: str) -> dict[str, HostResult]:
        """The hosts whose ledgers say that they have come through this step of this run, with what runs there."""
        tally, _ = self._ask(_question((), claim, "ask"), play.limit, inventory, claim.context, f"{job}.ask")
        done = {}
        for host in play.limit:
            said = _said(tally, host)
            if Told.by(said).has_done(claim, host):
                release = _current(*((said.get(name) or [""])[0] for name in ("release", "link", "linked")))
                done[host] = HostResult(
                    host=host, outcome=Outcome.SUCCEEDED, touched=True, message=DONE, release=release
                )
        return done

    def _play(
        self,
        play: PlaySpec,
        package: Package,
        inventory: Inventory,
        context: Context,
        job: str,
        tally: "Tally",
        *,
        check: bool = False,
    ) -> JobOutcome:
        if package.root is None:
            raise RuntimeError("the package is not unpacked")
        project = Path(os.path.normpath(Path(package.root) / package.manifest.project))
        return self._start(play, project, package, inventory, context, job, tally, {}, check=check)

    def _start(
        self,
        play: PlaySpec,
        project: Path,
        package: Package | None,
        inventory: Inventory,
        context: Context,
        job: str,
        tally: "Tally",
        files: dict[str, bytes],
        *,
        check: bool = False,
        stdout: int = 0,
    ) -> JobOutcome:
        """Lay down inventory and variables, run the play as a job, and take away what is secret."""
        folder = self._jobs.folder(job)
        claim = Claim.of(job, context, package.digest) if package is not None else Claim(context)
        around = package is not None and not check and claim.wanted and not records_itself(project / play.playbook)
        variables = lowest(package, play, context)
        if package is not None:
            variables["release"] |= claim.variables()
        highest = _highest(play, context)
        files |= {
            "inventory/overlay.yml": dump(inventory_document(inventory, variables)),
            "limit": "\n".join(play.limit).encode() + b"\n",
            **highest,
        }
        if around:
            files[AROUND] = claim.around(project / play.playbook, play)
        words = ["--check", "--diff"] if check else []
        words += [word for name in highest for word in ("-e", f"@{folder / name}")]
        spec = self._spec(play, project, inventory, context, folder, words, around=around)
        files["spec.json"] = json.dumps({**spec, "check": check, "stdout": stdout}).encode()
        started = Job(
            key=job,
            argv=(sys.executable, "-m", "orchestrator.adapters.ansible.child"),
            env=self._play_env(play, project, context.settings, around=around, stdout=stdout),
            cwd=project if package is not None else self._state,
            files=files,
            timeout=play.timeout,
        )
        try:
            return self._jobs.run(started, tally.take)
        finally:
            for name in ("secret.yml", "extra.yml", "inventory/overlay.yml"):
                (folder / name).unlink(missing_ok=True)

    def _play_env(
        self, play: PlaySpec, project: Path, settings: AnsibleSettings, *, around: bool, stdout: int
    ) -> dict[str, str]:
        """The environment of *play*: with our own playbook *around* it, and results of *stdout* bytes (0: as usual)."""
        env = self._env(project, len(play.limit), settings)
        if stdout:  # ansible-runner drops results that are longer, and has every line of them twice
            env["MAX_EVENT_RES"] = str(4 * stdout)
        beside = (project / play.playbook).parent / "collections"
        if around and beside.is_dir():  # found beside the playbook that is started, and that one is ours
            env["ANSIBLE_COLLECTIONS_PATH"] = f"{beside}{os.pathsep}{env['ANSIBLE_COLLECTIONS_PATH']}"
        return env

    def _spec(
        self,
        play: PlaySpec,
        project: Path,
        inventory: Inventory,
        context: Context,
        folder: Path,
        words: list[str],
        *,
        around: bool,
    ) -> dict[str, Any]:
        """What the child is told of the play; *words* are added to Ansible's command line."""
        settings = context.settings
        vaults = [word for name in settings.vault_ids for word in ("--vault-id", self._found(name, folder))]
        return {
            "project": str(project),
            "playbook": str(folder / AROUND) if around else play.playbook,
            "own": os.path.realpath(folder / AROUND),
            "inventory": [str(folder / "inventory/overlay.yml"), *inventory.files],
            "limit": _limit(folder / "limit", play),
            "tags": ",".join(play.tags),
            "skip_tags": ",".join(play.skip_tags),
            "verbosity": settings.verbosity,
            "cmdline": shlex.join([*words, *vaults]),
        }

    def _found(self, vault: str, folder: Path) -> str:
        """A vault's id with its file found in the user's project."""
        return tuning.at_home(vault, folder, self._home) if self._home is not None else vault

    def _env(self, project: Path, hosts: int, settings: AnsibleSettings) -> dict[str, str]:
        control = self._control(make=True)
        env = tuning.environment(project, self._home, self._collections, control, hosts, settings, self._environ)
        packages = str(Path(__file__).resolve().parents[3])
        return {**env, "PYTHONPATH": packages} if _is_checkout(packages) else env

    def _control(self, *, make: bool) -> Path:
        """The folder for ssh's control sockets: short, since their paths may not exceed about 100 characters."""
        base = Path(self._environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        own = f"{self._state}{self._own}"
        name = f"orc-{os.geteuid()}-{abs(hash_of(own)):08x}"
        folder = base / name
        if make:
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                _tidy(base)
            about = folder.lstat()
            if about.st_uid != os.geteuid() or about.st_mode & 0o077 or folder.is_symlink():
                raise OrchestratorError("D105", f"{folder} belongs to somebody else")
        return folder


def _tidy(base: Path) -> None:
    """Take away the folders of processes that were killed before they could: they have been empty for days."""
    before = time.time() - FORGOTTEN
    for folder in base.glob(f"orc-{os.geteuid()}-*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_mtime < before:
                folder.rmdir()  # only when it is empty: ssh has ended what was open there


def _limit(file: Path, play: PlaySpec) -> str:
    """The play's hosts as Ansible takes them: in a *file*, unless its path would be taken for several patterns."""
    return ",".join(play.limit) if re.search(r"[\s,]", str(file)) else f"@{file}"


def hash_of(text: str) -> int:
    """A short number that stands for *text*, the same in every process."""
    import zlib

    return zlib.crc32(text.encode())


def _is_checkout(packages: str) -> bool:
    return (Path(packages) / "pyproject.toml").is_file()


def _program(name: str) -> str:
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else name


def _project_of(file: str) -> Path:
    """The folder whose `ansible.cfg` counts for an inventory: the nearest one with such a file, else its own."""
    path = Path(file).resolve()
    return next((folder for folder in path.parents if (folder / "ansible.cfg").is_file()), path.parent)


def _highest(play: PlaySpec, context: Context) -> dict[str, bytes]:
    """The files of variables that nothing else outdoes, by name; none for what there is nothing of."""
    extra = {**checked(play.extra_vars), **context.settings.extra_vars}
    values = {"extra.yml": extra, "secret.yml": _secrets(context)}
    return {name: dump(found) for name, found in values.items() if found}


def _secrets(context: Context) -> dict[str, Any]:
    return {"pulumi_secrets": unsafe(dict(context.outputs.secret))} if context.outputs.secret else {}


def _rc(outcome: JobOutcome) -> int | None:
    try:
        result = json.loads((outcome.folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return outcome.code
    return int(result["rc"]) if result["rc"] is not None else None


def _listed(document: dict[str, Any], known: Inventory) -> Inventory:
    """Hosts and groups from what `ansible-inventory --list` prints.

    The variables of the user's own files stay there: Ansible reads them from the files again, with their own
    precedence, templates and vaults. Only what was *known* before (the stack's outputs) is kept as a value; of all the
    rest a digest is kept, in which what a vault encrypts is still encrypted.
    """
    groups = {
        name: Group(hosts=tuple(body.get("hosts", ())), children=tuple(body.get("children", ())))
        for name, body in document.items()
        if name not in {"_meta", "all"}
    }
    order: dict[str, None] = {}
    for group in groups.values():
        order.update(dict.fromkeys(group.hosts))
    order.update(dict.fromkeys(document.get("_meta", {}).get("hostvars", {})))
    hosts = {host: known.hosts.get(host, {}) for host in order}
    kept = {name: group.model_copy(update={"vars": known.groups[name].vars}) if name in known.groups else group
            for name, group in groups.items()}  # fmt: skip
    return Inventory(hosts=hosts, groups=kept, files=known.files, said=digest_of(document))


# -- what happened -----------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What a play's events say of each host, as they come."""

    step: str
    limit: tuple[str, ...]
    emit: Emit
    job: str
    stats: dict[str, dict[str, int]] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    releases: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    checked: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    own: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    refused: dict[str, str] = field(default_factory=dict)
    nobody: bool = False

    def take(self, number: int, event: dict[str, Any]) -> None:
        """Take one event of the child."""
        kind = event.pop("kind", "")
        if kind == "stats":
            self.stats = event
        elif kind == "no_hosts":
            self.nobody = self.nobody or bool(event["none"])
        elif kind == "notice":
            text = clean_text(event["text"], 4000)
            self.errors.append(text)
            data = {"level": event["level"], "text": text}
            self.emit(Entry(kind="notice", step=self.step, data=data, key=f"{self.job}:{number}"))
        elif kind == "task":
            self._task(number, event)

    def _task(self, number: int, event: dict[str, Any]) -> None:
        host, outcome = str(event["host"]), str(event["outcome"])
        if event.pop("own", False):
            self._own(host, outcome, event)
            if outcome != "unreachable" or event["ignored"]:
                return
        short = str(event["action"]).rsplit(".", 1)[-1]
        if outcome == "started":
            if short not in HARMLESS:
                self.touched.add(host)
            return
        event = {key: clean_text(value) if isinstance(value, str) else value for key, value in event.items()}
        if outcome in {"failed", "unreachable"} and not event["ignored"]:
            self.failures[host] = event
        if outcome == "unreachable" and host not in self.heard and self._never_reached(host, event):
            self.touched.discard(host)
        if outcome not in {"unreachable", "skipped"}:
            self.heard.add(host)
            self.answers[host] = str(event.pop("stdout", ""))
        if isinstance(event.get("release"), dict):
            self.releases[host] = str(event["release"].get("digest") or "")
        if "check" in event:
            self.checked.append(event)
        shown = ("task", "action", "outcome", "message", "where", "seconds")
        data = {name: event[name] for name in shown}
        self.emit(Entry(kind="task", step=self.step, host=host, data=data, key=f"{self.job}:{number}"))

    def _never_reached(self, host: str, event: Mapping[str, Any]) -> bool:
        """Whether nothing was done there: what was lost while its first task worked is not meant."""
        return not self.own[host] and bool(NO_CONNECTION.search(str(event["message"])))

    def _own(self, host: str, outcome: str, event: dict[str, Any]) -> None:
        """Our own tasks around the playbook are no work of the user's; but a host that refuses has its say."""
        if outcome == "started":
            return
        self.own[host].add(str(event["task"]))  # by name: an event that comes twice is still one task
        said = clean_text(str(event.pop("stdout", "")), 1000).strip()
        if outcome == "failed" and (not event["ignored"] or said.startswith(REFUSED)):
            self.refused[host] = said or clean_text(str(event["message"]), 1000)
            self.failures[host] = {"message": self.refused[host], "task": event["task"]}
        if event["ignored"] and host not in self.refused:
            text = (
                f"{host}: what was done there could not be recorded: {said or clean_text(str(event['message']), 500)}"
            )
            self.emit(Entry(kind="notice", step=self.step, host=host, data={"level": "warning", "text": text}))

    def host(self, host: str) -> HostResult:
        """What the play did on *host*."""
        failure = self.failures.get(host, {})
        outcome = self._outcome(host)
        return HostResult(
            host=host,
            outcome=outcome,
            touched=host in self.touched,
            changed=int(self.stats.get("changed", {}).get(host, 0)),
            message=str(failure.get("message", "")) if not outcome.good else "",
            task=str(failure.get("task", "")) if not outcome.good else "",
            where=str(failure.get("where", "")) if not outcome.good else "",
            release=self.releases.get(host),
        )

    def _outcome(self, host: str) -> Outcome:
        if not self.stats:
            return Outcome.UNKNOWN if host in self.touched else Outcome.SKIPPED
        if self.stats["dark"].get(host):
            return Outcome.UNKNOWN
        if self.stats["failures"].get(host) or host in self.refused:
            return Outcome.FAILED
        counted_there = sum(self.stats.get(name, {}).get(host, 0) for name in ("ok", "failures", "skipped"))
        own = len(self.own[host])
        worked = counted_there > own if own else self.stats["processed"].get(host)
        return Outcome.SUCCEEDED if worked else Outcome.SKIPPED

    def result(self, outcome: JobOutcome, rc: int | None, log: str) -> StepResult:
        """The step's result: every host of the limit, and the worst of them."""
        hosts = tuple(self.host(host) for host in self.limit)
        if outcome.how != "exited" or (rc is not None and rc < 0):  # what it did last, it may not have told
            hosts = tuple(host.model_copy(update={"touched": True}) for host in hosts)
        about: dict[str, Any] = {"hosts": hosts, "log": log, "seconds": outcome.seconds}
        if outcome.how != "exited":
            said = {"timeout": "took too long and was stopped", "stopped": "was stopped", "lost": "died"}[outcome.how]
            data = {"code": "D130", "how": outcome.how}
            return StepResult(outcome=Outcome.ERRORED, message=f"ansible {said}", data=data, **about)
        if rc is not None and rc < 0:  # a signal ended ansible-playbook, under a child of ours that lived on
            data = {"code": "D130", "how": "lost"}
            return StepResult(outcome=Outcome.ERRORED, message="ansible died", data=data, **about)
        if not self.stats or (rc not in (0, 2, 4) and all(host.outcome.good for host in hosts)):
            text = next(iter(self.errors), "") or _tail(outcome.folder)
            message = f"ansible could not run the playbook: {text.strip().splitlines()[0] if text.strip() else rc}"
            return StepResult(outcome=Outcome.ERRORED, message=message, data={"code": "D120", "text": text}, **about)
        if not any(host.outcome is not Outcome.SKIPPED for host in hosts):
            message = "the playbook matched none of the hosts that it was started for"
            return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "D102"}, **about)
        data = {"code": "D140"} if self.refused or any(map(_refuses, self.failures.values())) else {}
        return StepResult(outcome=worst(host.outcome for host in hosts), message=_message(hosts), data=data, **about)

    def preview(self, result: StepResult) -> StepPreview:
        """What check mode said, host by host: the order in which hosts happened to answer must not show."""
        hosts: dict[str, list[str]] = {host: [] for host in self.limit}
        place = {host: number for number, host in enumerate(self.limit)}
        checked = sorted(self.checked, key=lambda event: place.get(event["host"], len(place)))
        for event in checked:
            if event["outcome"] == "changed":
                hosts.setdefault(event["host"], []).append(event["task"])
        opaque = [event["task"] for event in checked if event["check"]["opaque"]]
        failed = [event["task"] for event in checked if event["outcome"] == "failed" and not event["ignored"]]
        diffs = [
            f"{event['host']}: {event['task']}\n{event['check']['diff']}" for event in checked if event["check"]["diff"]
        ]
        named = {event["task"] for event in checked}
        return StepPreview(
            hosts=tuple(
                HostPreview(host=host, changes=len(tasks), tasks=tuple(tasks)) for host, tasks in hosts.items()
            ),
            previewed=len(named - set(opaque) - set(failed)),
            opaque=tuple(dict.fromkeys(opaque)),
            failed=tuple(dict.fromkeys(failed)),
            unseen=_unseen(result, set(failed)),
            diff=clean_text("\n".join(diffs), 200_000),
        )


def _refuses(failure: dict[str, Any]) -> bool:
    """Whether a module of the collection has refused to work for an older fence."""
    return str(failure.get("action", "")).startswith(OWN) and str(failure["message"]).startswith(REFUSED)


def _unseen(result: StepResult, failed: set[str]) -> tuple[str, ...]:
    """What check mode could not look at: the whole play, or hosts, each in a sentence."""
    if result.data.get("code") in {"D102", "D120", "D130"}:
        more = _explained(Path(result.log)) if result.data["code"] == "D120" else ""
        return (f"{result.message} {more}".strip(),)
    found = [f"{host.host}: the playbook leaves it out" for host in result.hosts if host.outcome is Outcome.SKIPPED]
    found += [
        f"{host.host}: {_first(host.message)}"
        for host in result.hosts
        if host.outcome is Outcome.UNKNOWN or (host.outcome is Outcome.FAILED and host.task not in failed)
    ]
    return tuple(found)


def _message(hosts: tuple[HostResult, ...]) -> str:
    bad = [host for host in hosts if not host.outcome.good]
    if not bad:
        return counted(len(hosts), "host")
    first = bad[0]
    text = _first(first.message)
    why = f"{first.host}: {first.task}: {text}" if first.task else f"{first.host}: {text}"
    return why if len(bad) == 1 else f"{why} (and {len(bad) - 1} hosts more)"


def _first(message: str) -> str:
    return message.strip().splitlines()[0] if message.strip() else "no message"


def _explained(folder: Path) -> str:
    """What Ansible said right after its first error: where, and which file."""
    lines = [line.strip() for line in _printed(folder).partition("[ERROR]")[2].splitlines()[1:] if line.strip()]
    return " ".join(lines[:2])[:500]


def _tail(folder: Path) -> str:
    lines = _printed(folder).strip().splitlines()
    return "\n".join([line for line in lines if "ERROR" in line] or lines[-5:])[-4000:]


def _printed(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return clean_text((folder / "output.log").read_text(encoding="utf-8", errors="replace"), None)
    return ""


# -- asking hosts ------------------------------------------------------------------------------------------------

_SCRIPT = """\
root={root}; test -d "$root" || root=$HOME
echo "@disk $(df -Pk "$root" 2>/dev/null | awk 'NR==2 {{print $4}}')"
echo "@memory $(awk '/^MemAvailable/ {{print $2}}' /proc/meminfo 2>/dev/null || echo)"
for command in {commands}; do command -v "$command" >/dev/null 2>&1 && echo "@command $command"; done
echo "@release $(tr -d '\\n' < "$root/.orchestrator/state.json" 2>/dev/null)"
echo "@link $(readlink "$root/current" 2>/dev/null)"
echo "@linked $(tr -d '\\n' < "$root/current/.orchestrator-release.json" 2>/dev/null)"
"""


_SERVES = """\
echo "@serves $( ( {command} ) 2>/dev/null </dev/null | head -n 1 | cut -c 1-100 )"
"""


def _question(requirements: tuple[Requirement, ...], claim: Claim, verb: str) -> dict[str, Any]:
    """One task that asks a host everything; `raw`, so that it needs nothing on the host but a shell."""
    commands = sorted({command for requirement in requirements for command in requirement.commands})
    for command in commands:
        if not COMMAND.match(command):
            raise OrchestratorError("D103", f"{command!r} cannot be a required command's name")
    root = "{{ (release_root | default(host_root) | default('/nowhere')) | quote }}"
    serves = claim.context.settings.serves if verb == "look" else None
    script = _SCRIPT.format(root=root, commands=" ".join(commands) or "''")
    script += _SERVES.format(command=serves) if serves else ""
    script += claim.script(verb)
    return {"name": "Look at the host", "ansible.builtin.raw": script, "changed_when": False}


def _wanted(requirements: tuple[Requirement, ...], inventory: Inventory) -> dict[str, list[Requirement]]:
    wanted: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        for host in inventory.select(requirement.hosts):
            wanted.setdefault(host, []).append(requirement)
    return wanted


def _answer(host: str, tally: Tally, wanted: dict[str, list[Requirement]]) -> HostResult:
    """What one host said: whether it has what it needs, and which release is current there."""
    result = tally.host(host)
    if not result.outcome.good:
        return result.model_copy(update={"touched": False})
    said = _said(tally, host)
    missing = [text for requirement in wanted.get(host, []) for text in _missing(requirement, said)]
    outcome = Outcome.FAILED if missing else Outcome.SUCCEEDED
    release = _current(*((said.get(name) or [""])[0] for name in ("release", "link", "linked")))
    message, fence = "; ".join(missing), Told.by(said).fence
    serves = next(iter((said.get("serves") or [""])[0].split()), "")
    return HostResult(
        host=host, outcome=outcome, touched=False, message=message, release=release, fence=fence, serves=serves
    )


def _said(tally: Tally, host: str) -> dict[str, list[str]]:
    """The lines of a host's answer that begin with `@`, by their first word."""
    said: dict[str, list[str]] = {}
    for line in tally.answers.get(host, "").splitlines():
        if line.startswith("@"):
            key, _, value = line[1:].strip().partition(" ")
            said.setdefault(key, []).append(value)
    return said


def _missing(requirement: Requirement, said: dict[str, list[str]]) -> list[str]:
    """What *requirement* wants and the host has not."""
    missing = [f"no {command}" for command in requirement.commands if command not in said.get("command", [])]
    for name, size, word in (("disk", requirement.disk_free, "disk space"), ("memory", requirement.memory, "memory")):
        if size is None:
            continue
        told = (said.get(name) or [""])[0]
        if not told.isdigit():
            missing.append(f"cannot tell its {word}")
        elif int(told) * 1024 < size_bytes(size):
            missing.append(f"{int(told) // 1024} MiB of {word}, wants {size}")
    return missing


def _current(state: str, link: str, linked: str) -> str | None:
    """The digest of the release that `current` points to; None when nobody can say which one that is.

    Args:
        state: what the collection wrote down when it moved the link, as JSON; empty where it never did.
        link: where the link points now, which counts: somebody may have moved it by hand.
        linked: what the folder there says of itself, as JSON.
    """
    known = _fields(_fields(state).get("current"))
    if known and Path(link).name == known.get("folder"):
        return str(known.get("digest") or "") or None
    return str(_fields(linked).get("digest") or "") or None


def _fields(said: Any) -> dict[str, Any]:
    """A JSON object, or its text, as a dictionary; empty when it is none."""
    with contextlib.suppress(ValueError):
        value = json.loads(said) if isinstance(said, str) else said
        return value if isinstance(value, dict) else {}
    return {}


def _summary(
    hosts: tuple[HostResult, ...], outcome: JobOutcome, ledgers: Mapping[str, tuple[dict[str, Any], ...]]
) -> StepResult:
    ended = worst(host.outcome for host in hosts)
    data: dict[str, Any] = {} if ended.good else {"code": "D106" if ended is Outcome.FAILED else "D107"}
    if any(ledgers.values()):
        data["ledger"] = {host: list(lines) for host, lines in ledgers.items() if lines}
    log = str(outcome.folder)
    return StepResult(outcome=ended, message=_message(hosts), hosts=hosts, log=log, seconds=outcome.seconds, data=data)
