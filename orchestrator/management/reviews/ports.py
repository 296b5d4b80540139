"""The facts of reviews from the journal."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from orchestrator.domain.journal import Run
from orchestrator.management.reviews.model import ReviewFacts

RunKind = Literal["rollback", "intervention", "emergency", "other"]


@dataclass(frozen=True)
class ReviewedRun:
    """A *run* that is reviewed, and why. *undone* is the digest of the package that it took out of its environment."""

    run: Run
    kind: RunKind
    undone: str = ""


class ReviewSources(Protocol):
    """The facts of reviews."""

    def reviewed_runs(self, since: datetime, emergencies: frozenset[str]) -> tuple[ReviewedRun, ...]:
        """The runs that ended after *since*, and that are reviewed: oldest first, each once.

        Those that were rolled back, rolled something back, or need intervention, and all with a root in *emergencies*.
        """

    def run_facts(self, run: str) -> ReviewFacts:
        """What the journal has of one run. Raises R101."""

    def runs_of(self, environment: str, name: str, digest: str, since: datetime) -> tuple[Run, ...]:
        """The promotions of a package to *environment*, and its rollbacks, requested after *since*, oldest first.

        A rollback from it to another package of that *name* is one of them.
        """

    def run(self, run: str) -> Run:
        """One run. Raises R101."""
