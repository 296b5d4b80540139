"""`orchestrator calendar`: windows, freezes and holidays."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import completing
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import Cell, json_option, out, print_json, table
from orchestrator.cli.register_options import model_of, open_project, shown_address

if TYPE_CHECKING:
    from orchestrator.domain.admission.overrides import Override
    from orchestrator.domain.calendar.calendar_import import ImportDifference
    from orchestrator.domain.calendar.rules import CalendarRule

WALL = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]
KINDS = ("window", "hard-freeze", "soft-freeze", "holiday")


@click.group("calendar", cls=SubcommandGroup)
def command() -> None:
    """List, add, remove, override, import and export windows, freezes and holidays, and subscribe to them.

    An environment with windows is closed outside of them. A freeze takes precedence over a window. A rollback is
    always possible. Entries of `windows:` in `environment.yaml` are edited in that file.
    """


@command.command("list")
@json_option
def show_all(as_json: bool) -> None:
    """List the entries, and which environments are open."""
    from orchestrator.app.calendar import recorded_overrides, show_calendar, verdicts

    app = open_project()
    rules = app.declared_rules()
    calendar, now = show_calendar(app.acting, rules), verdicts(app.acting, rules)
    overrides = recorded_overrides(app.acting).items
    if as_json:
        document = {
            "environments": {name: verdict.to_json() for name, verdict in now.items()},
            "rules": [rule.to_json() for rule in calendar.rules],
            "line_stops": [stop.to_json() for stop in calendar.line_stops],
            "overrides": [override.to_json() for override in overrides],
        }
        print_json("Calendar", document)
        return
    out(
        table(
            ["environment", "state", "reason", "next change"],
            [_line(name, each.to_json()) for name, each in now.items()],
        )
    )
    if calendar.rules:
        out("")
        heads = ["entry", "kind", "title", "environments", "when", "owner", "source"]
        out(table(heads, [_row(rule) for rule in calendar.rules]))
    if overrides:
        out("")
        out(
            table(
                ["override", "environment", "release", "until", "by", "reason"], [_passed(each) for each in overrides]
            )
        )


def _row(rule: "CalendarRule") -> list[Cell]:
    places = ", ".join(rule.environments)
    return [rule.id, rule.kind.value, rule.title, places, _when(rule), rule.owner or "–", rule.source]


def _passed(override: "Override") -> list[Cell]:
    from orchestrator.domain.moments import minute_text

    who = (override.by, override.reason)
    return [override.entry, override.environment, override.release, minute_text(override.until), *who]


def _line(name: str, verdict: dict[str, Any]) -> list[Cell]:
    if verdict["open"]:
        return [name, ("open", "green"), "–", _minute(verdict["next_close"], "closes")]
    return [
        name,
        ("closed", "yellow"),
        "; ".join(r["text"] for r in verdict["reasons"]),
        _minute(verdict["next_open"], "opens"),
    ]


def _minute(text: str | None, what: str) -> str:
    from orchestrator.domain.moments import minute_text, parse_moment

    return f"{what} {minute_text(parse_moment(text))}" if text else "–"


def _when(rule: "CalendarRule") -> str:
    repeated = f", {rule.rule}" if rule.rule else ""
    return f"{rule.start:%Y-%m-%d %H:%M} to {rule.end:%Y-%m-%d %H:%M} {rule.zone}{repeated}"


@command.command("add")
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.argument("title")
@click.option(
    "--start",
    required=True,
    type=click.DateTime(WALL),
    metavar="LOCAL-TIME",
    help="The start as clocks in the zone show it, such as 2026-12-24T18:00.",
)
@click.option(
    "--end",
    required=True,
    type=click.DateTime(WALL),
    metavar="LOCAL-TIME",
    help="The end as clocks in the zone show it.",
)
@click.option("--zone", required=True, metavar="ZONE", help="The time zone, such as Europe/Berlin.")
@click.option("--rule", metavar="RRULE", help="Repeat by a rule of RFC 5545, such as FREQ=WEEKLY;BYDAY=TU,WE.")
@click.option(
    "--environment", "environments", multiple=True, default=("*",), metavar="PATTERN",
    help="Only environments that match. May be repeated.", shell_complete=completing.environments,
)  # fmt: skip
@click.option("--override-role", metavar="ROLE", help="The role that may pass a hard freeze.")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason.")
@json_option
def add(
    kind: str,
    title: str,
    start: datetime,
    end: datetime,
    zone: str,
    rule: str | None,
    environments: tuple[str, ...],
    override_role: str | None,
    message: str,
    as_json: bool,
) -> None:
    """Add an entry with a TITLE. The actor is its owner.

    KIND is window, hard-freeze, soft-freeze or holiday.
    """
    from orchestrator.app.calendar import add_rule, new_rule_id
    from orchestrator.domain.calendar.rules import CalendarRule

    acting = open_project().acting
    entry = model_of(
        CalendarRule,
        id=new_rule_id(),
        kind=kind,
        title=title,
        environments=list(environments),
        start=start.isoformat(),
        end=end.isoformat(),
        zone=zone,
        rule=rule,
        override_role=override_role,
        owner=str(acting.actor),
        reason=message,
    )
    done = add_rule(acting, entry)
    if as_json:
        print_json("CalendarRule", done.to_json())
        return
    out(f"{done.id} is added: {done.kind.value} '{done.title}', {_when(done)}")


@command.command("remove")
@click.argument("entry")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def remove(entry: str, message: str, as_json: bool) -> None:
    """Remove the entry with this id."""
    from orchestrator.app.calendar import remove_rule

    done = remove_rule(open_project().acting, entry, reason=message)
    if as_json:
        print_json("CalendarRule", done.to_json())
        return
    out(f"{done.id} is removed: {done.kind.value} '{done.title}'")


@command.command("override")
@click.argument("release", shell_complete=completing.releases)
@click.option(
    "--to", "environment", required=True, metavar="ENV", shell_complete=completing.environments, help="The environment."
)
@click.option("--entry", metavar="ID", help="Pass only this entry (`windows`: the windows of ENV).")
@click.option(
    "-m", "--message", default="", metavar="WHY", help="The reason, recorded and shown permanently (required)."
)
@json_option
def override(release: str, environment: str, entry: str | None, message: str, as_json: bool) -> None:
    """Let RELEASE pass the windows, freezes and holidays that close ENV, until these end.

    Needs the right `calendar:override`, or the role that the entry names. A hard freeze without such a role, a stopped
    line and a booking cannot be passed. Approvals and all other conditions stay.
    """
    from orchestrator.app.admission import override_calendar
    from orchestrator.cli.report import building, warn
    from orchestrator.domain.moments import minute_text

    if not message.strip():
        raise click.UsageError("give the reason with -m: it is recorded and shown permanently")
    app = open_project()
    app.require_environment(environment)
    package = app.releases.package(app.actor, release, warn, building, publish=False)
    done = override_calendar(app.acting, app.promotion(package, environment), message.strip(), entry)
    if as_json:
        print_json("Overrides", {"overrides": [each.to_json() for each in done]})
        return
    for each in done:
        out(f"{each.release} passes in {environment} until {minute_text(each.until)}: {each.text}")


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--kind", type=click.Choice(KINDS), default="hard-freeze", help="The kind of the entries (default: hard-freeze)."
)
@click.option(
    "--environment",
    "environments",
    multiple=True,
    default=("*",),
    metavar="PATTERN",
    help="Only environments that match. May be repeated.",
)
@click.option("--zone", default="UTC", metavar="ZONE", help="The time zone of times without one (default: UTC).")
@click.option("--dry-run", is_flag=True, help="Show the changes, and change nothing.")
@json_option
def import_file(file: Path, kind: str, environments: tuple[str, ...], zone: str, dry_run: bool, as_json: bool) -> None:
    """Import the events of a calendar file (.ics). The same file again changes nothing."""
    from orchestrator.app.calendar import import_rules, preview_import
    from orchestrator.app.opening import this_machine
    from orchestrator.domain.calendar.import_options import ImportOptions
    from orchestrator.domain.calendar.rules import RuleKind

    acting = open_project().acting
    options = ImportOptions(file.name, RuleKind(kind), environments, zone, str(acting.actor))
    rules = this_machine().calendar_files.read(file.read_text(encoding="utf-8"), options)
    found = preview_import(acting, rules) if dry_run else import_rules(acting, rules)
    if as_json:
        print_json("CalendarImport", {**found.to_json(), "imported": not dry_run})
        return
    _say_import(found, dry_run=dry_run)


def _say_import(found: "ImportDifference", *, dry_run: bool) -> None:
    for what, rules in (("add", found.added), ("change", found.changed)):
        for rule in rules:
            out(f"{what} {rule.kind.value} '{rule.title}', {_when(rule)}")
    for title, reason in found.skipped:
        out(f"skip '{title}': {reason}")
    if dry_run:
        out("nothing was imported (--dry-run)")


@command.command("export")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file (default: standard output)."
)
def export(output: Path | None) -> None:
    """Write all entries as a calendar file (.ics)."""
    from orchestrator.app.calendar import show_calendar
    from orchestrator.app.opening import this_machine
    from orchestrator.domain.moments import parse_moment

    app = open_project()
    calendar = show_calendar(app.acting, app.declared_rules())
    text = this_machine().calendar_files.write(calendar.rules, parse_moment(app.acting.clock.now()))
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8", newline="")
    out(f"{len(calendar.rules)} entries are in {output}")


@command.command("subscribe")
@json_option
def subscribe(as_json: bool) -> None:
    """Create the secret address of your calendar at the server, and print it. An earlier address ends.

    The calendar has the windows, freezes, bookings, planned runs and trains that you may view.
    """
    from orchestrator.app.calendar_addresses import create_calendar_address
    from orchestrator.domain.moments import moment_text

    app = open_project()
    made = create_calendar_address(app.acting)
    if as_json:
        about = {"user": made.address.user, "created_at": moment_text(made.address.created_at)}
        print_json("CalendarAddress", {**about, "path": made.path})
        return
    click.echo(shown_address(app, made.path))  # the only time that it is shown
    what = "address of your calendar" if app.server_url else "path of your calendar below the address of the project"
    click.echo(f"the {what}; it is not shown again", err=True)


@command.command("unsubscribe")
@click.option("--for", "user", metavar="USER", help="The user whose address ends (default: the actor).")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def unsubscribe(user: str | None, message: str, as_json: bool) -> None:
    """Revoke the secret address of your calendar, or of USER, at once."""
    from orchestrator.app.calendar_addresses import revoke_calendar_address

    acting = open_project().acting
    address = revoke_calendar_address(acting, user or acting.actor.name, reason=message)
    if as_json:
        print_json("RevokedCalendarAddress", {"user": address.user})
        return
    out(f"the calendar address of {address.user} is revoked")
