"""`orchestrator engine`: find or install the Pulumi engine."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import confirm, json_option, note, out, print_json, yes_option

if TYPE_CHECKING:
    from orchestrator.domain.vendor_archive import VendorArchive


@click.group("engine", cls=SubcommandGroup)
def command() -> None:
    """Find or install the Pulumi engine.

    Used in this order: the engine that ORCHESTRATOR_PULUMI names, one on PATH or in Pulumi's home (3.226.1 or newer),
    the one in the cache.
    """


@command.command("status")
@json_option
def status(as_json: bool) -> None:
    """Show which engine would be used."""
    from orchestrator.app.opening import this_machine

    found = this_machine().pulumi.find()
    if as_json:
        print_json("Engine", {"path": str(found.path), "version": found.version, "source": found.source})
    else:
        out(f"Pulumi {found.version} at {found.path} (from {found.source})")


@command.command("install")
@click.option(
    "--from",
    "way",
    type=click.Choice(["source", "installer"]),
    default="source",
    show_default=True,
    help="Build from pinned Go modules, or use the vendor's archive, which needs --sha256.",
)
@click.option("--sha256", metavar="HEX", help="The SHA-256 that the vendor's archive must have.")
@click.option(
    "--archive",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The vendor's archive as a local file (default: download it).",
)
@click.option("--force", is_flag=True, help="Install an engine even if a usable one exists.")
@click.option(
    "--runtime",
    type=click.Choice(["yaml"]),
    help="Also build the language host for programs of this runtime (default: Python only).",
)
@yes_option
@json_option
def install(
    way: str,
    sha256: str | None,
    archive: Path | None,
    force: bool,
    runtime: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Install an engine into the cache, unless a usable one exists. Nothing outside the cache is changed.

    The engine is built from its Go modules, which are compared with the digests in go.sum. The vendor's archive is
    used only with --from installer and --sha256; no script of the vendor is run.
    """
    from orchestrator.app.opening import this_machine
    from orchestrator.domain.errors import OrchestratorError

    pulumi = this_machine().pulumi
    vendor = _vendor(way, sha256, archive)
    found = None
    if not force:
        try:
            found = pulumi.find()
        except OrchestratorError:
            found = None
    if found is None:
        confirm(f"Install Pulumi {pulumi.version} into {pulumi.cache}?", yes)
        found = pulumi.install(note, vendor, force=force)
    if runtime is not None:
        confirm(f"Build the language host for {runtime} programs into {pulumi.cache}?", yes)
        note(f"{pulumi.install_host(note, runtime)} is installed")
    if as_json:
        print_json("Engine", {"path": str(found.path), "version": found.version, "source": found.source})
    else:
        out(f"Pulumi {found.version} at {found.path}")


def _vendor(way: str, sha256: str | None, archive: Path | None) -> "VendorArchive | None":
    """The vendor's archive that the options mean; None: the engine is built from source."""
    from orchestrator.domain.vendor_archive import VendorArchive

    if way == "source":
        if sha256 is not None or archive is not None:
            raise click.UsageError("--sha256 and --archive are for --from installer")
        return None
    if sha256 is None:
        raise click.UsageError("--from installer needs --sha256 HEX: the digest that the vendor publishes")
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", sha256):
        raise click.UsageError("--sha256 must have 64 hexadecimal digits")
    return VendorArchive(sha256, archive)
