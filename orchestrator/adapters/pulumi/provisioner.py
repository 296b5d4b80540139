"""The `Provisioner` port: one process an operation, on a copy, held to the plan."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestrator.adapters.pulumi import child, definition
from orchestrator.adapters.pulumi.engine import Engine
from orchestrator.adapters.pulumi.inventory import inventory
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.model import digest_of
from orchestrator.domain.plan import ResourceChange, StackPreview, StackSpec
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.text import clean_text
from orchestrator.ports import Emit, Job, JobOutcome, Jobs, Outputs, Provisioned

PASSED = (
    "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSH_AUTH_SOCK", "KUBECONFIG", "VAULT_ADDR",
    "VAULT_TOKEN", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "ORCHESTRATOR_SSHD", "XDG_CACHE_HOME",
)  # fmt: skip
PASSED_PREFIXES = ("PULUMI_", "AWS_", "AZURE_", "ARM_", "GOOGLE_", "GCLOUD_", "GCP_", "CLOUDSDK_", "DIGITALOCEAN_")
BUSY = "the stack is currently locked"
VOLATILE = {"sourcePosition", "stackTrace", "created", "modified"}


class PulumiProvisioner:
    """Stacks of this project's environments.

    Args:
        jobs: runs the operations.
        state: the folder for the embedded backend, kept definitions and salts.
        project: the project's folder, for inventory files.
        engine: finds the engine when it is first needed; raises E101 when there is none.
        environ: the user's environment variables.
    """

    def __init__(
        self, jobs: Jobs, state: Path, project: Path, engine: Callable[[], Engine], environ: Mapping[str, str]
    ) -> None:
        self._jobs, self._state, self._project, self._engine, self._environ = jobs, state, project, engine, environ

    def definition(self, environment: Environment, folder: Path) -> StackSpec:
        """The environment's program as it is now, kept under its digest."""
        program = (folder / (environment.program or ".")).resolve()
        if not (program / "Pulumi.yaml").is_file() and not (program / "Pulumi.yml").is_file():
            raise OrchestratorError("E102", f"there is no Pulumi project (Pulumi.yaml) in {program}")
        found, kept = definition.keep(program, environment.to_json(), self._state / "definitions")
        return StackSpec(
            environment=environment.name,
            program=str(kept),
            stack=environment.stack or environment.name,
            definition=found,
            settings=environment.pulumi,
        )

    def inventory(self, environment: Environment, outputs: Outputs) -> Inventory:
        """The hosts that the outputs and the environment's file give."""
        return inventory(environment, outputs, self._project)

    def preview(self, spec: StackSpec, job: str, emit: Emit, *, save_plan: Path | None = None) -> StackPreview:
        """What an update would do; Pulumi's own plan goes to *save_plan*."""
        words = ["preview", *self._words(spec), *(["--save-plan", str(save_plan)] if save_plan else [])]
        before = self._export(spec)
        outcome, result = self._operate(spec, words, job, emit)
        if outcome.code != 0:
            raise self._error("preview", spec, outcome, result)
        counts = {str(op): int(count) for op, count in result["counts"].items()}
        if result["outputs"] != _masked(before):
            counts["output"] = 1
        plan = digest_of(json.loads(save_plan.read_text())) if save_plan and save_plan.exists() else None
        changes = tuple(ResourceChange.from_json(change) for change in result["changes"])
        return StackPreview(base=_base(before), update_plan=plan, changes=changes, counts=counts)

    def up(self, spec: StackSpec, job: str, emit: Emit, *, plan: Path | None = None) -> Provisioned:
        """Update the stack, held to *plan*."""
        words = ["up", "--yes", "--skip-preview", *self._words(spec), *(["--plan", str(plan)] if plan else [])]
        outcome, result = self._operate(spec, words, job, emit)
        return Provisioned(self._judge("up", spec, outcome, result), self.base(spec))

    def destroy(self, spec: StackSpec, job: str, emit: Emit) -> StepResult:
        """Destroy every resource of the stack."""
        outcome, result = self._operate(spec, ["destroy", "--yes", "--skip-preview", *self._words(spec)], job, emit)
        return self._judge("destroy", spec, outcome, result)

    def outputs(self, spec: StackSpec) -> Outputs:
        """The stack's outputs as the backend has them now."""
        plain: dict[str, Any] = {}
        hidden: dict[str, Any] = {}
        for name, value in _outputs(self._export(spec)).items():
            (hidden if _is_secret(value) else plain)[name] = _revealed(value)
        return Outputs(plain, hidden)

    def base(self, spec: StackSpec) -> str:
        """The digest of the stack's state as the backend has it now."""
        return _base(self._export(spec))

    # -- the engine ---------------------------------------------------------------------------------------------------

    def _words(self, spec: StackSpec) -> list[str]:
        settings = spec.settings
        words = ["--stack", spec.stack, "--non-interactive", "--color", "never", "--suppress-progress"]
        words += ["--refresh"] if settings.refresh else []
        words += ["--parallel", str(settings.parallel)] if settings.parallel else []
        return words

    def _operate(self, spec: StackSpec, words: list[str], job: str, emit: Emit) -> tuple[JobOutcome, dict[str, Any]]:
        """Run one operation to its end, passing on its events. Returns how it ended and what the child told."""
        config = [
            word for key, value in sorted(spec.settings.config.items()) for word in ("--config", f"{key}={value}")
        ]
        overrides = config if words[0] in {"up", "preview"} else []
        data = {
            "program": spec.program,
            "stack": spec.stack,
            "pulumi": str(self._engine().path),
            "argv": [*words, *overrides],
            "salt": str(self._salt(spec)),
        }
        outcome = self._jobs.run(
            Job(
                key=job,
                argv=(sys.executable, "-I", "-S", child.__file__),
                env=self._env(spec),
                cwd=self._state,
                files={"spec.json": json.dumps(data).encode()},
            ),
            lambda number, event: emit(_entry(event, f"{job}:{number}")),
        )
        try:
            return outcome, json.loads((outcome.folder / "result.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return outcome, {"code": None, "error": f"the engine's process was {outcome.how}", "effects": 1}

    def _judge(self, verb: str, spec: StackSpec, outcome: JobOutcome, result: dict[str, Any]) -> StepResult:
        """An operation's result as a step's: the engine's word, not only its exit code."""
        log = str(outcome.folder)
        counts = {str(op): int(count) for op, count in result.get("counts", {}).items()}
        if outcome.how == "exited" and result["code"] == 0 and not result.get("corrupt"):
            message = ", ".join(f"{count} {op}" for op, count in sorted(counts.items())) or "nothing to do"
            done = {"counts": counts}
            return StepResult(outcome=Outcome.SUCCEEDED, message=message, log=log, seconds=outcome.seconds, data=done)
        error = self._error(verb, spec, outcome, result)
        ended = Outcome.FAILED if outcome.how == "exited" else Outcome.ERRORED
        data: dict[str, Any] = {"counts": counts, "untouched": not result.get("effects"), **error.to_json()}
        return StepResult(outcome=ended, message=error.message, log=log, seconds=outcome.seconds, data=data)

    def _error(self, verb: str, spec: StackSpec, outcome: JobOutcome, result: dict[str, Any]) -> OrchestratorError:
        text = clean_text(str(result.get("error", "")), 2000)
        first = _first(text) or f"ended with {outcome.code}"
        if BUSY in text:
            return OrchestratorError("E130", f"the stack {spec.stack} is locked by another update: {_holder(text)}")
        if "violates plan" in text:
            return OrchestratorError("E131", f"Pulumi would do something else than was planned: {first}")
        if "passphrase must be set" in text or "incorrect passphrase" in text:
            return OrchestratorError("E132", f"the passphrase of the stack {spec.stack} is missing or wrong")
        return OrchestratorError(
            "E110", f"pulumi {verb} {spec.stack}: {first}", hint=f"see {outcome.folder}/output.log"
        )

    def _env(self, spec: StackSpec) -> dict[str, str]:
        """The environment of the engine: what is on the list, its own folder on PATH, and the embedded backend."""
        allowed = {*PASSED, *spec.settings.environment}
        env = {
            name: value for name, value in self._environ.items() if name in allowed or name.startswith(PASSED_PREFIXES)
        }
        engine = self._engine()
        path = [str(Path(sys.executable).parent), str(engine.path.parent), self._environ.get("PATH", os.defpath)]
        env |= {
            "PATH": os.pathsep.join(path),
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DEBUG_COMMANDS": "true",  # lets the engine write its event log, as the Automation API does
            "PYTHONDONTWRITEBYTECODE": "1",
            "ORCHESTRATOR_STATE": str(self._state.parent),
        }
        if not self._has_backend(spec):
            env |= self._embedded()
        return env

    def _has_backend(self, spec: StackSpec) -> bool:
        """Whether the user has chosen a backend: by variable, in the project's file, or by `pulumi login`."""
        if self._environ.get("PULUMI_BACKEND_URL"):
            return True
        for name in ("Pulumi.yaml", "Pulumi.yml"):
            file = Path(spec.program) / name
            if file.is_file() and ((yaml.safe_load(file.read_text()) or {}).get("backend") or {}).get("url"):
                return True
        home = Path(self._environ.get("PULUMI_HOME") or Path(self._environ.get("HOME", "/")) / ".pulumi")
        try:
            return bool(json.loads((home / "credentials.json").read_text()).get("current"))
        except (OSError, ValueError):
            return False

    def _embedded(self) -> dict[str, str]:
        """The backend in the project's own state folder, with a passphrase that only its owner can read."""
        backend, passphrase = self._state / "backend", self._state / "passphrase"
        backend.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            handle = os.open(passphrase, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            os.write(handle, secrets.token_urlsafe(32).encode())
            os.close(handle)
        except FileExistsError:
            pass
        env = {"PULUMI_BACKEND_URL": f"file://{backend}", "PULUMI_HOME": str(self._state / "home")}
        if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & set(self._environ):
            env["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase)
        return env

    def _salt(self, spec: StackSpec) -> Path:
        folder = self._state / "salts"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / f"{spec.environment}.{spec.stack.replace('/', '.')}"

    def _export(self, spec: StackSpec) -> dict[str, Any]:
        """The stack's state, secrets in clear: held in memory only. Empty when there is no such stack yet."""
        argv = [
            str(self._engine().path),
            "stack",
            "export",
            "--stack",
            spec.stack,
            "--show-secrets",
            "--non-interactive",
        ]
        env = {**self._env(spec), "PULUMI_DEBUG_COMMANDS": "false"}
        done = subprocess.run(argv, cwd=spec.program, env=env, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return dict(json.loads(done.stdout).get("deployment") or {})
        if "no stack named" in done.stderr:
            return {}
        outcome = JobOutcome("exited", done.returncode, self._state, 0.0)
        raise self._error("stack export", spec, outcome, {"error": done.stderr})


def _first(text: str) -> str:
    """The line of an error that says what happened: the first, or of a Python traceback its last."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith("Traceback"):
        return next((line for line in lines[1:] if not line.startswith(" ")), lines[0])
    return lines[0] if lines else ""


def _entry(event: dict[str, Any], key: str) -> Entry:
    kind = str(event.pop("kind", "notice"))
    data = {name: clean_text(value, 4000) if isinstance(value, str) else value for name, value in event.items()}
    return Entry(kind=kind, step="provision", data=data, key=key)


def _outputs(deployment: dict[str, Any]) -> dict[str, Any]:
    for resource in deployment.get("resources") or []:
        if resource.get("type") == "pulumi:pulumi:Stack":
            return dict(resource.get("outputs") or {})
    return {}


def _masked(deployment: dict[str, Any]) -> Any:
    return {name: "[secret]" if _is_secret(value) else value for name, value in _outputs(deployment).items()}


def _is_secret(value: Any) -> bool:
    """Whether any part of *value* is marked as secret."""
    if isinstance(value, dict):
        return child.SECRET in value or any(_is_secret(item) for item in value.values())
    return isinstance(value, list) and any(_is_secret(item) for item in value)


def _revealed(value: Any) -> Any:
    if isinstance(value, dict):
        if child.SECRET in value and "plaintext" in value:
            return json.loads(value["plaintext"])
        return {key: _revealed(item) for key, item in value.items()}
    return [_revealed(item) for item in value] if isinstance(value, list) else value


def _base(deployment: dict[str, Any]) -> str:
    """The digest of a stack's state without what changes although nothing changed: times and source positions."""
    resources = [
        {key: value for key, value in resource.items() if key not in VOLATILE}
        for resource in deployment.get("resources") or []
    ]
    return digest_of({"resources": resources, "pending": deployment.get("pending_operations") or []})


def _holder(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if "created by" in line), "")
    return line or "see pulumi's output"
