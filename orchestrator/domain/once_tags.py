"""The tags of a step that run in one batch only."""

from typing import Annotated

from pydantic import Field, StringConstraints

from orchestrator.domain.model import Model

Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}$")]


class OnceTags(Model):
    """Tags of plays and tasks that run in one batch of a step only: in the *first*, or in the *last*."""

    first: tuple[Tag, ...] = Field(default=(), exclude_if=lambda tags: not tags)
    last: tuple[Tag, ...] = Field(default=(), exclude_if=lambda tags: not tags)

    @property
    def tags(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.first, *self.last)

    def skipped(self, number: int, count: int) -> tuple[str, ...]:
        """The tags that batch *number* (from 1) of *count* leaves out."""
        return (*(self.first if number > 1 else ()), *(self.last if number < count else ()))


NO_TAGS = OnceTags()
