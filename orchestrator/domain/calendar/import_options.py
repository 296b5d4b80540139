"""How the events of a calendar file become calendar rules."""

from dataclasses import dataclass

from orchestrator.domain.calendar.rules import RuleKind


@dataclass(frozen=True)
class ImportOptions:
    """What the events of a *file* become, where they do not state it: *kind*, *environments*, *owner*.

    *zone* is the time zone of whole days and of times without one.
    """

    file: str
    kind: RuleKind = RuleKind.HARD_FREEZE
    environments: tuple[str, ...] = ("*",)
    zone: str = "UTC"
    owner: str = ""
