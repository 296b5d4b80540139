"""From a template and its parameters to the tasks of a plan."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.implementation import REFERENCE, TaskTemplate, map_texts
from orchestrator.domain.model import Model
from orchestrator.domain.moments import span
from orchestrator.domain.task_work import WORKS
from orchestrator.management.implementation_plans.model import Task, TaskSpan

M = TypeVar("M", bound=Model)


def with_parameters(text: str, parameters: Mapping[str, str]) -> str:
    """*text* with the values of its references."""
    return REFERENCE.sub(lambda match: parameters[match[2]], text)


def task_of(template: TaskTemplate, parameters: Mapping[str, str], start_at: datetime, actor: Actor) -> Task:
    """The task that *template* describes, entered by *actor* in a plan that starts at *start_at*.

    Raises G401 if a value does not fit.
    """
    earliest = start_at + span(template.start) if template.start is not None else None
    begin = earliest or start_at
    lasts = span(template.duration)
    works: dict[str, Any] = {name: _with_parameters(getattr(template, name), parameters) for name in WORKS}
    try:
        return Task(
            name=template.name,
            title=with_parameters(template.title or template.name, parameters),
            kind=template.kind,
            instructions=with_parameters(template.instructions, parameters),
            owner=with_parameters(template.owner or "", parameters),
            group=with_parameters(template.group or "", parameters),
            after=tuple(with_parameters(key, parameters) for key in template.after),
            not_before=earliest,
            duration_s=round(lasts.total_seconds()),
            timeout_s=max(1, round(span(template.timeout).total_seconds())) if template.timeout is not None else None,
            on_timeout=template.on_timeout,
            inputs=template.inputs,
            **works,
            actor=actor if template.kind == "automated" else None,
            planned=TaskSpan(start=begin, end=begin + lasts),
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise OrchestratorError("G401", f"{template.name}: {where}: {first['msg']}") from error


def _with_parameters(work: M | None, parameters: Mapping[str, str]) -> M | None:
    """*work* with the values of the references in its texts."""
    if work is None:
        return None
    return type(work).from_json(map_texts(work.to_json(), lambda text: with_parameters(text, parameters)))
