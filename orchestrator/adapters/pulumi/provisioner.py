"""The `Provisioner` port: one process an operation, on a copy, held to the plan."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from orchestrator.adapters.explanations import not_isolated
from orchestrator.adapters.pulumi import (
    config_secrets,
    definition,
    definition_archive,
    settings,
    sight,
    stack,
    state,
    update_plan,
    variables,
    verdict,
)
from orchestrator.adapters.pulumi.answer import SHAPES, operation_answer, resource_events
from orchestrator.adapters.pulumi.child import UPDATE_PLAN
from orchestrator.adapters.pulumi.engine import Engine
from orchestrator.adapters.pulumi.events import HARMLESS, HIDDEN, STACK
from orchestrator.adapters.pulumi.inventory import inventory
from orchestrator.adapters.pulumi.recovery import PATIENCE
from orchestrator.adapters.pulumi.runtimes import missing_host
from orchestrator.adapters.pulumi.surroundings import line_to_add, others
from orchestrator.adapters.pulumi.trace import Trace
from orchestrator.adapters.pulumi.workspace import in_use, keep_salt
from orchestrator.adapters.views import Views
from orchestrator.domain.context import Outputs
from orchestrator.domain.environment import Environment, PulumiSettings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.job_event import is_event
from orchestrator.domain.journal import Entry
from orchestrator.domain.model import digest_of
from orchestrator.domain.parity import Definition
from orchestrator.domain.plan import ResourceChange, StackPreview, StackSpec
from orchestrator.domain.secret import Secret
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.text import clean_text
from orchestrator.ports import Artifacts, Emit, Job, JobOutcome, Jobs, Provisioned, SavedPlan, Unshared
from orchestrator.processes import asked, sweep
from orchestrator.secret_values import SecretValues

_PACKAGES = str(Path(__file__).resolve().parents[3])
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from orchestrator.adapters.pulumi.child import main; sys.exit(main())"
)
COMMAND = (sys.executable, "-I", "-S", "-c", _START, _PACKAGES)  # no `site`: the child starts in milliseconds
SOURCES = str(Path(__file__).resolve().parent / "python_path")
SALT, SAVED_PLAN = "salt", "saved-plan.json"
"""What an operation leaves in its folder: lines about encryption, and the plan of a preview."""
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # stands for what Pulumi will only know after the update
FRESH = 10.0  # seconds for which a state that was read counts as the one a preview began from


class PulumiProvisioner:
    """Stacks of this project's environments.

    Args:
        jobs: runs the operations.
        folder: for the embedded backend, kept definitions, working copies and salts.
        project: the project's root, for inventory files and what lies beside a program.
        engine: finds the engine, asked once, when it is first needed; raises E101 when there is none.
        environ: the user's environment variables.
        artifacts: where definitions are shared.
        views: what operations find of this machine; without it they are not isolated.
    """

    def __init__(
        self,
        jobs: Jobs,
        folder: Path,
        project: Path,
        engine: Callable[[], Engine],
        environ: Mapping[str, str],
        artifacts: Artifacts | None = None,
        secrets: SecretValues | None = None,
        views: Views | None = None,
    ) -> None:
        self._jobs, self._folder, self._project, self._environ = jobs, folder, project.resolve(), environ
        self._find, self._artifacts = engine, artifacts or Unshared()
        self._secrets, self._views = secrets or SecretValues(), views
        self._learnt: set[tuple[str, str, str]] = set()
        self._found: Engine | None = None
        self._read: dict[tuple[str, str, str], tuple[float, stack.State]] = {}

    def definition(self, environment: Environment, folder: Path) -> StackSpec:
        """The environment's program as it is now, kept under its digest."""
        program = definition.find(environment, folder.resolve(), self._project)
        digest, kept = definition.keep(program, environment, self._folder / "definitions")
        return StackSpec(
            environment=environment.name,
            program=str(kept),
            stack=program.stack,
            definition=digest,
            settings=environment.pulumi,
        )

    def kept(self, digest: str) -> StackSpec:
        """The stack as it was defined under *digest*. Raises E105 and E166."""
        store = self._folder / "definitions"
        if not (store / digest.removeprefix("sha256:")).is_dir():
            definition_archive.fetch(digest, store, self._artifacts)
        manifest = definition.verified(store, digest)
        environment = Environment.from_json(manifest.environment)
        return StackSpec(
            environment=environment.name,
            program=str(store / digest.removeprefix("sha256:") / definition.TREE / manifest.place),
            stack=environment.stack or environment.name,
            definition=digest,
            settings=environment.pulumi,
        )

    def described(self, spec: StackSpec) -> Definition:
        """The files of the program, and the keys of its configuration, by what the project calls itself left out."""
        folder, tree = Path(spec.program), self._tree(spec)
        project = settings.project_file(folder)
        own = {settings.config_file(spec, project), "environment.yaml", *definition.PROJECT_FILES}
        program = definition.Program(folder, tree, self._place(spec), spec.stack)
        files = {
            name: "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in program.files()
            if name not in own
        }
        files["Pulumi.yaml"] = digest_of({key: project[key] for key in project if key not in {"name", "description"}})
        return Definition(files=files, config=settings.config_keys(spec, project))

    def inventory(self, environment: Environment, outputs: Outputs) -> Inventory:
        """The hosts that the outputs and the environment's file give."""
        return inventory(environment, outputs, self._project)

    def preview(self, spec: StackSpec, job: str, emit: Emit, *, save_plan: Path | None = None) -> StackPreview:
        """What an update would do; Pulumi's own plan goes to *save_plan*.

        The base is read before the preview begins. A change between the two makes the plan refuse later, where
        the other order would let it pass. What Pulumi itself would refuse, because it protects a resource, is told as
        *refused*.
        """
        before = self._state(spec)
        self._warn(spec, before, job, emit)
        self._share(spec, job, emit)
        saved = self._jobs.folder(job) / SAVED_PLAN
        words = ["preview", *_words(spec), *(["--save-plan", str(saved)] if save_plan else [])]
        outcome, result = self._operate(spec, words, job, emit)
        if save_plan is not None and saved.is_file():
            shutil.move(saved, save_plan)
        changes = _changes(result, before)
        if outcome.code != 0 or result["code"] < 0:
            error = self._error("preview", spec, outcome, result)
            if error.code != verdict.PROTECTED:
                raise error
            counts = dict(Counter(change.op for change in changes))
            return StackPreview(base=state.base(before), changes=changes, counts=counts, refused=error.message)
        if save_plan is not None:
            plan = update_plan.saved(save_plan)
            return self._derived(spec, before, plan, update_plan.read(plan))
        counts = _counts(result)
        if result["outputs"] is not None and result["outputs"] != state.hidden(before):
            counts["output"] = 1  # Pulumi counts no change of outputs, and an update is needed for it all the same
        hosts = self._planned(spec, result["outputs"] or {})
        return StackPreview(base=state.base(before), changes=changes, counts=counts, inventory=hosts)

    def planned(self, spec: StackSpec, plan: SavedPlan) -> StackPreview:
        """What an update constrained to *plan* would do, derived from its file and the state as it is now."""
        return self._derived(spec, self._state(spec), plan, update_plan.read(plan))

    def _derived(self, spec: StackSpec, before: stack.State, plan: SavedPlan, data: bytes) -> StackPreview:
        return StackPreview(
            base=state.base(before),
            update_plan=update_plan.content_digest(data),
            update_file=plan.update_file,
            changes=update_plan.changes(data, before),
            counts=update_plan.counts(data, before),
            inventory=self._planned(spec, update_plan.outputs(data)),
            versions={"pulumi": self._engine.version, **update_plan.providers(data)},
            settings=variables.decides(self._environ, spec.settings.environment),
        )

    def unused_settings(self, settings: PulumiSettings) -> tuple[str, ...]:
        """What the controller sets and Pulumi is not given, in a sentence each."""
        return variables.unused(self._environ, settings.environment)

    def drifted(self, spec: StackSpec, job: str, emit: Emit) -> tuple[ResourceChange, ...]:
        """The resources that are other than the state has them, by a refresh that writes nothing."""
        words = ["refresh", "--preview-only", *(word for word in _words(spec) if word != "--refresh")]
        outcome, result = self._operate(spec, words, job, emit, verb="preview")
        if outcome.code != 0 or result["code"] < 0:
            raise self._error("refresh", spec, outcome, result)
        return tuple(sorted(map(ResourceChange.from_json, result["refreshed"]), key=lambda change: change.urn))

    def up(self, spec: StackSpec, job: str, emit: Emit, *, plan: SavedPlan | None = None) -> Provisioned:
        """Update the stack, constrained to *plan*: a verified copy of it in the job's own folder."""
        try:
            data = self._held(spec, plan) if plan is not None else None
        except OrchestratorError as error:
            told = {**error.to_json(), "untouched": True}
            refused = StepResult(outcome=Outcome.FAILED, message=f"{error.message}; nothing was changed", data=told)
            return Provisioned(refused, self.base(spec))
        words = ["up", "--yes", "--skip-preview", *_words(spec)]
        outcome, result = self._operate(spec, words, job, emit, held=data)
        base = self.base(spec)
        self._jobs.mask(job)  # by the secrets that the update has made as well
        return Provisioned(self._judge("up", spec, outcome, result), base)

    def _held(self, spec: StackSpec, plan: SavedPlan) -> bytes:
        """The content of *plan*. Raises E162, E163, and R120 where Pulumi would run with other settings than it has."""
        now = variables.decides(self._environ, spec.settings.environment)
        if plan.settings is not None and plan.settings != now:
            names = sorted({name for name, _ in plan.settings.items() ^ now.items()})
            raise OrchestratorError("R120", f"the plan was made with other settings of Pulumi: {', '.join(names)}")
        return update_plan.read(plan)

    def there(self, spec: StackSpec) -> tuple[ResourceChange, ...]:
        """What destroying the stack would delete, as the backend has it now."""
        return tuple(map(ResourceChange.from_json, state.resources(self._export(spec))))

    def destroy(self, spec: StackSpec, job: str, emit: Emit, *, remove: bool = False) -> StepResult:
        """Destroy every resource of the stack; with *remove*, the stack itself as well."""
        words = ["destroy", "--yes", "--skip-preview", *_words(spec), *(["--remove"] if remove else [])]
        outcome, result = self._operate(spec, words, job, emit)
        return self._judge("destroy", spec, outcome, result)

    def resolve(
        self, spec: StackSpec, created: Mapping[str, str], absent: tuple[str, ...], job: str, emit: Emit
    ) -> StepResult:
        """Settle creates of which nobody knew whether they happened, as a person decided."""
        outcome, result = self._operate(spec, ["resolve"], job, emit, created=dict(created), absent=list(absent))
        return self._judge("refresh", spec, outcome, result)

    def outputs(self, spec: StackSpec) -> Outputs:
        """The stack's outputs as the backend has them now."""
        return state.outputs(self._state(spec))

    def base(self, spec: StackSpec) -> str:
        """The digest of the stack's state as the backend has it now."""
        return state.base(self._state(spec))

    def resources(self, spec: StackSpec) -> int:
        """The number of resources of the stack now, the stack itself included, as Pulumi counts them."""
        return state.count(self._export(spec))

    # -- the engine ---------------------------------------------------------------------------------------------------

    @property
    def _engine(self) -> Engine:
        if self._found is None:
            self._found = self._find()
        return self._found

    def _env(self, spec: StackSpec) -> dict[str, str]:
        own = self._project / self._place(spec)
        return settings.environment(spec, self._engine, self._environ, self._folder, own)

    def _program_env(self, spec: StackSpec) -> dict[str, str]:
        """The environment of an operation that runs the program: its sources have the names that they have by hand."""
        env = self._env(spec)
        python = os.pathsep.join([SOURCES, *([env["PYTHONPATH"]] if env.get("PYTHONPATH") else [])])
        where = {"ORCHESTRATOR_COPY": str(self._work(spec)), "ORCHESTRATOR_ORIGINAL": str(self._project)}
        return {**env, **where, "PYTHONPATH": python}

    def _isolation(self, spec: StackSpec, verb: str) -> dict[str, Any]:
        """What the operation *verb* finds of the controller, its variables, and who makes hosts for it."""
        env, seen = self._program_env(spec), self._seen(spec)
        if self._views is None or seen is None:
            return {"env": env, "view": None}
        return {
            "env": sight.program_environment(self._views, seen, self._environ),
            "view": sight.view(self._views, seen, self._settled(spec, verb).jobs),
            "server": sight.broker_command(seen.name, spec.stack, verb),
        }

    def _seen(self, spec: StackSpec) -> sight.Operation | None:
        """An operation on the stack, as far as it decides what is shown to it; None: it is not isolated."""
        if self._views is None or not self._views.isolates:
            return None
        manifest = definition.verified(self._folder / "definitions", spec.definition)
        return sight.Operation(
            env=self._program_env(spec),
            engine=self._engine.path,
            project=self._project,
            place=self._place(spec),
            name=str(settings.project_file(Path(spec.program)).get("name")),
            kept=self._tree(spec),
            work=self._work(spec),
            trace=self._trace(spec),
            settings=Environment.from_json(manifest.environment).settings,
            declared=spec.settings.environment,
            whole=manifest.format == 1,
        )

    def _settled(self, spec: StackSpec, verb: str) -> Trace:
        """The trace of the stack, after what a dead operation has left outside of a namespace has ended.

        An isolated operation does not see these processes, and only one that has the copy to itself recovers.
        """
        trace = Trace(self._trace(spec))
        if verb == "preview" or not trace.left or in_use(self._work(spec)):
            return trace
        deadline = time.monotonic() + PATIENCE
        while trace.living() and time.monotonic() < deadline:
            time.sleep(0.05)
        if not trace.living():
            for job in trace.jobs:
                sweep(f"ORCHESTRATOR_JOB={job}")  # providers whose engine is gone could still make something
        return trace

    def _work(self, spec: StackSpec) -> Path:
        """The folder in which the copy is laid."""
        return self._folder / "work" / spec.environment

    def _tree(self, spec: StackSpec) -> Path:
        return self._folder / "definitions" / spec.definition.removeprefix("sha256:") / "tree"

    def _place(self, spec: StackSpec) -> str:
        """Where the program is, below the project's root."""
        return Path(spec.program).relative_to(self._tree(spec)).as_posix()

    def _operate(
        self, spec: StackSpec, words: list[str], job: str, emit: Emit, *, held: bytes | None = None, **decided: Any
    ) -> tuple[JobOutcome, dict[str, Any]]:
        """Run one operation to its end, passing on its events. Returns how it ended and what the child told.

        With *held*, an update is constrained to that update plan: the child verifies its copy immediately before.
        """
        plan = {UPDATE_PLAN: held} if held is not None else {}
        missing = missing_host(settings.project_file(Path(spec.program)), self._engine, self._environ)
        if missing is not None:
            raise missing
        self._learn(spec)
        if words[0] != "preview":
            self._read.clear()  # another definition, or another environment, may mean the same stack
        outcome = self._jobs.run(
            Job(
                key=job,
                argv=COMMAND,
                cwd=self._folder,
                files={**self._files(spec, words, decided, held, job), **plan},
                outlived=True,
                halt=lambda: self._halt(spec, job),
                **self._isolation(spec, words[0]),
            ),
            lambda number, event: _pass_on(event, f"{job}:{number}", emit),
        )
        keep_salt(outcome.folder / SALT, self._salt(spec))
        result = operation_answer(outcome.folder)
        if result["code"] >= 0:
            return outcome, result
        self._quiet(spec, job)
        return outcome, {**result, **self._known(spec, outcome)}

    def _learn(self, spec: StackSpec) -> None:
        """Learn the secrets of the stack's state and configuration, once in this process."""
        if _key(spec) in self._learnt:
            return
        project, env = settings.project_file(Path(spec.program)), self._env(spec)
        file = Path(spec.program) / settings.config_file(spec, project, users=True)
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        words = ["config", "--show-secrets", "--json", "--stack", spec.stack, "--config-file", str(file)]

        def ask() -> str:
            done = asked([str(self._engine.path), *words, "--non-interactive"], cwd=spec.program, env=env)
            return done.stdout if done.returncode == 0 else ""

        with ThreadPoolExecutor(1) as beside:  # to derive a key of the passphrase takes as long as to read the state
            decrypting = beside.submit(config_secrets.configured_secrets, text, env, ask)
            with contextlib.suppress(OrchestratorError):  # the operation reports it
                self._state(spec)
                self._learnt.add(_key(spec))
            found = decrypting.result()
        passphrase = config_secrets.passphrase_of(env)
        found += [Secret("passphrase", passphrase.encode())] if passphrase else []
        self._secrets.learn(f"configuration of {spec.stack}", found)

    def _quiet(self, spec: StackSpec, job: str) -> None:
        """End what a killed operation has left running: without an engine, no provider may go on."""
        self._halt(spec, job)
        self._jobs.stop(job)

    def _halt(self, spec: StackSpec, job: str) -> None:
        """Ask the engine of a killed operation to stop after what is in flight, and wait for it."""
        trace, folder = Trace(self._trace(spec)), str(self._jobs.folder(job))
        for engine in trace.living(folder):
            with contextlib.suppress(OSError):
                os.kill(engine, signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        while trace.living(folder) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _known(self, spec: StackSpec, outcome: JobOutcome) -> dict[str, Any]:
        """What is known of an operation that died: what it told as done, and whether it had begun anything at all.

        The engine writes into the state that it begins something before it does. So when the state is the one that
        was read before, and nothing was told as begun, nothing was touched.
        """
        done, begun, effects = Counter[str](), dict[str, str](), False
        for event in resource_events(outcome.folder):
            if event["status"] == "started" and event["type"] != STACK:
                begun[event["urn"]] = event["name"]
                effects |= event["op"] not in HARMLESS
            elif event["type"] != STACK:
                begun.pop(event["urn"], None)
                done[event["op"]] += event["status"] == "done"
        before = outcome.folder / "before"  # the child writes it before it begins anything
        try:
            now = stack.fingerprint(self._stack(spec).state()) if before.exists() else ""
            effects |= before.exists() and before.read_text(encoding="ascii") != now
        except (OSError, ValueError):
            effects = True
        return {"counts": dict(done), "unfinished": sorted(begun.values()), "effects": int(effects)}

    def _stack(self, spec: StackSpec) -> stack.Stack:
        """The stack's state and locks, asked from here: secrets stay encrypted."""
        env = self._env(spec)
        return stack.Stack(self._whose(spec, env), Path(spec.program), env)

    def _whose(self, spec: StackSpec, env: Mapping[str, str]) -> dict[str, str]:
        """Which engine works on which stack in which backend."""
        return {
            "pulumi": str(self._engine.path),
            "stack": spec.stack,
            "project_name": str(settings.project_file(Path(spec.program)).get("name")),
            "backend": settings.backend_folder(env),
        }

    def _warn(self, spec: StackSpec, before: stack.State, job: str, emit: Emit) -> None:
        """Tell what an update will do first, because a former operation did not end."""
        if in_use(self._folder / "work" / spec.environment):
            return  # what is pending goes on now
        died = Trace(self._trace(spec)).died
        texts = [(f"the last {died} of this stack died; an update looks first at what is there", "")] if died else []
        for operation in stack.pending(before):
            urn = str(operation["resource"].get("urn", ""))
            texts.append((f"an operation died while {operation.get('type')} {urn}", urn))
        for number, (text, urn) in enumerate(texts):
            data = {"level": "warning", "text": text, "urn": urn}
            emit(Entry(kind="notice", step="provision", data=data, key=f"{job}:died:{number}"))

    def _share(self, spec: StackSpec, job: str, emit: Emit) -> None:
        """Share the definition. Where it cannot be, only this machine can go back to it later, and that is told."""
        try:
            definition_archive.share(spec.definition, self._folder / "definitions", self._artifacts)
        except OrchestratorError as error:
            data = {"level": "warning", "text": f"the definition of {spec.environment} is not shared: {error.message}"}
            emit(Entry(kind="notice", step="provision", data=data, key=f"{job}:unshared"))

    def _trace(self, spec: StackSpec) -> Path:
        """The trace of the stack, in a folder of its environment; one that an older version left is moved there."""
        name = spec.stack.replace("/", ".")
        old, path = self._folder / "traces" / f"{spec.environment}.{name}", self._folder / "traces" / spec.environment
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            old.rename(path / name)
        return path / name

    def _salt(self, spec: StackSpec) -> Path:
        """Where the lines about encryption are kept that the engine added to the stack's configuration."""
        salt = self._folder / "salts" / f"{spec.environment}.{spec.stack.replace('/', '.')}"
        salt.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return salt

    def _files(
        self, spec: StackSpec, words: list[str], decided: dict[str, Any], held: bytes | None, job: str
    ) -> dict[str, bytes]:
        """What the child finds in its folder."""
        manifest = definition.verified(self._folder / "definitions", spec.definition)
        project, place = settings.project_file(Path(spec.program)), self._place(spec)
        salt, env = self._salt(spec), self._env(spec)
        data = {
            **self._whose(spec, env),
            "verb": words[0],
            **decided,
            "argv": words,
            "held": update_plan.file_digest(held) if held is not None else "",
            "pending_creates": spec.settings.pending_creates,
            "trace": str(self._trace(spec)),
            "ended": Trace(self._trace(spec)).ended(),
            "kept": str(self._tree(spec)),
            "place": place,
            "files": [(file.path, file.sha256, file.executable) for file in manifest.files],
            "others": None if manifest.format == 1 else others(self._project, place, [f.path for f in manifest.files]),
            "project": str(self._project),
            "work": str(self._work(spec)),
            "config_file": settings.config_file(spec, project),
            "salt": str(self._jobs.folder(job) / SALT),
        }
        return {
            "spec.json": json.dumps(data).encode(),
            "stack.yaml": settings.config_text(spec, project, salt).encode(),
        }

    def _judge(self, verb: str, spec: StackSpec, outcome: JobOutcome, result: dict[str, Any]) -> StepResult:
        """An operation's result as a step's: the engine's word, not only its exit code."""
        log, counts = self._log(outcome), _counts(result)
        if verdict.is_good(outcome.how, outcome.code, result):
            message = ", ".join(f"{count} {op}" for op, count in sorted(counts.items())) or "nothing to do"
            done = {"counts": counts}
            return StepResult(outcome=Outcome.SUCCEEDED, message=message, log=log, seconds=outcome.seconds, data=done)
        error = self._error(verb, spec, outcome, result)
        data = verdict.facts(verb, error, result)
        return StepResult(
            outcome=Outcome.ERRORED if error.code in verdict.MACHINERY else Outcome.FAILED,
            message=error.message,
            log=log,
            seconds=outcome.seconds,
            data={"counts": counts, **data},
        )

    def _error(self, verb: str, spec: StackSpec, outcome: JobOutcome, result: dict[str, Any]) -> OrchestratorError:
        refused, code = result.get("refused"), result.get("code", 0)
        if refused:
            hint = verdict.RESOLVE.format(environment=spec.environment) if refused == "E136" else None
            return OrchestratorError(str(refused), clean_text(str(result["error"]), 4000), hint=hint)
        if self._views is not None and (failure := not_isolated(self._views.isolator(), outcome)):
            return OrchestratorError("I104", f"pulumi {verb} {spec.stack}: {failure}")
        if code < 0 or outcome.how != "exited":
            return verdict.died(verb, spec.stack, outcome.how, _counts(result), result.get("unfinished") or [])
        ended = f"it ended with {outcome.code}"
        log = str(outcome.folder / "output.log")
        roots = (str(self._project), str(self._work(spec)))
        error = verdict.error(verb, spec.stack, str(result.get("error", "")), log, ended, roots)
        if error.code == "E110":
            files = [file.path for file in definition.verified(self._folder / "definitions", spec.definition).files]
            error.hint = line_to_add(self._project, self._place(spec), files, error.message) or error.hint
            return self._explained(spec, error)
        return error

    def _explained(self, spec: StackSpec, error: OrchestratorError) -> OrchestratorError:
        """The *error*, with the line to add if isolation refused what the program needed."""
        seen = self._seen(spec)
        if self._views is not None and seen is not None:
            where = f"{spec.environment}/environment.yaml"
            found = self._views.refused(error.message, sight.view(self._views, seen, []), seen.settings, where)
            error.hint = found or error.hint
        return error

    def _log(self, outcome: JobOutcome) -> str:
        """The job's folder, relative to the project's state folder."""
        top = self._folder.parent
        return str(outcome.folder.relative_to(top) if outcome.folder.is_relative_to(top) else outcome.folder)

    def _planned(self, spec: StackSpec, outputs: dict[str, Any]) -> Inventory | None:
        """The hosts as the preview foresees them; None when some of it will only be known, or is secret.

        Raises E122 and E123 when the outputs are known, and no inventory: the update would fail by that afterwards.
        """
        store = self._folder / "definitions"
        try:
            found = self.inventory(definition.kept_environment(store, spec.definition), Outputs(outputs))
        except OrchestratorError as error:
            said = json.dumps(outputs, default=str)
            if error.code in {"E122", "E123"} and UNKNOWN not in said and HIDDEN not in said:
                raise
            return None
        text = json.dumps(found.to_json())
        return None if UNKNOWN in text or HIDDEN in text else found

    # -- reading ------------------------------------------------------------------------------------------------------

    def _state(self, spec: StackSpec) -> stack.State:
        """The stack's state: as it was read a moment ago and not changed by us since, else as it is now.

        A run holds its environment's lease, and asks for the same state several times while it plans.
        """
        at, found = self._read.get(_key(spec), (float("-inf"), {}))
        return found if time.monotonic() - at < FRESH else self._export(spec)

    def _export(self, spec: StackSpec) -> stack.State:
        """The stack's state, secrets in clear: held in memory only. Empty when there is no such stack yet."""
        words = ["stack", "export", "--stack", spec.stack, "--show-secrets", "--non-interactive"]
        argv = [str(self._engine.path), *words]
        done = asked(argv, cwd=spec.program, env=self._env(spec))
        if done.returncode != 0 and "no stack named" not in done.stderr:
            ended = f"it ended with {done.returncode}"
            raise verdict.error("stack export", spec.stack, done.stderr, "its output", ended)
        found = json.loads(done.stdout).get("deployment") or {} if done.returncode == 0 else {}
        self._secrets.learn(f"stack {spec.stack}", state.marked_secrets(found))
        self._read[_key(spec)] = (time.monotonic(), found)
        return dict(found)


def _key(spec: StackSpec) -> tuple[str, str, str]:
    """What tells one stack from another: two programs may each have one called `main`."""
    return spec.environment, spec.definition, spec.stack


def _words(spec: StackSpec) -> list[str]:
    words = ["--stack", spec.stack, "--non-interactive", "--color", "never", "--suppress-progress"]
    words += ["--refresh"] if spec.settings.refresh else []
    return words + (["--parallel", str(spec.settings.parallel)] if spec.settings.parallel else [])


def _counts(result: dict[str, Any]) -> dict[str, int]:
    return {str(op): int(count) for op, count in (result.get("counts") or {}).items()}


def _changes(result: dict[str, Any], before: stack.State) -> tuple[ResourceChange, ...]:
    """What the operation told of resources, sorted, with what the state has said *before* against their end."""
    kept = state.kept(before)
    told = (ResourceChange.from_json(change) for change in result.get("changes") or [])
    marked = (change.model_copy(update={"kept": kept.get(change.urn, "")}) for change in told)
    return tuple(sorted(marked, key=lambda change: change.urn))


def _pass_on(event: dict[str, Any], key: str, emit: Emit) -> None:
    """Record an *event* of an operation; what its program has reported in another shape is no event."""
    if not is_event(event, SHAPES):
        return
    kind = event.pop("kind")
    data = {name: clean_text(value, 4000) if isinstance(value, str) else value for name, value in event.items()}
    emit(Entry(kind=kind, step="provision", data=data, key=key))
