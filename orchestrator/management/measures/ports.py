"""The facts of measures: of the project, its journal and its Git repository."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from orchestrator.domain.journal import Run
from orchestrator.domain.release import PackageRef


class MeasureSources(Protocol):
    """The facts of measures."""

    def previous(self) -> Mapping[str, str | None]:
        """The environments, each with the previous one on its path (`after` of its file)."""

    def ended_runs(self, environment: str, since: datetime) -> tuple[Run, ...]:
        """The promotions and rollbacks in *environment* that ended after *since*."""

    def failures(self, runs: tuple[str, ...]) -> Mapping[str, datetime]:
        """The time of the first failure of those of *runs* that failed after their first effect."""

    def commit_times(self, releases: frozenset[PackageRef]) -> Mapping[str, datetime]:
        """The time of the commit of each of *releases*, by digest, as far as package and commit are kept here."""
