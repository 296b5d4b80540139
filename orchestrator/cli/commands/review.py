"""`orchestrator review`: what a release or a rollback was like, and what follows from it."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import json_option, note, out, page_options, print_json, screen, table
from orchestrator.cli.register_options import MOMENT
from orchestrator.cli.reviews import HEADS, print_review, review_item, review_row

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication

CODES = ("successful", "successful-with-issues", "rolled-back", "unsuccessful")


def _open() -> "ManagedApplication":
    from orchestrator.management.application import open_managed

    return open_managed(Path.cwd())


def _print(app: "ManagedApplication", subject: str, *, as_json: bool) -> None:
    from orchestrator.management.reviews.queries import show_review

    print_review(show_review(app.acting, subject), as_json=as_json)


SUBJECT = click.argument("subject", metavar="REVIEW", shell_complete=completing.reviews)


@click.group("review", cls=SubcommandGroup)
def command() -> None:
    """Review releases and rollbacks: facts, what went well and badly, feedback, a close code.

    A worker opens a review at the end of a planned release, and after a rollback, an intervention or an emergency. Its
    id is that of the release or of the run.
    """


@command.command("list")
@click.option("--all", "ended", is_flag=True, help="Include closed reviews.")
@page_options("reviews")
@json_option
def list_(ended: bool, limit: int, cursor: str | None, as_json: bool) -> None:
    """List reviews by their due time."""
    from orchestrator.management.reviews.queries import list_reviews

    page = list_reviews(_open().acting, ended=ended, cursor=cursor, limit=limit)
    if as_json:
        print_json("Reviews", {"reviews": [review_item(each) for each in page.items], "cursor": page.cursor})
        return
    if not page.items:
        out("there are no such reviews; a worker opens them after releases and rollbacks: orchestrator worker --once")
        return
    out(table(HEADS, [review_row(each) for each in page.items], screen()))
    if page.cursor:
        note(f"more: orchestrator review list --cursor '{page.cursor}'")


@command.command("show")
@SUBJECT
@json_option
def show(subject: str, as_json: bool) -> None:
    """Show a review with its facts, feedback and actions."""
    _print(_open(), subject, as_json=as_json)


@command.command("open")
@click.argument("subject", metavar="RUN|RELEASE")
@json_option
def open_(subject: str, as_json: bool) -> None:
    """Open the review of a run or of a planned release, for example of a promotion that succeeded."""
    from orchestrator.management.reviews.decisions import open_review

    app = _open()
    open_review(app.acting, subject, app.review_sources)
    _print(app, subject, as_json=as_json)


@command.command("write")
@SUBJECT
@click.option("--well", "went_well", metavar="TEXT", help="What went well.")
@click.option("--badly", "went_badly", metavar="TEXT", help="What went badly.")
@click.option("--lead", metavar="USER", help="The user who leads the review.")
@click.option("--due", type=MOMENT, metavar="TIME", help="The time by which it has to be closed.")
@json_option
def write(
    subject: str, went_well: str | None, went_badly: str | None, lead: str | None, due: datetime | None, as_json: bool
) -> None:
    """Change the fields of an open review."""
    from orchestrator.management.reviews.decisions import write_review

    given = {"went_well": went_well, "went_badly": went_badly, "lead": lead, "due": due and due.isoformat()}
    fields = {name: value for name, value in given.items() if value is not None}
    if not fields:
        raise click.UsageError("nothing to write: give --well, --badly, --lead or --due")
    app = _open()
    write_review(app.acting, subject, fields)
    _print(app, subject, as_json=as_json)


@command.command("close")
@SUBJECT
@click.option("--code", type=click.Choice(CODES), help="The close code (default: the one that the facts suggest).")
@click.option("-m", "--message", default="", metavar="TEXT", help="The conclusion.")
@json_option
def close(subject: str, code: str | None, message: str, as_json: bool) -> None:
    """Close a review, which then does not change. Feedback and actions can still be added."""
    from orchestrator.management.reviews.decisions import close_review
    from orchestrator.management.reviews.model import CloseCode

    app = _open()
    close_review(app.acting, subject, CloseCode(code) if code else None, message)
    _print(app, subject, as_json=as_json)


@command.command("feedback")
@SUBJECT
@click.option("-m", "--message", required=True, metavar="TEXT", help="The feedback.")
@click.option("--rating", type=click.IntRange(1, 5), metavar="N", help="A rating from 1 (bad) to 5 (good).")
@json_option
def feedback(subject: str, message: str, rating: int | None, as_json: bool) -> None:
    """Add feedback to a review, also to a closed one."""
    from orchestrator.management.reviews.decisions import add_feedback

    app = _open()
    add_feedback(app.acting, subject, message, rating)
    _print(app, subject, as_json=as_json)
