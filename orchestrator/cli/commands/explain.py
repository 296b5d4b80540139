"""`orchestrator explain`: what an error code means, and what to do about it."""

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, out, paint, print_json


@click.command("explain")
@click.argument("code", required=False, shell_complete=completing.codes)
@json_option
def command(code: str | None, as_json: bool) -> None:
    """Explain the error CODE (default: list all codes)."""
    from orchestrator.domain.errors import OrchestratorError, catalogue

    known = catalogue()
    if code is None:
        if as_json:
            codes = [{"code": e.code, "title": e.title, "exit": int(e.exit)} for e in known.values()]
            print_json("ErrorCodes", {"codes": codes})
        for entry in known.values() if not as_json else ():
            out(f"{entry.code}  {entry.title}")
        return
    if code.upper() not in known:
        raise OrchestratorError("M104", f"there is no error code {code!r}", hint="orchestrator explain lists them")
    entry = known[code.upper()]
    if as_json:
        data = {"code": entry.code, "title": entry.title, "why": entry.why, "remedy": entry.remedy}
        print_json("ErrorCode", {**data, "exit": int(entry.exit)})
        return
    out(paint(f"{entry.code}: {entry.title}", bold=True))
    out(f"\n{entry.why}\n\n{entry.remedy}\n\nExit status: {int(entry.exit)}")
