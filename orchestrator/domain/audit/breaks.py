"""Breaks of the audit stream that were explained: places that were recorded and are not in the stream any more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from orchestrator.domain.access.actions import Action
from orchestrator.domain.audit.chain import AuditEntry, AuditHead, Fault
from orchestrator.domain.model import Model

BREAK = "break"
"""The field of an entry's detail that describes an explained break."""


class BreakDetail(Model):
    """What the entry of an explained break records.

    *heads* are the recorded places that are not in the stream. *first* is the first index that is known to differ, and
    *fault* how. *head_after* is the newest place of the stream before the entry.
    """

    heads: tuple[AuditHead, ...] = Field(min_length=1)
    first: int
    fault: Fault
    head_after: AuditHead


@dataclass(frozen=True)
class ExplainedBreak:
    """A break as its *entry* of the stream explains it."""

    entry: AuditEntry
    detail: BreakDetail

    def __str__(self) -> str:
        last = max(head.index for head in self.detail.heads)
        what = f"entry {last} is" if last == self.detail.first else f"entries {self.detail.first} to {last} are"
        return (
            f"{what} not the recorded ones: {self.entry.actor} explained this: {self.entry.reason} "
            f"(recorded in entry {self.entry.index})"
        )

    def to_json(self) -> dict[str, Any]:
        """The break as data for documents."""
        return {
            **self.detail.to_json(),
            "entry": self.entry.index,
            "by": self.entry.actor,
            "at": self.entry.to_json()["at"],
            "reason": self.entry.reason,
        }


def recorded_breaks(entries: Iterable[AuditEntry]) -> tuple[ExplainedBreak, ...]:
    """The breaks that *entries* explain, in order."""
    return tuple(
        ExplainedBreak(entry, BreakDetail.from_json(entry.detail[BREAK]))
        for entry in entries
        if entry.action == Action.EXPLAIN_AUDIT.value and BREAK in entry.detail
    )


def explained_break(breaks: Sequence[ExplainedBreak], head: AuditHead) -> ExplainedBreak | None:
    """The one of *breaks* that names exactly the place *head*; None if none does."""
    return next((each for each in breaks if any(map(head.is_at, each.detail.heads))), None)
