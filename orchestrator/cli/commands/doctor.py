"""`orchestrator doctor`: everything that can be wrong with a machine and a project, with a remedy for each."""

from pathlib import Path

import click

from orchestrator.cli.output import json_option, out, paint, print_json

SIGNS = {"ok": ("✔", "green"), "warning": ("!", "yellow"), "problem": ("✘", "red")}


@click.command("doctor")
@json_option
def command(as_json: bool) -> int:
    """Check this machine, and the project around the current folder. Changes nothing.

    Ends with 1 if a problem would prevent a promotion; warnings do not count.
    """
    import os

    from orchestrator.app.diagnosis import examine
    from orchestrator.cli.commands.whoami import LOCAL
    from orchestrator.cli.words import when
    from orchestrator.domain.errors import Exit

    found = examine(Path.cwd(), os.environ, when)
    if as_json:
        print_json("Doctor", {"checks": [check.to_json() for check in found]})
    for check in found if not as_json else ():
        sign, colour = SIGNS[check.level]
        out(f"{paint(sign, fg=colour)} {check.name:<22} {check.says}")
        if check.remedy and check.level != "ok":
            out(f"  {'':<22} → {check.remedy}")
    if not as_json and any(check.name == "state folder" for check in found):
        out(LOCAL)
    return int(Exit.FAILED if any(check.level == "problem" for check in found) else Exit.OK)
