"""`orchestrator hook`: what other systems report, and the effect of that."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import completing
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.hooks import delivery_row, hook_lines, hook_row
from orchestrator.cli.output import json_option, note, out, page_options, print_json, screen, table
from orchestrator.cli.register_options import model_of, shown_address

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication

NAME = click.argument("name", metavar="NAME", shell_complete=completing.hooks)
FORMS = ("github", "gitlab", "gitea", "generic")
HEADS = ("hook", "form", "account", "on", "ref", "then", "release")
DELIVERY_HEADS = ("delivery", "received", "hook", "event", "state", "result")


def _open() -> "ManagedApplication":
    from orchestrator.management.application import open_managed

    return open_managed(Path.cwd())


@click.group("hook", cls=SubcommandGroup)
def command() -> None:
    """Let Git servers and other systems build a release, or promote it to the first environment.

    A hook is an address of the server. A service account acts for it, with its rights, conditions and approvals.
    """


@command.command("add")
@click.argument("name", metavar="NAME")
@click.option("--form", type=click.Choice(FORMS), required=True, help="How the sender signs and writes its requests.")
@click.option("--for", "account", required=True, metavar="ACCOUNT", help="The service account that acts.")
@click.option("--release", required=True, metavar="RELEASE", help="The release that is built or promoted.")
@click.option(
    "--on",
    "events",
    multiple=True,
    type=click.Choice(["push", "tag", "release"]),
    help="An event that counts (default: push). May be repeated.",
)
@click.option("--ref", default="*", metavar="PATTERN", help="The branches or tags that count (default: all).")
@click.option(
    "--then",
    type=click.Choice(["build", "promote"]),
    default="build",
    show_default=True,
    help="Build a package, or promote it as well.",
)
@click.option(
    "--to", "environment", metavar="ENV", help="The environment to promote to (default: the first of the path)."
)
@json_option
def add(events: tuple[str, ...], *, as_json: bool, **fields: Any) -> None:
    """Add a hook, and print its secret and its address. The secret is printed once, for the settings of the sender."""
    from orchestrator.management.documents import hook_item
    from orchestrator.management.hooks.decisions import add_hook
    from orchestrator.management.hooks.model import HookDraft

    app = _open()
    made = add_hook(app.acting, model_of(HookDraft, **fields, events=list(events) or ["push"]), app.hook_sources)
    if as_json:
        print_json("NewHook", {**hook_item(made.hook), "secret": made.secret})
        return
    click.echo(made.secret)  # the only time that it is shown: not masked, and not followed by other words
    click.echo(
        f"the address at the server is {shown_address(app, made.hook.address)}; the secret is not shown again", err=True
    )


@command.command("edit")
@NAME
@click.option("--form", type=click.Choice(FORMS), help="How the sender signs and writes its requests.")
@click.option("--for", "account", metavar="ACCOUNT", help="The service account that acts.")
@click.option("--release", metavar="RELEASE", help="The release that is built or promoted.")
@click.option(
    "--on",
    "events",
    multiple=True,
    type=click.Choice(["push", "tag", "release"]),
    help="The events that count, in place of the current ones. May be repeated.",
)
@click.option("--ref", metavar="PATTERN", help="The branches or tags that count.")
@click.option("--then", type=click.Choice(["build", "promote"]), help="Build a package, or promote it as well.")
@click.option("--to", "environment", metavar="ENV", help="The environment to promote to ('': the first of the path).")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def edit(name: str, events: tuple[str, ...], message: str, *, as_json: bool, **given: Any) -> None:
    """Change a hook: only the options that are given. Its secret, address and deliveries stay."""
    from orchestrator.management.documents import hook_item
    from orchestrator.management.hooks.decisions import edit_hook
    from orchestrator.management.hooks.model import HookDraft
    from orchestrator.management.hooks.queries import show_hook

    fields = {field: value for field, value in given.items() if value is not None}
    fields |= {"events": list(events)} if events else {}
    fields |= {"environment": fields["environment"] or None} if "environment" in fields else {}
    if not fields:
        raise click.UsageError("no field is given: see `orchestrator hook edit --help`")
    app = _open()
    known = hook_item(show_hook(app.acting, name))["hook"]
    changed = edit_hook(app.acting, model_of(HookDraft, **{**known, **fields}), app.hook_sources, message)
    if as_json:
        print_json("Hook", hook_item(changed))
        return
    for line in hook_lines(changed, shown_address(app, changed.address)):
        out(line)


@command.command("list")
@json_option
def show_all(*, as_json: bool) -> None:
    """List the hooks."""
    from orchestrator.management.documents import hook_item
    from orchestrator.management.hooks.queries import list_hooks

    found = list_hooks(_open().acting)
    if as_json:
        print_json("Hooks", {"hooks": [hook_item(hook) for hook in found]})
        return
    rows = [hook_row(hook) for hook in found]
    out(table(HEADS, rows, screen()) if rows else "no hooks; add one with: orchestrator hook add NAME")


@command.command("show")
@NAME
@json_option
def show(name: str, *, as_json: bool) -> None:
    """Show a hook and its newest deliveries."""
    from orchestrator.management.documents import hook_item
    from orchestrator.management.hooks.queries import list_deliveries, show_hook

    app = _open()
    acting, hook = app.acting, show_hook(app.acting, name)
    if as_json:
        print_json("Hook", hook_item(hook))
        return
    for line in hook_lines(hook, shown_address(app, hook.address)):
        out(line)
    rows = [delivery_row(each) for each in list_deliveries(acting, name, limit=5).items]
    if rows:
        out(table(DELIVERY_HEADS, rows, screen()))


@command.command("deliveries")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=completing.hooks)
@page_options("deliveries")
@json_option
def deliveries(name: str | None, limit: int, cursor: str | None, *, as_json: bool) -> None:
    """List what hooks have received and what became of it, the newest first."""
    from orchestrator.management.hooks.queries import list_deliveries

    page = list_deliveries(_open().acting, name, cursor=cursor, limit=limit)
    if as_json:
        print_json("HookDeliveries", {"deliveries": [each.to_json() for each in page.items], "cursor": page.cursor})
        return
    rows = [delivery_row(each) for each in page.items]
    out(table(DELIVERY_HEADS, rows, screen()) if rows else "no deliveries")
    if page.cursor:
        note(f"more: orchestrator hook deliveries {name + ' ' if name else ''}--cursor '{page.cursor}'")


@command.command("remove")
@NAME
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def remove(name: str, message: str, *, as_json: bool) -> None:
    """Remove a hook with its secret. Its deliveries stay listed."""
    from orchestrator.management.documents import hook_item
    from orchestrator.management.hooks.decisions import remove_hook

    hook = remove_hook(_open().acting, name, message)
    if as_json:
        print_json("Hook", hook_item(hook))
        return
    out(f"the hook {hook.name} is removed")


@command.command("test")
@NAME
@json_option
def test(name: str, *, as_json: bool) -> int:
    """Check what a delivery to a hook would meet: its account, rights, release and repository. Nothing is sent."""
    from orchestrator.domain.errors import Exit
    from orchestrator.management.hooks.queries import test_hook

    app = _open()
    found = test_hook(app.acting, name, app.hook_sources)
    if as_json:
        print_json("HookTest", found.to_json())
    else:
        for finding in found.findings:
            out(f"{'ok' if finding.holds else 'fails':6} {finding.text}")
    return int(Exit.OK if found.holds else Exit.FAILED)
