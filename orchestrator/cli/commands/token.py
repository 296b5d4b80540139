"""`orchestrator token`: secrets that authenticate users and service accounts."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from orchestrator.cli.durations import DURATION
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import json_option, out, print_json, table
from orchestrator.cli.register_options import model_of, open_project

if TYPE_CHECKING:
    from orchestrator.app.tokens import NewToken
    from orchestrator.domain.access.tokens import Token


@click.group("token", cls=SubcommandGroup)
def command() -> None:
    """Create, list, rotate and revoke tokens.

    Commands act as the owner of the token in ORCHESTRATOR_TOKEN. A token is shown once. Only its hash is stored.
    A CI job exchanges the token that its CI system gives to it, and needs no stored secret.
    """


@command.command("create")
@click.option("--for", "owner", metavar="NAME", help="The user or service account (default: the actor).")
@click.option("--name", default="", metavar="TEXT", help="What the token is for.")
@click.option("--lifetime", type=DURATION, default="90d", metavar="TIME", help="How long it is valid (default: 90d).")
@click.option("--action", "actions", multiple=True, metavar="ACTION", help="Only this action. May be repeated.")
@click.option(
    "--environment", default="*", metavar="PATTERN", help="Only environments that match (default: all); needs --action."
)
@json_option
def create(
    owner: str | None, name: str, lifetime: float, actions: tuple[str, ...], environment: str, as_json: bool
) -> None:
    """Create a token, and print it. It never has more rights than its owner."""
    from orchestrator.app.tokens import create_token
    from orchestrator.domain.access.principals import Scope

    if environment != "*" and not actions:
        raise click.UsageError("--environment needs --action")
    acting = open_project().acting
    scopes = (model_of(Scope, actions=list(actions), environment=environment),) if actions else None
    span = timedelta(seconds=lifetime)
    _say(create_token(acting, owner or acting.actor.name, name=name, lifetime=span, scopes=scopes), as_json=as_json)


@command.command("exchange")
@click.option("--for", "owner", metavar="NAME", help="The service account, if several accept the token.")
@click.option(
    "--audience", default="orchestrator", metavar="TEXT", help="The audience to request (default: orchestrator)."
)
@json_option
def exchange(owner: str | None, audience: str, as_json: bool) -> None:
    """Exchange the token of this CI job for one of the project, valid for an hour, and print it.

    The token of the job is in ORCHESTRATOR_ID_TOKEN (GitLab: `id_tokens`), or is requested from GitHub Actions for
    --audience. A service account accepts it by issuer, audience and claims: see `orchestrator service-account trust`.
    """
    app = open_project()
    job = app.exchange.tokens.of_job(app.environ, audience)
    _say(app.exchange.exchange(job, owner), as_json=as_json)


@command.command("list")
@click.option("--for", "owner", metavar="NAME", help="Only tokens of this user or service account.")
@json_option
def show_all(owner: str | None, as_json: bool) -> None:
    """List your tokens; with the right to manage tokens, all of them."""
    from orchestrator.app.tokens import list_tokens
    from orchestrator.domain.moments import Now, minute_text

    acting = open_project().acting
    found, now = list_tokens(acting, owner), Now.at(acting.clock.now())
    if as_json:
        print_json("Tokens", {"tokens": [{**_shown(token), "state": token.state(now).value} for token in found]})
        return
    rows = [
        [
            token.prefix,
            token.owner,
            token.name or "–",
            token.state(now).value,
            minute_text(token.expires_at),
            minute_text(token.last_used_at) if token.last_used_at else "never",
        ]
        for token in found
    ]
    out(table(["token", "owner", "name", "state", "expires", "last use"], rows) if rows else "no tokens")


@command.command("rotate")
@click.argument("prefix")
@click.option(
    "--grace", type=DURATION, default="24h", metavar="TIME", help="How long the old one is valid (default: 24h)."
)
@json_option
def rotate(prefix: str, grace: float, as_json: bool) -> None:
    """Create a token in place of the one with PREFIX, and print it."""
    from orchestrator.app.tokens import rotate_token

    _say(rotate_token(open_project().acting, prefix, timedelta(seconds=grace)), as_json=as_json)


@command.command("revoke")
@click.argument("prefix")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def revoke(prefix: str, message: str, as_json: bool) -> None:
    """Revoke the token with PREFIX at once."""
    from orchestrator.app.tokens import revoke_token

    token = revoke_token(open_project().acting, prefix, reason=message)
    if as_json:
        print_json("Token", {**_shown(token), "state": "revoked"})
        return
    out(f"{token.prefix} of {token.owner} is revoked")


def _shown(token: "Token") -> dict[str, object]:
    return {name: value for name, value in token.to_json().items() if name != "sha256"}


def _say(new: "NewToken", *, as_json: bool) -> None:
    from orchestrator.domain.moments import minute_text

    if as_json:
        print_json("NewToken", {**_shown(new.token), "token": new.text})
        return
    click.echo(new.text)  # the only time that it is shown: not masked, and not followed by other words
    click.echo(f"valid until {minute_text(new.token.expires_at)}; it is not shown again", err=True)
