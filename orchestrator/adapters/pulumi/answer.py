"""What an operation has reported: its events and its answer, which the program's own code can write as well."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.domain.error_codes import DEFINITION_CHANGED
from orchestrator.domain.errors import catalogue
from orchestrator.domain.job_event import Shape, are_counts, has_shape, parsed
from orchestrator.domain.plan import ResourceChange
from orchestrator.file_system import lines_of, read_bounded
from orchestrator.processes import EVENTS

LARGEST = 256 << 20  # bytes of an answer
KILLED = {"code": -1}
"""The answer of an operation that was killed before it could give one."""

RESOURCE: Shape = {"op": str, "type": str, "urn": str, "name": str, "status": str}
SHAPES: dict[str, Shape] = {"notice": {"level": str, "text": str, "urn?": str}, "resource": RESOURCE}
"""The events of an operation."""

ANSWER: Shape = {
    "code": int, "error": str, "effects?": int, "corrupt?": bool, "refused?": str, "counts?": dict, "changes?": list,
    "refreshed?": list, "urns?": list, "unfinished?": list, "uncertain?": list,
}  # fmt: skip


def operation_answer(folder: Path) -> dict[str, Any]:
    """The answer of the job in *folder*; without a valid one, the answer of a killed job."""
    try:
        answer = parsed(read_bounded(folder / "result.json", LARGEST))
    except OSError:
        return KILLED
    return answer if _is_answer(answer) else KILLED


def resource_events(folder: Path) -> Iterator[dict[str, Any]]:
    """What the job in *folder* has reported of resources so far."""
    for line in lines_of(folder / EVENTS):
        event = parsed(line)
        if has_shape(event, RESOURCE):
            yield event


def _is_answer(answer: Any) -> bool:
    if not has_shape(answer, ANSWER) or not are_counts(answer.get("counts", {})):
        return False
    if (
        not isinstance(answer.get("outputs"), dict | None)
        or answer.get("refused", DEFINITION_CHANGED) not in catalogue()
    ):
        return False
    named = (name for part in ("urns", "unfinished", "uncertain") for name in answer.get(part, ()))
    try:
        for change in (*answer.get("changes", ()), *answer.get("refreshed", ())):
            ResourceChange.from_json(change)
    except (ValidationError, TypeError):
        return False
    return all(isinstance(name, str) for name in named)
