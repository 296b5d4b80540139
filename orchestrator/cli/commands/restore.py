"""`orchestrator restore`: a backup in the place of the project's state, or an environment as it was at a time."""

from pathlib import Path

import click

from orchestrator.cli.output import (
    confirm,
    ignore_broken_pipe,
    json_option,
    note,
    out,
    print_json,
    queue_option,
    wait_option,
    yes_option,
)
from orchestrator.cli.passphrase import passphrase_option, read_passphrase, required
from orchestrator.cli.report import UsageProblem
from orchestrator.domain.text import counted


@click.command("restore")
@click.argument("what", required=False, metavar="[FILE|ENV]")
@click.option("--at", metavar="TIME|RUN", help="Restore the environment ENV to this time.")
@click.option(
    "--skip-irreversible", is_flag=True, help="With --at: restore although steps of later releases cannot be undone."
)
@click.option("--undo", is_flag=True, help="Restore the state that an interrupted restore has replaced.")
@click.option("--lost", metavar="NAME", help="Do not wait for a controller file that is missing and lost.")
@passphrase_option
@click.option("--unauthenticated", is_flag=True, help="Restore a backup of an earlier version, without a passphrase.")
@yes_option
@wait_option
@queue_option
@json_option
def command(
    what: str | None,
    at: str | None,
    skip_irreversible: bool,
    undo: bool,
    lost: str | None,
    passphrase_file: Path | None,
    unauthenticated: bool,
    yes: bool,
    wait: float,
    queue: str,
    as_json: bool,
) -> int:
    """Restore the project's state from the backup FILE, or, with --at, the environment ENV to an earlier point in time.

    --at takes a time (2026-11-20T10:00, in this machine's time zone unless an offset is given), or a run, for the time
    of its end. Every host is restored to the release that was verified last by that time, and the infrastructure to the
    definition that was applied last by that time. The plan is shown first, and executed like a rollback. Later releases
    are undone, newest first, and the tests of the restored release verify the environment. A release that was rolled
    back since that time is not restored.

    A FILE replaces the project's state as a whole, or not at all. The file must be authenticated by the passphrase with
    which it was made. Refused while a process works on a run. The previous state is kept in a folder whose name is
    printed. Secrets that the backup does not contain are listed; nothing is planned until they are given. Hosts are not
    touched: they may run newer releases than the restored journal has. A controller file that is lost for good is
    given up with --lost: plays then find no such file, and may generate another one.
    """
    if at is not None:
        if what is None or undo:
            raise click.UsageError("name the environment: orchestrator restore ENV --at TIME")
        return _return(what, at, skip_irreversible=skip_irreversible, yes=yes, wait=wait, queue=queue, as_json=as_json)
    if skip_irreversible or wait or queue:
        raise click.UsageError("--skip-irreversible, --wait and --queue are for an environment and --at")
    if lost is not None:
        if what is not None or undo:
            raise click.UsageError("give either a FILE or --lost")
        _give_up(lost, as_json=as_json)
        return 0
    file = Path(what) if what is not None else None
    if file is not None and not file.is_file():
        hint = "an environment needs a time: orchestrator restore ENV --at TIME"
        raise UsageProblem(f"there is no backup {what!r}", hint)
    _replace(file, _secret(file, passphrase_file, unauthenticated), undo=undo, yes=yes, as_json=as_json)
    return 0


def _secret(file: Path | None, passphrase_file: Path | None, unauthenticated: bool) -> bytes | None:
    """The passphrase; None if the backup need not be authenticated. Raises S190."""
    if file is None:
        return None
    if unauthenticated:
        note("the backup is not authenticated: its content can be from any user who could write the file")
        return None
    return read_passphrase(required(passphrase_file))


def _return(
    environment: str, at: str, *, skip_irreversible: bool, yes: bool, wait: float, queue: str, as_json: bool
) -> int:
    """An environment as it was at a time."""
    from orchestrator.app.opening import open_application
    from orchestrator.app.requests import RollBack
    from orchestrator.cli.follow_run import execute_and_report, report_enqueued
    from orchestrator.cli.planned import print_plan
    from orchestrator.cli.recovery import recover
    from orchestrator.cli.words import when

    ignore_broken_pipe()
    app = open_application(Path.cwd())
    recover(app)
    package, then = app.releases.as_of(app.actor, environment, at)
    note(f"planning to restore {environment} as of {when(then.at)}: {package.ref} …")
    plan = app.plans.make(
        app.actor, package, environment, action="rollback", check=False, skip_irreversible=skip_irreversible, then=then
    )
    print_plan(plan, err=True)
    app.plans.require_executable(app.actor, plan)
    confirm(f"Restore {environment} as of {when(then.at)}?", yes)
    request = RollBack(package=package.ref, targets=(environment,), plan_digest=plan.digest, wait=wait, at=then.at)
    submitted = app.submissions.submit(app.actor, request, queue=queue)
    return (
        report_enqueued(submitted, queue, as_json=as_json)
        if queue
        else execute_and_report(app, submitted, as_json=as_json)
    )


def _replace(file: Path | None, passphrase: bytes | None, *, undo: bool, yes: bool, as_json: bool) -> None:
    """A backup in the place of the project's state."""
    from orchestrator.app.opening import open_application
    from orchestrator.cli.words import when

    if (file is None) is not undo:
        raise click.UsageError("give either a FILE or --undo")
    app = open_application(Path.cwd(), restoring=True)
    if unread := app.state_restore.admit():
        note(f"the rights in the current state cannot be read, and are not checked: {unread}")
    if unread := app.state_restore.require_idle():
        note(f"cannot read the current store: {unread}")
    if file is None:
        done = app.state_restore.undo()
        if as_json:
            print_json("RestoreUndo", {"undone": done})
        else:
            out("the state is as it was before the restore" if done else "no restore was interrupted here")
        return
    manifest = app.state_restore.inspect(file, passphrase)
    unfinished = app.state_restore.unfinished()
    if unfinished:
        note(f"not ended, and unknown afterwards unless the backup has them: {', '.join(unfinished)}")
    confirm(f"Replace the state of {app.project.name} by that of {manifest.made_at}?", yes)
    restored = app.state_restore.replace(file, passphrase, manifest, note)
    if as_json:
        data = {
            "file": str(file),
            "made_at": manifest.made_at,
            "files": len(manifest.files),
            "kept": str(restored.kept),
        }
        print_json("Restore", {**data, "missing": [item.to_json() for item in restored.missing]})
        return
    out(f"restored: the state of {when(manifest.made_at)}, {counted(len(manifest.files), 'file')}")
    out(f"the previous state is kept in {restored.kept}")
    for item in restored.missing:
        place = app.withheld.place(item)
        note(f"missing: {place} ({item.id}). Nothing is planned until it is restored (S193)")


def _give_up(name: str, *, as_json: bool) -> None:
    """Do not wait for a controller file of the restored state any more."""
    from orchestrator.app.opening import open_application

    app = open_application(Path.cwd(), restoring=True)
    if not app.maintenance.give_up_file(app.actor, name):
        raise UsageProblem(f"{name!r} is not a missing controller file", "orchestrator doctor lists what is missing")
    missing = app.withheld.missing()
    if as_json:
        print_json("RestoreLost", {"lost": name, "missing": [item.name for item in missing]})
        return
    out(f"given up: {name}")
    for item in missing:
        note(f"still missing: {app.withheld.place(item)}")
