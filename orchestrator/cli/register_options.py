"""What the commands of the register share: types of options, and the tables of their records."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.domain.model import Model

M = TypeVar("M", bound="Model")


class MomentType(click.ParamType[datetime]):
    """A moment: ISO 8601 with an offset, `now`, or a time from now such as `+3d`."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment that *value* names."""
        from orchestrator.domain.moments import parse_moment
        from orchestrator.domain.quantities import seconds

        if isinstance(value, datetime):
            return value
        text = str(value)
        try:
            if text == "now" or text.startswith("+"):
                after = 0.0 if text == "now" else seconds(text[1:])
                return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=after)
            return parse_moment(text)
        except OverflowError:
            self.fail(f"{value!r} is too late", param, ctx)
        except ValueError as error:
            self.fail(f"{value!r} is not a time: {_why(error)}", param, ctx)


MOMENT = MomentType()


def _why(error: ValueError) -> str:
    text = str(error)
    return text if text.startswith("must") else "write it as 2026-12-24T18:00:00Z, or as +3d"


def open_project() -> "Application":
    """The project of this folder."""
    from orchestrator.app.opening import open_application

    return open_application(Path.cwd())


def shown_address(app: "Application", path: str) -> str:
    """*path* of the project with the address of its server, where that is known."""
    from orchestrator.domain.project_addresses import address_at

    return address_at(app.server_url, path) if app.server_url else path


def model_of(model: type[M], **fields: Any) -> M:
    """A value from the words of the command line. Raises a usage error that names the wrong field."""
    from pydantic import ValidationError

    from orchestrator.domain.model import first_fault

    try:
        return model.from_json(fields)
    except ValidationError as error:
        where, reason = first_fault(error)
        raise click.UsageError(f"{where or model.__name__}: {reason}") from error
