"""What an automated task does: a promotion, a rollback, a command, a playbook, or a gate."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from orchestrator.domain.gate import Gate, HttpGate, PrometheusGate, Span
from orchestrator.domain.model import Model, RelativePath
from orchestrator.domain.quantities import Duration, HostPattern

Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Word = Annotated[str, StringConstraints(max_length=2000)]
SHOWN = 120


class PromotionTask(Model):
    """A promotion of the kept *package* (`shop-1.5.0`) to the environment *to*. Conditions, votes and bookings hold."""

    package: Text
    to: Text

    @property
    def about(self) -> str:
        """What it does, in a phrase."""
        return f"promote {self.package} to {self.to}"


class RollbackTask(Model):
    """A rollback of *environment* to the version *to*; without it to the last verified release."""

    environment: Text
    to: Text | None = None

    @property
    def about(self) -> str:
        """What it does, in a phrase."""
        return f"roll back {self.environment}" + (f" to {self.to}" if self.to else "")


class CommandTask(Model):
    """A program that a worker runs once in the project's folder: its *words*, without a shell, for at most *timeout*.

    It finds what a command of a gate of *environment* finds, and its isolation.
    """

    environment: Text
    words: Annotated[tuple[Word, ...], Field(min_length=1, max_length=100)]
    timeout: Span = "10m"

    @property
    def about(self) -> str:
        """What it does, in a phrase."""
        words = " ".join(self.words)
        return f"run {words if len(words) <= SHOWN else words[:SHOWN] + '…'} for {self.environment}"


class PlaybookTask(Model):
    """A *playbook* that a worker runs once on those *hosts* of *environment*, with *variables*, for at most *timeout*.

    It is a file of the kept *package*; by default that is the release that was verified there last.
    """

    environment: Text
    playbook: RelativePath
    package: Text | None = None
    hosts: HostPattern = "all"
    variables: dict[str, Word] = Field(default={})
    timeout: Span = "30m"

    @property
    def about(self) -> str:
        """What it does, in a phrase."""
        package = f" of {self.package}" if self.package else ""
        return f"run the playbook {self.playbook}{package} on {self.hosts} of {self.environment}"


class GateTask(Model):
    """A condition of *environment* that a worker checks every *every* until it holds, for at most *within*."""

    environment: Text
    http: HttpGate | None = None
    prometheus: PrometheusGate | None = None
    command: Annotated[tuple[Word, ...], Field(min_length=1, max_length=100)] | None = None
    hosts: HostPattern = "all"
    within: Duration = "0s"
    every: Span = "10s"

    @model_validator(mode="after")
    def _is_one_gate(self) -> Self:
        self.gate("gate")
        return self

    def gate(self, name: str) -> Gate:
        """The gate called *name*."""
        given = {"http": self.http, "prometheus": self.prometheus, "command": self.command}
        return Gate(name=name, hosts=self.hosts, **{kind: gate for kind, gate in given.items() if gate is not None})  # type: ignore[arg-type]

    @property
    def about(self) -> str:
        """What it does, in a phrase."""
        return f"check that {self.gate('gate').about}, in {self.environment}"


Work = PromotionTask | RollbackTask | CommandTask | PlaybookTask | GateTask
WORKS = ("promotion", "rollback", "command", "playbook", "gate")
"""The fields of a task with its work."""
