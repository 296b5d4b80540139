"""The parameters that only one kind of run has, as the steps of that run read them from its request."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field

from orchestrator.domain.model import Model
from orchestrator.domain.release import PackageRef
from orchestrator.domain.sides import Side


class RunParameters(Model):
    """What a run needs of the parameters of its request; parameters for others are left out."""

    @classmethod
    def read(cls, recorded: Mapping[str, object]) -> Self:
        """The parameters out of their *recorded* form. Raises `pydantic.ValidationError` if one is missing."""
        return cls.from_json({name: value for name, value in recorded.items() if name in cls.model_fields})


class ResolveParameters(RunParameters):
    """Which interrupted creates happened, by URN with the id of the resource, and which did not."""

    created: dict[str, str] = Field(default_factory=dict)
    absent: tuple[str, ...] = ()


class ObserveParameters(RunParameters):
    """The highest fencing *token* that is taken over from hosts; None: as usual."""

    token: int | None = None


class OverrideParameters(RunParameters):
    """What an operator declares, and *why*: the *live* side, or the *release* of a *host* (None: it has none)."""

    why: str
    live: Side | None = None
    host: str | None = None
    release: PackageRef | None = None


class ReapParameters(RunParameters):
    """The *run* whose stack is destroyed."""

    run: str
