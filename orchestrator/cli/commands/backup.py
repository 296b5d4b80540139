"""`orchestrator backup`: everything of a project's state that could not be made again, in one file."""

from pathlib import Path

import click

from orchestrator.cli.output import json_option, note, out, print_json
from orchestrator.domain.text import counted


@click.command("backup")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--logs", is_flag=True, help="Take along what the engines of all runs said.")
@json_option
def command(file: Path | None, logs: bool, as_json: bool) -> None:
    """Write the project's state into FILE (by default PROJECT-TIME.backup), also while runs are going on.

    In it are the journal, the engine's database, kept packages and plans, and Pulumi's state with its passphrase:
    keep it as secret as the state itself. It is read again before the command ends. Of a Postgres store the program
    pg_dump makes the copy.
    """
    from datetime import UTC, datetime

    from orchestrator.adapters.backup.content import Places
    from orchestrator.adapters.backup.take import take
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    try:
        app.store.runs(limit=1)  # the store is there, and of this program's schema
    finally:
        app.close()
    now = datetime.now(UTC)
    target = file or Path(f"{app.project.name}-{now:%Y%m%dT%H%M%SZ}.backup")
    at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    manifest = take(Places(app.project.name, app.state, app.store_url), target, at, logs=logs)
    size = target.stat().st_size
    if as_json:
        data = {"file": str(target), "bytes": size, "files": len(manifest.files), "made_at": manifest.made_at}
        print_json("Backup", {**data, "schema_version": manifest.schema_version, "store": manifest.store, "logs": logs})
        return
    out(str(target))
    files = counted(len(manifest.files), "file")
    note(f"{files}, {size / 2**20:.1f} MiB, schema {manifest.schema_version}, read again: whole")
