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
    """The *commits* after the commit *base*, newest first."""

    base: str
    commits: tuple[CommitMessage, ...]


@dataclass(frozen=True)
class BuiltRelease:
    """A *release*, and the *commit* from which it was built."""

    release: str
    commit: str


@dataclass(frozen=True)
class FactChanges:
    """What the journal has had entries about until *cursor*: *environments*, and names of *packages*."""

    cursor: str
    environments: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()


class ImportFiles(Protocol):
    """What change requests are imported from: a Git repository and files of the machine on which the command runs."""

    def commits_after(self, base: str) -> CommitRange:
        """The commits after *base*. Raises P119."""

    def read_file(self, file: Path) -> ChangeFile:
        """The change requests in *file*. Raises F-codes."""

    def read_text(self, text: str, name: str) -> ChangeFile:
        """The change requests in the *text* of a file called *name*. Raises F-codes."""


class ChangeSources(Protocol):
    """The facts of change requests."""

    def known_packages(self) -> frozenset[str]:
        """The names of the releases of the project."""

    def declared_rules(self) -> tuple[CalendarRule, ...]:
        """The calendar entries of the environments' files."""

    def change_facts(self, packages: tuple[str, ...], environments: tuple[str, ...]) -> ChangeFacts:
        """What the journal has of *packages* in *environments*."""

    def fact_changes(self, cursor: str | None) -> FactChanges | None:
        """What may have changed facts after *cursor*; None if that is not known: then all may have changed."""

    def journal_end(self) -> str:
        """The cursor of the newest entry of the journal."""

    def running_release(self, environment: str) -> BuiltRelease:
        """The release that was verified last in *environment*. Raises G104 without one or its commit, and R103."""
