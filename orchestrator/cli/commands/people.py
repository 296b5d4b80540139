"""`orchestrator people`: the users of the project."""

from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import Cell, json_option, out, print_json, table
from orchestrator.cli.register_options import model_of, open_project, shown_address

if TYPE_CHECKING:
    from orchestrator.domain.access.principals import User


@click.group("people", cls=SubcommandGroup)
def command() -> None:
    """Add, list, show, edit and disable users, reset passwords, and unlink accounts of sign-in providers.

    A user is disabled and never deleted. Without any binding of a role, the local user has every right.
    """


def _fields(display_name: str | None, email: str | None, team: str | None, local: str | None) -> dict[str, Any]:
    given = {"display_name": display_name, "email": email, "team": team, "local": local}
    return {name: value for name, value in given.items() if value is not None}


@command.command("add")
@click.argument("name")
@click.option("--display-name", metavar="TEXT", help="The name as shown.")
@click.option("--email", metavar="ADDRESS", help="The email address.")
@click.option("--team", metavar="TEAM", help="The team: at most one.")
@click.option("--local", metavar="LOGIN", help="The name on machines, if it differs.")
@click.option("--zone", default="UTC", metavar="ZONE", help="The time zone, such as Europe/Berlin (default: UTC).")
@json_option
def add(
    name: str,
    display_name: str | None,
    email: str | None,
    team: str | None,
    local: str | None,
    zone: str,
    as_json: bool,
) -> None:
    """Add the user NAME."""
    from orchestrator.app.people import add_user
    from orchestrator.domain.access.principals import User

    user = model_of(User, name=name, zone=zone, **_fields(display_name, email, team, local))
    _say(add_user(open_project().acting, user), "added", as_json=as_json)


@command.command("list")
@click.option("--all", "every", is_flag=True, help="List disabled users too.")
@json_option
def show_all(every: bool, as_json: bool) -> None:
    """List the users with their teams and groups."""
    from orchestrator.app.people import show_access
    from orchestrator.domain.access.directory import Directory

    access = show_access(open_project().acting)
    groups = Directory(access).groups_of
    users = [user for user in access.users if every or user.is_active]
    if as_json:
        items = [{**user.to_json(), "groups": list(groups.get(user.name, ()))} for user in users]
        print_json("Users", {"users": items})
        return
    rows: list[list[Cell]] = [
        [
            user.name,
            user.display_name or "–",
            user.team or "–",
            ", ".join(groups.get(user.name, ())) or "–",
            _state(user),
        ]
        for user in users
    ]
    out(table(["user", "name", "team", "groups", "state"], rows) if rows else "no users are recorded")


@command.command("show")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the user NAME with groups and roles."""
    from orchestrator.app.acting import unknown
    from orchestrator.app.people import show_access
    from orchestrator.domain.access.directory import Directory

    access = show_access(open_project().acting)
    directory = Directory(access)
    user = directory.users.get(name)
    if user is None:
        raise unknown("user", name, sorted(directory.users))
    bindings = directory.bindings_of("user", name)
    groups = directory.groups_of.get(name, ())
    if as_json:
        document = {**user.to_json(), "groups": list(groups), "bindings": [each.to_json() for each in bindings]}
        print_json("User", document)
        return
    out(f"{user.name}  {user.display_name}".rstrip())
    lines = {"email": user.email, "team": user.team, "local name": user.local, "zone": user.zone, "state": _state(user)}
    for label, value in lines.items():
        if value:
            out(f"  {label}: {value}")
    if groups:
        out(f"  groups: {', '.join(groups)}")
    for binding in bindings:
        out(f"  {binding}")


@command.command("edit")
@click.argument("name")
@click.option("--display-name", metavar="TEXT", help="The name as shown.")
@click.option("--email", metavar="ADDRESS", help="The email address.")
@click.option("--team", metavar="TEAM", help="The team: at most one. Empty for none.")
@click.option("--local", metavar="LOGIN", help="The name on machines. Empty for the same name.")
@click.option("--zone", metavar="ZONE", help="The time zone, such as Europe/Berlin.")
@click.option("--enable", is_flag=True, help="Enable a disabled user.")
@json_option
def edit(
    name: str,
    display_name: str | None,
    email: str | None,
    team: str | None,
    local: str | None,
    zone: str | None,
    enable: bool,
    as_json: bool,
) -> None:
    """Change fields of the user NAME. Options that are not given leave their fields as they are."""
    from orchestrator.app.people import edit_user
    from orchestrator.domain.access.principals import User

    fields: dict[str, Any] = _fields(display_name, email, team, local)
    fields |= {name: None for name in ("team", "local") if fields.get(name) == ""}
    fields |= {"zone": zone} if zone is not None else {}
    fields |= {"disabled_at": None} if enable else {}
    if not fields:
        raise click.UsageError("no field is given: see `orchestrator people edit --help`")
    model_of(User, name=name, **fields)  # a wrong field is reported before anything is sent
    _say(edit_user(open_project().acting, name, fields), "changed", as_json=as_json)


@command.command("reset-password")
@click.argument("name")
@json_option
def reset_password(name: str, as_json: bool) -> None:
    """Print a one-time link with which the user sets a new password at the server. It is valid for an hour."""
    from orchestrator.app.sign_in_links import create_link
    from orchestrator.domain.moments import moment_text

    app = open_project()
    made = create_link(app.acting, name)
    path, until = f"/link/{made.text}", moment_text(made.link.expires_at)
    if as_json:
        print_json("SignInLink", {"user": name, "path": path, "expires_at": until})
        return
    where = shown_address(app, path) if app.server_url else f"the address of the server, with the path {path}"
    out(f"{name} sets a password at {where}")
    out(f"valid until {until}, once")


@command.command("accounts")
@click.argument("name")
@json_option
def accounts(name: str, as_json: bool) -> None:
    """List the accounts at sign-in providers that belong to the user NAME."""
    from orchestrator.app.provider_accounts import list_accounts
    from orchestrator.domain.moments import minute_text

    found = list_accounts(open_project().acting, name)
    if as_json:
        print_json("Accounts", {"user": name, "accounts": [account.to_json() for account in found]})
        return
    rows = [[each.issuer, each.name or "–", each.subject, minute_text(each.linked_at)] for each in found]
    out(table(["provider", "name at it", "subject", "linked"], rows) if rows else f"{name} has no accounts")


@command.command("unlink")
@click.argument("name")
@click.option("--issuer", metavar="URL", help="The provider, if the user has accounts at several.")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def unlink(name: str, issuer: str | None, message: str, as_json: bool) -> None:
    """Remove the account of a sign-in provider from the user NAME. Sessions that it has started end at once."""
    from orchestrator.app.provider_accounts import unlink_account

    account = unlink_account(open_project().acting, name, issuer, reason=message)
    if as_json:
        print_json("Account", account.to_json())
        return
    out(f"the account {account.name or account.subject} at {account.issuer} does not belong to {name} any more")


@command.command("disable")
@click.argument("name")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def disable(name: str, message: str, as_json: bool) -> None:
    """Disable the user NAME: every right ends at once, and tokens are no longer accepted."""
    from orchestrator.app.people import disable_user

    _say(disable_user(open_project().acting, name, reason=message), "disabled", as_json=as_json)


def _state(user: "User") -> Cell:
    return "active" if user.is_active else ("disabled", "yellow")


def _say(user: "User", what: str, *, as_json: bool) -> None:
    if as_json:
        print_json("User", {**user.to_json(), "groups": [], "bindings": []})
        return
    out(f"{user.name} is {what}")
