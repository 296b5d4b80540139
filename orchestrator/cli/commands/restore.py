"""`orchestrator restore`: a backup in the place of what is there."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.output import confirm, json_option, note, out, print_json, yes_option

if TYPE_CHECKING:
    from orchestrator.wiring import App


@click.command("restore")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--undo", is_flag=True, help="Put back what a restore that was interrupted had put aside.")
@yes_option
@json_option
def command(file: Path | None, undo: bool, yes: bool, as_json: bool) -> None:
    """Put the backup FILE in the place of the project's state: all of it, or nothing.

    Refused while somebody works on a run. The state that was there is kept beside it, in the folder whose name is
    printed. Hosts are not touched: what runs there may be newer than what the restored journal knows.
    """
    import os
    from datetime import UTC, datetime

    from orchestrator.adapters.backup import restore
    from orchestrator.adapters.backup.content import Places
    from orchestrator.config import find_project
    from orchestrator.wiring import App

    if (file is None) is not undo:
        raise click.UsageError("give either a FILE or --undo")
    app = App(find_project(Path.cwd()), os.environ)
    places = Places(app.project.name, app.state, app.store_url)
    _refuse_while_working(app)
    if file is None:
        done = restore.undo(places)
        if as_json:
            print_json("RestoreUndo", {"undone": done})
        else:
            out("the state is as it was before the restore" if done else "no restore was interrupted here")
        return
    manifest = restore.inspect(places, file)
    unfinished = _unfinished(app)
    if unfinished:
        note(f"not ended, and unknown afterwards unless the backup has them: {', '.join(unfinished)}")
    confirm(f"Replace the state of {app.project.name} by that of {manifest.made_at}?", yes)
    kept = restore.restore(places, file, f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    if as_json:
        data = {"file": str(file), "made_at": manifest.made_at, "files": len(manifest.files), "kept": str(kept)}
        print_json("Restore", data)
        return
    out(f"restored: the state of {manifest.made_at}, {len(manifest.files)} files")
    out(f"what was there is kept in {kept}")


def _refuse_while_working(app: "App") -> None:
    """Raises S132 when any process works on a run, as far as the locks and the store can tell."""
    from orchestrator.adapters.backup.restore import worked_on
    from orchestrator.domain.errors import OrchestratorError

    working = worked_on(app.state)
    try:
        open_runs = [] if working else [run for run in app.store.runs() if not run.ended]
        working += [run.id for run in open_runs if app.engine.working(run.root)]
    except OrchestratorError as error:
        note(f"the present store cannot be asked: {error.message}")
    finally:
        _close(app)
    if working:
        raise OrchestratorError("S132", f"somebody is working on {', '.join(working)}")


def _unfinished(app: "App") -> list[str]:
    """The runs that have not ended; none when the store cannot be asked."""
    from orchestrator.domain.errors import OrchestratorError

    try:
        return [run.id for run in app.store.runs() if not run.ended]
    except OrchestratorError:
        return []
    finally:
        _close(app)


def _close(app: "App") -> None:
    """Close what was opened, so that files can be moved and the next look is at what is there then."""
    app.close()
    for part in ("engine", "store"):
        app.__dict__.pop(part, None)
