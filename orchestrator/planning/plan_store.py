"""The plans that are kept: each under its digest in the state folder, with Pulumi's own, and where they are shared.

A plan that an operator names, by a file or by a digest, counts only with an authentication code of this project. A run
finds its own plan by the digest in the journal. That digest covers all that decides what the plan does, so a code is
not required there (a worker may have another key); an existing code must fit.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.domain.authentication import FIELD
from orchestrator.domain.error_codes import PLAN_NOT_AUTHENTICATED, PROJECT_KEY_UNKNOWN
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import Plan, StackPreview
from orchestrator.domain.stored_words import read_plan_fields
from orchestrator.domain.wave_plan import WavePlan
from orchestrator.file_system import write_whole
from orchestrator.ports import SavedPlan
from orchestrator.services import Services

CALENDAR = "calendar"
"""What is printed with a plan, and is not part of it."""
SHARED, UPDATES = "plans/", "updates/"  # names of shared plans, and of Pulumi's: digests in hexadecimal digits

AnyPlan = Plan | WavePlan  # of one environment, or of a promotion in waves


def folder(services: Services, digest: str) -> Path:
    """Where the plan with this digest is kept."""
    return services.state / "plans" / digest.removeprefix("sha256:")


def update_plan_file(services: Services, digest: str) -> Path:
    """Where Pulumi's own plan with this digest is kept: what the update is constrained to."""
    return services.state / "plans" / f"update-{digest.removeprefix('sha256:')}.json"


def saved_plan(services: Services, stack: StackPreview) -> SavedPlan:
    """Pulumi's update plan of *stack*. Raises E162 when the plan has none, so that no update is unconstrained."""
    digest = stack.update_file or stack.update_plan  # an older version kept it under the digest of its content
    if stack.update_plan is None or digest is None:
        raise OrchestratorError("E162", "the plan changes the stack and has no saved update plan of Pulumi")
    return SavedPlan(update_plan_file(services, digest), stack.update_plan, stack.update_file, stack.settings)


def made_by(services: Services, job: str) -> Path:
    """Where the preview that belongs to *job* writes Pulumi's own plan; its folder exists."""
    file = services.state / "plans" / f"{job}.json"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return file


def document(services: Services, plan: AnyPlan) -> dict[str, Any]:
    """The plan as a document with its digest and an authentication code. Raises S150 and S151."""
    return services.keys.authenticate(plan.document())


def save(services: Services, plan: AnyPlan) -> Path:
    """Keep the plan under its digest, and Pulumi's own with it, here and where they are shared. Returns its file.

    The plan of each environment of a promotion in waves is kept too. A rollback continues if they cannot be shared, and
    only on this machine. Raises S-codes.
    """
    if isinstance(plan, WavePlan):
        for item in plan.planned:
            if item.plan is not None:
                save(services, item.plan)
    learn_names(services, plan)
    kept_document = document(services, plan)
    digest = str(kept_document["digest"])
    file = folder(services, digest) / "plan.json"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(file, json.dumps(kept_document))
    try:
        for name, path in _files(services, plan, digest):
            if path.is_file() and services.artifacts.named(name) is None:
                services.artifacts.name(name, services.artifacts.put(path))
    except OrchestratorError:
        if isinstance(plan, WavePlan) or plan.action != "rollback":
            raise
    return file


def learn_names(services: Services, plan: AnyPlan) -> None:
    """Treat what *plan* is about as ordinary: values that are its names are not masked wherever they occur."""
    plans = [item.plan for item in plan.planned if item.plan is not None] if isinstance(plan, WavePlan) else [plan]
    for one in plans:
        steps = {name for step in one.steps for name in (step.play.step, step.play.playbook)}
        suites = {name for suite in one.verify for name in (suite.name, suite.tests)}
        hosts = one.inventory.hosts if one.inventory is not None else ()
        services.secrets.learn_names((one.release.name, one.release.version, *steps, *suites, *hosts))


def stored_plans(services: Services, start: str) -> list[str]:
    """The digests, in hexadecimal digits, of the plans whose digest starts with *start*: here, otherwise shared."""
    here = [found.name for found in (services.state / "plans").glob(f"{start}*/") if len(found.name) == 64]
    return here or [name.removeprefix(SHARED) for name in services.artifacts.names(f"{SHARED}{start}")]


