"""The plans that are kept: each under its digest in the state folder, with Pulumi's own, and where they are shared."""

import json
from collections.abc import Iterator
from pathlib import Path

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import Plan
from orchestrator.domain.wave_plan import WavePlan
from orchestrator.flow.course import Setting

SHARED, UPDATES = "plans/", "updates/"  # names of shared plans, and of Pulumi's: digests in hexadecimal digits

AnyPlan = Plan | WavePlan  # of one environment, or of a walk


def folder(setting: Setting, digest: str) -> Path:
    """Where the plan with this digest is kept."""
    return setting.state / "plans" / digest.removeprefix("sha256:")


def update_plan_file(setting: Setting, digest: str) -> Path:
    """Where Pulumi's own plan with this digest is kept: what the update is held to."""
    return setting.state / "plans" / f"update-{digest.removeprefix('sha256:')}.json"


def made_by(setting: Setting, job: str) -> Path:
    """Where the preview that belongs to *job* writes Pulumi's own plan; its folder is there."""
    file = setting.state / "plans" / f"{job}.json"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return file


def save(setting: Setting, plan: AnyPlan) -> Path:
    """Keep the plan under its digest, and Pulumi's own with it, here and where they are shared. Returns its file.

    Of a walk each environment's is kept too. A rollback is not held up where they cannot be shared: it goes on, and
    only on this machine. Raises S-codes.
    """
    if isinstance(plan, WavePlan):
        for item in plan.planned:
            if item.plan is not None:
                save(setting, item.plan)
    document = plan.document()
    digest = str(document["digest"])
    file = folder(setting, digest) / "plan.json"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.write_text(json.dumps(document), encoding="utf-8")
    try:
        for name, path in _files(setting, plan, digest):
            if path.is_file() and setting.artifacts.named(name) is None:
                setting.artifacts.name(name, setting.artifacts.put(path))
    except OrchestratorError:
        if isinstance(plan, WavePlan) or plan.action != "rollback":
            raise
    return file


def kept(setting: Setting, start: str) -> list[str]:
    """The digests, in hexadecimal digits, of the plans whose digest begins with *start*: here, else shared."""
    here = [found.name for found in (setting.state / "plans").glob(f"{start}*/") if len(found.name) == 64]
    return here or [name.removeprefix(SHARED) for name in setting.artifacts.names(f"{SHARED}{start}")]


def load(setting: Setting, digest: str) -> Plan:
    """The kept plan of one environment. Raises as :func:`load_any` does, and R121 when it is a walk's."""
    plan = load_any(setting, digest)
    if isinstance(plan, WavePlan):
        raise OrchestratorError("R121", f"{digest} is the plan of a walk over several environments")
    return plan


def load_any(setting: Setting, digest: str) -> AnyPlan:
    """The kept plan of one environment or of a walk, from where it is shared when it is not here.

    Raises R121 when it is nowhere, R122 when it is not what its digest says, and S-codes.
    """
    file = folder(setting, digest) / "plan.json"
    _fetch(setting, f"{SHARED}{digest.removeprefix('sha256:')}", file)
    if not file.is_file():
        raise OrchestratorError("R121", f"there is no plan {digest} here")
    plan, found = _read(file)
    if found != digest:
        raise OrchestratorError("R122", f"the plan {digest} has been changed since it was made")
    for name, path in _files(setting, plan, digest):
        _fetch(setting, name, path)
    return plan


def read(file: Path) -> AnyPlan:
    """The plan in *file*, as `plan --out` or :func:`save` wrote it. Raises R121 and R122."""
    return _read(file)[0]


def _files(setting: Setting, plan: AnyPlan, digest: str) -> Iterator[tuple[str, Path]]:
    """What the plan with this digest is made of: the names under which it is shared, and the files here."""
    plain = digest.removeprefix("sha256:")
    if isinstance(plan, Plan) and plan.stack is not None and plan.stack.update_plan is not None:
        yield f"{UPDATES}{plain}", update_plan_file(setting, plan.stack.update_plan)
    yield f"{SHARED}{plain}", folder(setting, digest) / "plan.json"


def _fetch(setting: Setting, name: str, path: Path) -> None:
    """Bring what is shared under *name* to *path*. Without effect when it is there, or nothing is shared so."""
    found = None if path.is_file() else setting.artifacts.named(name)
    if found is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        setting.artifacts.get(found, path)


def _read(file: Path) -> tuple[AnyPlan, str]:
    """The plan, and its digest, which is that of what it says."""
    try:
        data = dict(json.loads(file.read_text(encoding="utf-8")))
        claimed = data.pop("digest", None)
        plan: AnyPlan = (WavePlan if data.get("kind") == "WavePlan" else Plan).from_json(data)
    except (OSError, ValueError, TypeError) as error:
        raise OrchestratorError("R121", f"{file} is not a plan of this version") from error
    digest = plan.digest
    if digest != claimed or (isinstance(plan, WavePlan) and not plan.whole):
        raise OrchestratorError("R122", f"the plan in {file} has been changed since it was made")
    return plan, digest
