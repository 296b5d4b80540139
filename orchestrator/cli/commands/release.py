"""`orchestrator release`: planned releases, with their scope, phases and dates."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import completing
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import json_option, masked, note, out, out_folded, page_options, print_json, screen, table
from orchestrator.cli.planned_releases import (
    HEADS,
    planned_release_row,
    print_release,
    print_slip,
    release_item,
    release_lines,
    shown_item,
)
from orchestrator.cli.register_options import MOMENT, model_of
from orchestrator.cli.release_options import (
    given_fields,
    plan_options,
    release_argument,
    release_reason_option,
    scope_options,
    wait_booked_option,
)

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication
    from orchestrator.management.planned_releases.decisions import Scope


@click.group("release", cls=SubcommandGroup)
def command() -> None:
    """Plan releases: their scope, phases and dates.

    A planned release contains change requests and packages. Its phases book their environments, and the runs of its
    packages release it or roll it back. A release that is built is a package: see `orchestrator package`.
    """


def _open() -> "ManagedApplication":
    from orchestrator.management.application import open_managed

    return open_managed(Path.cwd())


def _scope(requests: tuple[str, ...], packages: tuple[str, ...]) -> "Scope":
    from orchestrator.management.planned_releases.decisions import Scope

    return Scope(requests, packages)


@command.command("plan")
@click.argument("title")
@plan_options(new=True)
@click.option("--start", type=MOMENT, metavar="TIME", help="The start of the phase build (default: now).")
@scope_options
@json_option
def plan(
    title: str,
    start: datetime | None,
    requests: tuple[str, ...],
    packages: tuple[str, ...],
    as_json: bool,
    **fields: Any,
) -> None:
    """Plan a release called TITLE, as a draft with the phases build, test, deploy and close.

    Build lasts until the freeze time, test until the release time, deploy 4 hours, and close a day. `release phase`
    changes them and adds others.
    """
    from datetime import UTC

    from orchestrator.management.planned_releases.decisions import plan_release
    from orchestrator.management.planned_releases.model import ReleaseDraft
    from orchestrator.management.planned_releases.phases import standard_phases

    freeze, release_at, environment = fields["freeze_at"], fields["release_at"], fields["environment"]
    begin = start or datetime.now(UTC)
    if not begin < freeze < release_at:
        raise click.UsageError("give a start, a freeze time and a release time in this order")
    app = _open()
    phases = [phase.to_json() for phase in standard_phases(begin, freeze, release_at, environment)]
    about = {"owner": str(app.acting.actor), **given_fields(fields), "title": title, "phases": phases}
    draft = model_of(ReleaseDraft, **about)
    made = plan_release(app.acting, draft, app.release_sources, _scope(requests, packages))
    print_release(made, as_json=as_json)
    if not as_json:
        _print_overdue(app)


def _print_overdue(app: "ManagedApplication") -> None:
    """The actions of earlier reviews that are overdue."""
    from orchestrator.cli.reviews import overdue_lines
    from orchestrator.management.reviews.queries import overdue_actions

    for line in overdue_lines(overdue_actions(app.acting)):
        out_folded(line)


@command.command("edit")
@release_argument
@click.option("--title", metavar="TEXT", help="The title.")
@plan_options(new=False)
@release_reason_option()
@json_option
def edit(release: str, message: str, as_json: bool, **fields: Any) -> None:
    """Change fields of RELEASE. The environment and the mode change in a draft only."""
    from orchestrator.management.planned_releases.decisions import edit_release

    given = given_fields(fields)
    if not given:
        raise click.UsageError("give at least one field to change, for example --owner ann")
    print_release(edit_release(_open().acting, release, given, message.strip()), as_json=as_json)


@command.command("list")
@click.option("--all", "ended", is_flag=True, help="Include releases that have ended.")
@click.option("--refresh", is_flag=True, help="Update the releases from their runs first, as a worker does.")
@page_options("releases")
@json_option
def list_(ended: bool, refresh: bool, limit: int, cursor: str | None, as_json: bool) -> None:
    """List planned releases by their release time."""
    from orchestrator.management.planned_releases.duties import advance_releases
    from orchestrator.management.planned_releases.queries import list_planned_releases

    app = _open()
    if refresh:
        for text in advance_releases(app.acting, app.release_sources):
            note(text)
    page = list_planned_releases(app.acting, ended=ended, cursor=cursor, limit=limit)
    if as_json:
        print_json("PlannedReleases", {"releases": [release_item(r) for r in page.items], "cursor": page.cursor})
        return
    if not page.items:
        out("there are no planned releases; plan one with: orchestrator release plan TITLE --to ENV …")
        return
    out(table(HEADS, [planned_release_row(each) for each in page.items], screen()))
    if page.cursor:
        note(f"more: orchestrator release list --cursor '{page.cursor}'")


@command.command("show")
@release_argument
@json_option
def show(release: str, as_json: bool) -> None:
    """Show RELEASE with its phases, its scope, what is not ready, and conflicts."""
    from orchestrator.management.planned_releases.queries import show_planned_release

    app = _open()
    shown = show_planned_release(app.acting, release, app.release_sources)
    if as_json:
        print_json("PlannedRelease", shown_item(shown))
        return
    for line in release_lines(shown):
        out_folded(line)
    _print_overdue(app)


@command.command("add")
@release_argument
@scope_options
@click.option("--late", is_flag=True, help="Add to a frozen scope; give the reason with -m.")
@release_reason_option()
@json_option
def add(
    release: str, requests: tuple[str, ...], packages: tuple[str, ...], late: bool, message: str, as_json: bool
) -> None:
    """Add accepted change requests and packages to the scope of RELEASE."""
    from orchestrator.management.planned_releases.decisions import add_to_scope

    if not requests and not packages:
        raise click.UsageError("give --request or --package")
    app, wanted = _open(), _scope(requests, packages)
    done = add_to_scope(app.acting, release, wanted, app.release_sources, message.strip(), late=late)
    print_release(done, as_json=as_json)


@command.command("remove")
@release_argument
@scope_options
@release_reason_option()
@json_option
def remove(release: str, requests: tuple[str, ...], packages: tuple[str, ...], message: str, as_json: bool) -> None:
    """Remove change requests, which are accepted again, and packages from the scope of RELEASE."""
    from orchestrator.management.planned_releases.decisions import remove_from_scope

    if not requests and not packages:
        raise click.UsageError("give --request or --package")
    done = remove_from_scope(_open().acting, release, _scope(requests, packages), message.strip())
    print_release(done, as_json=as_json)


@command.command("phase")
@release_argument
@click.argument("phase")
@click.option("--start", type=MOMENT, metavar="TIME", help="The start.")
@click.option("--end", type=MOMENT, metavar="TIME", help="The end (default: the phase keeps its length).")
@click.option("--environment", metavar="ENV", shell_complete=completing.environments,
              help="The environment that it uses and books; '' for none.")  # fmt: skip
@click.option("--responsible", metavar="USER", help="The user who carries it out.")
@click.option("--after", multiple=True, metavar="PHASE",
              help="A phase that it depends on, such as build or REL-2:deploy. May be repeated.")  # fmt: skip
@click.option("--remove", "gone", is_flag=True, help="Remove the phase from a draft.")
@click.option("--dry-run", is_flag=True, help="Show what would move, and change nothing.")
@wait_booked_option
@release_reason_option()
@json_option
def phase_(
    release: str, phase: str, gone: bool, dry_run: bool, wait: bool, message: str, as_json: bool, **fields: Any
) -> None:
    """Add or change PHASE of RELEASE. What depends on it moves, also in other releases, and is booked again.

    Each phase that moved is printed with the users it affects. Nothing changes if an environment is not free or a user
    is absent at the new times (G203).
    """
    from orchestrator.management.planned_releases.phase_decisions import (
        PhaseChange,
        preview_phase,
        remove_phase,
        set_phase,
    )

    app = _open()
    if gone:
        print_release(remove_phase(app.acting, release, phase), as_json=as_json)
        return
    wanted = PhaseChange(phase, **{**fields, "after": fields["after"] or None})
    if dry_run:
        print_slip(preview_phase(app.acting, release, wanted, app.release_sources), as_json=as_json, done=False)
        return
    slip = set_phase(app.acting, release, wanted, app.release_sources, message.strip(), wait=wait)
    print_slip(slip, as_json=as_json)


@command.command("start")
@release_argument
@click.argument("phase")
@json_option
def start_(release: str, phase: str, as_json: bool) -> None:
    """Record the start of PHASE of RELEASE."""
    from orchestrator.management.planned_releases.phase_decisions import start_phase

    print_release(start_phase(_open().acting, release, phase), as_json=as_json)


@command.command("complete")
@release_argument
@click.argument("phase")
@json_option
def complete(release: str, phase: str, as_json: bool) -> None:
    """Record the end of PHASE of RELEASE. A late end moves what depends on it."""
    from orchestrator.management.planned_releases.phase_decisions import complete_phase

    app = _open()
    print_slip(complete_phase(app.acting, release, phase, app.release_sources), as_json=as_json)


@command.command("confirm")
@release_argument
@wait_booked_option
@json_option
def confirm(release: str, wait: bool, as_json: bool) -> None:
    """Schedule the draft RELEASE, and book the environments of its phases."""
    from orchestrator.management.planned_releases.decisions import confirm_release

    app = _open()
    print_release(confirm_release(app.acting, release, app.release_sources, wait=wait), as_json=as_json)


@command.command("freeze")
@release_argument
@release_reason_option()
@json_option
def freeze(release: str, message: str, as_json: bool) -> None:
    """Freeze the scope of RELEASE before its time. What is not ready is deferred."""
    from orchestrator.management.planned_releases.decisions import freeze_release

    print_release(freeze_release(_open().acting, release, message.strip()), as_json=as_json)


@command.command("hold")
@release_argument
@release_reason_option(required=True)
@json_option
def hold(release: str, message: str, as_json: bool) -> None:
    """Put RELEASE on hold. Its packages are refused in the environments that it has booked."""
    from orchestrator.management.planned_releases.decisions import hold_release

    print_release(hold_release(_open().acting, release, message.strip()), as_json=as_json)


@command.command("resume")
@release_argument
@release_reason_option()
@json_option
def resume(release: str, message: str, as_json: bool) -> None:
    """Continue RELEASE, which is on hold or was rolled back."""
    from orchestrator.management.planned_releases.decisions import resume_release

    print_release(resume_release(_open().acting, release, message.strip()), as_json=as_json)


@command.command("cancel")
@release_argument
@release_reason_option(required=True)
@json_option
def cancel(release: str, message: str, as_json: bool) -> None:
    """Cancel RELEASE. Its requests are accepted again, and its bookings end."""
    from orchestrator.management.planned_releases.decisions import cancel_release

    app = _open()
    print_release(cancel_release(app.acting, release, app.release_sources, message.strip()), as_json=as_json)


@command.command("close")
@release_argument
@release_reason_option()
@json_option
def close(release: str, message: str, as_json: bool) -> None:
    """Close RELEASE, which was released, with its change requests."""
    from orchestrator.management.planned_releases.decisions import close_release

    app = _open()
    print_release(close_release(app.acting, release, app.release_sources, message.strip()), as_json=as_json)


@command.command("notes")
@release_argument
@click.option("--format", "form", type=click.Choice(["text", "markdown"]), default="text", show_default=True,
              help="The form of the notes.")  # fmt: skip
@json_option
def notes_(release: str, form: str, as_json: bool) -> None:
    """Print the notes of RELEASE: what differs between what runs in its environment and what it brings.

    These are its change requests, and for each package the commits, the infrastructure, the files, and the tests that
    were added and removed. After the release, the notes are against what ran before it.
    """
    from orchestrator.cli.release_notes import markdown_lines, note_lines
    from orchestrator.management.planned_releases.notes import write_notes

    app = _open()
    found = write_notes(app.acting, release, app.release_sources)
    if as_json:
        print_json("ReleaseNotes", {"notes": found.to_json()})
        return
    for line in markdown_lines(found) if form == "markdown" else note_lines(found):
        out(line)


@command.command("schedule")
@click.option("--all", "ended", is_flag=True, help="Include releases that have ended.")
@click.option("--out", "target", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write a timeline into FILE, which ends in .svg or .html.")  # fmt: skip
@json_option
def schedule(ended: bool, target: Path | None, as_json: bool) -> None:
    """Print the phases of every planned release, or write them as a timeline that a browser opens without a server."""
    from datetime import UTC

    from orchestrator.management.planned_releases.queries import show_schedule
    from orchestrator.management.planned_releases.timeline import (
        SCHEDULE_HEADS,
        schedule_rows,
        timeline_html,
        timeline_svg,
    )

    pictures = {".svg": timeline_svg, ".html": timeline_html}
    if target is not None and target.suffix not in pictures:
        raise click.UsageError("--out is a file that ends in .svg or .html")
    found = show_schedule(_open().acting, ended=ended)
    if target is not None:
        try:
            target.write_text(masked(pictures[target.suffix](found, datetime.now(UTC))), encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"cannot write {target}: {error.strerror}") from error
        note(f"written: {target}")
    if as_json:
        print_json("ReleaseSchedule", {"releases": [release_item(each) for each in found]})
        return
    if target is None:
        rows = list(schedule_rows(found))
        out(table(SCHEDULE_HEADS, rows, screen()) if rows else "there are no planned releases")
