"""`orchestrator schema`: the JSON Schema of a file, for editors, or of the output of a command."""

import click

from orchestrator.cli.output import out

FILES = ("release", "environment", "project", "implementation")
SAID = ("status", "matrix", "run", "plan", "rollback-plan", "wave-plan")


@click.command("schema")
@click.argument("kind", type=click.Choice([*FILES, *SAID]))
def command(kind: str) -> None:
    """Print the JSON Schema of a kind of file, or of the --json output of a command.

    Files that `orchestrator init` writes name their schema in their first line, for editors.
    """
    import json

    from orchestrator.app.project_files import file_schema
    from orchestrator.documents.project import MODELS, document_schema

    out(json.dumps(document_schema(kind) if kind in MODELS else file_schema(kind), indent=2))
