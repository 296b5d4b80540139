"""`orchestrator group`: users that roles are bound to together."""

from typing import TYPE_CHECKING

import click

from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import json_option, out, print_json, table
from orchestrator.cli.register_options import model_of, open_project

if TYPE_CHECKING:
    from orchestrator.domain.access.principals import Group


@click.group("group", cls=SubcommandGroup)
def command() -> None:
    """Add and remove groups, and edit their members."""


@command.command("add")
@click.argument("name")
@click.argument("members", nargs=-1, metavar="[USER]...")
@json_option
def add(name: str, members: tuple[str, ...], as_json: bool) -> None:
    """Add the group NAME with these members."""
    from orchestrator.app.people import add_group
    from orchestrator.domain.access.principals import Group

    model_of(Group, name=name)
    _say(add_group(open_project().acting, name, members), "added", as_json=as_json)


@command.command("remove")
@click.argument("name")
@json_option
def remove(name: str, as_json: bool) -> None:
    """Remove the group NAME and the bindings to it. Its members stay users."""
    from orchestrator.app.people import remove_group

    _say(remove_group(open_project().acting, name), "removed", as_json=as_json)


@command.command("members")
@click.argument("name")
@click.option("--add", "added", multiple=True, metavar="USER", help="Add this user. May be repeated.")
@click.option("--remove", "removed", multiple=True, metavar="USER", help="Remove this member. May be repeated.")
@json_option
def members(name: str, added: tuple[str, ...], removed: tuple[str, ...], as_json: bool) -> None:
    """Show the members of the group NAME, or change them."""
    from orchestrator.app.acting import unknown
    from orchestrator.app.people import set_members, show_access

    acting = open_project().acting
    if added or removed:
        _say(set_members(acting, name, added, removed), "changed", as_json=as_json)
        return
    groups = {group.name: group for group in show_access(acting).groups}
    if name not in groups:
        raise unknown("group", name, sorted(groups))
    _say(groups[name], "a group", as_json=as_json)


@command.command("list")
@json_option
def show_all(as_json: bool) -> None:
    """List the groups with their members."""
    from orchestrator.app.people import show_access

    groups = show_access(open_project().acting).groups
    if as_json:
        print_json("Groups", {"groups": [group.to_json() for group in groups]})
        return
    rows = [[group.name, ", ".join(group.members) or "–"] for group in groups]
    out(table(["group", "members"], rows) if rows else "no groups are recorded")


def _say(group: "Group", what: str, *, as_json: bool) -> None:
    if as_json:
        print_json("Group", group.to_json())
        return
    out(f"{group.name} is {what}: {', '.join(group.members) or 'no members'}")
