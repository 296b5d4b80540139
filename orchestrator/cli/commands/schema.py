"""`orchestrator schema`: the JSON Schema of a file, for editors."""

import click

from orchestrator.cli.output import out


@click.command("schema")
@click.argument("kind", type=click.Choice(["release", "environment", "project"]))
def command(kind: str) -> None:
    """Print the JSON Schema of a file of this KIND.

    Files that `orchestrator init` writes name their schema in their first line, where editors look for it.
    """
    import json

    from orchestrator.config.schema import schema

    out(json.dumps(schema(kind), indent=2))
