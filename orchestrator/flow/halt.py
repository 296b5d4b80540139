"""How a run stops before its end: it cannot continue, or another process acts for it."""

from typing import NoReturn

from orchestrator.domain.step import StepResult


class RunHalted(Exception):
    """The run cannot continue. *result* has the reason; *code* is that of the error, if there is one."""

    def __init__(self, step: str, result: StepResult) -> None:
        super().__init__(result.message)
        self.step = step
        self.result = result

    @property
    def code(self) -> str | None:
        """The code of the catalogue, when the failure has one."""
        return self.result.code


class OwnershipLost(BaseException):
    """Another process acts for the run: not an `Exception`, so that nothing on the way takes it for a failure."""


class SoleOwner:
    """The `RunOwnership` of a process that has no rival."""

    worker = ""

    def check(self) -> None:
        """It may always act."""

    def acting(self, run: str | None, known: str = "") -> None:
        """Do nothing."""

    def park(self) -> NoReturn:
        """Stop here."""
        raise OwnershipLost("parked")

    def taken_over(self) -> NoReturn:
        """Stop here."""
        raise OwnershipLost("taken over")
