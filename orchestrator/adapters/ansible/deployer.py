"""The `Deployer` port: plays, their results for each host, and what hosts report."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible import credentials, handlers, inspection
from orchestrator.adapters.ansible import snapshot as look
from orchestrator.adapters.ansible.configuration import Configurations
from orchestrator.adapters.ansible.control import ControlSockets
from orchestrator.adapters.ansible.controller_files import uses_passwords
from orchestrator.adapters.ansible.document import dump
from orchestrator.adapters.ansible.known_secrets import KnownSecrets
from orchestrator.adapters.ansible.ledger import LedgerKey, has_done
from orchestrator.adapters.ansible.play import QUESTION, PlayRequest, PlayRunner, content_of, result_code
from orchestrator.adapters.ansible.playbook_reader import reader
from orchestrator.adapters.ansible.playbook_traits import sources
from orchestrator.adapters.ansible.resolution import InventoryResolver
from orchestrator.adapters.ansible.shared_files import SharedFiles
from orchestrator.adapters.ansible.tally import Tally, message_line
from orchestrator.adapters.ansible.written import notice
from orchestrator.adapters.views import Views
from orchestrator.domain.configuration import Configuration
from orchestrator.domain.context import Context
from orchestrator.domain.credentials import MissingCredential
from orchestrator.domain.environment import AnsibleSettings, SnapshotRule
from orchestrator.domain.error_codes import HANDLERS_PENDING, TOO_MANY_CONTROLLER_FILES
from orchestrator.domain.errors import JobLost, OrchestratorError
from orchestrator.domain.host_answer import ANSWER, read_answer
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import PendingHandler, PlaySpec, StepPreview
from orchestrator.domain.plays import PlaySource
from orchestrator.domain.release import Package
from orchestrator.domain.requirements.model import Requirement
from orchestrator.domain.snapshot import HostSnapshot, Snapshot
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.domain.text import clean_text
from orchestrator.ports import DEFAULTS, Emit, JobOutcome, Jobs
from orchestrator.secret_values import SecretValues

NAMED = 200  # written files that one record names
NAME = 500  # characters of each name
DONE = "already done, by the ledger of the host"


class AnsibleDeployer:
    """Plays of release packages on the hosts of an environment.

    Args:
        jobs: runs the plays.
        state: a folder for what is kept between plays.
        collections: the folder that holds `ansible_collections/orchestrator`.
        environ: the user's environment variables.
        home: the folder of the user's project, for files that are never packed (passwords of vaults, keys); None if it
            is not known.
        apart: distinguishes the connections of this deployer from those of others that are open at the same time.
        shared: the controller files that machines share; None: this is the only machine.
        secrets: gets the secrets of vaults and controller files.
        views: what processes find of this machine; by default nothing but what they are given.
    """

    def __init__(
        self,
        jobs: Jobs,
        state: Path,
        collections: Path,
        environ: Mapping[str, str],
        home: Path | None = None,
        instance: str = "",
        shared: SharedFiles | None = None,
        secrets: SecretValues | None = None,
        views: Views | None = None,
    ) -> None:
        self.control = ControlSockets(state, instance, environ)
        self.configurations = Configurations(environ, home, collections, state, views)
        self.resolver = InventoryResolver(self.configurations)
        self.known = KnownSecrets(self.configurations, secrets or SecretValues())
        self._plays = PlayRunner(jobs, self.configurations, self.control, state, shared, self.known)

    def deploy(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Run the play on `play.limit`; in a second attempt, on those that have not done it by their own ledgers."""
        claim = LedgerKey.of(job, context, package.digest)
        done = self._done_before(claim, play, inventory, job) if claim.attempt > 1 and claim.wanted else {}
        rest = play.model_copy(update={"limit": tuple(host for host in play.limit if host not in done)})
        if not rest.limit:
            return StepResult(outcome=Outcome.SUCCEEDED, message=DONE, hosts=tuple(done[host] for host in play.limit))
        tally = _tally(play, rest.limit, emit, job, handlers.PendingHandlers(rest.pending))
        request = PlayRequest(rest, package, inventory, context, job)
        try:
            outcome = self._plays.run(request, tally)
        except OrchestratorError as error:
            if error.code != HANDLERS_PENDING:
                raise
            self._plays.discard(request)
            return _refused(rest, error)
        tally.handlers.read()  # as long as the copy exists
        shared_error = self._plays.keep(request)
        files = self._record_files(request, emit)
        result = self._plays.explained(request, tally.result(outcome, result_code(outcome), str(outcome.folder)))
        result = _with_handlers(result, rest)
        result = _shared_only(_without_lost_passwords(result, files, package), shared_error)
        hosts = {**done, **{host.host: host for host in result.hosts}}
        return result.model_copy(update={"hosts": tuple(hosts[host] for host in play.limit)})

    def prepare(self, context: Context) -> None:
        """Fetch the controller files of the environment that other machines wrote. Raises D170, D171 and S-codes."""
        self._plays.kept(context).exchange()

    def check(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepPreview:
        """What the play would change, by `--check --diff`."""
        tally = _tally(play, play.limit, emit, job)
        request = PlayRequest(play, package, inventory, context, job, check=True)
        outcome = self._plays.run(request, tally)
        self._plays.written(request)  # of check mode nothing is recorded
        return tally.preview(_reported(tally.result(outcome, result_code(outcome), str(outcome.folder))))

    def plays(self, playbook: str, package: Package) -> tuple[PlaySource, ...]:
        """Every play of *playbook*; a playbook that cannot be read has one, of which nothing is known."""
        content = content_of(package)
        paths = self.configurations.of_play(package, playbook, AnsibleSettings()).search_paths()
        try:
            return sources(reader(content, paths).read(content / playbook))
        except ValueError as error:
            return (PlaySource(name=playbook, where=playbook, hosts="", unseen=(f"{playbook}: {error}",)),)

    def inspect(
        self, requirements: tuple[Requirement, ...], inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Inspect every host, in one round trip each: reachability, requirements and installed release."""
        wanted = inspection.requirements_by_host(requirements, inventory)
        claim = LedgerKey(replace(context, run=context.run.partition(".")[0]))  # a plan uses the claim of its run
        question = inspection.question(requirements, claim, "look")
        module = inspection.module_task(tuple(each for found in wanted.values() for each in found))
        tasks = [question] if module is None else [question, module]
        tally, outcome = self._query(tasks, tuple(inventory.hosts), inventory, context, job)
        if outcome.how != "exited" or not tally.stats:
            return inspection.failed(_reported(tally.result(outcome, result_code(outcome), str(outcome.folder))))
        answers = {host: inspection.answer_of(host, tally, wanted) for host in inventory.hosts}
        hosts = tuple(self._plays.advised(each.result, inventory, context) for each in answers.values())
        for host in hosts:
            if not host.outcome.good or host.invalid:
                text = f"{host.host}: {host.invalid}" if host.outcome.good else host.message
                level = "warning" if host.outcome.good else "error"
                emit(Entry(kind="notice", host=host.host, data={"level": level, "text": text}))
        return inspection.inspection_result(hosts, outcome, answers)

    def snapshot(self, rule: SnapshotRule, inventory: Inventory, context: Context, job: str, emit: Emit) -> Snapshot:
        """Take the snapshot of every host, in one round trip each."""
        del emit
        question = {"name": "Inspect the whole host", "ansible.builtin.raw": look.script(rule), "changed_when": False}
        hosts = tuple(inventory.hosts)
        tally, outcome = self._query([question], hosts, inventory, context, job, look.TIMEOUT, look.LIMIT)
        result = _reported(tally.result(outcome, result_code(outcome), str(outcome.folder)))
        found, unknown = {}, {}
        for host in hosts:
            seen = look.parse_snapshot(tally.answers.get(host, ""), rule)
            if isinstance(seen, HostSnapshot):
                found[host] = seen
            elif tally.host(host).outcome.good:
                unknown[host] = seen
            else:
                unknown[host] = message_line(tally.host(host).message or result.message)
        return Snapshot(hosts=found, unknown=unknown)

    def resolve(self, inventory: Inventory, settings: AnsibleSettings = DEFAULTS) -> Inventory:
        """The inventory with the user's *files* read into it by `ansible-inventory`."""
        self.known.of_inventory(inventory.files, settings)
        found = self.resolver.hosts(inventory, settings)
        self.known.of_hosts(found)
        return found

    def is_outdated(self, inventory: Inventory) -> bool:
        """Whether the user's own *files* have changed since they were read."""
        return self.resolver.is_outdated(inventory)

    def configuration(self, package: Package, files: tuple[str, ...], settings: AnsibleSettings) -> Configuration:
        """The part of a plan with the settings of plays and host inspections. Raises D150.

        The values that vaults of *package* encrypt become known secrets, whether its plays are previewed or not.
        """
        for playbook in package.manifest.release.playbooks():
            self.known.of_play(package, files, self.configurations.of_play(package, playbook, settings))
        return self.configurations.document(package, files, settings)

    def unused_settings(self, package: Package, settings: AnsibleSettings) -> tuple[str, ...]:
        """Settings of the controller or the package that Ansible does not get, in a sentence each."""
        return self.configurations.notes(package, settings)

    def missing_passwords(
        self, package: Package | None, files: tuple[str, ...], settings: AnsibleSettings
    ) -> tuple[MissingCredential, ...]:
        """The files with passwords that settings name and that cannot be read here. Raises D150."""
        return credentials.missing_passwords(self.configurations, package, files, settings)

    def missing_keys(
        self, inventory: Inventory, settings: AnsibleSettings, hosts: tuple[str, ...]
    ) -> tuple[MissingCredential, ...]:
        """The files with keys that are named for *hosts* and that cannot be read here. Raises D150."""
        return credentials.missing_keys(self.configurations, inventory, settings, hosts)

    def close(self) -> None:
        """Close connections that a killed play has left, and remove their folder."""
        self.control.close()

    def _record_files(self, request: PlayRequest, emit: Emit) -> list[dict[str, Any]]:
        """Record the files that a play wrote on the controller, and return them."""
        files = self._plays.written(request)
        if files:
            named = [{**item, "path": clean_text(item["path"], NAME)} for item in files[:NAMED]]
            data = {"job": request.job, "count": sum(item.get("more", 1) for item in files), "files": named}
            emit(Entry(kind="files", step=request.play.step, data=data, key=f"{request.job}:files"))
            entry = notice(request.play.step, request.job, files)
            if entry is not None:
                emit(entry)
        return files

    def _query(
        self,
        tasks: list[dict[str, Any]],
        hosts: tuple[str, ...],
        inventory: Inventory,
        context: Context,
        job: str,
        timeout: float = 300.0,
        limit: int = ANSWER + 1,
    ) -> tuple[Tally, JobOutcome]:
        """Run our own *tasks* on each of *hosts*; the output of each is cut after *limit* characters."""
        tally = Tally("require", hosts, lambda _entry: None, job, closing=False, timeout=timeout)
        playbook = dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}])
        play = PlaySpec(step="require", playbook=QUESTION, hosts="all", limit=hosts, timeout=timeout)
        request = PlayRequest(play, None, inventory, context, job, question=playbook, stdout=limit)
        return tally, self._plays.run(request, tally)

    def _done_before(self, claim: LedgerKey, play: PlaySpec, inventory: Inventory, job: str) -> dict[str, HostResult]:
        """The hosts that completed this step of this run, according to their ledgers, each with its release."""
        question = inspection.question((), claim, "ask")
        tally, _ = self._query([question], play.limit, inventory, claim.context, f"{job}.ask")
        done = {}
        for host in play.limit:
            answer = read_answer(tally.answers.get(host, ""))
            if has_done(answer.ledger, claim, host):
                done[host] = HostResult(
                    host=host,
                    outcome=Outcome.SUCCEEDED,
                    touched=True,
                    message=DONE,
                    release=answer.release,
                    invalid=answer.invalid,
                )
        return done


