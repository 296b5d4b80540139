"""`orchestrator backup`: everything of a project's state that could not be made again, in one file."""

from pathlib import Path

import click

from orchestrator.cli.output import json_option, note, out, print_json
from orchestrator.cli.passphrase import passphrase_option, read_passphrase, required
from orchestrator.domain.text import counted


@click.command("backup")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@passphrase_option
@click.option(
    "--with-secrets",
    is_flag=True,
    help="Include the project key, the passphrase of the stacks and secret controller files.",
)
@click.option("--logs", is_flag=True, help="Include the output of the engines of all runs.")
@json_option
def command(file: Path | None, passphrase_file: Path | None, with_secrets: bool, logs: bool, as_json: bool) -> None:
    """Write the project's state into FILE (default: PROJECT-TIME.backup), also while runs are active.

    The backup contains the journal, the engine's database, kept packages and plans, and Pulumi's state. It is
    authenticated with the passphrase: a restore refuses a file that was changed. It is not encrypted. The project key,
    the passphrase of the stacks and secret controller files are included with --with-secrets only. Without them a
    restore needs these files separately. The file is read again before the command ends. pg_dump copies a Postgres
    store.
    """
    from datetime import UTC, datetime

    from orchestrator.app.opening import open_application

    passphrase = read_passphrase(required(passphrase_file))
    app = open_application(Path.cwd())
    now = datetime.now(UTC)
    target = file or Path(f"{app.project.name}-{now:%Y%m%dT%H%M%SZ}.backup")
    at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    try:
        app.require_store()  # the store exists, and has this program's schema
        manifest = app.maintenance.back_up(app.actor, target, at, passphrase, logs=logs, secrets=with_secrets)
    finally:
        app.close()
    size = target.stat().st_size
    if as_json:
        data = {"file": str(target), "bytes": size, "files": len(manifest.files), "made_at": manifest.made_at}
        data |= {"schema_version": manifest.schema_version, "store": manifest.store, "logs": logs}
        print_json("Backup", {**data, "withheld": [item.name for item in manifest.withheld]})
        return
    out(str(target))
    files = counted(len(manifest.files), "file")
    note(f"{files}, {size / 2**20:.1f} MiB, schema {manifest.schema_version}, read again: whole")
    for item in manifest.withheld:
        note(f"not in the backup: {app.withheld.place(item)}. Keep a copy elsewhere, or use --with-secrets")
