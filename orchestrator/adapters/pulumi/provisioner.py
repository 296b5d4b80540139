"""The `Provisioner` port: one process an operation, on a copy, held to the plan."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.adapters.explanations import not_isolated
from orchestrator.adapters.pulumi import (
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
from orchestrator.adapters.pulumi.engine import Engine
from orchestrator.adapters.pulumi.events import HIDDEN
from orchestrator.adapters.pulumi.operations import SAVED_PLAN, Operations
from orchestrator.adapters.pulumi.surroundings import line_to_add
from orchestrator.adapters.pulumi.trace import Trace
from orchestrator.adapters.pulumi.workspace import in_use
from orchestrator.adapters.views import Views
from orchestrator.domain.context import Outputs
from orchestrator.domain.credentials import MissingCredential
from orchestrator.domain.environment import Environment, PulumiSettings
from orchestrator.domain.error_codes import CREATES_UNRESOLVED, HOST_NAME_INVALID, INVENTORY_UNREADABLE, PULUMI_FAILED
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.model import digest_of
from orchestrator.domain.parity import Definition
from orchestrator.domain.plan import ResourceChange, StackPreview, StackSpec
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.text import clean_text
from orchestrator.ports import Artifacts, Emit, JobOutcome, Jobs, NullArtifacts, Provisioned, SavedPlan
from orchestrator.secret_values import SecretValues

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # in place of a value that Pulumi only knows after the update


class PulumiProvisioner:
    """Stacks of this project's environments.

    Args:
        jobs: runs the operations.
        folder: for the embedded backend, kept definitions, working copies and salts.
        project: the project's root, for inventory files and what lies beside a program.
        engine: finds the engine, called once, when it is first needed; raises E101 if none is found.
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
        self._artifacts, self._views = artifacts or NullArtifacts(), views
        self._operations = Operations(jobs, folder, self._project, engine, environ, secrets or SecretValues(), views)

    def definition(self, environment: Environment, folder: Path) -> StackSpec:
        """The current program of the environment, kept under its digest."""
        program = definition.find_program(environment, folder.resolve(), self._project)
        digest, kept = definition.keep_definition(program, environment, self._folder / "definitions")
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
            definition_archive.fetch_definition(digest, store, self._artifacts)
        manifest = definition.verify_definition(store, digest)
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
        folder, tree = Path(spec.program), self._operations.tree(spec)
        project = settings.project_file(folder)
        own = {settings.config_file(spec, project), "environment.yaml", *definition.PROJECT_FILES}
        program = definition.Program(folder, tree, self._operations.place(spec), spec.stack)
        files = {
            name: "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in program.files()
            if name not in own
        }
        files["Pulumi.yaml"] = digest_of({key: project[key] for key in project if key not in {"name", "description"}})
        return Definition(files=files, config=settings.config_keys(spec, project))

    def inventory(self, environment: Environment, outputs: Outputs) -> Inventory:
        """The hosts that the outputs and the environment's file give."""
        from orchestrator.adapters.pulumi.inventory import read_inventory  # with Jinja2, which few commands need

        return read_inventory(environment, outputs, self._project)

    def preview(self, spec: StackSpec, job: str, emit: Emit, *, save_plan: Path | None = None) -> StackPreview:
        """What an update would do; Pulumi's own plan goes to *save_plan*.

        The base is read before the preview starts. A change between the two makes the plan refuse later. In the other
        order it would pass. *refused* of the preview is what Pulumi itself would refuse because it protects a resource.
        """
        before = self._operations.state(spec)
        self._warn(spec, before, job, emit)
        self._share(spec, job, emit)
        saved = self._jobs.folder(job) / SAVED_PLAN
        words = ["preview", *_words(spec), *(["--save-plan", str(saved)] if save_plan else [])]
        outcome, result = self._operations.run(spec, words, job, emit)
        if save_plan is not None and saved.is_file():
            shutil.move(saved, save_plan)
        changes = _changes(result, before)
        if outcome.code != 0 or result["code"] < 0:
            error = self._error("preview", spec, outcome, result)
            if error.code != verdict.PROTECTED:
                raise error
            counts = dict(Counter(change.op for change in changes))
            return StackPreview(state_digest=state.base(before), changes=changes, counts=counts, refused=error.message)
        if save_plan is not None:
            plan = update_plan.saved(save_plan)
            return self._derived(spec, before, plan, update_plan.read_update_plan(plan))
        counts = _counts(result)
        if result["outputs"] is not None and result["outputs"] != state.hidden(before):
            counts["output"] = 1  # Pulumi counts no change of outputs, and an update is needed for it all the same
        hosts = self._planned(spec, result["outputs"] or {})
        return StackPreview(state_digest=state.base(before), changes=changes, counts=counts, inventory=hosts)

    def planned(self, spec: StackSpec, plan: SavedPlan) -> StackPreview:
        """What an update constrained to *plan* would do, derived from its file and the current state."""
        return self._derived(spec, self._operations.state(spec), plan, update_plan.read_update_plan(plan))

    def _derived(self, spec: StackSpec, before: stack.State, plan: SavedPlan, data: bytes) -> StackPreview:
        return StackPreview(
            state_digest=state.base(before),
            update_plan=update_plan.content_digest(data),
            update_file=plan.update_file,
            changes=update_plan.changes(data, before),
            counts=update_plan.counts(data, before),
            inventory=self._planned(spec, update_plan.planned_outputs(data)),
            versions={"pulumi": self._operations.engine.version, **update_plan.providers(data)},
            settings=variables.decides(self._environ, spec.settings.environment),
        )

    def unused_settings(self, settings: PulumiSettings) -> tuple[str, ...]:
        """Settings of the controller that Pulumi does not get, in a sentence each."""
        return variables.unused(self._environ, settings.environment)

    def missing_credential(self, spec: StackSpec) -> MissingCredential | None:
        """What the stack's secrets or its backend need and were not given. Raises E102."""
        found = settings.missing_credential(spec, self._environ)
        if found is None:
            return None
        what, remedy = found
        why, place = f"the stack {spec.stack} needs it", "the environment variables of Pulumi"
        return MissingCredential(what=what, place=place, why=why, remedy=remedy, needed_for="plan")

    def drifted(self, spec: StackSpec, job: str, emit: Emit) -> tuple[ResourceChange, ...]:
        """The resources that differ from the state, by a refresh that writes nothing."""
        words = ["refresh", "--preview-only", *(word for word in _words(spec) if word != "--refresh")]
        outcome, result = self._operations.run(spec, words, job, emit, verb="preview")
        if outcome.code != 0 or result["code"] < 0:
            raise self._error("refresh", spec, outcome, result)
        return tuple(sorted(map(ResourceChange.from_json, result["refreshed"]), key=lambda change: change.urn))

    def up(self, spec: StackSpec, job: str, emit: Emit, *, plan: SavedPlan | None = None) -> Provisioned:
        """Update the stack, constrained to *plan*: a verified copy of it in the job's own folder."""
        try:
            data = self._held(spec, plan) if plan is not None else None
        except OrchestratorError as error:
            findings = {**error.to_json(), "untouched": True}
            refused = StepResult(outcome=Outcome.FAILED, message=f"{error.message}; nothing was changed", data=findings)
            return Provisioned(refused, self.state_digest(spec))
        words = ["up", "--yes", "--skip-preview", *_words(spec)]
        outcome, result = self._operations.run(spec, words, job, emit, held=data)
        base = self.state_digest(spec)
        self._jobs.mask(job)  # by the secrets that the update has made as well
        return Provisioned(self._judge("up", spec, outcome, result), base)

    def _held(self, spec: StackSpec, plan: SavedPlan) -> bytes:
        """The content of *plan*. Raises E162, E163, and R120 if Pulumi would now run with other settings."""
        now = variables.decides(self._environ, spec.settings.environment)
        if plan.settings is not None and plan.settings != now:
            names = sorted({name for name, _ in plan.settings.items() ^ now.items()})
            raise OrchestratorError("R120", f"the plan was made with other settings of Pulumi: {', '.join(names)}")
        return update_plan.read_update_plan(plan)

    def existing_resources(self, spec: StackSpec) -> tuple[ResourceChange, ...]:
        """What destroying the stack would delete, from the current state in the backend."""
        return tuple(map(ResourceChange.from_json, state.resources(self._operations.export(spec))))

    def destroy(self, spec: StackSpec, job: str, emit: Emit, *, remove: bool = False) -> StepResult:
        """Destroy every resource of the stack; with *remove*, the stack itself as well."""
        words = ["destroy", "--yes", "--skip-preview", *_words(spec), *(["--remove"] if remove else [])]
        outcome, result = self._operations.run(spec, words, job, emit)
        return self._judge("destroy", spec, outcome, result)

    def resolve(
        self, spec: StackSpec, created: Mapping[str, str], absent: tuple[str, ...], job: str, emit: Emit
    ) -> StepResult:
        """Resolve interrupted creates as an operator decided."""
        outcome, result = self._operations.run(spec, ["resolve"], job, emit, created=dict(created), absent=list(absent))
        return self._judge("refresh", spec, outcome, result)

    def outputs(self, spec: StackSpec) -> Outputs:
        """The current outputs of the stack in the backend."""
        return state.stack_outputs(self._operations.state(spec))

    def state_digest(self, spec: StackSpec) -> str:
        """The digest of the stack's current state in the backend."""
        return state.base(self._operations.state(spec))

    def resources(self, spec: StackSpec) -> int:
        """The current number of resources of the stack, the stack itself included, as Pulumi counts them."""
        return state.count(self._operations.export(spec))

    def _warn(self, spec: StackSpec, before: stack.State, job: str, emit: Emit) -> None:
        """Warn about what an update will do first, because an earlier operation did not end."""
        if in_use(self._folder / "work" / spec.environment):
            return  # the pending operation is still running
        died = Trace(self._operations.trace(spec)).died
        texts = (
            [(f"the last {died} of this stack died; an update first checks which resources exist", "")] if died else []
        )
        for operation in stack.pending(before):
            urn = str(operation["resource"].get("urn", ""))
            texts.append((f"an operation died while {operation.get('type')} {urn}", urn))
        for number, (text, urn) in enumerate(texts):
            data = {"level": "warning", "text": text, "urn": urn}
            emit(Entry(kind="notice", step="provision", data=data, key=f"{job}:died:{number}"))

    def _share(self, spec: StackSpec, job: str, emit: Emit) -> None:
        """Share the definition. If that fails, warn: only this machine can restore it later."""
        try:
            definition_archive.share(spec.definition, self._folder / "definitions", self._artifacts)
        except OrchestratorError as error:
            data = {"level": "warning", "text": f"the definition of {spec.environment} is not shared: {error.message}"}
            emit(Entry(kind="notice", step="provision", data=data, key=f"{job}:unshared"))

    def _judge(self, verb: str, spec: StackSpec, outcome: JobOutcome, result: dict[str, Any]) -> StepResult:
        """An operation's result as that of a step: from what the engine reported, not only its exit code."""
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
            hint = verdict.RESOLVE.format(environment=spec.environment) if refused == CREATES_UNRESOLVED else None
            return OrchestratorError(str(refused), clean_text(str(result["error"]), 4000), hint=hint)
        if self._views is not None and (failure := not_isolated(self._views.isolator(), outcome)):
            return OrchestratorError("I104", f"pulumi {verb} {spec.stack}: {failure}")
        if code < 0 or outcome.how != "exited":
            return verdict.died(verb, spec.stack, outcome.how, _counts(result), result.get("unfinished") or [])
        ended = f"it ended with {outcome.code}"
        log = str(outcome.folder / "output.log")
        roots = (str(self._project), str(self._operations.work(spec)))
        error = verdict.error(verb, spec.stack, str(result.get("error", "")), log, ended, roots)
        if error.code == PULUMI_FAILED:
            files = [
                file.path for file in definition.verify_definition(self._folder / "definitions", spec.definition).files
            ]
            error.hint = line_to_add(self._project, self._operations.place(spec), files, error.message) or error.hint
            return self._explained(spec, error)
        return error

    def _explained(self, spec: StackSpec, error: OrchestratorError) -> OrchestratorError:
        """The *error*, with the line to add if isolation refused what the program needed."""
        seen = self._operations.isolated(spec)
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
            printed_outputs = json.dumps(outputs, default=str)
            if (
                error.code in {INVENTORY_UNREADABLE, HOST_NAME_INVALID}
                and UNKNOWN not in printed_outputs
                and HIDDEN not in printed_outputs
            ):
                raise
            return None
        text = json.dumps(found.to_json())
        return None if UNKNOWN in text or HIDDEN in text else found


def _words(spec: StackSpec) -> list[str]:
    words = ["--stack", spec.stack, "--non-interactive", "--color", "never", "--suppress-progress"]
    words += ["--refresh"] if spec.settings.refresh else []
    return words + (["--parallel", str(spec.settings.parallel)] if spec.settings.parallel else [])


def _counts(result: dict[str, Any]) -> dict[str, int]:
    return {str(op): int(count) for op, count in (result.get("counts") or {}).items()}


def _changes(result: dict[str, Any], before: stack.State) -> tuple[ResourceChange, ...]:
    """The changes that the operation reported, sorted, each with the protection that the state had *before*."""
    kept = state.protected_resources(before)
    changes = (ResourceChange.from_json(change) for change in result.get("changes") or [])
    marked = (change.model_copy(update={"kept": kept.get(change.urn, "")}) for change in changes)
    return tuple(sorted(marked, key=lambda change: change.urn))
