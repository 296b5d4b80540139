"""`orchestrator environment`: list, show, preview, update, override and destroy environments."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import completing
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import (
    confirm,
    delete_option,
    json_option,
    note,
    note_folded,
    out,
    out_folded,
    print_json,
    replace_option,
    revealed,
    table,
    wait_option,
    yes_option,
)
from orchestrator.domain.text import counted

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.domain.plan import StackPreview, StackSpec


@click.group("environment", cls=SubcommandGroup)
def command() -> None:
    """List, show, preview, update, override, resolve, destroy and reap environments; set quotas.

    An environment is a folder with an environment.yaml and, usually, a Pulumi program. The program's own files are
    never changed.
    """


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the environments in the order of the path.

    With --json, queries each stack for the number of its hosts. The number is null if the stack has no hosts yet or
    cannot be queried.
    """
    from orchestrator.app.opening import open_application

    app = open_application(Path.cwd())
    calendar = app.calendar_states()
    items = [
        {
            "name": name,
            "after": item.after,
            "description": item.description,
            "folder": str(folder.relative_to(app.root)),
            "hosts": _count(app, name) if as_json else None,
            "calendar": calendar[name].to_json(),
        }
        for name, (item, folder) in app.environments.items()
    ]
    if as_json:
        print_json("EnvironmentList", {"environments": items})
    elif not items:
        out("there is no environment yet; orchestrator init writes two")
    else:
        rows = [[str(i["name"]), str(i["after"] or "–"), str(i["folder"]), str(i["description"])] for i in items]
        out(table(["name", "after", "folder", "description"], rows))


@command.command("show")
@click.argument("environment", shell_complete=completing.environments)
@json_option
def show(environment: str, as_json: bool) -> None:
    """Show one environment: its file, its stack, its holder, its calendar, and the newest findings of drift and parity.

    The findings are kept, also those of other users; `drift` and `parity` check again.
    """
    from orchestrator.app.environment_reports import environment_reports
    from orchestrator.cli.shown_environment import print_definition, print_reports

    app = _open(environment)
    item, folder = app.require_environment(environment)
    spec = app.stacks.stack(app.actor, environment)
    calendar = app.calendar_state(environment)
    lease = app.queries.leases(app.actor, (environment,)).get(environment)
    found = environment_reports(app.acting, environment)
    if as_json:
        data = {
            "environment": item.to_json(),
            "folder": str(folder.relative_to(app.root)),
            "stack": spec.stack if spec else None,
            "definition": spec.definition if spec else None,
            "lease": lease.to_json() if lease else None,
            "calendar": calendar.to_json(),
            "drift": found.drift.to_json() if found.drift else None,
            "parity": found.parity.to_json() if found.parity else None,
        }
        print_json("EnvironmentDetail", data)
        return
    print_definition(item, str(folder.relative_to(app.root)), spec, lease, calendar)
    print_reports(found)


@command.command("preview")
@click.argument("environment", shell_complete=completing.environments)
@json_option
def preview(environment: str, as_json: bool) -> None:
    """Show what an update of ENVIRONMENT would change, as a tree with counts. Changes nothing."""
    app = _open(environment)
    spec = app.stacks.existing_stack(app.actor, environment)
    found = _preview(app, spec)
    if as_json:
        print_json("EnvironmentPreview", {"environment": environment, **found.to_json()})
    else:
        _print_preview(found, spec)


