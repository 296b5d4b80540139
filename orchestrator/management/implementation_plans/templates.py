"""From a template and its parameters to the tasks of a plan."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import ValidationError

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.implementation import REFERENCE, ImplementationTemplate, TaskTemplate
from orchestrator.domain.moments import span
from orchestrator.domain.text import nearest
from orchestrator.management.implementation_plans.model import Task, TaskSpan


def parameters_of(template: ImplementationTemplate, given: Mapping[str, str]) -> dict[str, str]:
    """The value of each parameter of *template*. Raises G401 for a missing or unknown one."""
    known = template.parameters
    for name in given:
        if name not in known:
            hint = nearest(name, sorted(known)) if known else None
            raise OrchestratorError("G401", f"the plan has no parameter {name}", hint=hint)
    values = {name: given.get(name, known[name].default) for name in known}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        hint = " ".join(f"--parameter {name}=…" for name in missing)
        raise OrchestratorError("G401", f"a value is missing for: {', '.join(missing)}", hint=hint)
    return {name: value for name, value in values.items() if value is not None}


def with_parameters(text: str, parameters: Mapping[str, str]) -> str:
    """*text* with the values of its references."""
    return REFERENCE.sub(lambda match: parameters[match[2]], text)


def task_of(made: TaskTemplate, parameters: Mapping[str, str], start_at: datetime) -> Task:
    """The task that *made* describes, in a plan that starts at *start_at*. Raises G401 if a value does not fit."""
    earliest = start_at + span(made.start) if made.start is not None else None
    begin = earliest or start_at
    lasts = span(made.duration)
    try:
        return Task(
            name=made.name,
            title=with_parameters(made.title or made.name, parameters),
            kind=made.kind,
            instructions=with_parameters(made.instructions, parameters),
            owner=with_parameters(made.owner or "", parameters),
            group=with_parameters(made.group or "", parameters),
            after=tuple(with_parameters(key, parameters) for key in made.after),
            not_before=earliest,
            duration_s=round(lasts.total_seconds()),
            timeout_s=max(1, round(span(made.timeout).total_seconds())) if made.timeout is not None else None,
            on_timeout=made.on_timeout,
            planned=TaskSpan(start=begin, end=begin + lasts),
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise OrchestratorError("G401", f"{made.name}: {where}: {first['msg']}") from error
