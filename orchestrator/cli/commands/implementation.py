"""`orchestrator implementation`: implementation plans, their tasks, and what users record of them."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import completing
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.implementation_options import (
    evidence_of,
    evidence_options,
    inputs_option,
    new_task,
    new_task_options,
    pairs_of,
    plan_argument,
    plan_change,
    task_arguments,
    task_change,
    task_options,
    task_reason_option,
)
from orchestrator.cli.implementation_plans import (
    HEADS,
    plan_item,
    plan_row,
    print_export,
    print_implementation,
    shown_document,
    task_lines,
)
from orchestrator.cli.output import confirm, json_option, note, out, out_folded, page_options, print_json, screen, table
from orchestrator.cli.register_options import MOMENT

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication


@click.group("implementation", cls=SubcommandGroup)
def command() -> None:
    """Start and carry out implementation plans: tasks with owners, an order and evidence.

    The files `implementation/*.yaml` are templates with parameters. A plan has manual tasks, decisions, and automated
    tasks: promotions, rollbacks, commands, playbooks and gates. Its state is in the database: no process waits for a
    task.
    """


def _open() -> "ManagedApplication":
    from orchestrator.management.application import open_managed

    return open_managed(Path.cwd())


@command.command("start")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=completing.plan_templates)
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE",
              help="The value of a parameter. May be repeated.")  # fmt: skip
@click.option("--at", type=MOMENT, metavar="TIME", help="Start at this time (default: now).")
@click.option("--owner", default="", metavar="USER", help="The owner of the plan (default: you).")
@click.option("--release", default="", metavar="RELEASE", shell_complete=completing.planned_releases,
              help="The planned release that it is for.")  # fmt: skip
@click.option("--rehearsal", is_flag=True, help="Notify no user, and promote and roll back nothing.")
@json_option
def start(
    name: str | None,
    parameters: tuple[str, ...],
    at: datetime | None,
    owner: str,
    release: str,
    rehearsal: bool,
    as_json: bool,
) -> None:
    """Start the plan that implementation/NAME.yaml describes. Without NAME, print the names of the files."""
    from orchestrator.management.implementation_plans.decisions import PlanStart, start_plan
    from orchestrator.management.implementation_plans.queries import list_templates

    app = _open()
    if name is None:
        names = list_templates(app.acting, app.implementation_sources)
        raise click.UsageError(f"give the NAME of a file in implementation/: {', '.join(names) or 'there are none'}")
    how = PlanStart(pairs_of(parameters), at, owner, release, rehearsal)
    plan = start_plan(app.acting, name, app.implementation_sources, how)
    print_implementation(app.acting, plan.id, as_json=as_json)


@command.command("list")
@click.option("--all", "ended", is_flag=True, help="Include plans that have ended.")
@page_options("plans")
@json_option
def list_(ended: bool, limit: int, cursor: str | None, as_json: bool) -> None:
    """List implementation plans by their start."""
    from orchestrator.management.implementation_plans.queries import list_plans

    page = list_plans(_open().acting, ended=ended, cursor=cursor, limit=limit)
    if as_json:
        print_json("ImplementationPlans", {"plans": [plan_item(p) for p in page.items], "cursor": page.cursor})
        return
    if not page.items:
        out("there are no implementation plans; start one with: orchestrator implementation start NAME")
        return
    out(table(HEADS, [plan_row(each) for each in page.items], screen()))
    if page.cursor:
        note(f"more: orchestrator implementation list --cursor '{page.cursor}'")


@command.command("status")
@click.argument("plan", metavar="[PLAN]", required=False, shell_complete=completing.implementation_plans)
@click.option("--refresh", is_flag=True, help="Do what is due first, as a worker does.")
@json_option
def status(plan: str | None, refresh: bool, as_json: bool) -> None:
    """Show PLAN with its tasks, its expected times and its critical path; without PLAN, the tasks that wait for you."""
    from orchestrator.management.implementation_plans.duties import advance_plans
    from orchestrator.management.implementation_plans.queries import own_tasks

    app = _open()
    if refresh:
        for text in advance_plans(app.acting):
            note(text)
    if plan is not None:
        print_implementation(app.acting, plan, as_json=as_json)
        return
    found = own_tasks(app.acting)
    if as_json:
        print_json("ImplementationTasks", {"tasks": [{"plan": p.id, "task": t.to_json()} for p, t in found]})
        return
    for each, task in found:
        out_folded(f"{each.id} {task.name} {task.state}: {task.title}")
    if not found:
        out("no task waits for you; list the plans with: orchestrator implementation list")


@command.command("show")
@task_arguments
@json_option
def show(plan: str, task: str, as_json: bool) -> None:
    """Show TASK of PLAN with its instructions and its evidence."""
    from orchestrator.management.implementation_plans.queries import show_task

    shown, found = show_task(_open().acting, plan, task)
    if as_json:
        print_json("ImplementationPlan", shown_document(shown))
        return
    for line in task_lines(shown, found):
        out_folded(line)


@command.command("begin")
@task_arguments
@task_reason_option()
@json_option
def begin(plan: str, task: str, message: str, as_json: bool) -> None:
    """Record that TASK of PLAN is being done, also after it needed help."""
    from orchestrator.management.implementation_plans.task_decisions import begin_task

    app = _open()
    print_implementation(app.acting, begin_task(app.acting, plan, task, message.strip()).id, as_json=as_json)


@command.command("done")
@task_arguments
@inputs_option
@evidence_options
@task_reason_option()
@json_option
def done(
    plan: str,
    task: str,
    inputs: tuple[str, ...],
    texts: tuple[str, ...],
    links: tuple[str, ...],
    files: tuple[Path, ...],
    message: str,
    as_json: bool,
) -> None:
    """Record that TASK of PLAN is done. For the task of another user, the reason is required."""
    from orchestrator.management.implementation_plans.task_decisions import complete_task

    app = _open()
    given = pairs_of(inputs, "--input")
    complete_task(app.acting, plan, task, message.strip(), evidence_of(texts, links, files), given)
    print_implementation(app.acting, plan, as_json=as_json)


@command.command("fail")
@task_arguments
@evidence_options
@task_reason_option(required=True)
@json_option
def fail(
    plan: str,
    task: str,
    texts: tuple[str, ...],
    links: tuple[str, ...],
    files: tuple[Path, ...],
    message: str,
    as_json: bool,
) -> None:
    """Record that TASK of PLAN failed. Nothing that comes after it starts."""
    from orchestrator.management.implementation_plans.task_decisions import fail_task

    app = _open()
    fail_task(app.acting, plan, task, message.strip(), evidence_of(texts, links, files))
    print_implementation(app.acting, plan, as_json=as_json)


@command.command("retry")
@task_arguments
@task_reason_option()
@json_option
def retry(plan: str, task: str, message: str, as_json: bool) -> None:
    """Make TASK of PLAN, which failed, ready again."""
    from orchestrator.management.implementation_plans.task_decisions import retry_task

    app = _open()
    print_implementation(app.acting, retry_task(app.acting, plan, task, message.strip()).id, as_json=as_json)


@command.command("skip")
@task_arguments
@task_reason_option(required=True)
@json_option
def skip(plan: str, task: str, message: str, as_json: bool) -> None:
    """Skip TASK of PLAN. The tasks after it can start."""
    from orchestrator.management.implementation_plans.task_decisions import skip_task

    app = _open()
    print_implementation(app.acting, skip_task(app.acting, plan, task, message.strip()).id, as_json=as_json)


@command.command("help-needed")
@task_arguments
@task_reason_option()
@json_option
def help_needed(plan: str, task: str, message: str, as_json: bool) -> None:
    """Record that TASK of PLAN needs help. Its users and the owner of the plan are notified."""
    from orchestrator.management.implementation_plans.task_decisions import request_help

    app = _open()
    print_implementation(app.acting, request_help(app.acting, plan, task, message.strip()).id, as_json=as_json)


@command.command("decide")
@task_arguments
@click.argument("decision", type=click.Choice(["go", "no-go"]))
@inputs_option
@evidence_options
@task_reason_option()
@json_option
def decide(
    plan: str,
    task: str,
    decision: str,
    inputs: tuple[str, ...],
    texts: tuple[str, ...],
    links: tuple[str, ...],
    files: tuple[Path, ...],
    message: str,
    as_json: bool,
) -> None:
    """Decide TASK of PLAN. A no-go aborts the plan; its reason is required."""
    from orchestrator.management.implementation_plans.task_decisions import decide_task

    app = _open()
    given, values, go = evidence_of(texts, links, files), pairs_of(inputs, "--input"), decision == "go"
    decide_task(app.acting, plan, task, go=go, reason=message.strip(), evidence=given, inputs=values)
    print_implementation(app.acting, plan, as_json=as_json)


@command.command("evidence")
@task_arguments
@evidence_options
@json_option
def evidence(
    plan: str, task: str, texts: tuple[str, ...], links: tuple[str, ...], files: tuple[Path, ...], as_json: bool
) -> None:
    """Add evidence to TASK of PLAN, also after its end."""
    from orchestrator.management.implementation_plans.task_decisions import add_evidence

    if not texts and not links and not files:
        raise click.UsageError("give --evidence, --link or --file")
    app = _open()
    add_evidence(app.acting, plan, task, evidence_of(texts, links, files))
    print_implementation(app.acting, plan, as_json=as_json)


@command.command("file")
@task_arguments
@click.argument("name", metavar="FILE", shell_complete=completing.evidence_files)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="PATH",
              help="Write to this path (default: the name of the file).")  # fmt: skip
@json_option
def file(plan: str, task: str, name: str, output: Path | None, as_json: bool) -> None:
    """Write FILE, which is evidence of TASK of PLAN, to a file. FILE is its name or its digest."""
    from orchestrator.management.implementation_plans.evidence import read_evidence

    found = read_evidence(_open().acting, plan, task, name)
    target = output or Path(found.name)
    try:
        with target.open("xb") as written:
            written.write(found.data)
    except FileExistsError as error:
        raise click.UsageError(f"{target} exists: give another path with --output") from error
    if as_json:
        print_json("EvidenceFile", {"name": found.name, "digest": found.digest, "path": str(target)})
        return
    out(f"{found.name} written to {target}")


@command.command("add")
@task_arguments
@new_task_options
@task_options
@task_reason_option()
@json_option
def add(plan: str, task: str, message: str, as_json: bool, **fields: Any) -> None:
    """Add a task called TASK to PLAN, also while it runs.

    It is a manual task, a decision, a promotion (--promote), a rollback (--roll-back), or a task of a template
    (--from), also a command, a playbook or a gate. An automated task needs the right to its work, and a reason.
    """
    from orchestrator.management.implementation_plans.additions import add_task

    app, new = _open(), new_task(fields)
    add_task(app.acting, plan, task, app.implementation_sources, task_change(fields), message.strip(), new)
    print_implementation(app.acting, plan, as_json=as_json)


@command.command("replan")
@plan_argument
@click.argument("task", metavar="[TASK]", required=False, shell_complete=completing.plan_tasks)
@task_options
@click.option("--release", metavar="RELEASE", shell_complete=completing.planned_releases,
              help="The planned release that PLAN is for; an empty one removes it.")  # fmt: skip
@task_reason_option()
@json_option
def replan(plan: str, task: str | None, release: str | None, message: str, as_json: bool, **fields: Any) -> None:
    """Change TASK of PLAN, also while it runs. Later tasks move with it.

    Without TASK, change PLAN itself: --title, --owner, --release, and --start before it has started.
    """
    from orchestrator.management.implementation_plans.replanning import replan_plan, replan_task

    given = {**fields, "release": release}
    if all(value in (None, ()) for value in given.values()):
        raise click.UsageError("give at least one field to change, for example --owner ann")
    if task is not None and release is not None:
        raise click.UsageError("--release is a field of PLAN: leave out TASK")
    app = _open()
    if task is None:
        replan_plan(app.acting, plan, plan_change(given), message.strip())
    else:
        replan_task(app.acting, plan, task, task_change(fields), message.strip())
    print_implementation(app.acting, plan, as_json=as_json)


@command.command("abort")
@plan_argument
@task_reason_option(required=True)
@click.option("--yes", is_flag=True, help="Do not prompt.")
@json_option
def abort(plan: str, message: str, yes: bool, as_json: bool) -> None:
    """End PLAN with all of its open tasks. It prompts once."""
    from orchestrator.management.implementation_plans.decisions import abort_plan

    app = _open()
    confirm(f"Abort {plan}?", yes)
    print_implementation(app.acting, abort_plan(app.acting, plan, message.strip()).id, as_json=as_json)


@command.command("export")
@plan_argument
@click.option("--format", "form", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True,
              help="The form of the export.")  # fmt: skip
def export(plan: str, form: str) -> None:
    """Print PLAN as a document: its tasks with their users and times, and the evidence."""
    from orchestrator.management.implementation_plans.queries import show_plan

    print_export(show_plan(_open().acting, plan), form)
