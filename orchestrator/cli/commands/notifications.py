"""`orchestrator notifications`: which facts are sent where, and what was sent."""

from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import Cell, json_option, note, out, page_options, print_json, screen, table
from orchestrator.cli.register_options import model_of

if TYPE_CHECKING:
    from orchestrator.domain.notifications import Notification, NotificationRule
    from orchestrator.management.application import ManagedApplication

RULE_HEADS = ("rule", "events", "environment", "for", "channel", "target", "when")
HEADS = ("notification", "at", "rule", "event", "state", "tries", "what")
NAME = click.argument("name", metavar="NAME")


def _open() -> "ManagedApplication":
    from pathlib import Path

    from orchestrator.management.application import open_managed

    return open_managed(Path.cwd())


@click.group("notifications", cls=SubcommandGroup)
def command() -> None:
    """Send notifications by webhooks, mail and chat: manage rules, list what was sent, and retry it.

    Facts are the ends of runs (`run.failed`) and the messages to users (`message.review`). Rehearsals send nothing.
    """


@command.group("rule", cls=SubcommandGroup)
def rule_() -> None:
    """Add, list and remove rules: which facts go to which channel."""


@rule_.command("add")
@NAME
@click.option("--webhook", metavar="URL", help="Send signed requests (Standard Webhooks) to this address.")
@click.option("--mail", metavar="URL", help="Send mail: smtp://USER:PASSWORD@HOST?from=ADDRESS&to=ADDRESS.")
@click.option("--chat", metavar="URL", help="Send to a chat service, by its address of Apprise.")
@click.option("--event", "events", multiple=True, metavar="PATTERN", help="The facts (default: all). May be repeated.")
@click.option("--environment", default="*", metavar="PATTERN", help="Only environments that match.")
@click.option("--for", "user", metavar="USER", help="Only what needs this user, or was requested by this user.")
@click.option(
    "--digest",
    type=click.Choice(["none", "hourly", "daily"]),
    default="none",
    show_default=True,
    help="Collect facts into one message.",
)
@click.option("--quiet", metavar="HH:MM-HH:MM", help="Send nothing at these times of the day.")
@click.option("--zone", default="UTC", metavar="ZONE", help="The time zone of --quiet (default: UTC).")
@click.option("--allow-private", "private", is_flag=True, help="Let the target have a private address.")
@click.option("--link", default="", metavar="URL", help="The address of the server, for links.")
@json_option
def rule_add(
    name: str,
    webhook: str | None,
    mail: str | None,
    chat: str | None,
    quiet: str | None,
    zone: str,
    *,
    as_json: bool,
    **fields: Any,
) -> None:
    """Add a rule. Every user can add rules about what needs them; others need the right to manage tokens.

    The secret of a webhook is printed once. The target is stored encrypted.
    """
    from orchestrator.app.notification_rules import add_notification_rule
    from orchestrator.domain.notifications import RuleDraft

    given = [(kind, url) for kind, url in (("webhook", webhook), ("mail", mail), ("chat", chat)) if url is not None]
    if len(given) != 1:
        raise click.UsageError("give one of --webhook, --mail and --chat")
    channel, address = given[0]
    if quiet is not None:
        start, _, end = quiet.partition("-")
        fields["quiet"] = {"start": start, "end": end, "zone": zone}
    events = list(fields.pop("events")) or ["*"]
    app = _open()
    draft = model_of(RuleDraft, **fields, name=name, channel=channel, events=events)
    made = add_notification_rule(app.acting, draft, address, app.notification_sources)
    if as_json:
        print_json("NewNotificationRule", {"rule": _shown(made.rule), "secret": made.secret})
        return
    if made.secret:
        click.echo(made.secret)  # the only time that it is shown
        click.echo("the secret of the signatures; it is not shown again", err=True)
    note(f"the rule {name} sends to {made.rule.shown}; try it with: orchestrator notifications test {name}")


@rule_.command("list")
@json_option
def rule_list(*, as_json: bool) -> None:
    """List the rules."""
    from orchestrator.app.notification_rules import list_notification_rules

    found = list_notification_rules(_open().acting)
    if as_json:
        print_json("NotificationRules", {"rules": [_shown(rule) for rule in found]})
        return
    rows = [_rule_row(rule) for rule in found]
    empty = "no rules; add one with: orchestrator notifications rule add NAME --webhook URL"
    out(table(RULE_HEADS, rows, screen()) if rows else empty)


@rule_.command("remove")
@NAME
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def rule_remove(name: str, message: str, *, as_json: bool) -> None:
    """Remove a rule. What it has not sent yet is not sent any more."""
    from orchestrator.app.notification_rules import remove_notification_rule

    rule = remove_notification_rule(_open().acting, name, message)
    if as_json:
        print_json("NotificationRule", {"rule": _shown(rule)})
        return
    out(f"the rule {rule.name} is removed")


@command.command("test")
@NAME
@json_option
def test(name: str, *, as_json: bool) -> None:
    """Have a worker send a test to the channel of a rule."""
    from orchestrator.app.notification_rules import test_notification_rule

    made = test_notification_rule(_open().acting, name)
    if as_json:
        print_json("Notification", {"notification": made.to_json()})
        return
    out(f"a worker sends {made.id}: orchestrator notifications list")


@command.command("list")
@click.option("--state", type=click.Choice(["pending", "sent", "dead"]), help="Only this state.")
@page_options("notifications")
@json_option
def list_(state: str | None, limit: int, cursor: str | None, *, as_json: bool) -> None:
    """List notifications with their attempts, the newest first."""
    from orchestrator.app.notification_rules import list_notifications

    page = list_notifications(_open().acting, state, cursor=cursor, limit=limit)
    if as_json:
        print_json("Notifications", {"notifications": [e.to_json() for e in page.items], "cursor": page.cursor})
        return
    rows = [_row(each) for each in page.items]
    out(table(HEADS, rows, screen()) if rows else "no notifications")
    if page.cursor:
        chosen = f"--state {state} " if state else ""
        note(f"more: orchestrator notifications list {chosen}--cursor '{page.cursor}'")


@command.command("retry")
@click.argument("notification", metavar="NOTIFICATION")
@json_option
def retry(notification: str, *, as_json: bool) -> None:
    """Send a dead notification again, with the same id."""
    from orchestrator.app.notification_rules import retry_notification

    made = retry_notification(_open().acting, notification)
    if as_json:
        print_json("Notification", {"notification": made.to_json()})
        return
    out(f"{made.id} is sent again by a worker")


def _shown(rule: "NotificationRule") -> dict[str, Any]:
    return {name: value for name, value in rule.to_json().items() if name != "sealed"}


def _rule_row(rule: "NotificationRule") -> list[Cell]:
    quiet = f"not {rule.quiet.start}-{rule.quiet.end} {rule.quiet.zone}" if rule.quiet else ""
    when = ", ".join(filter(None, (rule.digest if rule.digest != "none" else "at once", quiet)))
    events, user = ", ".join(rule.events), rule.user or "all"
    return [rule.name, events, rule.environment, user, rule.channel.value, rule.shown, when]


def _row(each: "Notification") -> list[Cell]:
    from orchestrator.domain.moments import minute_text

    what = f"{each.fact.text} ({each.error})" if each.error else each.fact.text
    return [each.id, minute_text(each.fact.at), each.rule, each.fact.kind, each.state, str(each.tries), what]
