"""Values as the database has them: JSON text that this program, or a newer one, has written."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.dialects.postgresql import ARRAY

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import QueuedRequest
from orchestrator.domain.model import Model
from orchestrator.domain.stored_words import read_text
from orchestrator.secret_values import process_secrets as known_secrets

T = TypeVar("T", bound=Model)
FEW_TEXTS = 20


def decode(model: type[T], text: str) -> T:
    """The value that was written as *text*, also by an earlier version. Raises S115 when a newer program wrote it."""
    try:
        return model.model_validate_json(read_text(model.__name__, text))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "it"
        message = f"a {model.__name__} in the store has a value that this program does not know ({where})"
        raise OrchestratorError("S115", message) from error


def as_stored(value: T) -> T:
    """*value* as the database will hold it, with every known secret masked.

    What takes a part of a text starts from this: a filter does not know the value of which only a part is left.
    """
    secrets = known_secrets()
    return value if secrets.redactor.is_empty else secrets.document(value)


def starts_with(dialect: str, column: "sa.ColumnElement[str]", beginning: str) -> "sa.ColumnElement[bool]":
    """Whether the text in *column* starts with *beginning*, in a form for which the *dialect* uses an index.

    SQLite compares text byte by byte, so the texts are a range of its index. Postgres may compare by the rules of a
    language. It has an index for patterns instead.
    """
    if dialect == "postgresql":
        return column.startswith(beginning, autoescape=True)
    return sa.and_(column >= beginning, column < f"{beginning}\U0010ffff")


def among(dialect: str, column: "sa.ColumnElement[str]", texts: Sequence[str]) -> "sa.ColumnElement[bool]":
    """Whether the text in *column* is one of *texts*. Many are given as one value: to name each takes milliseconds."""
    if len(texts) <= FEW_TEXTS:
        return column.in_(texts)
    if dialect == "postgresql":
        return column == sa.any_(sa.cast(sa.literal(list(texts), ARRAY(sa.Text)), ARRAY(sa.Text)))
    given = sa.func.json_each(json.dumps(texts)).table_valued("value")
    return column.in_(sa.select(given.c.value))


def readable_requests(rows: "Sequence[sa.Row[Any]]", unread: Callable[[str, str], None]) -> list[QueuedRequest]:
    """The requests in *rows*. *unread* is called with the root of each that this program cannot read, and why."""
    found = []
    for row in rows:
        try:
            found.append(decode(QueuedRequest, row.data))
        except OrchestratorError as error:
            unread(str(row.root), error.message)
    return found