def _with_handlers(result: StepResult, play: PlaySpec) -> StepResult:
    """The *result* of a play; one that is good and has left handlers of an earlier attempt behind has failed."""
    if not result.good or "handlers" not in result.data:
        return result
    data = dict(result.data)
    left = {PendingHandler(**item) for item in data.pop("handlers")} & set(play.pending)
    if not left:  # what this attempt notified itself and left out, Ansible leaves out by hand as well
        return result.model_copy(update={"data": data})
    pending = tuple(item for item in play.pending if item in left)
    message = f"handlers of an earlier attempt did not run: {handlers.names(pending)}"
    data |= {"code": "D163", "handlers": [item.model_dump() for item in pending]}
    return result.model_copy(update={"outcome": Outcome.FAILED, "message": message, "data": data})


def _refused(play: PlaySpec, error: OrchestratorError) -> StepResult:
    """The result of a play that was not started, since its pending handlers cannot run."""
    data = {"code": error.code, "handlers": [item.model_dump() for item in play.pending]}
    hosts = tuple(HostResult(host=host, outcome=Outcome.SKIPPED, touched=False) for host in play.limit)
    return StepResult(outcome=Outcome.FAILED, message=error.message, hosts=hosts, data=data)


def _without_lost_passwords(result: StepResult, files: list[dict[str, Any]], package: Package) -> StepResult:
    """The *result* of a play; one that generated a password which the next run would not find has failed."""
    lost = [str(item["path"]) for item in files if item.get("password")]
    if not lost or not result.good or not uses_passwords(content_of(package)):
        return result
    folders = ", ".join(dict.fromkeys(path.rpartition("/")[0] + "/" if "/" in path else path for path in lost))
    message = f"the password in {', '.join(lost)} is not kept: add controller_files: [{folders}] to environment.yaml"
    return result.model_copy(
        update={"outcome": Outcome.FAILED, "message": message, "data": {**result.data, "code": "D164"}}
    )


def _shared_only(result: StepResult, shared_error: OrchestratorError | None) -> StepResult:
    """The *result* of a play; one whose controller files no other machine would find, or none at all, has failed."""
    if shared_error is None or not result.good:
        return result
    many = shared_error.code == TOO_MANY_CONTROLLER_FILES
    message = shared_error.message if many else f"the controller files are only on this machine: {shared_error.message}"
    return result.model_copy(
        update={"outcome": Outcome.FAILED, "message": message, "data": {**result.data, "code": shared_error.code}}
    )


def _reported(result: StepResult) -> StepResult:
    """The *result* of a job that changes nothing. Raises `JobLost` when its process died before it could report."""
    if result.is_lost:
        raise JobLost(str(result.data["code"]), result.message)
    return result


def _tally(
    play: PlaySpec, limit: tuple[str, ...], emit: Emit, job: str, pending: handlers.PendingHandlers | None = None
) -> Tally:
    """A tally for the events of *play* on the hosts *limit*; *pending* are the handlers that it has to run."""
    tally = Tally(play.step, limit, emit, job, timeout=play.timeout, setting=f"timeout of the step {play.step}")
    return tally if pending is None else replace(tally, handlers=pending)
