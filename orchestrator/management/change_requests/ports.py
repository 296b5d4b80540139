"""What change requests read from the project and its journal."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.release import CommitMessage
from orchestrator.management.change_requests.file import ChangeFile
from orchestrator.management.change_requests.risk import ChangeFacts


@dataclass(frozen=True)
class CommitRange:
    """The *commits* after the commit *base*, newest first. *base* is that of *release*, if it comes from one."""

    base: str
    release: str
    commits: tuple[CommitMessage, ...]


class ChangeSources(Protocol):
    """The facts of change requests, and where they are imported from."""

    def known_packages(self) -> frozenset[str]:
        """The names of the releases of the project."""

    def declared_rules(self) -> tuple[CalendarRule, ...]:
        """The calendar entries of the environments' files."""

    def change_facts(self, packages: tuple[str, ...], environments: tuple[str, ...]) -> ChangeFacts:
        """What the journal has of *packages* in *environments*."""

    def commits_since(self, environment: str, base: str) -> CommitRange:
        """The commits after *base*, or without it after the release that runs in *environment*. Raises G104, P119."""

    def read_file(self, file: Path) -> ChangeFile:
        """The change requests in *file*. Raises F-codes."""
