"""`orchestrator action`: what is done because of a review."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import json_option, note, page_options, screen
from orchestrator.cli.register_options import MOMENT
from orchestrator.cli.reviews import print_action, print_actions

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication

ACTION = click.argument("action", metavar="ACTION", shell_complete=completing.review_actions)


def _open() -> "ManagedApplication":
    from orchestrator.management.application import open_managed

    return open_managed(Path.cwd())


@click.group("action", cls=SubcommandGroup)
def command() -> None:
    """Manage the actions of reviews, each with an owner and a due time.

    Overdue actions are shown where the next release is planned.
    """


@command.command("add")
@click.argument("review", metavar="REVIEW", shell_complete=completing.reviews)
@click.argument("title", metavar="TITLE")
@click.option("--owner", required=True, metavar="USER", help="The user who does it.")
@click.option("--due", required=True, type=MOMENT, metavar="TIME", help="The time by which it has to be done.")
@json_option
def add(review: str, title: str, owner: str, due: datetime, as_json: bool) -> None:
    """Add an action to a review, also to a closed one."""
    from orchestrator.management.reviews.decisions import add_action

    print_action(add_action(_open().acting, review, title, owner, due), as_json=as_json)


@command.command("done")
@ACTION
@click.option("-m", "--message", default="", metavar="TEXT", help="What was done.")
@json_option
def done(action: str, message: str, as_json: bool) -> None:
    """Record that an action was done."""
    from orchestrator.management.reviews.decisions import complete_action

    print_action(complete_action(_open().acting, action, message), as_json=as_json)


@command.command("cancel")
@ACTION
@click.option("-m", "--message", required=True, metavar="WHY", help="The reason.")
@json_option
def cancel(action: str, message: str, as_json: bool) -> None:
    """Cancel an action."""
    from orchestrator.management.reviews.decisions import cancel_action

    print_action(cancel_action(_open().acting, action, message), as_json=as_json)


@command.command("list")
@click.option("--mine", is_flag=True, help="Only those that you own.")
@click.option("--all", "ended", is_flag=True, help="Include actions that have ended.")
@page_options("actions")
@json_option
def list_(mine: bool, ended: bool, limit: int, cursor: str | None, as_json: bool) -> None:
    """List actions by their due time."""
    from orchestrator.management.reviews.queries import list_actions

    page = list_actions(_open().acting, mine=mine, ended=ended, cursor=cursor, limit=limit)
    print_actions(page.items, page.cursor, screen(), as_json=as_json)
    if page.cursor and not as_json:
        note(f"more: orchestrator action list --cursor '{page.cursor}'")
