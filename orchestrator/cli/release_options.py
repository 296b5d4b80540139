"""The options that commands of planned releases share."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from orchestrator.cli import completing
from orchestrator.cli.register_options import MOMENT

F = TypeVar("F", bound=Callable[..., Any])


def release_argument(function: F) -> F:
    """The argument RELEASE, which arrives as *release*, with its completion."""
    return click.argument("release", metavar="RELEASE", shell_complete=completing.planned_releases)(function)


def release_reason_option(*, required: bool = False) -> Callable[[F], F]:
    """The option `--message`, which arrives as *message*."""
    help_ = "The reason, shown with the release."
    return click.option("-m", "--message", default="", metavar="WHY", required=required, help=help_)


def wait_booked_option(function: F) -> F:
    """The option `--wait`, which arrives as *wait*."""
    return click.option("--wait", is_flag=True, help="Wait for environments that are booked.")(function)


def scope_options(function: F) -> F:
    """The options `--request` and `--package`, which arrive as *requests* and *packages*."""
    requests = "A change request. May be repeated."
    packages = "A package, built or not, such as shop-1.5.0. May be repeated."
    complete_ = completing.change_requests
    package = click.option("--package", "packages", multiple=True, metavar="NAME-VERSION", help=packages)
    request = click.option(
        "--request", "requests", multiple=True, metavar="REQUEST", shell_complete=complete_, help=requests
    )
    return request(package(function))


def plan_options(*, new: bool) -> Callable[[F], F]:
    """The options with the fields of a plan; those of a *new* one are required."""
    options = (
        click.option("--to", "environment", required=new, metavar="ENV", shell_complete=completing.environments,
                     help="The environment into which it is released."),
        click.option("--freeze", "freeze_at", required=new, type=MOMENT, metavar="TIME", help="The freeze time."),
        click.option("--release-at", required=new, type=MOMENT, metavar="TIME", help="The release time."),
        click.option("--mode", type=click.Choice(["timeline", "completion"]),
                     help="Whether the dates bind, or what is ready decides (default: timeline)."),
        click.option("--owner", metavar="USER", help="The owner (default: you)."),
        click.option("--role", "roles", multiple=True, metavar="ROLE=USER",
                     help="A role and its user. May be repeated."),
        click.option("--description", metavar="TEXT", help="What it is about."),
    )  # fmt: skip

    def whole(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return whole


def given_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """The *fields* that were given, as JSON data."""
    given = {name: value for name, value in fields.items() if value not in (None, ())}
    for name in ("freeze_at", "release_at"):
        if isinstance(given.get(name), datetime):
            given[name] = given[name].isoformat()
    if "roles" in given:
        pairs = [text.partition("=") for text in given["roles"]]
        given["roles"] = [{"role": role, "user": user} for role, _, user in pairs]
    return given
