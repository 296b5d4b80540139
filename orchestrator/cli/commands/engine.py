"""`orchestrator engine`: find or install the Pulumi engine."""

import click

from orchestrator.cli.output import confirm, json_option, note, out, print_json, yes_option


@click.group("engine")
def command() -> None:
    """Find or install the Pulumi engine.

    Taken in this order: the one that ORCHESTRATOR_PULUMI names, one on PATH or in Pulumi's home (3.226.1 or newer),
    the one in our cache.
    """


@command.command("status")
@json_option
def status(as_json: bool) -> None:
    """Show which engine would be used."""
    import os

    from orchestrator.adapters.pulumi import engine

    found = engine.find(os.environ)
    if as_json:
        print_json("Engine", {"path": str(found.path), "version": found.version, "source": found.source})
    else:
        out(f"Pulumi {found.version} at {found.path} (from {found.source})")


@command.command("install")
@click.option(
    "--from",
    "way",
    type=click.Choice(["any", "installer", "source"]),
    default="any",
    show_default=True,
    help="Pulumi's own installer, or a build from its pinned Go modules; by default the first that works.",
)
@click.option("--force", is_flag=True, help="Install one again even when a usable one is there.")
@click.option(
    "--runtime",
    type=click.Choice(["yaml"]),
    help="Also build the language host for programs of this runtime (default: Python only).",
)
@yes_option
@json_option
def install(way: str, force: bool, runtime: str | None, yes: bool, as_json: bool) -> None:
    """Put an engine into our cache, unless a usable one is there. Nothing outside the cache is changed."""
    import os

    from orchestrator.adapters.pulumi import engine
    from orchestrator.domain.errors import OrchestratorError

    found = None
    if not force:
        try:
            found = engine.find(os.environ)
        except OrchestratorError:
            found = None
    if found is None:
        confirm(f"Install Pulumi {engine.VERSION} into {engine.cache(os.environ)}?", yes)
        found = engine.install(os.environ, note, way, force=force)
    if runtime is not None:
        confirm(f"Build the language host for {runtime} programs into {engine.cache(os.environ)}?", yes)
        note(f"{engine.install_host(os.environ, note, runtime)} is installed")
    if as_json:
        print_json("Engine", {"path": str(found.path), "version": found.version, "source": found.source})
    else:
        out(f"Pulumi {found.version} at {found.path}")
