"""Which environments of a large project a page shows: those that a text finds, some at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from fastapi import Query

from orchestrator.domain.errors import OrchestratorError

ROWS = 50
"""How many environments a list shows at a time."""
COLUMNS = 20
"""How many environments the matrix shows at a time."""
FEW = 20
"""How many environments and problems the first page shows."""
NameText = Annotated[str | None, Query(max_length=200, description="A part of a name, or a pattern such as `eu-*`.")]
"""The text that chooses environments."""
EnvironmentCursor = Annotated[str | None, Query(max_length=200, description="The last environment of the page before.")]


@dataclass(frozen=True)
class ShownEnvironments:
    """The *names* that are shown of the *total* that *text* finds; *cursor* is for the next ones."""

    names: tuple[str, ...]
    text: str
    total: int
    cursor: str | None

    @property
    def is_part(self) -> bool:
        """Whether there are others, so that the page has a field for the text."""
        return bool(self.text) or len(self.names) < self.total


def shown_environments(
    names: Iterable[str], text: str | None, cursor: str | None, limit: int = ROWS
) -> ShownEnvironments:
    """The first *limit* of *names* after *cursor* that *text* finds. Raises N110 if *cursor* is not one of them."""
    wanted = (text or "").strip()
    found = [name for name in names if is_found(name, wanted)]
    if cursor is not None and cursor not in found:
        raise OrchestratorError("N110", "the cursor is not one of this list")
    start = found.index(cursor) + 1 if cursor is not None else 0
    page = tuple(found[start : start + limit])
    return ShownEnvironments(page, wanted, len(found), page[-1] if start + limit < len(found) else None)


def is_found(name: str, text: str) -> bool:
    """Whether *text* finds the environment *name*: as a pattern if it has a wildcard, otherwise as a part of it."""
    return fnmatchcase(name, text) if any(sign in text for sign in "*?[") else text.lower() in name
