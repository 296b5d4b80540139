"""Times as words of the command line: `30s`, `5m`, `4h`, `2d`."""

import click


class Duration(click.ParamType[float]):
    """A length of time, which arrives as seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds of *value*."""
        from orchestrator.domain.quantities import seconds

        if isinstance(value, (int, float)):
            return float(value)
        try:
            return seconds(str(value))
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


DURATION = Duration()
