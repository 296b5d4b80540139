"""`orchestrator service-account`: the accounts of machines."""

from typing import TYPE_CHECKING

import click

from orchestrator.cli.output import Cell, json_option, out, print_json, table
from orchestrator.cli.register_options import model_of, open_project

if TYPE_CHECKING:
    from orchestrator.domain.access.principals import ServiceAccount


@click.group("service-account")
def command() -> None:
    """Add, list and disable the accounts of machines.

    A service account acts with a token, and does not approve.
    """


@command.command("add")
@click.argument("name")
@click.option("--description", default="", metavar="TEXT", help="What the account is for.")
@click.option("--may-approve", is_flag=True, help="Let the account use a right to approve.")
@json_option
def add(name: str, description: str, may_approve: bool, as_json: bool) -> None:
    """Add the service account NAME."""
    from orchestrator.app.people import add_service_account
    from orchestrator.domain.access.principals import ServiceAccount

    account = model_of(ServiceAccount, name=name, description=description, may_approve=may_approve)
    _say(add_service_account(open_project().acting, account), "added", as_json=as_json)


@command.command("list")
@json_option
def show_all(as_json: bool) -> None:
    """List the service accounts."""
    from orchestrator.app.people import show_access

    accounts = show_access(open_project().acting).service_accounts
    if as_json:
        print_json("ServiceAccounts", {"service_accounts": [account.to_json() for account in accounts]})
        return
    rows: list[list[Cell]] = [
        [account.name, account.description or "–", "active" if account.is_active else ("disabled", "yellow")]
        for account in accounts
    ]
    out(table(["service account", "description", "state"], rows) if rows else "no service accounts are recorded")


@command.command("disable")
@click.argument("name")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def disable(name: str, message: str, as_json: bool) -> None:
    """Disable the service account NAME: its tokens are no longer accepted."""
    from orchestrator.app.people import disable_service_account

    _say(disable_service_account(open_project().acting, name, reason=message), "disabled", as_json=as_json)


def _say(account: "ServiceAccount", what: str, *, as_json: bool) -> None:
    if as_json:
        print_json("ServiceAccount", account.to_json())
        return
    out(f"{account.name} is {what}")
