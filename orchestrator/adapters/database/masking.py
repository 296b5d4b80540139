"""The filter of secrets in front of every database of this process: the journal's and that of durable execution.

It masks the parameters of each statement, so no code that writes can forget it.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa

from orchestrator.secret_values import process_secrets


@cache
def mask_databases() -> None:
    """From now on every value that this process sends to any database passes the filter of secrets."""

    @sa.event.listens_for(sa.Engine, "before_cursor_execute", retval=True)
    def _before(
        _connection: sa.Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> tuple[str, Any]:
        return statement, parameters if process_secrets().redactor.is_empty else mask_parameters(parameters)


def mask_parameters(parameters: Any) -> Any:
    """The *parameters* of a statement, or of several, with each known secret masked."""
    if isinstance(parameters, str):
        return (
            process_secrets().json(parameters) if parameters[:1] in {"{", "["} else process_secrets().data(parameters)
        )
    if isinstance(parameters, bytes):
        return process_secrets().redactor.mask(parameters)
    if isinstance(parameters, Mapping):
        return {name: mask_parameters(value) for name, value in parameters.items()}
    if isinstance(parameters, (list, tuple)):
        items = [mask_parameters(item) for item in parameters]
        return items if isinstance(parameters, list) else tuple(items)
    return parameters
