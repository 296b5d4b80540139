"""Operations of Pulumi on a stack: where they work, what they find, and one process for each of them."""

import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from orchestrator.adapters.pulumi import (
    config_secrets,
    definition,
    settings,
    sight,
    stack,
    state,
    update_plan,
    verdict,
)
from orchestrator.adapters.pulumi.answer import SHAPES, operation_answer, resource_events
from orchestrator.adapters.pulumi.child import UPDATE_PLAN
from orchestrator.adapters.pulumi.engine import Engine
from orchestrator.adapters.pulumi.events import HARMLESS, STACK
from orchestrator.adapters.pulumi.recovery import PATIENCE
from orchestrator.adapters.pulumi.runtimes import missing_host
from orchestrator.adapters.pulumi.surroundings import others
from orchestrator.adapters.pulumi.trace import Trace
from orchestrator.adapters.pulumi.workspace import in_use, keep_salt
from orchestrator.adapters.views import Views
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.job_event import is_event
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import StackSpec
from orchestrator.domain.secret import Secret
from orchestrator.domain.text import clean_text
from orchestrator.ports import Emit, Job, JobOutcome, Jobs
from orchestrator.processes import kill_tree, run_query
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
FRESH = 10.0  # seconds for which a state that was read counts as the base of a preview


class Operations:
    """Runs operations on the stacks of a project, and reads their states.

    Args:
        jobs: runs the operations.
        folder: for the embedded backend, kept definitions, working copies and salts.
        project: the project's root.
        engine: finds the engine, called once, when it is first needed; raises E101 if none is found.
        environ: the user's environment variables.
        secrets: learns the secrets of states and configurations.
        views: what operations find of this machine; without it they are not isolated.
    """

    def __init__(
        self,
        jobs: Jobs,
        folder: Path,
        project: Path,
        engine: Callable[[], Engine],
        environ: Mapping[str, str],
        secrets: SecretValues,
        views: Views | None,
    ) -> None:
        self.jobs, self.folder, self.project, self.views = jobs, folder, project, views
        self._find, self._environ, self._secrets = engine, environ, secrets
        self._learnt: set[tuple[str, str, str]] = set()
        self._found: Engine | None = None
        self._read: dict[tuple[str, str, str], tuple[float, stack.State]] = {}

    @property
    def engine(self) -> Engine:
        """The engine that runs them. Raises E101."""
        if self._found is None:
            self._found = self._find()
        return self._found

    def work(self, spec: StackSpec) -> Path:
        """The folder in which the copy is laid."""
        return self.folder / "work" / spec.environment

    def tree(self, spec: StackSpec) -> Path:
        """The kept copy of the files of the program."""
        return self.folder / "definitions" / spec.definition.removeprefix("sha256:") / "tree"

    def place(self, spec: StackSpec) -> str:
        """The path of the program below the project's root."""
        return Path(spec.program).relative_to(self.tree(spec)).as_posix()

    def trace(self, spec: StackSpec) -> Path:
        """The trace of the stack, in a folder of its environment; one of an older version is moved into it."""
        name = spec.stack.replace("/", ".")
        old, path = self.folder / "traces" / f"{spec.environment}.{name}", self.folder / "traces" / spec.environment
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            old.rename(path / name)
        return path / name

    def _salt(self, spec: StackSpec) -> Path:
        """Where the lines about encryption are kept that the engine added to the stack's configuration."""
        salt = self.folder / "salts" / f"{spec.environment}.{spec.stack.replace('/', '.')}"
        salt.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return salt

    def _environment(self, spec: StackSpec) -> dict[str, str]:
        own = self.project / self.place(spec)
        return settings.environment(spec, self.engine, self._environ, self.folder, own)

    def _program_env(self, spec: StackSpec) -> dict[str, str]:
        """The environment of an operation that runs the program: its sources have the names that they have by hand."""
        env = self._environment(spec)
        python = os.pathsep.join([SOURCES, *([env["PYTHONPATH"]] if env.get("PYTHONPATH") else [])])
        where = {"ORCHESTRATOR_COPY": str(self.work(spec)), "ORCHESTRATOR_ORIGINAL": str(self.project)}
        return {**env, **where, "PYTHONPATH": python}

    def _whose(self, spec: StackSpec, env: Mapping[str, str]) -> dict[str, str]:
        """Which engine works on which stack in which backend."""
        return {
            "pulumi": str(self.engine.path),
            "stack": spec.stack,
            "project_name": str(settings.project_file(Path(spec.program)).get("name")),
            "backend": settings.backend_folder(env),
        }

    def _stack(self, spec: StackSpec) -> stack.Stack:
        """The stack's state and locks, queried by this process: secrets stay encrypted."""
        env = self._environment(spec)
        return stack.Stack(self._whose(spec, env), Path(spec.program), env)

    def state(self, spec: StackSpec) -> stack.State:
        """The stack's state: as read within the last 10 s if we did not change it since, otherwise read anew.

        A run holds its environment's lease, and reads the same state several times while it plans.
        """
        at, found = self._read.get(_key(spec), (float("-inf"), {}))
        return found if time.monotonic() - at < FRESH else self.export(spec)

    def export(self, spec: StackSpec) -> stack.State:
        """The stack's state, secrets in clear: held in memory only. Empty if the stack does not exist yet."""
        found = self._stack(spec).clear_state()
        if found is None:
            found = self._exported(spec)
        self._secrets.learn(f"stack {spec.stack}", state.marked_secrets(found))
        self._read[_key(spec)] = (time.monotonic(), found)
        return dict(found)

    def _exported(self, spec: StackSpec) -> stack.State:
        words = ["stack", "export", "--stack", spec.stack, "--show-secrets", "--non-interactive"]
        argv = [str(self.engine.path), *words]
        done = run_query(argv, cwd=spec.program, env=self._environment(spec))
        if done.returncode != 0 and stack.NO_STACK not in done.stderr:
            ended = f"it ended with {done.returncode}"
            raise verdict.error("stack export", spec.stack, done.stderr, "its output", ended)
        return json.loads(done.stdout).get("deployment") or {} if done.returncode == 0 else {}

    def isolated(self, spec: StackSpec) -> sight.Operation | None:
        """An operation on the stack, as far as it decides what is shown to it; None: it is not isolated."""
        if self.views is None or not self.views.isolates:
            return None
        manifest = definition.verify_definition(self.folder / "definitions", spec.definition)
        return sight.Operation(
            env=self._program_env(spec),
            engine=self.engine.path,
            project=self.project,
            place=self.place(spec),
            name=str(settings.project_file(Path(spec.program)).get("name")),
            kept=self.tree(spec),
            work=self.work(spec),
            trace=self.trace(spec),
            settings=Environment.from_json(manifest.environment).settings,
            declared=spec.settings.environment,
            whole=manifest.format == 1,
        )

    def _isolation(self, spec: StackSpec, verb: str) -> dict[str, Any]:
        """The view of the operation *verb*, its environment variables, and the command of the broker for its hosts."""
        env, seen = self._program_env(spec), self.isolated(spec)
        if self.views is None or seen is None:
            return {"env": env, "view": None}
        return {
            "env": sight.program_environment(self.views, seen, self._environ),
            "view": sight.view(self.views, seen, self._settled(spec, verb).jobs),
            "server": sight.broker_command(seen.name, spec.stack, verb),
        }

    def _settled(self, spec: StackSpec, verb: str) -> Trace:
        """The trace of the stack, after what a dead operation has left outside of a namespace has ended.

        An isolated operation does not see these processes, and only one that has the copy to itself recovers.
        """
        trace = Trace(self.trace(spec))
        if verb == "preview" or not trace.left or in_use(self.work(spec)):
            return trace
        deadline = time.monotonic() + PATIENCE
        while trace.living() and time.monotonic() < deadline:
            time.sleep(0.05)
        if not trace.living():
            for job in trace.jobs:
                kill_tree(f"ORCHESTRATOR_JOB={job}")  # providers whose engine is gone could still make something
        return trace

    def run(
        self, spec: StackSpec, words: list[str], job: str, emit: Emit, *, held: bytes | None = None, **decided: Any
    ) -> tuple[JobOutcome, dict[str, Any]]:
        """Run one operation to its end, passing on its events. Returns how it ended, and the result of the child.

        With *held*, an update is constrained to that update plan: the child verifies its copy immediately before.
        """
        plan = {UPDATE_PLAN: held} if held is not None else {}
        missing = missing_host(settings.project_file(Path(spec.program)), self.engine, self._environ)
        if missing is not None:
            raise missing
        self._learn(spec)
        if words[0] != "preview":
            self._read.clear()  # another definition, or another environment, may mean the same stack
        outcome = self.jobs.run(
            Job(
                key=job,
                argv=COMMAND,
                cwd=self.folder,
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

    def _files(
        self, spec: StackSpec, words: list[str], decided: dict[str, Any], held: bytes | None, job: str
    ) -> dict[str, bytes]:
        """What the child finds in its folder."""
        manifest = definition.verify_definition(self.folder / "definitions", spec.definition)
        project, place = settings.project_file(Path(spec.program)), self.place(spec)
        salt, env = self._salt(spec), self._environment(spec)
        data = {
            **self._whose(spec, env),
            "verb": words[0],
            **decided,
            "argv": words,
            "held": update_plan.file_digest(held) if held is not None else "",
            "pending_creates": spec.settings.pending_creates,
            "trace": str(self.trace(spec)),
            "ended": Trace(self.trace(spec)).ended(),
            "kept": str(self.tree(spec)),
            "place": place,
            "files": [(file.path, file.sha256, file.executable) for file in manifest.files],
            "others": None if manifest.format == 1 else others(self.project, place, [f.path for f in manifest.files]),
            "project": str(self.project),
            "work": str(self.work(spec)),
            "config_file": settings.config_file(spec, project),
            "salt": str(self.jobs.folder(job) / SALT),
        }
        return {
            "spec.json": json.dumps(data).encode(),
            "stack.yaml": settings.config_text(spec, project, salt).encode(),
        }

    def _learn(self, spec: StackSpec) -> None:
        """Learn the secrets of the stack's state and configuration, once in this process."""
        if _key(spec) in self._learnt:
            return
        project, env = settings.project_file(Path(spec.program)), self._environment(spec)
        file = Path(spec.program) / settings.config_file(spec, project, users=True)
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        words = ["config", "--show-secrets", "--json", "--stack", spec.stack, "--config-file", str(file)]

        def ask() -> str:
            done = run_query([str(self.engine.path), *words, "--non-interactive"], cwd=spec.program, env=env)
            return done.stdout if done.returncode == 0 else ""

        with ThreadPoolExecutor(1) as beside:  # to derive a key of the passphrase takes as long as to read the state
            decrypting = beside.submit(config_secrets.configured_secrets, text, env, ask)
            with contextlib.suppress(OrchestratorError):  # the operation reports it
                self.state(spec)
                self._learnt.add(_key(spec))
            found = decrypting.result()
        passphrase = config_secrets.passphrase_of(env)
        found += [Secret("passphrase", passphrase.encode())] if passphrase else []
        self._secrets.learn(f"configuration of {spec.stack}", found)

    def _quiet(self, spec: StackSpec, job: str) -> None:
        """End what a killed operation has left running: without an engine, no provider may continue."""
        self._halt(spec, job)
        self.jobs.stop(job)

    def _halt(self, spec: StackSpec, job: str) -> None:
        """Signal the engine of a killed operation to stop after the changes in flight, and wait for its end."""
        trace, folder = Trace(self.trace(spec)), str(self.jobs.folder(job))
        for engine in trace.living(folder):
            with contextlib.suppress(OSError):
                os.kill(engine, signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        while trace.living(folder) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _known(self, spec: StackSpec, outcome: JobOutcome) -> dict[str, Any]:
        """What is known of an operation that died: what it reported as done, and whether it had started any change.

        The engine records a change in the state before it starts the change. So if the state is the one that was read
        before, and no change was reported as started, nothing was touched.
        """
        done, begun, effects = Counter[str](), dict[str, str](), False
        for event in resource_events(outcome.folder):
            if event["status"] == "started" and event["type"] != STACK:
                begun[event["urn"]] = event["name"]
                effects |= event["op"] not in HARMLESS
            elif event["type"] != STACK:
                begun.pop(event["urn"], None)
                done[event["op"]] += event["status"] == "done"
        before = outcome.folder / "before"  # the child writes it before it starts anything
        try:
            now = stack.fingerprint(self._stack(spec).state()) if before.exists() else ""
            effects |= before.exists() and before.read_text(encoding="ascii") != now
        except (OSError, ValueError):
            effects = True
        return {"counts": dict(done), "unfinished": sorted(begun.values()), "effects": int(effects)}


def _key(spec: StackSpec) -> tuple[str, str, str]:
    """The identity of a stack: two programs may each have one called `main`."""
    return spec.environment, spec.definition, spec.stack


def _pass_on(event: dict[str, Any], key: str, emit: Emit) -> None:
    """Record an *event* of an operation; an object of another shape, from its program, is left out."""
    if not is_event(event, SHAPES):
        return
    kind = event.pop("kind")
    data = {name: clean_text(value, 4000) if isinstance(value, str) else value for name, value in event.items()}
    emit(Entry(kind=kind, step="provision", data=data, key=key))