@command.command("up")
@click.argument("environment", shell_complete=completing.environments)
@replace_option
@yes_option
@wait_option
@json_option
def up(environment: str, replace: tuple[str, ...], yes: bool, wait: float, as_json: bool) -> int:
    """Update the infrastructure of ENVIRONMENT to its program, without a release.

    Refused before any change if a stateful resource would be replaced or deleted and is not named with --replace.
    """
    from orchestrator.app.environments import update_refusal
    from orchestrator.app.requests import Provision
    from orchestrator.cli.follow_run import execute_and_report
    from orchestrator.domain.plan import Acknowledgements

    app, named = _open(environment, acts=True), Acknowledgements(replace=replace)
    for spec in app.stacks.stacks(app.actor, environment) if not yes else ():
        found = _preview(app, spec)
        _print_preview(found, spec, err=True)
        why = update_refusal(found, spec, named)
        if why is not None:
            raise why
    confirm(f"Bring {environment} up to date?", yes)
    request = Provision(targets=(environment,), wait=wait, agreement=named)
    return execute_and_report(app, app.submissions.submit(app.actor, request), as_json=as_json)


@command.command("destroy")
@click.argument("environment", shell_complete=completing.environments)
@delete_option
@yes_option
@wait_option
@json_option
def destroy(environment: str, delete: tuple[str, ...], yes: bool, wait: float, as_json: bool) -> int:
    """Destroy every resource of ENVIRONMENT. Its history and packages stay.

    Refused if a stateful resource is not named with --delete.
    """
    from orchestrator.app.environments import destruction_refusal
    from orchestrator.app.requests import Destroy
    from orchestrator.cli.follow_run import execute_and_report
    from orchestrator.domain.plan import Acknowledgements

    app, named = _open(environment, acts=True), Acknowledgements(replace=delete)
    for spec in app.stacks.stacks(app.actor, environment):
        count, lost = app.stacks.destruction(app.actor, environment, spec.stack)
        note(f"this destroys {counted(count, 'resource')} of the stack {spec.stack}, the stack itself included")
        for loss in lost:
            note(f"  ! it would {loss}")
        why = destruction_refusal(lost, named)
        if why is not None:
            raise why
    confirm(f"Destroy {environment}?", yes)
    request = Destroy(targets=(environment,), wait=wait, agreement=named)
    return execute_and_report(app, app.submissions.submit(app.actor, request), as_json=as_json)


@command.command("resolve")
@click.argument("environment", shell_complete=completing.environments)
@click.option(
    "--created", multiple=True, metavar="URN=ID", help="The resource was created, and has this id. May be repeated."
)
@click.option("--absent", multiple=True, metavar="URN", help="The resource was not created. May be repeated.")
@click.option("--all-absent", is_flag=True, help="No other pending resource was created.")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the journal.")
@json_option
def resolve(
    environment: str, created: tuple[str, ...], absent: tuple[str, ...], all_absent: bool, message: str, as_json: bool
) -> int:
    """Resolve resources of ENVIRONMENT whose create was interrupted.

    Each pending create must be resolved. A created resource is adopted into the stack's state under its id. An absent
    one is removed from the list, and created by the next update. Changes only the state.
    """
    from orchestrator.app.requests import Resolve
    from orchestrator.cli.follow_run import execute_and_report

    app = _open(environment)
    app.stacks.existing_stack(app.actor, environment)
    made = dict(_pair(text) for text in created)
    if not made and not absent and not all_absent:
        raise click.UsageError("name what was created: --created URN=ID, --absent URN or --all-absent")
    forgotten = [*absent, *(["*"] if all_absent else [])]
    request = Resolve(targets=(environment,), created=made, absent=tuple(forgotten), reason=message)
    return execute_and_report(app, app.submissions.submit(app.actor, request), as_json=as_json)


