"""The changes of an environment since its last release, each by its name, and what could not be checked."""

from collections import Counter
from typing import Literal

from orchestrator.domain.model import Model
from orchestrator.domain.release import PackageRef
from orchestrator.domain.text import counted

Part = Literal["resource", "host", "release", "file", "task", "test"]


class Finding(Model):
    """One difference from the state that the last release left: *what* differs of the *name*, and on which *host*."""

    part: Part
    name: str
    host: str = ""
    what: str

    def __str__(self) -> str:
        where = f"{self.host}: " if self.host else ""
        return f"{where}{self.part} {self.name} {self.what}"


class Drift(Model):
    """Whether an environment is in the state that its last release left.

    *release* was verified there *since* then by *run*. *unknown* lists what could not be checked, one sentence each:
    then the absence of drift is not known. *notes* are what is not checked, and does not count as unknown.
    """

    environment: str
    release: PackageRef
    run: str
    since: str
    findings: tuple[Finding, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether everything was checked, and nothing has changed."""
        return not self.findings and not self.unknown

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the environment is not known to be unchanged, a sentence each."""
        return (*map(str, self.findings), *(f"unknown: {text}" for text in self.unknown))

    def __str__(self) -> str:
        counts = Counter(finding.part for finding in self.findings)
        found = ", ".join(counted(count, part) for part, count in counts.items())
        unknown = f"{len(self.unknown)} unknown" if self.unknown else ""
        return ", ".join(part for part in (found, unknown) if part) or "no change found in what was checked"
