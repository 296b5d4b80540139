"""The result of a step: the closed set of outcomes, and the result for each host.

*failed* means that the release is bad, *errored* that the machinery broke, *unknown* that the check was not possible.
The verdict over many is the worst of them, by the order declared here.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from pydantic import Field

from orchestrator.domain.model import Model


class Outcome(StrEnum):
    """How a step, a batch, a host or a test ended."""

    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"
    WAITING = "waiting"
    ABORTED = "aborted"
    FAILED = "failed"
    ERRORED = "errored"
    UNKNOWN = "unknown"

    @property
    def good(self) -> bool:
        """Whether the next piece of work may start after this one."""
        return self in (Outcome.SUCCEEDED, Outcome.SKIPPED)


_SEVERITY = {outcome: rank for rank, outcome in enumerate(Outcome)}


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of *outcomes*, in the order in which `Outcome` lists them; *skipped* when there is none."""
    return max(outcomes, key=_SEVERITY.__getitem__, default=Outcome.SKIPPED)


class HostResult(Model):
    """The result of one step on one host.

    *touched* is true if the step may have changed the host, also if it failed or the effect is unknown.
    *release* is the package digest that the host itself reported as current after the step. It is null without an
    inspection (the truth is then *assumed*, not *seen*). *fence* is the newest one that the host reports; null without
    an inspection. *serves* is the version that its service reports, if it was queried.
    *invalid* is why its report is not accepted, in one line: its release is then unknown.
    """

    host: str
    outcome: Outcome
    touched: bool
    changed: int = 0
    message: str = ""
    task: str = ""
    where: str = ""
    release: str | None = None
    fence: int | None = None
    serves: str = ""
    invalid: str = Field(default="", exclude_if=lambda reason: not reason)


class TestResult(Model):
    """One test on one host. *message* is the failing assertion, *where* its file:line; *duration* in seconds."""

    __test__ = False  # not a pytest class

    name: str
    host: str = ""
    outcome: Outcome
    duration: float = 0.0
    message: str = ""
    where: str = ""


class StepResult(Model):
    """What came of one step: its outcome, one sentence, each host, each test, and figures.

    *log* names the folder that holds the full output, relative to the project's state folder.
    *seconds* is the time that the engine below took, without our own.
    """

    outcome: Outcome
    message: str = ""
    hosts: tuple[HostResult, ...] = ()
    tests: tuple[TestResult, ...] = ()
    log: str = ""
    seconds: float = 0.0
    data: dict[str, Any] = Field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether the next step may start."""
        return self.outcome.good

    @property
    def code(self) -> str | None:
        """The code of the catalogue, if the failure has one."""
        code = self.data.get("code")
        return code if isinstance(code, str) else None

    @property
    def is_untouched(self) -> bool:
        """Whether the step is known to have changed nothing."""
        return self.data.get("untouched") is True

    @property
    def is_lost(self) -> bool:
        """Whether its job died before it could report, so that it may be started again."""
        return self.data.get("how") == "lost"

    @property
    def refused(self) -> tuple[str, ...]:
        """The hosts that refused our fencing token."""
        return tuple(self.data.get("refused", ()))

    def touched(self) -> tuple[str, ...]:
        """The hosts on which anything may have been changed, in order."""
        return tuple(result.host for result in self.hosts if result.touched)

    def after(self, first: "StepResult") -> "StepResult":
        """This result of a further attempt, with what the *first* one may have changed before its job died."""
        before = {host.host: host for host in first.hosts}
        both = (
            host.model_copy(update={"touched": host.touched or (host.host in before and before[host.host].touched)})
            for host in self.hosts
        )
        reported = {host.host: host for host in both}
        data = {name: value for name, value in self.data.items() if first.is_untouched or name != "untouched"}
        return self.model_copy(update={"hosts": tuple({**before, **reported}.values()), "data": data})


TRIES = 3
"""How often work whose job dies is started at most: the machine may lose its power twice in the same step."""


def attempts(step: str) -> tuple[str, ...]:
    """The names under which the work of *step* may be started, the first one first."""
    return (step, *(f"{step}~{number}" for number in range(2, TRIES + 1)))


def step_of(job: str, run: str) -> tuple[str, int]:
    """The step that the job key *job* of *run* belongs to, and which attempt at it (`~2`: the second)."""
    name = job.removeprefix(f"{run}.")
    found = re.fullmatch(r"(.+)~([1-9][0-9]{0,5})", name)
    return (found[1], int(found[2])) if found else (name, 1)
