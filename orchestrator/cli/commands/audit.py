"""`orchestrator audit`: the record of everything that was changed, denied or exported."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import ROWS, Cell, json_option, note, out, print_json, table
from orchestrator.cli.register_options import MOMENT, open_project

if TYPE_CHECKING:
    from orchestrator.app.audit import Exported
    from orchestrator.domain.audit.chain import AuditEntry, AuditHead
    from orchestrator.domain.audit.export import AuditFilter


@click.group("audit", cls=SubcommandGroup)
def command() -> None:
    """List, show, verify, explain and export the audit stream.

    Every entry has a code that is made with the project key over the entry before it. `verify` finds edited, removed,
    reordered and added entries. Another user who has the key and can replace the database and `audit-head` is not
    found: keep an export elsewhere, and verify against it.
    """


def _filter(start: datetime | None, end: datetime | None, environment: str | None, **more: str | None) -> "AuditFilter":
    from orchestrator.domain.audit.export import AuditFilter
    from orchestrator.domain.moments import EARLIEST_YEAR, LATEST_YEAR

    first, last = datetime(EARLIEST_YEAR, 1, 1, tzinfo=UTC), datetime(LATEST_YEAR, 12, 31, tzinfo=UTC)
    return AuditFilter(start=start or first, end=end or last, environment=environment, **more)


@command.command("list")
@click.option("--from", "start", type=MOMENT, metavar="TIME", help="Only entries from this time on.")
@click.option("--to", "end", type=MOMENT, metavar="TIME", help="Only entries before this time.")
@click.option("--environment", metavar="ENV", help="Only this environment.", shell_complete=completing.environments)
@click.option("--actor", metavar="NAME", help="Only entries of this actor.")
@click.option("--action", metavar="ACTION", help="Only this action.")
@click.option(
    "--limit",
    type=ROWS,
    metavar="N",
    default=50,
    help="Show the newest N entries (default: 50).",
)
@click.option("--cursor", type=click.IntRange(min=1), metavar="INDEX", help="Only entries before this one.")
@json_option
def show_all(
    start: datetime | None,
    end: datetime | None,
    environment: str | None,
    actor: str | None,
    action: str | None,
    limit: int,
    cursor: int | None,
    as_json: bool,
) -> None:
    """List entries, oldest first."""
    from orchestrator.app.audit import list_entries

    chosen = _filter(start, end, environment, actor=actor, action=action)
    found = list_entries(open_project().acting, chosen, limit, cursor)
    if as_json:
        print_json("AuditEntries", {"entries": [entry.to_json() for entry in found]})
        return
    rows = [_row(entry) for entry in found]
    out(table(["entry", "at", "actor", "action", "object", "outcome", "reason"], rows) if rows else "no entries")


def _row(entry: "AuditEntry") -> list[Cell]:
    from orchestrator.domain.moments import moment_text

    outcome: Cell = "done" if entry.outcome == "done" else (entry.outcome, "yellow")
    return [
        str(entry.index),
        moment_text(entry.at),
        entry.actor,
        entry.action,
        entry.object,
        outcome,
        entry.reason or "–",
    ]


@command.command("show")
@click.argument("index", type=int)
@json_option
def show(index: int, as_json: bool) -> None:
    """Show one entry with its digests and codes."""
    from orchestrator.app.audit import show_entry

    entry = show_entry(open_project().acting, index)
    if as_json:
        print_json("AuditEntry", entry.to_json())
        return
    for name, value in entry.to_json().items():
        if value not in (None, "", {}):
            out(f"{name}: {json.dumps(value) if isinstance(value, dict) else value}")


@command.command("verify")
@click.option(
    "--against", "heads", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A head that was kept elsewhere: `audit-head` or `statement.json` of an export. May be repeated."
)  # fmt: skip
@json_option
@click.pass_context
def verify(context: click.Context, heads: tuple[Path, ...], as_json: bool) -> None:
    """Check the whole stream. Exit 7, with the first wrong or missing entry, if it was changed.

    Restores of backups are listed with the entries that are missing since. A head that was kept elsewhere and is one of
    these entries is a finding; `audit-head` beside the database is not, because the restore explains it. Breaks that
    `audit explain` recorded are listed with their reason, and the heads that it names are not findings.
    """
    from orchestrator.app.audit import verify_stream
    from orchestrator.domain.errors import Exit, OrchestratorError

    app = open_project()
    found = verify_stream(app.acting, app.kept_audit, tuple(_head(path) for path in heads))
    if as_json:
        finding = {"index": found.finding.index, "fault": found.finding.fault.value} if found.finding else None
        document = {
            "entries": found.entries,
            "head": found.head.to_json(),
            "finding": finding,
            "heads": found.heads,
            "restores": [restore.to_json() for restore in found.restores],
            "breaks": [each.to_json() for each in found.breaks],
        }
        print_json("AuditVerification", document)
        if finding:
            context.exit(Exit.UNEXPECTED_CHANGES)
        return
    for each in (*found.restores, *found.breaks):
        note(str(each))
    if found.finding:
        raise OrchestratorError("A401", f"the audit stream was changed: {found.finding}")
    out(f"{found.entries} entries are unchanged, up to {found.head.code[:16]}")


@command.command("explain")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, recorded in the stream (required).")
@click.option(
    "--against", "heads", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also a head that was kept elsewhere: `audit-head` or `statement.json` of an export. May be repeated."
)  # fmt: skip
@json_option
def explain(message: str, heads: tuple[Path, ...], as_json: bool) -> None:
    """Record why the stream was replaced, for example by a database server.

    `orchestrator restore` records this automatically. The entry keeps each place that is missing, from `audit-head` and
    from --against, and the first index that is known to differ. `audit verify` then lists the break with its reason,
    and no longer exits with 7 because of these places.
    """
    from orchestrator.app.audit import explain_break

    if not message.strip():
        raise click.UsageError("give the reason with -m: it is shown by every verification")
    app = open_project()
    kept = tuple(_head(path) for path in heads)
    found = explain_break(app.acting, app.kept_audit, kept, message.strip())
    if as_json:
        print_json("AuditBreak", found.to_json())
        return
    out(str(found))


def _head(path: Path) -> "AuditHead":
    from pydantic import ValidationError

    from orchestrator.domain.audit.chain import AuditHead

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return AuditHead.from_json(data.get("head", data))
    except (ValueError, ValidationError, AttributeError) as error:
        raise click.UsageError(f"{path} is not the head of an audit stream or the statement of an export") from error


@command.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--from", "start", required=True, type=MOMENT, metavar="TIME", help="From this time on.")
@click.option("--to", "end", required=True, type=MOMENT, metavar="TIME", help="Before this time.")
@click.option("--environment", metavar="ENV", help="Only this environment.", shell_complete=completing.environments)
@click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", help="The form (default: csv).")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Draw N runs, and write a folder for each.")
@click.option(
    "--seed", type=int, default=1, metavar="N", help="The seed of the sample (default: 1). One seed draws one sample."
)
@json_option
def export(
    folder: Path,
    start: datetime,
    end: datetime,
    environment: str | None,
    form: str,
    sample: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Write the entries of a period into a new FOLDER, with a statement of their number, filter and digest."""
    from orchestrator.app.audit import export_stream

    if folder.exists() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} is not empty")
    drawn = (sample, seed) if sample else None
    found = export_stream(open_project().acting, _filter(start, end, environment), drawn)
    write_export(folder, found, form)
    if as_json:
        print_json("AuditExport", found.statement.to_json())
        return
    out(f"{found.statement.population} entries are in {folder}: {found.statement.filter}")


def write_export(folder: Path, found: "Exported", form: str) -> None:
    """Write the statement, the population, and one folder for each run of the sample."""
    from orchestrator.domain.audit.export import export_files

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in export_files(found.statement, found.entries, form):
        file = folder / name
        file.parent.mkdir(exist_ok=True, mode=0o700)
        file.write_text(text, encoding="utf-8", newline="")