@command.command("override")
@click.argument("environment", shell_complete=completing.environments)
@click.argument("host", required=False)
@click.option(
    "--release",
    "wanted",
    metavar="VERSION|DIGEST|none",
    shell_complete=completing.releases,
    help="The release that the host runs, or none.",
)
@click.option("--live", type=click.Choice(["blue", "green"]), help="Declare the live side, instead of a host.")
@click.option("-m", "--message", required=True, metavar="WHY", help="The reason, kept with your name.")
@json_option
def override(
    environment: str, host: str | None, wanted: str | None, live: str | None, message: str, as_json: bool
) -> int:
    """Record which release runs on HOST of ENVIRONMENT if it cannot be determined (its state is *unknown*).

    The journal keeps the user and the reason. The host is *assumed* from then on, until it reports a release itself.
    A release that the host has reported is not overruled.

    With --live, declares the live side: after a switch that did not complete, or after a manual switch.
    """
    from orchestrator.app.requests import AssumeHost, AssumeLiveSide
    from orchestrator.cli.follow_run import execute_and_report
    from orchestrator.domain.sides import Side

    app = _open(environment, acts=True)
    if not message.strip():
        raise click.UsageError("-m needs a reason, which the journal keeps")
    if (live is None) == (host is None) or (host is None) != (wanted is None):
        raise click.UsageError("give either HOST and --release, or --live")
    if live is not None or wanted is None:
        side: Side = "blue" if live == "blue" else "green"
        assumed = AssumeLiveSide(targets=(environment,), live=side, reason=message)
        return execute_and_report(app, app.submissions.submit(app.actor, assumed), as_json=as_json)
    release = None if wanted == "none" else app.releases.reference(app.actor, wanted)
    request = AssumeHost(targets=(environment,), host=str(host), running=release, reason=message)
    return execute_and_report(app, app.submissions.submit(app.actor, request), as_json=as_json)


