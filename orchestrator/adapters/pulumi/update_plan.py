"""The update plan that Pulumi saves at preview: read, identified, and turned into the operations that it allows.

What a plan document states about a stack is derived from this file and the stack's state, and from nothing else.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.adapters.pulumi import state
from orchestrator.adapters.pulumi.events import HIDDEN, STACK, hide
from orchestrator.adapters.pulumi.stack import State
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.job_event import has_shape, parsed
from orchestrator.domain.model import digest_of
from orchestrator.domain.plan import ResourceChange
from orchestrator.file_system import read_bounded
from orchestrator.ports import SavedPlan

_PROVIDERS = "pulumi:providers:"
_PART_OF_REPLACE = {"create-replacement", "delete-replaced", "discard-replaced", "remove-pending-replace"}
_DIFFS = ("adds", "updates", "deletes")
LARGEST = 256 << 20  # bytes of an update plan
OBJECT, LIST = (dict, type(None)), (list, type(None))


def file_digest(data: bytes) -> str:
    """The digest of the file's bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def content_digest(data: bytes) -> str:
    """The digest of the plan's content, the same for two previews that found the same.

    Left out are its time, the seeds of random names (the names themselves are in it) and what is encrypted afresh each
    time; dependencies come in the order in which the program happened to register them.
    """
    plan = _content(data)
    manifest = plan.get("manifest")
    if isinstance(manifest, dict):
        manifest.pop("time", None)
    for resource in (plan.get("resourcePlans") or {}).values():
        resource.pop("seed", None)
    return digest_of(_in_order(hide(plan)))


def read_update_plan(saved: SavedPlan) -> bytes:
    """The bytes of the update plan, if they are those that *saved* states. Raises E162 and E163."""
    try:
        data = read_bounded(saved.file, LARGEST)
    except OSError as error:
        message = f"Pulumi's saved update plan {saved.name} is not kept on this machine"
        raise OrchestratorError("E162", message) from error
    if saved.update_file is not None and file_digest(data) != saved.update_file:
        raise OrchestratorError("E163", f"Pulumi's saved update plan {saved.name} was changed after the preview")
    if saved.update_plan is not None and content_digest(data) != saved.update_plan:
        raise OrchestratorError("E163", f"Pulumi's saved update plan {saved.name} was changed after the preview")
    return data


def changes(data: bytes, before: State) -> tuple[ResourceChange, ...]:
    """Each operation that the plan allows, sorted by resource; *before* is the state, with what protects each."""
    kept = state.protected_resources(before)
    parents = {str(item["urn"]): str(item.get("parent") or "") for item in before.get("resources") or []}
    found = []
    for urn, resource in _resources(data).items():
        goal = resource.get("goal") or {}
        change = ResourceChange(
            op="same",
            type=urn.split("::")[2].rpartition("$")[2],
            name=urn.rsplit("::", 1)[-1],
            urn=urn,
            parent=_parent(urn, goal, parents),
            kept=kept.get(urn, ""),
        )
        names = _properties(goal)
        for op in resource.get("steps") or []:
            properties = names if op in {"update", "replace"} else ()
            found.append(change.model_copy(update={"op": str(op), "properties": properties}))
    return tuple(sorted(found, key=lambda change: change.urn))


def counts(data: bytes, before: State) -> dict[str, int]:
    """How many resources the plan has for each of Pulumi's words, as Pulumi counts them; `output` for new outputs."""
    ops = [str(op) for resource in _resources(data).values() for op in resource.get("steps") or []]
    found = Counter(op for op in ops if op not in _PART_OF_REPLACE)
    if planned_outputs(data) != state.hidden(before):
        found["output"] = 1  # Pulumi does not count a change of outputs, although it needs an update
    return dict(found)


def planned_outputs(data: bytes) -> dict[str, Any]:
    """The stack's outputs as the plan has them, each part that is secret replaced."""
    for urn, resource in _resources(data).items():
        if urn.split("::")[2] == STACK:
            hidden = hide(resource.get("state") or {})
            return hidden if isinstance(hidden, dict) else {HIDDEN: HIDDEN}
    return {}


def providers(data: bytes) -> dict[str, str]:
    """The versions of the providers that the plan was made with, by their names, where it states them."""
    found: dict[str, set[str]] = {}
    for urn, resource in (_content(data).get("resourcePlans") or {}).items():
        kind, before = urn.split("::")[2].rpartition("$")[2], resource.get("state")
        version = before.get("version") if isinstance(before, dict) else None
        if kind.startswith(_PROVIDERS) and isinstance(version, str):
            found.setdefault(kind.removeprefix(_PROVIDERS), set()).add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}


def _resources(data: bytes) -> dict[str, dict[str, Any]]:
    """The plans of resources by URN, the engine's own providers left out."""
    found = _content(data).get("resourcePlans") or {}
    return {
        urn: resource
        for urn, resource in found.items()
        if not urn.split("::")[2].rpartition("$")[2].startswith(_PROVIDERS)
    }


def _content(data: bytes) -> dict[str, Any]:
    content = parsed(data)
    plans = (content.get("resourcePlans") or {}) if isinstance(content, dict) else None
    if not isinstance(plans, dict) or not all(map(_is_resource, plans, plans.values())):
        raise OrchestratorError("E162", "Pulumi's saved update plan cannot be read")
    return dict(content)


def _is_resource(urn: str, plan: Any) -> bool:
    """Whether the plan of a resource has the parts that are read here: the program of a preview can write the file."""
    if urn.count("::") < 3 or not has_shape(plan, {"goal?": OBJECT, "steps?": LIST}):
        return False
    goal = plan.get("goal") or {}
    sides = [goal.get(side) or {} for side in ("inputDiff", "outputDiff")]
    diffs = [side.get(kind) or () for side in sides if isinstance(side, dict) for kind in _DIFFS]
    return all(isinstance(side, dict) for side in sides) and all(
        isinstance(diff, (dict, list, tuple)) for diff in diffs
    )


def _parent(urn: str, goal: Mapping[str, Any], parents: Mapping[str, str]) -> str:
    """The parent in the program; for a resource that is removed, the one in the state."""
    return str(goal.get("parent") or "") if goal else parents.get(urn, "")


def _properties(goal: Mapping[str, Any]) -> tuple[str, ...]:
    """The inputs that differ, and where none does, the outputs."""
    for side in ("inputDiff", "outputDiff"):
        diff = goal.get(side) or {}
        names = {str(name) for kind in _DIFFS for name in diff.get(kind) or ()}
        if names:
            return tuple(sorted(names))
    return ()


def _in_order(value: Any) -> Any:
    """*value* with every list of dependencies sorted."""
    if isinstance(value, list):
        return [_in_order(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _in_order(item) for key, item in value.items()}
    for key in ("dependencies", "propertyDependencies"):
        if isinstance(found.get(key), list):
            found[key] = sorted(found[key], key=str)
        elif isinstance(found.get(key), dict):
            found[key] = {name: _sorted(urns) for name, urns in found[key].items()}
    return found


def _sorted(urns: Any) -> Any:
    return sorted(urns, key=str) if isinstance(urns, list) else urns or []


def saved(file: Path) -> SavedPlan:
    """The update plan that a preview has just written to *file*, with the digests of its current content."""
    try:
        data = read_bounded(file, LARGEST)
    except OSError as error:
        raise OrchestratorError("E162", f"Pulumi's saved update plan cannot be read: {error.strerror}") from error
    return SavedPlan(file, content_digest(data), file_digest(data))
