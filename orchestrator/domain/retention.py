"""How long the state folder keeps what runs have left in it."""

from pydantic import Field

from orchestrator.domain.journal import Run, is_past
from orchestrator.domain.model import Model
from orchestrator.domain.moments import moment_text, parse_moment, span
from orchestrator.domain.quantities import Duration


class Retention(Model):
    """The rule of `orchestrator prune`.

    A run that ended longer ago than *runs* is old, unless it is one of the newest *keep_per_environment* of its
    environment.
    """

    runs: Duration = "90d"
    keep_per_environment: int = Field(default=20, ge=1)

    def cutoff(self, now: str) -> str:
        """The time before which a run must have ended to be old at *now* (ISO 8601)."""
        return moment_text(parse_moment(now) - span(self.runs))


def is_old(run: Run, cutoff: str, kept: frozenset[str]) -> bool:
    """Whether nothing needs what *run* left: it ended by *cutoff*, and is not among the runs *kept*."""
    return run.ended_at is not None and is_past(run.ended_at, cutoff) and run.id not in kept


class Removable(Model):
    """What a prune removes, or would remove: names by kind, and their size together in *bytes*.

    *requests* are those whose records of durable execution go. *definitions* are digests of project definitions.
    """

    jobs: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    definitions: tuple[str, ...] = ()
    bytes: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not (self.jobs or self.plans or self.packages or self.requests or self.outputs or self.definitions)
