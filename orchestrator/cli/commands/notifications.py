"""`orchestrator notifications`: which facts are sent where, and what was sent."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import Cell, json_option, note, out, page_options, print_json, screen, table
from orchestrator.cli.register_options import model_of

if TYPE_CHECKING:
    from orchestrator.app.notification_rules import NewRule
    from orchestrator.domain.notifications import Notification, NotificationRule
    from orchestrator.management.application import ManagedApplication

RULE_HEADS = ("rule", "events", "environment", "for", "channel", "target", "when")
HEADS = ("notification", "at", "rule", "event", "state", "tries", "what")
NAME = click.argument("name", metavar="NAME")
F = TypeVar("F", bound=Callable[..., Any])
RULE_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--webhook", metavar="URL", help="Send signed requests (Standard Webhooks) to this address."),
    click.option("--mail", metavar="URL", help="Send mail: smtp://USER:PASSWORD@HOST?from=ADDRESS&to=ADDRESS."),
    click.option("--chat", metavar="URL", help="Send to a chat service, by its address of Apprise."),
    click.option(
        "--event", "events", multiple=True, metavar="PATTERN", help="The facts (default: all). May be repeated."
    ),
    click.option("--environment", metavar="PATTERN", help="Only environments that match (default: all)."),
    click.option("--for", "user", metavar="USER", help="Only what needs this user, or was requested by this user."),
    click.option("--role", metavar="ROLE", help="The same for the users with this role in the environment."),
    click.option(
        "--needed-only/--requested-too",
        default=None,
        help="With --for or --role: leave out what the user has requested (default: --requested-too).",
    ),
    click.option(
        "--digest",
        type=click.Choice(["none", "hourly", "daily"]),
        help="Collect facts into one message (default: none).",
    ),
    click.option("--quiet", metavar="HH:MM-HH:MM", help="Send nothing at these times of the day."),
    click.option("--zone", metavar="ZONE", help="The time zone of --quiet (default: UTC)."),
    click.option(
        "--allow-private/--public-only",
        "private",
        default=None,
        help="Let the target have a private address (default: --public-only).",
    ),
    click.option("--link", metavar="URL", help="The address of the server, for links."),
)
"""What a rule has. An option without a value keeps what the rule has."""


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
    """Add, list, edit and remove rules: which facts go to which channel."""


def _rule_options(function: F) -> F:
    """The options of a rule. What is not given is None, or an empty tuple."""
    for option in reversed(RULE_OPTIONS):
        function = option(function)
    return function


@rule_.command("add")
@NAME
@_rule_options
@json_option
def rule_add(name: str, *, as_json: bool, **given: Any) -> None:
    """Add a rule. Every user can add rules about what needs them; others need the right to manage tokens.

    The secret of a webhook is printed once. The target is stored encrypted.
    """
    from orchestrator.app.notification_rules import add_notification_rule
    from orchestrator.domain.notifications import RuleDraft

    fields, address = _fields(given)
    if not address:
        raise click.UsageError("give one of --webhook, --mail and --chat")
    app = _open()
    draft = model_of(RuleDraft, **fields, name=name)
    made = add_notification_rule(app.acting, draft, address, app.notification_sources)
    _print_rule(made, f"sends to {made.rule.shown}; try it with: orchestrator notifications test {name}", as_json)


@rule_.command("edit")
@NAME
@_rule_options
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def rule_edit(name: str, message: str, *, as_json: bool, **given: Any) -> None:
    """Change a rule: only the options that are given. Its secret stays, also with another target.

    An empty value removes one: --for '', --quiet '', --link ''. Facts from before the change are not sent.
    """
    from orchestrator.app.notification_rules import edit_notification_rule, show_notification_rule
    from orchestrator.domain.notifications import RuleDraft

    fields, address = _fields(given)
    if not fields:
        raise click.UsageError("no field is given: see `orchestrator notifications rule edit --help`")
    app = _open()
    known = show_notification_rule(app.acting, name).to_json()
    draft = model_of(RuleDraft, **{each: known[each] for each in RuleDraft.model_fields} | fields)
    made = edit_notification_rule(app.acting, draft, address, app.notification_sources, message)
    _print_rule(made, f"is changed; it sends to {made.rule.shown}", as_json)


def _fields(given: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The fields of a rule in the options that were *given*, and the address of its target."""
    targets = [(kind, given.pop(kind)) for kind in ("webhook", "mail", "chat")]
    chosen = [(kind, url) for kind, url in targets if url is not None]
    if len(chosen) > 1:
        raise click.UsageError("give one of --webhook, --mail and --chat")
    fields = {name: value for name, value in given.items() if value not in (None, ()) and name not in ("quiet", "zone")}
    fields |= _quiet_fields(given["quiet"], given["zone"] or "UTC")
    fields |= {name: fields[name] or None for name in ("user", "role") if name in fields}
    if "events" in fields:
        fields["events"] = list(fields["events"])
    return fields | ({"channel": chosen[0][0]} if chosen else {}), chosen[0][1] if chosen else ""


def _quiet_fields(quiet: str | None, zone: str) -> dict[str, Any]:
    """The field of quiet hours: none without the option, and null for an empty one."""
    if quiet is None:
        return {}
    start, _, end = quiet.partition("-")
    return {"quiet": {"start": start, "end": end, "zone": zone} if quiet else None}


def _print_rule(made: "NewRule", text: str, as_json: bool) -> None:
    if as_json:
        print_json("NewNotificationRule", {"rule": _shown(made.rule), "secret": made.secret})
        return
    if made.secret:
        click.echo(made.secret)  # the only time that it is shown
        click.echo("the secret of the signatures; it is not shown again", err=True)
    note(f"the rule {made.rule.name} {text}")


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
@click.option("--rule", metavar="NAME", help="Only of this rule.")
@click.option("--mine", is_flag=True, help="Only by the rules for yourself, which needs no right.")
@page_options("notifications")
@json_option
def list_(
    state: Literal["pending", "sent", "dead"] | None,
    rule: str | None,
    limit: int,
    cursor: str | None,
    *,
    mine: bool,
    as_json: bool,
) -> None:
    """List notifications with their attempts, the newest first."""
    from orchestrator.app.notification_rules import NotificationFilter, list_notifications, list_own_notifications

    listed = list_own_notifications if mine else list_notifications
    page = listed(_open().acting, NotificationFilter(state, rule), cursor=cursor, limit=limit)
    if as_json:
        print_json("Notifications", {"notifications": [e.to_json() for e in page.items], "cursor": page.cursor})
        return
    rows = [_row(each) for each in page.items]
    out(table(HEADS, rows, screen()) if rows else "no notifications")
    if page.cursor:
        options = (("--state", state), ("--rule", rule))
        chosen = "".join(f"{name} {value} " for name, value in options if value) + ("--mine " if mine else "")
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
    return [rule.name, ", ".join(rule.events), rule.environment, rule.subject, rule.channel.value, rule.shown, when]


def _row(each: "Notification") -> list[Cell]:
    from orchestrator.domain.moments import minute_text

    what = f"{each.fact.text} ({each.error})" if each.error else each.fact.text
    return [each.id, minute_text(each.fact.at), each.rule, each.fact.kind, each.state, str(each.tries), what]