def load_plan(services: Services, digest: str) -> Plan:
    """The kept plan of one environment, by a digest from the journal.

    Raises as :func:`load_any` does, and R121 if it is the plan of a promotion in waves.
    """
    plan = load_any(services, digest, recorded=True)
    if isinstance(plan, WavePlan):
        raise OrchestratorError("R121", f"{digest} is the plan of a promotion in waves")
    return plan


def load_any(services: Services, digest: str, *, recorded: bool = False) -> AnyPlan:
    """The kept plan of one environment or of a promotion in waves, from the shared store if it is not on this machine.

    *recorded* means that the journal has the digest. Raises R121 when it is nowhere, R122 when it has another
    digest, R240 to R242 when this project did not make it, and S-codes.
    """
    file = folder(services, digest) / "plan.json"
    _fetch(services, f"{SHARED}{digest.removeprefix('sha256:')}", file)
    if not file.is_file():
        raise OrchestratorError("R121", f"there is no plan {digest} here")
    data = _data(file)
    plan, found = _plan(file, data)
    if found != digest:
        raise OrchestratorError("R122", f"the plan {digest} has been changed since it was made")
    _authenticate(services, file, data, recorded=recorded)
    learn_names(services, plan)
    for name, path in _files(services, plan, digest):
        _fetch(services, name, path)
    return plan


def read_plan(services: Services, file: Path) -> AnyPlan:
    """The plan in *file*, as `plan --out` or :func:`save` wrote it. Raises R121, R122, and R240 to R242."""
    data = _data(file)
    plan, _ = _plan(file, data)
    _authenticate(services, file, data)
    return plan


def read_document(services: Services, document: dict[str, Any]) -> AnyPlan:
    """The plan in a *document* of a client. Raises as :func:`read_plan` does."""
    data = {name: value for name, value in document.items() if name != CALENDAR}
    name = Path("the document")
    plan, _ = _plan(name, data)
    _authenticate(services, name, data)
    return plan


def _authenticate(services: Services, file: Path, data: dict[str, Any], *, recorded: bool = False) -> None:
    try:
        services.keys.verify(data)
    except OrchestratorError as error:
        if recorded and error.code in {PLAN_NOT_AUTHENTICATED, PROJECT_KEY_UNKNOWN}:
            return
        raise OrchestratorError(error.code, f"the plan in {file} is refused: {error.message}") from error


def _files(services: Services, plan: AnyPlan, digest: str) -> Iterator[tuple[str, Path]]:
    """What the plan with this digest is made of: the names under which it is shared, and the files here."""
    plain = digest.removeprefix("sha256:")
    if isinstance(plan, Plan) and plan.stack is not None:
        with suppress(OrchestratorError):
            file = saved_plan(services, plan.stack).file
            own = (plan.stack.update_file or digest).removeprefix("sha256:")
            yield f"{UPDATES}{own}", file
    yield f"{SHARED}{plain}", folder(services, digest) / "plan.json"


def _fetch(services: Services, name: str, path: Path) -> None:
    """Bring what is shared under *name* to *path*. Without effect if that exists, or nothing has the name."""
    found = None if path.is_file() else services.artifacts.named(name)
    if found is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        services.artifacts.get(found, path)


def _data(file: Path) -> dict[str, Any]:
    """The document in *file*, without the calendar that `plan --json` prints beside it. Raises R121."""
    try:
        found = dict(json.loads(file.read_text(encoding="utf-8")))
        return {name: value for name, value in found.items() if name != CALENDAR}
    except (OSError, ValueError, TypeError) as error:
        raise OrchestratorError("R121", f"{file} is not a plan of this version") from error


def _plan(file: Path, data: dict[str, Any]) -> tuple[AnyPlan, str]:
    """The plan in a document, and its digest, which is that of its content. Raises R121 and R122."""
    plain = {name: value for name, value in data.items() if name not in {"digest", FIELD}}
    try:
        plan: AnyPlan = (WavePlan if data.get("kind") == "WavePlan" else Plan).from_json(read_plan_fields(plain))
        digest = plan.digest
    except (ValueError, TypeError) as error:
        raise OrchestratorError("R121", f"{file} is not a plan of this version") from error
    if digest != data.get("digest") or (isinstance(plan, WavePlan) and not plan.whole):
        raise OrchestratorError("R122", f"the plan in {file} has been changed since it was made")
    return plan, digest
