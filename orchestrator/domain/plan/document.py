"""The plan: the document that is shown, saved, approved and executed."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from orchestrator.domain.configuration import Configuration
from orchestrator.domain.credentials import MissingCredential
from orchestrator.domain.environment import Ephemeral
from orchestrator.domain.gate import Probe
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model import Digest, Model, digest_of
from orchestrator.domain.plan.hosts import HostState
from orchestrator.domain.plan.implementation import PlannedImplementation, PlannedReversal
from orchestrator.domain.plan.observation import PlannedWatch
from orchestrator.domain.plan.play import SuiteSpec
from orchestrator.domain.plan.rollback import RollbackTarget, SecondPass, SkippedStep
from orchestrator.domain.plan.sides import PlannedSides
from orchestrator.domain.plan.stack import Loss, StackPreview
from orchestrator.domain.plan.step import PlannedArtifact, PlannedStep, PlannedUndo
from orchestrator.domain.release import PackageRef
from orchestrator.domain.requirements.check import CheckedHost
from orchestrator.domain.requirements.model import Requirement
from orchestrator.domain.stored_words import plan_as_made


class Acknowledgements(Model):
    """The losses and irreversible steps that were agreed to by name.

    *replace* are stateful resources (names or URNs) that may be replaced or deleted, *no_return* steps that cannot be
    undone and may be run.
    """

    replace: tuple[str, ...] = ()
    no_return: tuple[str, ...] = ()

    def missing(self, losses: Iterable[Loss]) -> tuple[Loss, ...]:
        """Those of *losses* that are not acknowledged."""
        return tuple(loss for loss in losses if not {loss.name, loss.urn} & set(self.replace))


PlanAction = Literal["promote", "rollback"]
"""What a plan is for."""
NOTHING = Acknowledgements()
NOT_DECIDING: dict[str, Any] = {
    "created_at": True,
    "checked": True,
    "missing_credentials": True,
    "stack": {"update_file"},
}
"""The parts of a plan that its digest does not cover."""


class Condition(Model):
    """What must hold before a release is promoted: whether it does, and if not, *why*, each reason in a sentence.

    *name* is `drift`, `parity` or `rehearsal`; *evidence* is the digest of what decided it, where that is kept.
    """

    name: str
    holds: bool
    why: tuple[str, ...] = ()
    evidence: Digest | None = None


class Plan(Model):
    """The document that is shown, saved, approved and executed. *notes* are warnings for the approver.

    *inventory* is an outline, without the hosts' variables, which may contain secrets; *inventory_digest* covers
    them. Both are null if the hosts are only known after provisioning. *unmet* lists, for each host, requirements of
    the release that it does not meet. *checked* has every check and its measured value: it is shown, and does not count
    for the digest. *unreachable* names the hosts that did not respond. *uninspected* is the reason
    if the host inspection failed as a whole. A plan with unmet requirements, with more unreachable hosts than its
    steps tolerate, or without an inspection is shown and not executed. *undo* are the undo playbooks of a rollback,
    in their order. *implementations* are the implementation plans that a promotion starts as steps, *reversals* those
    that a rollback starts. *skip_irreversible* is the agreement to leave effects of irreversible steps.
    *losses* are the stateful resources that it would replace or delete, *points_of_no_return* the irreversible steps:
    a promotion is only executed if *acknowledgements* has all of them. *at* is the time (ISO 8601) that a rollback
    restores, if one was requested. *ephemeral*: the environment is created for this promotion only.
    *conditions* are the requirements of the environment's file, with their results. *configuration* are the settings
    of Ansible, each with its origin. *rehearse*: the release is rolled back and promoted again before it stays.
    *artifacts* are which of them hosts unpack.
    *project_definition* is the project definition that it was made with, if one was pushed.
    *blue_green* are the sides of an environment that has two. *crossed* are irreversible steps of newer releases whose
    effects the promotion of an older release would leave. *all_at_once*: a rollback restores all hosts
    at the same time, and not in the batches of its steps. *second_pass* is what a rollback runs on hosts again after it
    has restored the stack; null if the stack stays. *skipped* are the steps that a rollback neither undoes nor runs
    again. *missing_credentials* are not on the machine that made the plan. They are shown, and do not count for the
    digest: another machine may have them, and each run checks it again.
    """

    apiVersion: Literal["orchestrator/v1", "orchestrator/v2", "orchestrator/v3"] = "orchestrator/v3"
    kind: Literal["Plan"] = "Plan"
    action: PlanAction = "promote"
    at: str | None = None
    project: str
    environment: str
    release: PackageRef
    losses: tuple[Loss, ...] = ()
    points_of_no_return: tuple[str, ...] = ()
    acknowledgements: Acknowledgements = NOTHING
    definition: Digest
    project_definition: Digest | None = Field(default=None, exclude_if=lambda digest: digest is None)
    after: str | None = None
    stack: StackPreview | None = None
    inventory: Inventory | None = None
    inventory_digest: Digest | None = None
    requirements: tuple[Requirement, ...] = ()
    undo: tuple[PlannedUndo, ...] = ()
    reversals: tuple[PlannedReversal, ...] = Field(default=(), exclude_if=lambda found: not found)
    steps: tuple[PlannedStep, ...]
    implementations: tuple[PlannedImplementation, ...] = Field(default=(), exclude_if=lambda found: not found)
    blue_green: PlannedSides | None = Field(default=None, exclude_if=lambda sides: sides is None)
    verify: tuple[SuiteSpec, ...]
    artifacts: tuple[PlannedArtifact, ...] = Field(default=(), exclude_if=lambda found: not found)
    rehearse: bool = False
    watch: PlannedWatch | None = None
    probe: Probe | None = None
    current_hosts: tuple[HostState, ...] = ()
    unmet: tuple[str, ...] = ()
    checked: tuple[CheckedHost, ...] = Field(default=(), exclude_if=lambda found: not found)
    unreachable: tuple[str, ...] = ()
    uninspected: str = Field(default="", exclude_if=lambda reason: not reason)
    rollback_target: RollbackTarget
    automatic_rollback: bool = True
    ephemeral: Ephemeral | None = None
    skip_irreversible: bool = False
    crossed: tuple[str, ...] = Field(default=(), exclude_if=lambda steps: not steps)
    all_at_once: bool = Field(default=False, exclude_if=lambda yes: not yes)
    second_pass: SecondPass | None = Field(default=None, exclude_if=lambda second: second is None)
    skipped: tuple[SkippedStep, ...] = Field(default=(), exclude_if=lambda steps: not steps)
    conditions: tuple[Condition, ...] = ()
    configuration: Configuration | None = Field(default=None, exclude_if=lambda settings: settings is None)
    notes: tuple[str, ...] = ()
    missing_credentials: tuple[MissingCredential, ...] = Field(default=(), exclude_if=lambda found: not found)
    created_at: str = ""

    @property
    def digest(self) -> str:
        """The digest over all that decides what this plan does."""
        data = self.model_dump(mode="json", by_alias=True, exclude=NOT_DECIDING)
        return digest_of(plan_as_made(data))

    def document(self) -> dict[str, Any]:
        """The plan with its digest, as `plan --json` and `--out` give it, in the form in which it was made."""
        return {**plan_as_made(self.model_dump(mode="json", by_alias=True)), "digest": self.digest}

    @property
    def is_incomplete(self) -> bool:
        """Whether credentials were missing without which it does not show all that would be done."""
        return any(each.hides for each in self.missing_credentials)

    @property
    def unnamed_losses(self) -> tuple[Loss, ...]:
        """The stateful resources that are not acknowledged."""
        return self.acknowledgements.missing(self.losses)

    @property
    def unnamed_points(self) -> tuple[str, ...]:
        """The points of no return that are not acknowledged."""
        return tuple(step for step in self.points_of_no_return if step not in self.acknowledgements.no_return)

    @property
    def unnamed_crossed(self) -> tuple[str, ...]:
        """The steps of newer releases whose effects would stay and that are not acknowledged."""
        return tuple(step for step in self.crossed if step not in self.acknowledgements.no_return)

    def executed(self, groups: Iterable[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
        """The batches *groups* of a step that are run: a rollback leaves the hosts alone that have its release."""
        left = (
            set(self.blue_green.unchanged_hosts)
            if self.action == "rollback" and self.blue_green is not None
            else set[str]()
        )
        kept = (tuple(host for host in hosts if host not in left) for hosts in groups)
        return tuple(hosts for hosts in kept if hosts)

    @property
    def blocking(self) -> tuple[str, ...]:
        """The unreachable hosts that keep this plan from being executed: more than their steps tolerate.

        A host whose failure a step tolerates is excluded from the later ones. A host that no step names is still
        checked when the environment is verified, and then nothing is tolerated.
        """
        missing, left_out, blocking = set(self.unreachable), set[str](), dict[str, None]()
        named = {host for step in self.steps for host in step.hosts}
        for step in self.steps:
            hosts = [host for host in step.hosts if host not in left_out]
            bad = [host for host in hosts if host in missing]
            if bad and (len(bad) > step.max_failures or len(bad) == len(hosts)):
                blocking.update(dict.fromkeys(bad))
            left_out.update(bad)
        if self.inventory is not None and self.verify:
            blocking.update({host: None for host in self.unreachable if host not in named})
        return tuple(blocking)
