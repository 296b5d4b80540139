"""One family of errors: a code, a sentence, where, and what to do about it.

A code belongs to one entry of the catalogue (`domain/codes/`), which `orchestrator explain CODE` prints
and the reference page is made from. Calling things in the wrong order is not in this family: that is a
`RuntimeError`, a mistake of ours.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib import import_module

FAMILIES = (
    "access",
    "management",
    "files",
    "package",
    "environment",
    "deploy",
    "verify",
    "promotion",
    "authentication",
    "store",
    "isolation",
    "machine",
    "server",
)


class Exit(IntEnum):
    """How a command ends. Stable: scripts depend on these numbers."""

    OK = 0
    FAILED = 1  # failed, and nothing was changed
    USAGE = 2  # the command line or a file is wrong
    NOT_ALLOWED = 3  # a rule, gate or approval forbids it
    ROLLED_BACK = 4  # failed, and rolled back
    NEEDS_INTERVENTION = 5  # failed, and not rolled back
    NOT_FOUND = 6
    UNEXPECTED_CHANGES = 7  # what was planned is not the current state
    BUSY = 8  # another run or an operator holds the environment
    TIMEOUT = 9
    INTERNAL = 70  # a mistake of ours
    INTERRUPTED = 130


@dataclass(frozen=True)
class ErrorCode:
    """One entry of the catalogue. *why* and *remedy* are Markdown paragraphs."""

    code: str
    title: str
    why: str
    remedy: str
    exit: Exit = Exit.FAILED


@dataclass(frozen=True)
class Where:
    """A place in a file: *line* and *column* count from 1; *text* is the whole line; *width* is in characters."""

    file: str
    line: int | None = None
    column: int | None = None
    text: str | None = None
    width: int = 1

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


class OrchestratorError(Exception):
    """Something that the user can understand and act on.

    Args:
        code: an entry of the catalogue, such as `P203`.
        message: one sentence, without a full stop at its end, naming what is wrong.
        where: the place in the user's file, when there is one.
        hint: what to write or to do, when it is known more exactly than the catalogue's remedy.
    """

    def __init__(self, code: str, message: str, *, where: Where | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = where
        self.hint = hint

    @property
    def exit(self) -> Exit:
        """The exit status that this error's code declares."""
        return lookup(self.code).exit

    def to_json(self) -> dict[str, object]:
        """The error as data for `--json`."""
        where = self.where
        return {
            "code": self.code,
            "message": self.message,
            "file": where.file if where else None,
            "line": where.line if where else None,
            "column": where.column if where else None,
            "hint": self.hint,
        }

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}error[{self.code}]: {self.message}"


class JobLost(OrchestratorError):
    """The process of a job died before it could report: with the machine, or by a signal. The job can be repeated."""


class OrchestratorErrors(Exception):
    """All that is wrong with one file, at once. *errors* is never empty."""

    def __init__(self, errors: list[OrchestratorError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors


@cache
def catalogue() -> dict[str, ErrorCode]:
    """Every error code there is, by code."""
    entries = [entry for family in FAMILIES for entry in import_module(f"orchestrator.domain.codes.{family}").CODES]
    return {entry.code: entry for entry in sorted(entries, key=lambda entry: entry.code)}


def lookup(code: str) -> ErrorCode:
    """The catalogue's entry for *code*. Raises `KeyError` when there is none: an error of ours."""
    return catalogue()[code]
