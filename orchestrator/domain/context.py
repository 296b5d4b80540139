"""What playbooks and suites may know of the run that they are part of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.release import PackageRef
from orchestrator.domain.sides import Side


@dataclass(frozen=True)
class Outputs:
    """A stack's outputs: *plain* values, and *secret* ones, which never reach the journal, a log or the terminal."""

    plain: Mapping[str, Any]
    secret: Mapping[str, Any] = field(default_factory=dict)

    def masked(self) -> dict[str, Any]:
        """All outputs by name, with `[secret]` for the secret ones."""
        return {**self.plain, **dict.fromkeys(self.secret, "[secret]")}


@dataclass(frozen=True)
class Switched:
    """What a switch's playbook gets: the side that becomes *live*, the one that becomes *idle*, their hosts."""

    live: Side
    idle: Side
    live_hosts: tuple[str, ...]
    idle_hosts: tuple[str, ...]


@dataclass(frozen=True)
class Context:
    """What a playbook or a suite may know of the run: it arrives as the variable `release` and `ORCHESTRATOR_*`.

    *fence* is the lease's number, *previous* the previous release, *outputs* the stack's outputs.
    *vars* are the environment's own variables (the operator's, not the package's). *sides* is given to playbooks that
    switch from one side to the other, or retire one. *controller_files* are the environment's own; *secret_files* are
    those of them whose content is secret.
    *verified* is the digest of the release that was verified last in the environment, and the run that verified it.
    *targets* are the digests of all rollback targets. None: they are not known. *older* are those that the current one
    replaced. *credentials* are variables of the controller with the servers to which gates of the release may show
    them.
    """

    run: str
    environment: str
    project: str = ""
    fence: int = 0
    previous: PackageRef | None = None
    outputs: Outputs = field(default_factory=lambda: Outputs({}))
    vars: Mapping[str, Any] = field(default_factory=dict)
    settings: AnsibleSettings = field(default_factory=AnsibleSettings)
    sides: Switched | None = None
    controller_files: tuple[str, ...] = ()
    secret_files: tuple[str, ...] = ()
    verified: tuple[str, str] | None = None
    targets: frozenset[str] | None = None
    older: frozenset[str] = frozenset()
    credentials: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
