"""`orchestrator package`: what is in a sealed file, whether it is whole, and what differs between two."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import json_option, note, out, paint, print_json, table
from orchestrator.domain.error_codes import PROJECT_NOT_FOUND
from orchestrator.domain.text import counted, in_number_order

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.domain.package_comparison import Comparison
    from orchestrator.domain.release import Package, PackageFile


SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


@click.group("package", cls=SubcommandGroup)
def command() -> None:
    """List, show, verify, remove and compare packages.

    A PACKAGE is a sealed file, or a package that this project keeps: NAME-VERSION, its version, or the first characters
    of its digest. The name of an environment selects the release that was verified last in it.
    """


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the packages that this project keeps."""
    from orchestrator.app.opening import open_application

    app = open_application(Path.cwd())
    kept = app.releases.kept(app.actor)
    refs = sorted(kept.refs, key=lambda ref: (ref.name, in_number_order(ref.version), ref.digest))
    here, strange = {digest: str(count) for digest, count in kept.files.items()}, list(kept.strange_names)
    if as_json:
        print_json("PackageList", {"packages": [ref.to_json() for ref in refs], "strange_names": strange})
    elif refs:
        plain = {ref.digest: ref.digest.removeprefix("sha256:") for ref in refs}
        rows = [[ref.name, ref.version, plain[ref.digest][:12], here.get(ref.digest, "–")] for ref in refs]
        out(table(["name", "version", "digest", "files"], rows))
    else:
        out("no package is kept here yet; orchestrator build makes one")
    if not as_json:
        for name in strange:
            note(f"warning: {name} in the artifact store is not the name of a package, and is left out")


@command.command("show")
@click.argument("package")
@json_option
def show(package: str, as_json: bool) -> None:
    """Show the content of PACKAGE: its release, its Git revision, and every file with its digest, by area."""
    read = _read(package)
    manifest = read.manifest
    if as_json:
        content = {"digest": read.digest, "file": read.path, "manifest": manifest.to_json()}
        print_json("PackageContent", {**content, "revision": read.revision and read.revision.to_json()})
        return
    from orchestrator.domain.release_steps import ImplementationStep

    release = manifest.release
    out(f"{paint(str(read.ref), bold=True)}  {read.digest}")
    out(f"  {release.description or '(no description)'}")
    out(f"  environments: {', '.join(release.environments)}")
    if read.revision is not None:
        out(f"  commit: {read.revision.commit}{' (the project had uncommitted changes)' * read.revision.dirty}")
    for step in release.steps:
        if isinstance(step, ImplementationStep):
            out(f"  step {step.name}: implementation plan {step.implementation}, undo: {step.undo}")
            continue
        out(f"  step {step.name}: {step.playbook} on {step.hosts}, undo: {step.undo or 'by the last verified release'}")
    for suite in release.verify:
        out(f"  verify {suite.name}: {suite.tests}")
    for named in release.package.key_material:
        out(paint(f"  key material: {named.path} ({named.reason})", fg="yellow"))
    for area in manifest.areas():
        files = [file for file in manifest.files if file.area == area]
        out(f"\n{paint(area, bold=True)}: {len(files)} files, {sum(file.size for file in files)} bytes")
        out(table(["file", "bytes", "sha256", ""], [_row(file) for file in files]))


def _row(file: "PackageFile") -> list[str]:
    mark = f"→ {file.link}" if file.link is not None else "x" if file.executable else ""
    return [file.path, str(file.size), file.sha256[:12], mark]


@command.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--keep", is_flag=True, help="Keep the package in this project's store as well.")
@json_option
def verify(file: Path, keep: bool, as_json: bool) -> None:
    """Read the sealed FILE strictly: every name, every size, every digest. Nothing is written without --keep."""
    if keep:
        from orchestrator.app.opening import open_application

        app = open_application(Path.cwd())
        read = app.releases.keep(app.actor, file)
    else:
        read = _sealed(file)
    if as_json:
        print_json("PackageVerification", {"release": read.ref.to_json(), "file": str(file), "kept": keep})
        return
    files = counted(len(read.manifest.files), "file")
    out(f"{paint('✔', fg='green')} {read.ref}  {read.digest}  {files}{' kept' * keep}")


