"""`orchestrator project`: the definition that servers and workers use."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import json_option, note, out, out_folded, page_options, print_json, screen, table

if TYPE_CHECKING:
    from orchestrator.domain.project_definition import DefinitionChange, ProjectDefinition
    from orchestrator.management.application import ManagedApplication

HEADS = ("DEFINITION", "STATE", "PUSHED", "BY", "FILES", "COMMIT", "MESSAGE")
SHOWN_FILES = 20
DIGEST = click.argument("digest", metavar="DIGEST", shell_complete=completing.definitions)
MESSAGE = click.option(
    "-m", "--message", default="", metavar="WHY", help="The reason, for the list and the audit stream."
)


def _open() -> "ManagedApplication":
    from orchestrator.management.application import open_managed

    return open_managed(Path.cwd())


@click.group("project", cls=SubcommandGroup)
def command() -> None:
    """Push the files of a project to its server, and choose the definition that runs use.

    A project definition has the environments, inventories, programs and settings of a project under one digest. Servers
    and workers whose orchestrator.yaml has `definition: pushed` use the current one.
    """


@command.command("push")
@click.argument("path", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@MESSAGE
@json_option
def push(path: Path | None, message: str, *, as_json: bool) -> None:
    """Upload the definition of the project in PATH (default: the current folder), and make it current.

    The definition has the files that Git would check out, without those that .orchestratorignore names. Credentials
    are never uploaded: a file with a key or a password ends the command, and files with passwords that settings name
    are left out. Each worker reads its own. Without changes nothing is uploaded. A repetition continues an upload that
    was interrupted.

    A plan and its run keep the definition with which the plan was made, also when another one is current.
    """
    from orchestrator.app.opening import this_machine

    app = _open()
    with this_machine().definitions.sealed(path or Path.cwd()) as sealed:
        current = app.definitions.current(app.actor)
        before = current.digest if current is not None else ""
        if before != sealed.digest:
            app.upload_definition(Path(sealed.file), sealed.digest)
        done = app.definitions.make_current(app.actor, sealed.digest, before, message, sealed.revision)
    _print_change(done, as_json=as_json)


@command.command("definitions")
@page_options("definitions")
@json_option
def definitions(limit: int, cursor: str | None, *, as_json: bool) -> None:
    """List the definitions that the project keeps, the newest first."""
    app = _open()
    page = app.definitions.kept(app.actor, cursor, limit)
    if as_json:
        print_json(
            "ProjectDefinitions", {"definitions": [each.to_json() for each in page.items], "cursor": page.cursor}
        )
        return
    rows = [_row(each) for each in page.items]
    out(table(HEADS, rows, screen()) if rows else "no definitions; push one with: orchestrator project push")
    if page.cursor:
        note(f"more: orchestrator project definitions --cursor '{page.cursor}'")


@command.command("show")
@DIGEST
@json_option
def show(digest: str, *, as_json: bool) -> None:
    """Show a definition with its files. DIGEST is a digest or its start."""
    app = _open()
    found = app.definitions.show(app.actor, digest)
    if as_json:
        print_json("ProjectDefinition", found.to_json())
        return
    it = found.definition
    out(f"{it.digest}  {'current' if it.is_current else 'earlier'}")
    out(f"  pushed   {_time(it.pushed_at)} by {it.pushed_by}")
    if it.used_at is not None:
        out(
            f"  current  since {_time(it.used_at)} by {it.used_by}"
            if it.is_current
            else f"  used     {_time(it.used_at)}"
        )
    if it.revision is not None:
        out(f"  commit   {it.revision.commit}{' with changes that were not committed' if it.revision.dirty else ''}")
    if it.message:
        out_folded(f"  message  {it.message}")
    for name in found.credentials:
        out(f"  not in it: {name}, which each worker has in its own folder")
    out(
        table(
            ("FILE", "BYTES", "SHA-256"),
            [(each.path, str(each.size), each.sha256[:12]) for each in found.files],
            screen(),
        )
    )


@command.command("use")
@DIGEST
@MESSAGE
@json_option
def use(digest: str, message: str, *, as_json: bool) -> None:
    """Make a definition current that was pushed before, for example to undo a push. DIGEST is a digest or its start."""
    app = _open()
    current = app.definitions.current(app.actor)
    before = current.digest if current is not None else ""
    _print_change(app.definitions.make_current(app.actor, digest, before, message), as_json=as_json)


def _print_change(done: "DefinitionChange", *, as_json: bool) -> None:
    if as_json:
        print_json("DefinitionChange", done.to_json())
        return
    if done.is_unchanged:
        out(f"unchanged: {done.definition.digest[:19]} is current")
        return
    for sign, names in (("+", done.added), ("~", done.changed), ("-", done.removed)):
        shown = names if done.before else names[:SHOWN_FILES]
        for name in shown:
            out(f"  {sign} {name}")
        if len(names) > len(shown):
            out(f"  {sign} {len(names) - len(shown)} further files")
    counts = f"{len(done.added)} added, {len(done.changed)} changed, {len(done.removed)} removed"
    out(f"{done.definition.digest[:19]} is current: {counts}")


def _row(definition: "ProjectDefinition") -> tuple[str, ...]:
    commit = definition.revision.commit[:10] + ("+" if definition.revision.dirty else "") if definition.revision else ""
    state = "current" if definition.is_current else ""
    at = _time(definition.pushed_at)
    by, files = definition.pushed_by, str(definition.files)
    return definition.digest[7:19], state, at, by, files, commit, definition.message


def _time(at: object) -> str:
    from datetime import datetime

    from orchestrator.domain.moments import minute_text

    assert isinstance(at, datetime)
    return minute_text(at)
