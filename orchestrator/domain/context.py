"""What playbooks and suites may know of the run that they are part of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.release import PackageRef


@dataclass(frozen=True)
class Outputs:
    """A stack's outputs: *plain* values, and *secret* ones, which never reach the journal, a log or the terminal."""

    plain: Mapping[str, Any]
    secret: Mapping[str, Any] = field(default_factory=dict)

    def masked(self) -> dict[str, Any]:
        """All outputs by name, with `[secret]` for the secret ones."""
        return {**self.plain, **dict.fromkeys(self.secret, "[secret]")}


@dataclass(frozen=True)
class Context:
    """What a playbook or a suite may know of the run: it arrives as the variable `release` and `ORCHESTRATOR_*`.

    *fence* is the lease's number, *previous* the release that was there before, *outputs* the stack's outputs.
    *vars* are the environment's own variables (the operator's, not the package's).
    """

    run: str
    environment: str
    project: str = ""
    fence: int = 0
    previous: PackageRef | None = None
    outputs: Outputs = field(default_factory=lambda: Outputs({}))
    vars: Mapping[str, Any] = field(default_factory=dict)
    settings: AnsibleSettings = field(default_factory=AnsibleSettings)
