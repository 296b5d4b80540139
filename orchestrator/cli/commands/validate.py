"""`orchestrator validate`: the files of a project or a release."""

from pathlib import Path

import click

from orchestrator.cli.output import folded, json_option, note, out, paint, print_json


@click.command("validate")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@json_option
def command(paths: tuple[Path, ...], as_json: bool) -> int:
    """Check each PATH (default: the whole project around the current folder).

    All errors are printed at once, each with its code, line and column. Nothing is run.
    """
    from orchestrator.app.file_checks import check_paths, check_project
    from orchestrator.cli.report import diagnostic, warn
    from orchestrator.domain.errors import Exit
    from orchestrator.domain.text import counted

    checked, errors, warnings = check_paths(paths) if paths else check_project(Path.cwd())
    if as_json:
        data = {
            "files": checked,
            "errors": [error.to_json() for error in errors],
            "warnings": [warning.to_json() for warning in warnings],
        }
        print_json("Validation", data)
        return int(errors[0].exit if errors else Exit.OK)
    for warning in warnings:
        warn(warning)
    for error in errors:
        note(diagnostic(error) + "\n")
    if errors:
        note(f"{len(errors)} error{'s' * (len(errors) > 1)} in {counted(len(checked), 'file')}")
        return int(errors[0].exit)
    summary = f"{counted(len(checked), 'file')} {'is' if len(checked) == 1 else 'are'} valid"
    for line in folded(f"{paint('✔', fg='green')} {summary}: {', '.join(checked)}", indent=2):
        out(line)
    return int(Exit.OK)
