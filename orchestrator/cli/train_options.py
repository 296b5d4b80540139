"""The arguments and options that commands of release trains share."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orchestrator.cli import completing
from orchestrator.cli.durations import DURATION

if TYPE_CHECKING:
    from orchestrator.management.trains.model import LineDraft

F = TypeVar("F", bound=Callable[..., Any])


class WallTimeType(click.ParamType[datetime]):
    """A wall-clock time without an offset, such as 2026-12-01T10:00."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time that *value* names."""
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time: write it as 2026-12-01T10:00", param, ctx)
        if found.tzinfo is not None:
            self.fail(f"{value!r} has an offset: the time zone is given with --zone", param, ctx)
        return found


class StopType(click.ParamType[dict[str, Any]]):
    """A stop: one environment or several, and the earliest start after the departure, such as `production+2h`."""

    name = "STOP"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """The fields of the stop that *value* names."""
        if isinstance(value, dict):
            return value
        from orchestrator.management.trains.model import stop_parts

        names, after = stop_parts(str(value))
        after_s = DURATION.convert(after, param, ctx) if after else 0.0
        return {"environments": names, "after_s": int(after_s)}


WALL_TIME, STOP = WallTimeType(), StopType()


def train_argument(function: F) -> F:
    """The argument TRAIN, which arrives as *train*, with its completion."""
    return click.argument("train", metavar="TRAIN", shell_complete=completing.trains)(function)


def line_argument(function: F) -> F:
    """The argument LINE, which arrives as *line*, with its completion."""
    return click.argument("line", metavar="LINE", shell_complete=completing.train_lines)(function)


def train_reason_option(*, required: bool = False) -> Callable[[F], F]:
    """The option `--message`, which arrives as *message*."""
    help_ = "The reason, recorded with the train."
    return click.option("-m", "--message", default="", metavar="WHY", required=required, help=help_)


def line_options(function: F) -> F:
    """The options with the fields of a line."""
    options = (
        click.option("--stop", "stops", type=STOP, multiple=True, metavar="STOP",
                     help="ENV or ENV,ENV, with the earliest start after the departure as +TIME. May be repeated."),
        click.option("--start", type=WALL_TIME, metavar="TIME", help="The first departure, without an offset."),
        click.option("--rule", metavar="RULE", help="The recurrence by RFC 5545, such as 'FREQ=WEEKLY;BYDAY=TU'."),
        click.option("--date", "dates", type=WALL_TIME, multiple=True, metavar="TIME",
                     help="A single departure. May be repeated."),
        click.option("--zone", metavar="ZONE", help="The time zone (default: UTC)."),
        click.option("--boarding", "boarding_s", type=DURATION, metavar="TIME",
                     help="How long before the departure boarding closes (default: 0s)."),
        click.option("--rehearse/--no-rehearse", default=None,
                     help="Roll the set back and promote it again at the first stop (default: no)."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def line_fields(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a line that were *given*, as JSON data."""
    found = {name: value for name, value in given.items() if value not in (None, ())}
    if "start" in found:
        found["start"] = found["start"].isoformat(timespec="seconds")
    if "dates" in found:
        found["dates"] = [date.isoformat(timespec="seconds") for date in found["dates"]]
    if "boarding_s" in found:
        found["boarding_s"] = int(found["boarding_s"])
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def line_draft(name: str, given: dict[str, Any]) -> "LineDraft":
    """The line called *name* with the fields that were *given*. Raises a usage error for a wrong one."""
    from orchestrator.cli.register_options import model_of
    from orchestrator.management.trains.model import LineDraft

    return model_of(LineDraft, name=name, **line_fields(given))
