"""Write the pages that are made from the program itself; `--check` only prints which are not up to date.

docs/reference/commands.md   every command, argument and option
docs/reference/errors.md     every error code
docs/reference/routes.md     every route of the server
docs/life-of-a-promotion.md  the diagram, between two marks
docs/life-of-a-run-request.md  the diagram of a run request, and the tables of roles and risk
docs/reference/change-requests.md  the diagram of a change request, and its table of risk
docs/reference/bookings.md   the diagram of a booking
docs/reference/planned-releases.md  the diagram of a planned release
docs/reference/implementation-plans.md  the diagrams of an implementation plan and of its tasks
docs/reference/hooks.md           the diagram of a delivery
docs/reference/release-trains.md  the diagrams of a train, of a package aboard and of a run
docs/reference/reviews.md    the diagrams of a review and of an action
docs/schemas/*.json          the files' and documents' schemas
"""

import json
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from orchestrator.cli import COMMANDS, cli
from orchestrator.config.schema import MODELS, schema
from orchestrator.documents.project import MODELS as DOCUMENTS
from orchestrator.documents.project import document_schema
from orchestrator.domain.access.actions import BUILT_IN, Action
from orchestrator.domain.approval.request_state import REQUEST_TABLE, RequestState
from orchestrator.domain.errors import Exit, catalogue
from orchestrator.domain.promotion import TABLE, State
from orchestrator.domain.risk.assessment import FACTORS
from orchestrator.management.bookings.state import BOOKING_TABLE
from orchestrator.management.change_requests.risk import FACTORS as CHANGE_FACTORS
from orchestrator.management.change_requests.state import CHANGE_REQUEST_TABLE
from orchestrator.management.hooks.state import DELIVERY_TABLE
from orchestrator.management.implementation_plans.state import IMPLEMENTATION_TABLE, TASK_TABLE
from orchestrator.management.planned_releases.state import PLANNED_RELEASE_TABLE
from orchestrator.management.reviews.state import ACTION_TABLE, REVIEW_TABLE
from orchestrator.management.trains.state import BOARDING_TABLE, TRAIN_RUN_TABLE, TRAIN_TABLE

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tools.docs.routes import routes

DOCS = Path(__file__).resolve().parents[2] / "docs"
FAMILIES = {
    "A": "access, approvals, calendar and audit",
    "N": "the server",
    "G": "release management",
    "F": "files that users write",
    "P": "packages",
    "E": "environments: Pulumi and hosts",
    "D": "deploying: Ansible",
    "V": "verifying: testinfra",
    "R": "plans, promotions and rollbacks",
    "S": "the store",
    "I": "isolation of processes",
    "M": "the machine and the command line",
}
BEGIN, END = "<!-- diagram: made by `make docs` -->", "<!-- end of the diagram -->"


def pages() -> Iterator[tuple[Path, str]]:
    """Every page that is made, with its text."""
    yield DOCS / "reference" / "commands.md", commands()
    yield DOCS / "reference" / "errors.md", errors()
    yield DOCS / "reference" / "routes.md", routes()
    yield _between_marks("life-of-a-promotion.md", diagram(TABLE, State.REQUESTED))
    tables = "\n".join([diagram(REQUEST_TABLE, RequestState.WAITING), roles(), "", risk_table(), ""])
    yield _between_marks("life-of-a-run-request.md", tables)
    changes = [diagram(CHANGE_REQUEST_TABLE.moves, CHANGE_REQUEST_TABLE.initial), change_risk_table()]
    yield _between_marks("reference/change-requests.md", "\n".join([*changes, ""]))
    yield _between_marks("reference/bookings.md", diagram(BOOKING_TABLE.moves, BOOKING_TABLE.initial) + "\n")
    planned = diagram(PLANNED_RELEASE_TABLE.moves, PLANNED_RELEASE_TABLE.initial)
    yield _between_marks("reference/planned-releases.md", planned + "\n")
    made = [diagram(table.moves, table.initial) for table in (IMPLEMENTATION_TABLE, TASK_TABLE)]
    yield _between_marks("reference/implementation-plans.md", "\n".join([*made, ""]))
    trains = [diagram(table.moves, table.initial) for table in (TRAIN_TABLE, BOARDING_TABLE, TRAIN_RUN_TABLE)]
    yield _between_marks("reference/release-trains.md", "\n".join([*trains, ""]))
    yield _between_marks("reference/hooks.md", diagram(DELIVERY_TABLE.moves, DELIVERY_TABLE.initial) + "\n")
    reviews = [diagram(table.moves, table.initial) for table in (REVIEW_TABLE, ACTION_TABLE)]
    yield _between_marks("reference/reviews.md", "\n".join([*reviews, ""]))
    for kind in MODELS:
        yield DOCS / "schemas" / f"{kind}.json", json.dumps(schema(kind), indent=2) + "\n"
    for kind in DOCUMENTS:
        yield DOCS / "schemas" / f"{kind}.json", json.dumps(document_schema(kind), indent=2) + "\n"


