"""`orchestrator access`: bindings of roles to users, groups and service accounts."""

from datetime import datetime
from pathlib import Path

import click

from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import json_option, out, print_json, table
from orchestrator.cli.register_options import MOMENT, model_of, open_project


@click.group("access", cls=SubcommandGroup)
def command() -> None:
    """Show, grant, revoke and apply bindings of roles.

    Without any binding, the local user has every right. The first binding has to make an administrator. Another user
    who can write the state folder can bypass all rights.
    """


@command.command("show")
@json_option
def show(as_json: bool) -> None:
    """Show the roles, and the users, groups and service accounts that have them."""
    from orchestrator.app.people import show_access
    from orchestrator.domain.access.directory import Directory
    from orchestrator.domain.moments import minute_text

    access = show_access(open_project().acting)
    roles = Directory(access).roles
    if as_json:
        named = {name: sorted(action.value for action in actions) for name, actions in roles.items()}
        print_json("Access", {"roles": named, "bindings": [binding.to_json() for binding in access.bindings]})
        return
    if not access.bindings:
        out("there are no bindings: the local user has every right")
        return
    rows = [
        [b.role, b.to, b.project, b.environment, minute_text(b.until) if b.until else "–", b.reason or "–"]
        for b in access.bindings
    ]
    out(table(["role", "to", "project", "environments", "until", "reason"], rows))


@command.command("grant")
@click.argument("role")
@click.argument("to", metavar="user:NAME|group:NAME|service-account:NAME")
@click.option("--project", default="*", metavar="PROJECT", help="Only in this project (default: `*`).")
@click.option("--environment", default="*", metavar="PATTERN", help="Only in environments that match (default: `*`).")
@click.option("--until", type=MOMENT, metavar="TIME", help="The end of the binding.")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason.")
@json_option
def grant(
    role: str, to: str, project: str, environment: str, until: datetime | None, message: str, as_json: bool
) -> None:
    """Give ROLE to a user, group or service account."""
    from orchestrator.app.access import grant as granted
    from orchestrator.domain.access.principals import Binding
    from orchestrator.domain.moments import moment_text

    end = moment_text(until) if until else None
    binding = model_of(Binding, role=role, to=to, project=project, environment=environment, until=end, reason=message)
    done = granted(open_project().acting, binding)
    if as_json:
        print_json("Binding", done.to_json())
        return
    out(f"granted: {done}")


@command.command("revoke")
@click.argument("role")
@click.argument("to", metavar="user:NAME|group:NAME|service-account:NAME")
@click.option("--project", default="*", metavar="PROJECT", help="The project of the binding (default: `*`).")
@click.option("--environment", default="*", metavar="PATTERN", help="The pattern of the binding (default: `*`).")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason.")
@json_option
def revoke(role: str, to: str, project: str, environment: str, message: str, as_json: bool) -> None:
    """Remove a binding of ROLE. The last administrator keeps it."""
    from orchestrator.app.access import revoke as revoked
    from orchestrator.domain.access.principals import Binding

    model_of(Binding, role=role, to=to, project=project, environment=environment)
    done = revoked(open_project().acting, role, to, project, environment, reason=message)
    if as_json:
        print_json("Binding", done.to_json())
        return
    out(f"revoked: {done}")


@command.command("apply")
@click.option(
    "-f", "--file", "file", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The access file."
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show the changes, and change nothing.")
@click.option("--prune", is_flag=True, help="Remove what the file does not have. Users are disabled.")
@json_option
def apply(file: Path, dry_run: bool, prune: bool, as_json: bool) -> None:
    """Change users, groups, service accounts, roles and bindings to match an access file."""
    from orchestrator.app.access import apply as applied
    from orchestrator.app.access import preview, read_access_file

    acting = open_project().acting
    wanted = read_access_file(file, acting)
    found = preview(acting, wanted, prune=prune) if dry_run else applied(acting, wanted, prune=prune)
    if as_json:
        print_json("AccessDifference", {**found.to_json(), "applied": not dry_run, "pruned": prune and not dry_run})
        return
    for change in found.changes:
        out(str(change))
    for removal in found.removals:
        out(f"{removal}" if prune else f"not in the file, and kept without --prune: {removal.section} {removal.key}")
    if found.is_empty:
        out("nothing to change")
    elif dry_run:
        out("nothing was changed (--dry-run)")
