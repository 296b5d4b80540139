"""`orchestrator train`: release trains, and the lines that they run on."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import completing
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import confirm, json_option, note, out, out_folded, page_options, print_json, screen, table
from orchestrator.cli.register_options import MOMENT
from orchestrator.cli.train_options import (
    line_argument,
    line_draft,
    line_fields,
    line_options,
    train_argument,
    train_reason_option,
)
from orchestrator.cli.trains import (
    HEADS,
    LINE_HEADS,
    line_row,
    print_line,
    print_train,
    prognosis_lines,
    train_item,
    train_row,
)

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication


@click.group("train", cls=SubcommandGroup)
def command() -> None:
    """Run release trains: packages that leave together and arrive together, or not at all.

    Packages board a train until its cut-off. At the departure its membership is recorded. The set goes from stop to
    stop, and is verified together at each. If one package fails at a stop, all of them are rolled back at this stop.
    """


@command.group("line", cls=SubcommandGroup)
def line_() -> None:
    """Add, edit, list and remove train lines: stops, a cadence or dates, and the cut-off."""


def _open() -> "ManagedApplication":
    from orchestrator.management.application import open_managed

    return open_managed(Path.cwd())


def _print_line(name: str, *, as_json: bool) -> None:
    from orchestrator.management.trains.queries import show_line

    line, coming = show_line(_open().acting, name)
    print_line(line, coming, as_json=as_json)


@line_.command("add")
@click.argument("line", metavar="LINE")
@line_options
@json_option
def line_add(line: str, as_json: bool, **fields: Any) -> None:
    """Add a line called LINE. Its trains promote with your rights."""
    from orchestrator.management.trains.line_decisions import add_line

    add_line(_open().acting, line_draft(line, fields))
    _print_line(line, as_json=as_json)


@line_.command("edit")
@line_argument
@line_options
@train_reason_option()
@json_option
def line_edit(line: str, message: str, as_json: bool, **fields: Any) -> None:
    """Change LINE. Lists are replaced. Trains that exist stay as they are."""
    from orchestrator.management.trains.line_decisions import edit_line

    given = line_fields(fields)
    if not given:
        raise click.UsageError("give at least one field to change, for example --boarding 4h")
    edit_line(_open().acting, line, given, message.strip())
    _print_line(line, as_json=as_json)


@line_.command("remove")
@line_argument
@train_reason_option()
@click.option("--yes", is_flag=True, help="Do not prompt.")
@json_option
def line_remove(line: str, message: str, yes: bool, as_json: bool) -> None:
    """Remove LINE. One with trains is archived: it keeps them, and gets no further ones."""
    from orchestrator.management.trains.line_decisions import remove_line

    app = _open()
    confirm(f"Remove the train line {line}?", yes)
    print_line(remove_line(app.acting, line, message.strip()), (), as_json=as_json)


@line_.command("list")
@click.option("--all", "archived", is_flag=True, help="Include lines that are archived.")
@json_option
def line_list(archived: bool, as_json: bool) -> None:
    """List the train lines."""
    from orchestrator.management.trains.queries import list_lines

    found = list_lines(_open().acting, archived=archived)
    if as_json:
        print_json("TrainLines", {"lines": [line.to_json() for line in found]})
        return
    if not found:
        out("there are no train lines; add one with: orchestrator train line add LINE --stop ENV --start TIME")
        return
    out(table(LINE_HEADS, [line_row(each) for each in found], screen()))


@line_.command("show")
@line_argument
@json_option
def line_show(line: str, as_json: bool) -> None:
    """Show LINE with its next departures."""
    _print_line(line, as_json=as_json)


@command.command("create")
@line_argument
@click.option("--at", type=MOMENT, metavar="TIME", help="The departure (default: the next one without a train).")
@json_option
def create(line: str, at: datetime | None, as_json: bool) -> None:
    """Make a train of LINE. A worker makes the train of each next departure automatically."""
    from orchestrator.management.trains.decisions import create_train

    print_train(create_train(_open().acting, line, at), as_json=as_json)


@command.command("edit")
@train_argument
@click.option("--at", type=MOMENT, metavar="TIME", help="The departure. Boarding closes as long before it as it did.")
@click.option("--boarding-until", type=MOMENT, metavar="TIME", help="The time at which boarding closes.")
@train_reason_option()
@json_option
def edit(train: str, at: datetime | None, boarding_until: datetime | None, message: str, as_json: bool) -> None:
    """Move the departure of TRAIN, or its cut-off. Boarding opens again."""
    from orchestrator.management.trains.decisions import TrainChange, edit_train

    if at is None and boarding_until is None:
        raise click.UsageError("give --at or --boarding-until")
    print_train(edit_train(_open().acting, train, TrainChange(at, boarding_until), message.strip()), as_json=as_json)


@command.command("list")
@click.option("--all", "ended", is_flag=True, help="Include trains that have ended.")
@page_options("trains")
@json_option
def list_(ended: bool, limit: int, cursor: str | None, as_json: bool) -> None:
    """List the trains by their departures."""
    from orchestrator.management.trains.queries import list_trains

    page = list_trains(_open().acting, ended=ended, cursor=cursor, limit=limit)
    if as_json:
        print_json("Trains", {"trains": [train_item(each) for each in page.items], "cursor": page.cursor})
        return
    if not page.items:
        out("there are no trains; make one with: orchestrator train create LINE")
        return
    out(table(HEADS, [train_row(each) for each in page.items], screen()))
    if page.cursor:
        note(f"more: orchestrator train list --cursor '{page.cursor}'")


@command.command("show")
@train_argument
@click.option("--refresh", is_flag=True, help="Do what is due first, as a worker does.")
@json_option
def show(train: str, refresh: bool, as_json: bool) -> None:
    """Show TRAIN, or the next train of a line: its packages, stops and runs."""
    from orchestrator.management.trains.duties import advance_trains
    from orchestrator.management.trains.queries import show_train

    app = _open()
    if refresh:
        for text in advance_trains(app.acting, app.train_sources):
            note(text)
    print_train(show_train(app.acting, train), as_json=as_json)


@command.command("board")
@train_argument
@click.argument("package", metavar="PACKAGE", shell_complete=completing.releases)
@click.option("--after", multiple=True, metavar="NAME", help="A package that it comes after. May be repeated.")
@click.option("--late", is_flag=True, help="Board after the cut-off. The reason is required.")
@train_reason_option()
@json_option
def put_aboard(train: str, package: str, after: tuple[str, ...], late: bool, message: str, as_json: bool) -> None:
    """Put PACKAGE, such as shop-1.5.0, aboard TRAIN, in place of another version of it."""
    from orchestrator.management.trains.decisions import board_train

    app = _open()
    why = message.strip() if late else ""
    print_train(board_train(app.acting, train, package, app.train_sources, after, why), as_json=as_json)


@command.command("leave")
@train_argument
@click.argument("package", metavar="NAME", shell_complete=completing.packages_aboard)
@train_reason_option()
@json_option
def take_off(train: str, package: str, message: str, as_json: bool) -> None:
    """Take the package NAME off TRAIN before it departs."""
    from orchestrator.management.trains.decisions import leave_train

    print_train(leave_train(_open().acting, train, package, message.strip()), as_json=as_json)


@command.command("prognosis")
@train_argument
@click.option("--at", type=MOMENT, metavar="TIME", help="The departure to predict (default: that of the train).")
@json_option
def prognosis(train: str, at: datetime | None, as_json: bool) -> None:
    """Print which packages of TRAIN would leave, which would stay, and why. Changes nothing."""
    from orchestrator.management.trains.queries import show_prognosis

    app = _open()
    found = show_prognosis(app.acting, train, app.train_sources, at)
    if as_json:
        print_json("TrainPrognosis", {"prognosis": found.to_json()})
        return
    for line in prognosis_lines(found):
        out_folded(line)


@command.command("depart")
@train_argument
@train_reason_option()
@click.option("--yes", is_flag=True, help="Do not prompt.")
@json_option
def depart(train: str, message: str, yes: bool, as_json: bool) -> None:
    """Have TRAIN depart now, with your rights. A worker starts its runs. It prompts once."""
    from orchestrator.management.trains.departure import depart as have_depart

    app = _open()
    confirm(f"Have {train} depart now?", yes)
    print_train(have_depart(app.acting, train, app.train_sources, message.strip()), as_json=as_json)


@command.command("hold")
@train_argument
@train_reason_option(required=True)
@json_option
def hold(train: str, message: str, as_json: bool) -> None:
    """Keep TRAIN from departing until it is resumed."""
    from orchestrator.management.trains.decisions import hold_train

    print_train(hold_train(_open().acting, train, message.strip()), as_json=as_json)


@command.command("resume")
@train_argument
@train_reason_option()
@json_option
def resume(train: str, message: str, as_json: bool) -> None:
    """Let TRAIN, which was held, depart again."""
    from orchestrator.management.trains.decisions import resume_train

    print_train(resume_train(_open().acting, train, message.strip()), as_json=as_json)


@command.command("cancel")
@train_argument
@train_reason_option(required=True)
@click.option("--yes", is_flag=True, help="Do not prompt.")
@json_option
def cancel(train: str, message: str, yes: bool, as_json: bool) -> None:
    """End TRAIN. After the departure, its packages are rolled back at the stop where they are. It prompts once."""
    from orchestrator.management.trains.decisions import cancel_train

    app = _open()
    confirm(f"Cancel {train}?", yes)
    print_train(cancel_train(app.acting, train, message.strip()), as_json=as_json)


@command.command("resolve")
@train_argument
@train_reason_option(required=True)
@json_option
def resolve(train: str, message: str, as_json: bool) -> None:
    """Record that what TRAIN left after a failed rollback was restored by hand."""
    from orchestrator.management.trains.decisions import resolve_train

    print_train(resolve_train(_open().acting, train, message.strip()), as_json=as_json)
