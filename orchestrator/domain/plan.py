"""What promoting one package into one environment would do: a document with a digest.

Each piece of work is said here as a frozen value before a port does it. The digest covers all that decides
what will happen, and not when the plan was made.
"""

from typing import Any, Literal

from pydantic import Field

from orchestrator.domain.environment import PulumiSettings
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model import Digest, Model, digest_of
from orchestrator.domain.release import PackageRef, Requirement


class StackSpec(Model):
    """One Pulumi stack of one environment. *program* is the absolute path of its folder, *definition* its digest.

    The definition covers every file of the program's folder (program, stack configuration, lock files) and
    the environment's own file.
    """

    environment: str
    program: str
    stack: str
    definition: Digest
    settings: PulumiSettings = PulumiSettings()


class ResourceChange(Model):
    """What Pulumi would do with one resource. *op* is Pulumi's word; *properties* are the ones that differ."""

    op: str
    type: str
    name: str
    urn: str
    parent: str = ""
    properties: tuple[str, ...] = ()


class StackPreview(Model):
    """What Pulumi says it would do.

    *base* is the digest of the stack's state that this was computed from; *update_plan* that of Pulumi's own
    saved plan, to which the update is held; *inventory* is what the hosts will be, or None where that is only
    known after the update. *counts* maps Pulumi's words (`create`, `same`, …) to numbers.
    """

    base: Digest
    update_plan: Digest | None = None
    changes: tuple[ResourceChange, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)
    inventory: Inventory | None = None

    @property
    def changes_something(self) -> bool:
        """Whether the update would do anything."""
        return any(count for op, count in self.counts.items() if op != "same")


class PlaySpec(Model):
    """One run of one playbook. Paths are below the package's `content/`; *limit* are the hosts it may touch."""

    step: str
    playbook: str
    hosts: str
    limit: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    vars: dict[str, Any] = Field(default_factory=dict)
    extra_vars: dict[str, Any] = Field(default_factory=dict)
    timeout: float = 1800.0


class SuiteSpec(Model):
    """One run of one testinfra suite. *limit* are the hosts it looks at (empty: all). *timeout* is in seconds."""

    name: str
    tests: str
    limit: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    timeout: float = 600.0


class HostPreview(Model):
    """What check mode said of one host: how many tasks would change something, and their names."""

    host: str
    changes: int
    tasks: tuple[str, ...] = ()


class StepPreview(Model):
    """What Ansible's check mode said of one step: per host what would change, and by name what it could not see.

    *opaque* are the tasks that do nothing in check mode; *failed* are those that check mode cannot pass
    before the step has really run; *diff* is the text that `--diff` printed, control characters removed.
    """

    hosts: tuple[HostPreview, ...] = ()
    previewed: int = 0
    opaque: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    diff: str = ""


class PlannedStep(Model):
    """One step of the plan: the play, its batches of hosts (None: known after provisioning), and its way back."""

    play: PlaySpec
    batches: tuple[tuple[str, ...], ...] | None = None
    sizes: tuple[int | str, ...] = ("100%",)
    max_failures: int = 0
    pause: float = 0.0
    undo: str | None = None
    preview: StepPreview | None = None


class HostState(Model):
    """What is known of one host: the package on it, since when, by which run, and whether the host said so itself.

    *truth* is `seen` (the host reported it), `assumed` (an ordinary playbook ended well there, or a
    person said so), `unknown` (nobody could look) or `empty` (no release was ever put there).
    """

    host: str
    truth: Literal["seen", "assumed", "unknown", "empty"]
    release: PackageRef | None = None
    since: str | None = None
    run: str | None = None

    @property
    def digest(self) -> str | None:
        """The digest of the package on it."""
        return self.release.digest if self.release else None


class WayBack(Model):
    """Where a failure would lead: the last verified release, whether its package is here, and what cannot be undone.

    *definition* is that of the environment when the release was verified there: the infrastructure goes back to it.
    """

    release: PackageRef | None = None
    definition: str | None = None
    available: bool = False
    impossible: tuple[str, ...] = ()
    reason: str = ""


class PlannedWatch(Model):
    """The watch after the promotion; times in seconds."""

    seconds: float
    every: float
    suite: SuiteSpec


class Plan(Model):
    """The document that is shown, saved, approved and executed. *notes* are warnings for whoever reads it.

    *inventory* is an outline, without the hosts' variables, which may hold secrets; *inventory_digest* covers
    them. Both are None when the hosts are only known after provisioning. *unmet* says, host by host, what the release
    requires and the host has not: such a plan is shown, and not executed.
    """

    apiVersion: Literal["orchestrator/v1"] = "orchestrator/v1"
    kind: Literal["Plan"] = "Plan"
    action: Literal["promote", "rollback"] = "promote"
    project: str
    environment: str
    release: PackageRef
    definition: Digest
    after: str | None = None
    stack: StackPreview | None = None
    inventory: Inventory | None = None
    inventory_digest: Digest | None = None
    requirements: tuple[Requirement, ...] = ()
    steps: tuple[PlannedStep, ...]
    verify: tuple[SuiteSpec, ...]
    watch: PlannedWatch | None = None
    base: tuple[HostState, ...] = ()
    unmet: tuple[str, ...] = ()
    back: WayBack
    automatic_rollback: bool = True
    notes: tuple[str, ...] = ()
    created_at: str = ""

    @property
    def digest(self) -> str:
        """The digest over all that decides what this plan does."""
        return digest_of(self.model_dump(mode="json", by_alias=True, exclude={"created_at"}))

    def document(self) -> dict[str, Any]:
        """The plan with its digest, as `plan --json` and `--out` give it."""
        return {**self.model_dump(mode="json", by_alias=True), "digest": self.digest}


def parts(plan: Plan) -> dict[str, Any]:
    """What the plan stands on, by the name that a person would call it; two plans differ in these.

    Used to name what has changed between the plan that was approved and what is there now.
    """
    return {
        "the release package": plan.release.digest,
        "the environment's definition": plan.definition,
        "the stack's state": plan.stack.base if plan.stack else None,
        "the hosts": plan.inventory_digest,
        "the steps": [step.model_copy(update={"preview": None}).to_json() for step in plan.steps],
        "the tests": [suite.to_json() for suite in plan.verify],
        "what runs on the hosts": [
            {"host": state.host, "release": state.release.digest if state.release else None} for state in plan.base
        ],
        "the way back": plan.back.to_json(),
    }


def differences(approved: Plan, now: Plan) -> list[str]:
    """The names of the parts in which *now* is no longer what was *approved*. Empty when the plan still holds."""
    before, after = parts(approved), parts(now)
    return [name for name in before if before[name] != after[name]]
