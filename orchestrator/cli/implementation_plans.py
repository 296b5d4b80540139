"""Implementation plans as users read them: in words, and as data for documents."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.cli.output import Cell, out, out_folded, print_json

if TYPE_CHECKING:
    from orchestrator.app.acting import Acting
    from orchestrator.management.implementation_plans.model import Evidence, ImplementationPlan, Task
    from orchestrator.management.implementation_plans.queries import ShownPlan

SHOWN_DELAY = timedelta(minutes=1)
"""From which on a task is shown with its planned time too: times are shown by the minute, which ends at any second."""
HEADS = ("plan", "state", "title", "start", "tasks", "open", "owner")
SIGNS = {
    "done": "✔",
    "skipped": "–",
    "failed": "✘",
    "needs-help": "!",
    "in-progress": "▶",
    "ready": "•",
    "aborted": "✘",
}


def plan_item(plan: "ImplementationPlan") -> dict[str, Any]:
    """The plan as data for documents."""
    return {"id": plan.id, "plan": plan.to_json()}


def shown_document(shown: "ShownPlan") -> dict[str, Any]:
    """One plan with its expected times as data for documents."""
    from orchestrator.domain.moments import moment_text

    expected = [
        {
            "task": name,
            "start": moment_text(span.start),
            "end": moment_text(span.end),
            "critical": name in shown.schedule.critical,
            "waits_for": list(shown.waits_for.get(name, ())),
        }
        for name, span in shown.schedule.expected.items()
    ]
    return {**plan_item(shown.plan), "end": moment_text(shown.schedule.end), "expected": expected}


def plan_row(plan: "ImplementationPlan") -> list[Cell]:
    """The plan as a row of a table."""
    from orchestrator.domain.moments import minute_text
    from orchestrator.management.implementation_plans.state import ACTIVE

    active = [f"{task.name} ({task.state})" for task in plan.tasks if task.state in ACTIVE or task.state == "failed"]
    ended = sum(task.has_ended for task in plan.tasks)
    title = f"{plan.title} (rehearsal)" if plan.rehearsal else plan.title
    tasks = f"{ended} of {len(plan.tasks)}"
    return [plan.id, plan.state.value, title, minute_text(plan.start_at), tasks, ", ".join(active) or "–", plan.owner]


def plan_lines(shown: "ShownPlan") -> Iterator[str]:
    """The plan with its tasks: state, owner, times, and what it waits for."""
    from orchestrator.domain.moments import minute_text

    plan = shown.plan
    yield f"{plan.id} {plan.state}: {plan.title}" + (" (rehearsal)" if plan.rehearsal else "")
    release = f", for {plan.release}" if plan.release else ""
    release += f", for {plan.step} of {plan.run}" if plan.run else ""
    yield f"  from     {plan.template}{release}, owner {plan.owner}"
    if plan.parameters:
        yield f"  with     {', '.join(f'{name}={value}' for name, value in plan.parameters.items())}"
    end = "ended" if plan.ended_at else "ends"
    yield f"  times    starts {minute_text(plan.start_at)}, {end} {minute_text(plan.ended_at or shown.schedule.end)}"
    for task in plan.tasks:
        yield f"  {SIGNS.get(task.state.value, '·')} {task_text(shown, task)}"
    if not plan.has_ended:
        yield f"  critical {' → '.join(shown.schedule.critical)}"
    if plan.note:
        yield f"  note     {plan.note}"


def task_text(shown: "ShownPlan", task: "Task") -> str:
    """A task in a line."""
    from orchestrator.domain.moments import minute_text

    who = f"group {task.group}" if task.group else shown.plan.owner_of(task)
    span = shown.schedule.expected[task.name]
    parts = [
        f"{task.name} {task.state}: {task.title}",
        task.work or f"{'decision of' if task.kind == 'decision' else 'by'} {who}",
    ]
    parts.append(str(span) if task.started_at or not task.has_ended else f"at {minute_text(span.end)}")
    if not task.has_ended and span.start - task.planned.start >= SHOWN_DELAY:
        parts.append(f"planned {task.planned}")
    waits = shown.waits_for.get(task.name, ())
    parts += [f"as {task.followed}"] if task.followed else []
    parts += [f"waits for {', '.join(waits)}"] if waits else []
    parts += [f"timeout {minute_text(task.due_at)}, then {task.on_timeout}"] if task.due_at else []
    parts += [f"{task.ended_by}: {task.note}" if task.ended_by else task.note] if task.note else []
    parts += [f"{len(task.evidence)} evidence"] if task.evidence else []
    return ", ".join(parts)


def task_lines(shown: "ShownPlan", task: "Task") -> Iterator[str]:
    """One task with its instructions and its evidence."""
    from orchestrator.domain.moments import minute_text

    yield task_text(shown, task)
    if task.added_by:
        yield f"  added by {task.added_by}" + (f", from {task.source}" if task.source else "")
    yield from (f"  {line}" for line in task.instructions.splitlines())
    yield from (f"  input  {line}" for line in input_lines(task))
    for each in task.evidence:
        yield f"  {each.kind}  {evidence_text(each)} ({each.by}, {minute_text(each.at)})"


def evidence_text(evidence: "Evidence") -> str:
    """A piece of evidence: its text; of a file its name, size and digest."""
    if evidence.kind != "file":
        return evidence.text
    return f"{evidence.text}, {evidence.size} bytes, {evidence.digest}"


def input_lines(task: "Task") -> Iterator[str]:
    """The inputs of a task: each with its value, or with what is to be given."""
    from orchestrator.domain.task_inputs import input_text

    schema = task.inputs or {"properties": {}}
    for name, about in schema["properties"].items():
        if name in task.values:
            yield f"{name} = {input_text(task.values[name])}"
            continue
        facts = about if isinstance(about, dict) else {}
        kind = " or ".join(map(str, facts["enum"])) if "enum" in facts else str(facts.get("type", "any value"))
        needed = ", required" if name in schema.get("required", ()) else ""
        text = facts.get("description") or facts.get("title") or ""
        yield f"{name}: {kind}{needed}" + (f": {text}" if text else "")


def print_implementation(acting: "Acting", key: str, *, as_json: bool) -> None:
    """Print the current state of a plan."""
    from orchestrator.management.implementation_plans.queries import show_plan

    shown = show_plan(acting, key)
    if as_json:
        print_json("ImplementationPlan", shown_document(shown))
        return
    for line in plan_lines(shown):
        out_folded(line)


def export_lines(shown: "ShownPlan") -> Iterator[str]:
    """The plan as a Markdown document: its tasks, who did them when, and the evidence."""
    from orchestrator.domain.moments import minute_text

    plan = shown.plan
    yield f"# {plan.id}: {plan.title}"
    yield ""
    if plan.description:
        yield from (plan.description.rstrip(), "")
    yield f"State: {plan.state}. Owner: {plan.owner}. Template: `{plan.template}` ({plan.digest})."
    if not plan.has_ended:
        yield from (
            "",
            f"Critical path: {', '.join(shown.schedule.critical)}. Expected end: {minute_text(shown.schedule.end)}.",
        )
    yield from ("", "| task | kind | owner | planned | re-planned | actual | state | by | note |", f"|{' --- |' * 9}")
    for task in plan.tasks:
        actual = (
            f"{minute_text(task.started_at)} to {minute_text(task.ended_at)}"
            if task.started_at and task.ended_at
            else ""
        )
        who = f"group {task.group}" if task.group else plan.owner_of(task)
        moved = str(task.replanned) if task.replanned and task.replanned != task.planned else ""
        times = [str(task.planned), moved, actual]
        cells = [task.title, task.kind, who, *times, task.state.value, task.ended_by, task.note]
        yield f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |"
    for task in plan.tasks:
        if task.values:
            yield from ("", f"## Inputs of {task.name}", "")
            yield from (f"- {line.replace(chr(10), ' ')}" for line in input_lines(task))
        if task.evidence:
            yield from ("", f"## Evidence of {task.name}", "")
            yield from (f"- {evidence_text(e)} ({e.kind}, {e.by}, {minute_text(e.at)})" for e in task.evidence)


def print_export(shown: "ShownPlan", form: str) -> None:
    """Print a plan as Markdown, or as a JSON document."""
    if form == "json":
        print_json("ImplementationPlan", shown_document(shown))
        return
    for line in export_lines(shown):
        out(line)
