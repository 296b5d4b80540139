"""The log of a run in parts: which records it has, and the lines that a job has printed."""

from typing import BinaryIO

from orchestrator.domain.journal import Record
from orchestrator.domain.model import Model
from orchestrator.domain.text import clean_text

LOGGED = frozenset({"task", "test", "resource", "notice", "files", "step.started", "step.finished", "wave"})
"""The kinds of records that a log shows."""
LONGEST_LINE = 4000
"""How many bytes of an output count as one line: longer lines are divided."""


class LogFilter(Model):
    """Which records are shown: of a *step*, also of its parts, and of a *host*. None does not limit the log."""

    step: str | None = None
    host: str | None = None

    def accepts(self, record: Record) -> bool:
        """Whether *record* is shown."""
        named = self.step is None or record.step == self.step or record.step.startswith(f"{self.step}.")
        return record.kind in LOGGED and named and self.host in {None, record.host}


class OutputPart(Model):
    """The *lines* of what *job* has printed, from the line number *first* on. *following*: the number after them."""

    job: str
    step: str
    first: int
    lines: tuple[str, ...]
    following: int | None = None


def read_lines(source: BinaryIO, first: int, limit: int) -> tuple[tuple[str, ...], bool]:
    """At most *limit* lines of *source*, from the line number *first* on, cleaned; and whether more lines follow."""
    for _ in range(first - 1):
        if not source.readline(LONGEST_LINE):
            return (), False
    found = list[str]()
    for _ in range(limit):
        line = source.readline(LONGEST_LINE)
        if not line:
            return tuple(found), False
        found.append(clean_text(line.decode(errors="replace").rstrip("\r\n")))
    return tuple(found), bool(source.read(1))