@command.command("reap")
@click.argument("environment", required=False, shell_complete=completing.environments)
@json_option
def reap(environment: str | None, as_json: bool) -> int:
    """Destroy the stacks of ephemeral environments that their promotions could not destroy.

    Without ENVIRONMENT, destroys stacks past their `ttl`, in all environments. With it, destroys all that are left in
    that environment, including those kept for inspection. Stacks of running processes, and stacks that no promotion
    has created, are not destroyed. `orchestrator worker` does the same automatically.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.follow_run import execute_unseen

    app = open_application(Path.cwd())
    done: list[dict[str, Any]] = []
    for left in app.recovery.leftovers(app.actor, environment):
        submitted = app.recovery.reap(app.actor, left.run.environment, left.run.id)
        if not as_json:
            note(f"destroying what {left.run.id} made in {left.run.environment} (stack {left.stack}) …")
        execute_unseen(app, submitted)
        run = app.queries.current_run(app.actor, submitted.root)
        gone = not any(other.run.id == left.run.id for other in app.recovery.leftovers(app.actor, left.run.environment))
        done.append({"run": left.run.id, "environment": left.run.environment, "stack": left.stack,
                     "until": left.until, "by": run.id, "gone": gone, "message": run.message})  # fmt: skip
    if as_json:
        print_json("EnvironmentReap", {"reaped": done})
    elif not done:
        out("no ephemeral environment is left")
    for item in done if not as_json else ():
        out(f"{item['environment']}: {'gone' if item['gone'] else item['message']} ({item['by']})")
    return 0 if all(item["gone"] for item in done) else 5


@command.command("outputs")
@click.argument("environment", shell_complete=completing.environments)
@click.option("--show-secrets", is_flag=True, help="Print secret outputs unmasked.")
@json_option
def outputs(environment: str, show_secrets: bool, as_json: bool) -> None:
    """Print the outputs of the stack of ENVIRONMENT; secret ones are masked."""
    import json

    app = _open(environment)
    data = app.stacks.outputs(app.actor, environment, secret=show_secrets)
    with revealed(clear=show_secrets):
        if as_json:
            print_json("EnvironmentOutputs", {"environment": environment, "outputs": data})
        elif not data:
            out("there are no outputs; orchestrator environment up makes them")
        else:
            rows = [[name, value if isinstance(value, str) else json.dumps(value)] for name, value in data.items()]
            out(table(["name", "value"], rows))


@command.command("inventory")
@click.argument("environment", shell_complete=completing.environments)
@click.option("--show-variables", is_flag=True, help="Print the hosts' variables, which may contain secrets.")
@json_option
def inventory(environment: str, show_variables: bool, as_json: bool) -> None:
    """Print the hosts and groups of ENVIRONMENT, as playbooks and suites will see them."""
    app = _open(environment)
    found = app.stacks.inventory(app.actor, environment, secret=show_variables)
    shown = found.inventory
    with revealed(clear=show_variables):
        if as_json:
            print_json("EnvironmentInventory", {"environment": environment, "digest": found.digest, **shown.to_json()})
            return
        groups = {host: [g for g in shown.groups if host in shown.members(g)] for host in shown.hosts}
        for host, variables in shown.hosts.items():
            out(f"{host}  ({', '.join(groups[host]) or 'in no group'})")
            for name, value in variables.items():
                out(f"  {name}: {value}")


def _pair(text: str) -> tuple[str, str]:
    """`URN=ID` in two, at the first `=`."""
    urn, separator, identity = text.partition("=")
    if not separator or not urn.startswith("urn:") or not identity:
        raise click.UsageError(f"{text!r} is not URN=ID")
    return urn, identity


def _count(app: "Application", name: str) -> int | None:
    """The current number of hosts of the environment; None if it cannot be determined."""
    from orchestrator.domain.errors import OrchestratorError

    try:
        return len(app.stacks.inventory(app.actor, name).inventory.hosts)
    except OrchestratorError:
        return None


def _open(environment: str, *, acts: bool = False) -> "Application":
    """The project, with the environment looked up. A command that *acts* recovers what was interrupted. Raises R103."""
    from orchestrator.app.opening import open_application
    from orchestrator.cli.recovery import recover

    app = open_application(Path.cwd())
    app.require_environment(environment)
    if acts:
        recover(app)
    return app


def _preview(app: "Application", spec: "StackSpec") -> "StackPreview":
    note(f"previewing {spec.stack} …")
    given = list[str]()

    def warn(text: str) -> None:
        given.append(text)
        note(f"warning: {text}")

    found = app.stacks.preview(app.actor, spec.environment, spec.stack, warn)
    list(map(warn, found.warnings[len(given) :]))  # of a server
    return found.preview


def _print_preview(found: "StackPreview", spec: "StackSpec", *, err: bool = False) -> None:
    from orchestrator.cli.planned import tree
    from orchestrator.domain.plan import losses

    say = note_folded if err else out_folded
    for loss in losses(found.changes, spec.settings.stateful):
        say(f"! would {loss}")
    if found.refused:
        say(f"! {found.refused}")
    for line in tree(found.changes, err=err):
        say(line)
    counts = ", ".join(f"{count} {op}" for op, count in sorted(found.counts.items()) if count)
    say(counts or "it has no resources; nothing to do")


@command.command("quota")
@click.argument("team", required=False)
@click.argument("environment", required=False, shell_complete=completing.environments)
@click.option("--hours", type=click.FloatRange(0, 168, min_open=True), metavar="N", help="Booked hours in each week.")
@click.option("--remove", is_flag=True, help="Remove the quota of TEAM for ENVIRONMENT.")
@json_option
def quota(team: str | None, environment: str | None, hours: float | None, remove: bool, as_json: bool) -> None:
    """List the quotas of bookings, or set or remove that of TEAM for ENVIRONMENT."""
    from orchestrator.cli.bookings import print_quotas
    from orchestrator.management.application import open_managed
    from orchestrator.management.bookings.decisions import set_quota
    from orchestrator.management.bookings.queries import list_quotas

    app = open_managed(Path.cwd())
    if team is not None or hours is not None or remove:
        if team is None or environment is None or remove == (hours is not None):
            raise click.UsageError("give TEAM, ENVIRONMENT, and either --hours or --remove")
        set_quota(app.acting, team, environment, hours)
    print_quotas(list_quotas(app.acting), as_json=as_json)