@command.command("remove")
@click.argument("package")
@json_option
def remove(package: str, as_json: bool) -> None:
    """Remove PACKAGE from this project's store, and its file in dist/.

    Only a package that no environment has seen can be removed: no run with it had an effect, and neither a host nor a
    request in a queue uses it. No run request, train or planned release that has not ended may have it either. If
    several machines share packages, it is removed for all of them.
    """
    from orchestrator.app.opening import open_application

    app = open_application(Path.cwd())
    ref, published = app.releases.remove(app.actor, package)
    if as_json:
        print_json("PackageRemoval", {"release": ref.to_json(), "published": published})
        return
    out(f"removed {ref}  {ref.digest}{', with its file in dist/' * published}")


@command.command("diff")
@click.argument("before")
@click.argument("after")
@json_option
def diff(before: str, after: str, as_json: bool) -> None:
    """Show the differences between packages BEFORE and AFTER: fields of the release, files by area, and Git commits.

    Each may be the name of an environment instead, for the release that was verified last in it:
    `package diff production shop-1.4.0`. Commits are shown if both packages recorded a revision and the project's
    repository has it.
    """
    from orchestrator.app.opening import this_machine

    app = _app()
    root = app.root if app is not None else None
    found = this_machine().package_files.compare(_file(before), _file(after), root)
    if as_json:
        print_json("PackageComparison", found.to_json())
        return
    _print(found)


def _print(found: "Comparison") -> None:
    out(f"{paint(str(found.before), bold=True)} → {paint(str(found.after), bold=True)}")
    _print_commits(found)
    if not found.fields and not found.files:
        out("the packages are the same")
    for field in found.fields:
        out(f"{paint('~', fg='yellow')} {field.field}: {_value(field.before)} → {_value(field.after)}")
    for area in sorted({file.area for file in found.files}):
        files = [file for file in found.files if file.area == area]
        out(f"\n{paint(area, bold=True)}: {counted(len(files), 'file')}")
        for file in files:
            sign, colour = SIGNS[file.change]
            out(f"{paint(sign, fg=colour)} {file.path}")
            for line in file.diff or ():
                out(paint(f"    {line}", fg={"+": "green", "-": "red"}.get(line[:1])))


def _print_commits(found: "Comparison") -> None:
    """The commits in which the packages differ, and which package has changes that no commit has."""
    for ref, revision in zip((found.before, found.after), found.revisions, strict=True):
        if revision is not None and revision.dirty:
            out(f"{paint('!', fg='yellow')} {ref} was built with uncommitted changes on {revision.commit[:12]}")
    if found.commits is None:
        if any(found.revisions):
            out(f"commits: unknown, because {found.commits_unknown}")
        return
    out(f"commits: {len(found.commits) or 'none'}")
    for commit in found.commits:
        sign, colour = SIGNS[commit.change]
        out(f"{paint(sign, fg=colour)} {commit.commit[:12]}  {commit.at[:10]}  {commit.author}  {commit.subject}")


def _value(value: object) -> str:
    return "(absent)" if value is None else str(value)


def _app() -> "Application | None":
    from orchestrator.app.opening import open_application
    from orchestrator.domain.errors import OrchestratorError

    try:
        return open_application(Path.cwd())
    except OrchestratorError as error:
        if error.code != PROJECT_NOT_FOUND:
            raise
        return None


def _file(wanted: str) -> Path:
    """The sealed file that *wanted* means. Outside a project only files can be meant."""
    path = Path(wanted)
    if path.is_file():
        return path
    app = _app()
    if app is None:
        from orchestrator.domain.errors import OrchestratorError

        raise OrchestratorError("R106", f"there is no file {wanted!r}, and no project here that could keep a package")
    return Path(app.releases.package(app.actor, _verified_in(app, wanted) or wanted, publish=False).path)


def _verified_in(app: "Application", wanted: str) -> str | None:
    """The digest of the last verified release of the environment *wanted*; None if it is not one. Raises R106."""
    if wanted not in app.environments:
        return None
    from orchestrator.domain.errors import OrchestratorError

    release = app.queries.last_verified(app.actor, wanted)
    if release is None:
        raise OrchestratorError("R106", f"no release has been verified in {wanted}")
    return release.digest


def _sealed(file: Path) -> "Package":
    from orchestrator.app.opening import this_machine

    return this_machine().package_files.read(file)


def _read(wanted: str) -> "Package":
    return _sealed(_file(wanted))
