"""What importing a calendar file adds, changes and skips. Idempotent: the same file again changes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.calendar.rules import CalendarRule


@dataclass(frozen=True)
class ImportDifference:
    """The rules that an import *added* and *changed*, and the titles that it *skipped*, each with the reason."""

    added: tuple[CalendarRule, ...]
    changed: tuple[CalendarRule, ...]
    skipped: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """The difference as data for documents."""
        return {
            "added": [rule.to_json() for rule in self.added],
            "changed": [rule.to_json() for rule in self.changed],
            "skipped": [{"title": title, "reason": reason} for title, reason in self.skipped],
        }


def import_difference(existing: Iterable[CalendarRule], incoming: Iterable[CalendarRule]) -> ImportDifference:
    """What importing *incoming* changes. Entries are the same if their UIDs are; a lower SEQUENCE is skipped.

    An entry with the same SEQUENCE and other contents is a change: not every program counts.
    """
    known = {rule.uid: rule for rule in existing if rule.uid is not None}
    added, changed, skipped = [], [], []
    for rule in incoming:
        old = known.get(rule.uid or "")
        if old is None:
            added.append(rule)
        elif old == rule:
            skipped.append((rule.title, "unchanged"))
        elif rule.sequence < old.sequence:
            skipped.append((rule.title, f"older (SEQUENCE {rule.sequence}, imported is {old.sequence})"))
        else:
            changed.append(rule)
    return ImportDifference(tuple(added), tuple(changed), tuple(skipped))