def commands() -> str:
    """The reference of commands."""
    lines = [
        "# Commands",
        "",
        "Data goes to standard output, progress to standard error. `--json` writes one JSON document with",
        "`apiVersion` and `kind`. Each command ends with an [exit code](exit-codes.md).",
        "",
        "A moment is a time with an offset (`2026-12-24T18:00:00Z`), `now`, or a time from now (`+3d`, `+90m`).",
        "",
        "Options before the command:",
        "",
        "| option | |",
        "| --- | --- |",
        *_global_options(),
    ]
    for section, names in COMMANDS.items():
        lines += ["", f"## {section}"]
        for name in names:
            command = import_module(f"orchestrator.cli.commands.{name.replace('-', '_')}").command
            lines += _command(command, f"orchestrator {name}")
    return "\n".join(lines) + "\n"


def _global_options() -> Iterator[str]:
    """The rows of the options that are written before the command."""
    context = click.Context(cli)
    for option in cli.get_params(context):
        if record := option.get_help_record(context):
            yield _row(record)


def _row(record: tuple[str, str]) -> str:
    return f"| `{record[0]}` | {record[1].replace('|', '/')} |".replace("|DIGEST`", "/DIGEST`")


def _command(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield from ("", f"### `{path}`", "", f"    {usage}", "", *_text(command.help or ""))
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    if options:
        yield ""
        yield "| option | |"
        yield "| --- | --- |"
        for option in options:
            record = option.get_help_record(context)
            if record:
                yield _row(record)
    if isinstance(command, click.Group):
        for name, sub in command.commands.items():
            yield from _command(sub, f"{path} {name}")


def _text(text: str) -> list[str]:
    """A command's help, its paragraphs as they are; what click does not fold is a code block."""
    lines, indent = [], ""
    for line in text.strip().splitlines():
        indent = "    " if line.strip(" ") == "\b" else indent if line.strip() else ""
        if line.strip(" ") != "\b":
            lines.append(f"{indent}{line.strip()}".rstrip())
    return lines


def errors() -> str:
    """The reference of error codes."""
    lines = ["# Error codes", "", "`orchestrator explain CODE` prints the same. Codes are stable."]
    family = ""
    for entry in catalogue().values():
        if entry.code[0] != family:
            family = entry.code[0]
            lines += ["", f"## {family}: {FAMILIES[family]}"]
        lines += ["", f"### {entry.code}", "", f"**{entry.title}** (exit {int(entry.exit)}, {_words(entry.exit)})", ""]
        lines += [entry.why, "", entry.remedy]
    return "\n".join(lines) + "\n"


def _words(code: Exit) -> str:
    return code.name.lower().replace("_", " ")


def _between_marks(name: str, made: str) -> tuple[Path, str]:
    """The page called *name* with *made* between its two marks."""
    page = DOCS / name
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    return page, f"{before}{BEGIN}\n\n{made}\n{END}{rest.partition(END)[2]}"


def diagram(table: Mapping[Any, Mapping[Any, Any]], first: StrEnum) -> str:
    """The states of *table* as a Mermaid diagram, and the same as a table."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {_id(first)}"]
    lines += [f'    state "{state.value}" as {_id(state)}' for state in type(first) if " " in state.value]
    for state, moves in table.items():
        lines += [f"    {_id(state)} --> {_id(after)}: {event.value}" for event, after in moves.items()]
    lines += [f"    {_id(state)} --> [*]" for state in type(first) if not table[state]]
    lines += ["```", "", "| state | event | next state |", "| --- | --- | --- |"]
    for state, moves in table.items():
        lines += [f"| {state.value} | {event.value} | {after.value} |" for event, after in moves.items()]
    return "\n".join([*lines, ""])


def _id(state: StrEnum) -> str:
    return state.value.replace(" ", "_")


def roles() -> str:
    """The built-in roles and their actions as a table."""
    lines = [f"| action | {' | '.join(BUILT_IN)} |", f"| --- |{' --- |' * len(BUILT_IN)}"]
    for action in Action:
        cells = ["yes" if action in actions else "" for actions in BUILT_IN.values()]
        lines.append(f"| `{action.value}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def risk_table() -> str:
    """The factors of the risk as a table."""
    rows = [f"| {factor.name} | {factor.most} | {factor.rule} |" for factor in FACTORS]
    return "\n".join(["| factor | at most | points |", "| --- | --- | --- |", *rows])


def change_risk_table() -> str:
    """The factors of the risk of a change request as a table."""
    rows = [f"| {factor.name} | {factor.most} | {factor.rule} |" for factor in CHANGE_FACTORS]
    return "\n".join(["| factor | at most | points |", "| --- | --- | --- |", *rows])


def main() -> int:
    """Write the pages, or with `--check` name those that are not up to date."""
    check, old = "--check" in sys.argv[1:], []
    for path, text in pages():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        old.append(path.relative_to(DOCS.parent).as_posix())
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in old:
        print(f"{'not up to date' if check else 'written'}: {name}")
    if check and old:
        print("make docs writes them again")
    return 1 if check and old else 0


if __name__ == "__main__":
    sys.exit(main())
