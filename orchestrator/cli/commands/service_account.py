"""`orchestrator service-account`: the accounts of machines."""

from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import Cell, json_option, out, print_json, table
from orchestrator.cli.register_options import model_of, open_project

if TYPE_CHECKING:
    from orchestrator.domain.access.principals import ServiceAccount


@click.group("service-account", cls=SubcommandGroup)
def command() -> None:
    """Add, list, trust and disable the accounts of machines.

    A service account acts with a token, and does not approve. A CI job exchanges the token of its CI system for one.
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
        [
            account.name,
            account.description or "–",
            "active" if account.is_active else ("disabled", "yellow"),
            "; ".join(f"{rule.issuer} ({_shown(rule.claims)})" for rule in account.trust) or "–",
        ]
        for account in accounts
    ]
    out(
        table(["service account", "description", "state", "trusts"], rows)
        if rows
        else "no service accounts are recorded"
    )


@command.command("trust")
@click.argument("name")
@click.option("--issuer", required=True, metavar="URL", help="Who issues the tokens: https://gitlab.example.com.")
@click.option("--audience", default="orchestrator", metavar="TEXT", help="For whom they are (default: orchestrator).")
@click.option("--claim", "claims", multiple=True, metavar="NAME=VALUE", help="A claim that they have. May be repeated.")
@click.option("--action", "actions", multiple=True, metavar="ACTION", help="Only this action. May be repeated.")
@click.option("--remove", is_flag=True, help="Accept no token of the issuer any more.")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream; with --remove.")
@json_option
def trust(name: str, issuer: str, remove: bool, message: str, as_json: bool, **words: Any) -> None:
    """Let the service account NAME accept tokens of CI jobs, which `orchestrator token exchange` exchanges.

    A token needs the issuer, the audience and every claim. At least one claim is required: an issuer has many users.
    By default the job may build, plan, promote and rehearse where the account has the right, and never approve.
    """
    from orchestrator.app.tokens import distrust_issuer, trust_issuer
    from orchestrator.domain.access.principals import Trust

    acting = open_project().acting
    if remove:
        _say(distrust_issuer(acting, name, issuer, reason=message), "changed", as_json=as_json)
        return
    fields = {"issuer": issuer, "audience": words["audience"], "claims": _claims(words["claims"])}
    if words["actions"]:
        fields["actions"] = list(words["actions"])
    _say(trust_issuer(acting, name, model_of(Trust, **fields)), "changed", as_json=as_json)


def _shown(claims: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in claims.items())


def _claims(words: tuple[str, ...]) -> dict[str, str]:
    """The claims that *words* (`NAME=VALUE`) name."""
    if not words or any("=" not in word for word in words):
        raise click.UsageError("name at least one claim that tokens of the job have: --claim sub=VALUE")
    return {name: value for name, _, value in (word.partition("=") for word in words)}


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
