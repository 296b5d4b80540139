"""What promoting one package into one environment would do: a document with a digest.

Each piece of work is said here as a frozen value before a port does it. The digest covers all that decides
what will happen, and not when the plan was made.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from orchestrator.domain.configuration import Configuration, decides_nothing
from orchestrator.domain.environment import Ephemeral, PulumiSettings, StatefulRule
from orchestrator.domain.gate import Flaky, Gate, Probe
from orchestrator.domain.inventory import Inventory, batches, canaries, ordered
from orchestrator.domain.model import Digest, Model, digest_of
from orchestrator.domain.once import NO_TAGS, Once
from orchestrator.domain.plays import PlannedPlay
from orchestrator.domain.quantities import seconds
from orchestrator.domain.release import PackageRef, Requirement, Step
from orchestrator.domain.sides import Side, Sides, divided, other


class StackSpec(Model):
    """One Pulumi stack of one environment. *program* is the absolute path of its folder, *definition* its digest.

    The definition covers every file of the program's folder (program, stack configuration, lock files) and
    the environment's own file. *configured* is the stack whose configuration it has, where that is another one.
    """

    environment: str
    program: str
    stack: str
    definition: Digest
    settings: PulumiSettings = PulumiSettings()
    configured: str = ""


class ResourceChange(Model):
    """The planned operation of Pulumi on one resource (*op*); *properties* are the ones that differ.

    *kept* is the protection that the program itself has set, by the current state of the stack: `protect` or
    `retainOnDelete`.
    """

    op: str
    type: str
    name: str
    urn: str
    parent: str = ""
    properties: tuple[str, ...] = ()
    kept: str = ""


class Loss(Model):
    """A stateful resource that would be replaced or deleted. *why* is the rule that makes it stateful."""

    op: Literal["replace", "delete"]
    type: str
    name: str
    urn: str
    why: str

    def __str__(self) -> str:
        return f"{self.op} {self.type} {self.name} ({self.why})"


_LETS_GO = {"delete", "discard"}
_NOTHING_YET = {"remove-pending-replace", "read-replacement"}


def losses(changes: Iterable[ResourceChange], rules: Iterable[StatefulRule]) -> tuple[Loss, ...]:
    """Which of the *changes* would replace or delete a resource that is kept: by *rules*, or by the program's word.

    A component that fits a rule stands for everything in it. Each resource is told once.
    """
    changes = tuple(changes)
    known = {change.urn: change for change in changes}
    found: dict[str, Loss] = {}
    for change in changes:
        replaces = "replace" in change.op and change.op not in _NOTHING_YET
        why = _kept(change, known, tuple(rules)) if replaces or change.op in _LETS_GO else ""
        if why:
            op: Literal["replace", "delete"] = "replace" if replaces else "delete"
            found.setdefault(change.urn, Loss(op=op, type=change.type, name=change.name, urn=change.urn, why=why))
    return tuple(found.values())


def _kept(change: ResourceChange, known: dict[str, ResourceChange], rules: tuple[StatefulRule, ...]) -> str:
    """What makes the resource, or a component around it, one that is kept; empty: nothing does."""
    if change.kept:
        return f"it says {change.kept}"
    at: ResourceChange | None = change
    seen = set[str]()
    while at is not None and at.urn not in seen:
        for rule in rules:
            if rule.fits(at.type, at.name):
                return f"stateful by its {rule}" if at is change else f"in {at.name}, stateful by its {rule}"
        seen.add(at.urn)
        at = known.get(at.parent)
    return ""


class StackPreview(Model):
    """The changes that Pulumi previews.

    *base* is the digest of the stack's state at the preview, and *update_plan* that of the content of Pulumi's
    saved update plan, to which the update is constrained. *update_file* is the digest of the file's bytes. It is not
    part of the plan's digest, because the file is encrypted anew each time. *inventory* is that after the update, or
    null if it cannot be known before. *counts* maps Pulumi's words (`create`, `same`, …) to numbers. *refused* is the
    reason if Pulumi refuses the update because a resource is protected; *changes* are then incomplete. *versions* are
    those of the engine (`pulumi`) and of the providers, if known. *settings* are the `PULUMI_*` variables of the
    controller that decide which code or which resources are involved; of one that may be secret the digest.
    """

    base: Digest
    update_plan: Digest | None = None
    update_file: Digest | None = Field(default=None, exclude_if=lambda digest: digest is None)
    changes: tuple[ResourceChange, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)
    inventory: Inventory | None = None
    refused: str = ""
    versions: dict[str, str] = Field(default_factory=dict, exclude_if=lambda versions: not versions)
    settings: dict[str, str] = Field(default_factory=dict, exclude_if=lambda settings: not settings)

    @property
    def changes_something(self) -> bool:
        """Whether the update would do anything."""
        return any(count for op, count in self.counts.items() if op != "same")


class PendingHandler(Model):
    """A handler that was notified on *host* and did not run. *play* is the place of its play in the playbook."""

    host: str
    play: int
    handler: str


class PlaySpec(Model):
    """One run of one playbook. Paths are below the package's `content/`; *limit* are the hosts it may touch.

    *pending* are the handlers of an earlier attempt that have to run in this one. No plan has any.
    """

    step: str
    playbook: str
    hosts: str
    limit: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    vars: dict[str, Any] = Field(default_factory=dict)
    extra_vars: dict[str, Any] = Field(default_factory=dict)
    timeout: float = 1800.0
    pending: tuple[PendingHandler, ...] = Field(default=(), exclude_if=lambda pending: not pending)


def play_of(step: Step, hosts: tuple[str, ...] = ()) -> PlaySpec:
    """A release's step as a play on *hosts*."""
    return PlaySpec(
        step=step.name,
        playbook=step.playbook,
        hosts=step.hosts,
        limit=hosts,
        tags=step.tags,
        skip_tags=step.skip_tags,
        vars=dict(step.vars),
        extra_vars=dict(step.extra_vars),
        timeout=seconds(step.timeout),
    )


class SuiteSpec(Model):
    """One run of one testinfra suite. *limit* are the hosts that it verifies (empty: all). *timeout* is in seconds.

    *flaky* is the rule by which a failure is repeated before it counts.
    """

    name: str
    tests: str
    limit: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    timeout: float = 600.0
    flaky: Flaky | None = None


class HostPreview(Model):
    """The prediction of check mode for one host: how many tasks would change something, and their names."""

    host: str
    changes: int
    tasks: tuple[str, ...] = ()


class StepPreview(Model):
    """The predictions of Ansible's check mode for one step: the changes of each host, and what it cannot predict.

    *opaque* are the tasks that do nothing in check mode. *failed* are those that fail in check mode before the step
    has really run. *unseen* names, in a sentence each, the hosts or the playbook that check mode did not reach. *diff*
    is the text that `--diff` printed, control characters removed.
    """

    hosts: tuple[HostPreview, ...] = ()
    previewed: int = 0
    opaque: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    diff: str = ""


class PlannedGate(Model):
    """One gate of the plan, with its *suite* if it has one. *own*: declared by the environment, not by the release."""

    gate: Gate
    suite: SuiteSpec | None = None
    own: bool = False

    @property
    def name(self) -> str:
        """Its name among all gates that are asked together."""
        return f"environment.{self.gate.name}" if self.own else self.gate.name


class PlannedLook(Model):
    """An observation for a number of *seconds*: every *every* seconds all *gates* are checked."""

    seconds: float
    every: float
    gates: tuple[PlannedGate, ...] = ()
    flaky: Flaky | None = None

    @property
    def times(self) -> int:
        """How often: it follows from the plan and not from a clock, so that a replay takes the same way."""
        return max(1, round(self.seconds / self.every))


class PlannedCanary(Model):
    """The canary of a step: its hosts, and their observation before the others follow."""

    hosts: int | str
    look: PlannedLook


class PlannedStep(Model):
    """One step of the plan: the play, its batches of hosts (null until provisioning), and its undo.

    *order* is that of the hosts before they were divided, *seed* that of a shuffle. With a *canary* the first batch
    are its hosts. With *sides* (the host patterns of blue and green) the step only runs on hosts of the side *to*.
    *stacked*: each side is a stack of its own. *once* are tags that run in one batch only. *plays* are all plays of
    the playbook, with the effects of batches. *undo_plays* are those of the undo playbook, if it runs on all hosts of
    the step.
    """

    play: PlaySpec
    batches: tuple[tuple[str, ...], ...] | None = None
    sizes: tuple[int | str, ...] = ("100%",)
    max_failures: int = 0
    pause: float = 0.0
    once: Once = Field(default=NO_TAGS, exclude_if=lambda once: not once.tags)
    plays: tuple[PlannedPlay, ...] = Field(default=(), exclude_if=lambda plays: not plays)
    undo: str | None = None
    undo_plays: tuple[PlannedPlay, ...] = Field(default=(), exclude_if=lambda plays: not plays)
    preview: StepPreview | None = None
    strategy: Literal["rolling", "canary", "blue_green"] = "rolling"
    order: Literal["inventory", "reverse", "sorted", "shuffled"] = "inventory"
    seed: str = ""
    canary: PlannedCanary | None = None
    sides: tuple[str, str] | None = Field(default=None, exclude_if=lambda sides: sides is None)
    to: Side | None = Field(default=None, exclude_if=lambda side: side is None)
    stacked: bool = Field(default=False, exclude_if=lambda yes: not yes)

    def divided(self, inventory: Inventory) -> Sides | None:
        """Its hosts as two sides; None where it has none here. Raises D101 and R210."""
        if self.sides is None:
            return None
        hosts = inventory.select(self.play.hosts)
        return divided(inventory, self.sides, self.play.step, hosts, half=self.stacked)

    def cut(self, inventory: Inventory) -> tuple[tuple[str, ...], ...]:
        """The batches of the hosts that it goes to. Raises D101, R170 where no host can go first, and R210."""
        hosts, sides = inventory.select(self.play.hosts), self.divided(inventory)
        if sides is not None and self.to is not None:
            hosts = [host for host in hosts if host in sides.of(self.to)]
        hosts = ordered(hosts, self.order, self.seed)
        if self.canary is None:
            return tuple(tuple(batch) for batch in batches(hosts, self.sizes))
        first = canaries(inventory, hosts, self.canary.hosts)
        rest = [host for host in hosts if host not in first]
        found = [first, *batches(rest, self.sizes, len(hosts))]
        return tuple(tuple(batch) for batch in found if batch)


class PlannedArtifact(Model):
    """An artifact of the release, and whether the collection unpacks it on hosts."""

    name: str
    unpack: bool


class PlannedUndo(Model):
    """One undo playbook of a rollback: it runs on the hosts where its step was started, from the package of *release*.

    *plays* are all plays of the playbook.
    """

    release: PackageRef
    play: PlaySpec
    plays: tuple[PlannedPlay, ...] = Field(default=(), exclude_if=lambda plays: not plays)


SILENT = "nothing"
"""What `HostState.serves` is when the health check of a host's service printed nothing, or failed."""


class HostState(Model):
    """The state of one host: its package, since when, by which run, and whether the host itself reported it.

    *truth* is `seen` (the host reported it), `assumed` (an ordinary playbook succeeded on it, or an operator declared
    it) or `changing` (a step may be changing it). It is `unknown` if the host could not be inspected, `empty` if no
    release was ever deployed to it, and `gone` if the environment no longer has this host. *before* is the state of a
    changing host before the step started. *serves* is the version that its service reported at the last observation;
    empty without a query. *side* is its side at the last switch of the environment. It is now the live or the standby
    side, or *unsure* if that switch was started and its end is unknown.
    """

    host: str
    truth: Literal["seen", "assumed", "changing", "unknown", "empty", "gone"]
    release: PackageRef | None = None
    since: str | None = None
    run: str | None = None
    serves: str = ""
    before: "HostState | None" = Field(default=None, exclude_if=lambda before: before is None)
    side: Side | None = Field(default=None, exclude_if=lambda side: side is None)
    stands_by: bool = Field(default=False, exclude_if=lambda yes: not yes)
    unsure: bool = Field(default=False, exclude_if=lambda yes: not yes)

    @property
    def differs(self) -> bool:
        """Whether its service tells another version than that of the release on it."""
        known = self.release is not None and self.release.name != "unknown"
        return bool(known and self.serves and self.release and self.serves != self.release.version)

    @property
    def digest(self) -> str | None:
        """The digest of the package on it."""
        return self.release.digest if self.release else None

    def runs(self, digest: str) -> bool:
        """Whether the package with this digest is known, or at least assumed, to run on it."""
        return self.truth in {"seen", "assumed"} and self.digest == digest and not self.differs

    def aside(self, digest: str) -> bool:
        """Whether it stands by with something else than the package with this digest, as it should."""
        return self.stands_by and not self.runs(digest)

    def changed_by(self, run: str) -> "HostState":
        """This host while a step of *run* may change it. What was known of it is kept in *before*."""
        return HostState(
            host=self.host, truth="changing", release=self.release, run=run, before=self.before or self
        ).on_side_of(self)

    @property
    def settled(self) -> "HostState":
        """This state, or *unknown* for a host that a step started to change and did not finish."""
        return self.model_copy(update={"truth": "unknown", "before": None}) if self.truth == "changing" else self

    def on_side_of(self, other: "HostState | None") -> "HostState":
        """This state, on the side that *other* has: that is told by switches alone, and stays until the next."""
        if other is None:
            return self.model_copy(update={"side": None, "stands_by": False, "unsure": False})
        return self.model_copy(update={"side": other.side, "stands_by": other.stands_by, "unsure": other.unsure})


def after_switch(states: Iterable[HostState], told: Mapping[str, Any], at: str) -> list[HostState]:
    """What is known of an environment's hosts (before: *states*) after the journal's entry `switched` says *told*."""
    known = {state.host: state for state in states}
    sides = {host: side for side, hosts in told["sides"].items() for host in hosts}
    for host in sides:
        known.setdefault(host, HostState(host=host, truth="empty", since=at))
    return [
        state.model_copy(
            update={
                "side": sides.get(host),
                "stands_by": host in sides and told["live"] is not None and sides[host] != told["live"],
                "unsure": host in sides and bool(told["unsure"]),
            }
        )
        for host, state in known.items()
    ]


class SecondPass(Model):
    """The steps that a rollback runs on hosts again after it has restored the infrastructure (`restore.again.*`).

    *restore* are the steps that restore the release, in order. The limit of each are the hosts that get it if the
    restored infrastructure gives plays other variables. A host that the infrastructure replaces or creates again gets
    each step that is for it, whether it is in the limit or not.
    """

    restore: tuple[PlaySpec, ...] = ()


class SkippedStep(Model):
    """A step of *release* that a rollback does not run, because it declares *undo*.

    A step of the restored release is not run again; a step of a release that is rolled back is not undone.
    """

    release: PackageRef
    step: str
    undo: str


class WayBack(Model):
    """The rollback target: the last verified release, whether its package is available, and irreversible steps.

    *definition* is that of the environment when the release was verified: the infrastructure is restored to it.
    *again* is the second pass after that; null if the infrastructure stays. *skipped* are the steps that are neither
    undone nor run again.
    """

    release: PackageRef | None = None
    definition: str | None = None
    available: bool = False
    impossible: tuple[str, ...] = ()
    reason: str = ""
    again: SecondPass | None = Field(default=None, exclude_if=lambda again: again is None)
    skipped: tuple[SkippedStep, ...] = Field(default=(), exclude_if=lambda steps: not steps)


class Named(Model):
    """The losses and irreversible steps that were agreed to by name.

    *replace* are stateful resources (names or URNs) that may be replaced or deleted, *no_return* steps that cannot be
    undone and may be run.
    """

    replace: tuple[str, ...] = ()
    no_return: tuple[str, ...] = ()

    def lacking(self, losses: Iterable[Loss]) -> tuple[Loss, ...]:
        """Those of *losses* that nobody has named."""
        return tuple(loss for loss in losses if not {loss.name, loss.urn} & set(self.replace))


NOTHING = Named()


class PlannedWatch(Model):
    """The watch after the promotion; times in seconds."""

    seconds: float
    every: float
    suite: SuiteSpec | None
    gates: tuple[PlannedGate, ...] = ()
    flaky: Flaky | None = None

    @property
    def look(self) -> PlannedLook:
        """When its gates are asked."""
        return PlannedLook(seconds=self.seconds, every=self.every, gates=self.gates, flaky=self.flaky)


class PlannedSides(Model):
    """Two sides: the *live* one (null before the first switch), and the target of the switch (*to*).

    *blue* and *green* are their host patterns, *hosts* their hosts, if known. *switch* is the playbook that is run on
    *router* (default: both sides), after the observation in *look*, if there is one. *retire* is run on the other side
    at the end. A rollback whose release is already live has no target (*to*). It does not change the hosts *left*:
    those of the standby side, and those that already have its release. If that is a whole side, it switches *first*.
    *stacked*: each side is a stack of its own. *switch_plays* and *retire_plays* are all plays of the two playbooks.
    """

    blue: str
    green: str
    live: Side | None = None
    to: Side | None = None
    hosts: Sides | None = None
    switch: PlaySpec
    router: str | None = None
    look: PlannedLook | None = None
    retire: PlaySpec | None = None
    left: tuple[str, ...] = ()
    first: bool = False
    stacked: bool = Field(default=False, exclude_if=lambda yes: not yes)
    switch_plays: tuple[PlannedPlay, ...] = Field(default=(), exclude_if=lambda plays: not plays)
    retire_plays: tuple[PlannedPlay, ...] = Field(default=(), exclude_if=lambda plays: not plays)

    def switched(self, sides: Sides, inventory: Inventory) -> PlaySpec:
        """The switch on its hosts. Raises D101 when *router* means none."""
        hosts = sides.hosts if self.router is None else tuple(inventory.select(self.router))
        return self.switch.model_copy(update={"limit": hosts})

    def retired(self, base: Iterable[HostState], sides: Sides, live: Side) -> tuple[str, ...]:
        """The hosts of the side other than *live* that *retire* runs on: those that had something before (*base*)."""
        used = {state.host for state in base if state.truth != "empty"}
        return tuple(host for host in sides.of(other(live)) if host in used)

    def way_back(self, base: Iterable[HostState], sides: Sides, digest: str) -> Side | None:
        """The side to which a failure switches back; None: there is none.

        That is the one that was live; where nobody knew, the other one, when all of it ran the package *digest*.
        """
        if self.live is not None or self.to is None:
            return self.live
        there, old = {state.host for state in base if state.runs(digest)}, sides.of(other(self.to))
        return other(self.to) if old and set(old) <= there else None


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
    the release that it does not meet. *unreachable* names the hosts that did not respond. *uninspected* is the reason
    if the host inspection failed as a whole. A plan with unmet requirements, with more unreachable hosts than its
    steps tolerate, or without an inspection is shown and not executed. *undo* are the undo playbooks of a rollback,
    in their order. *no_return* is the agreement to leave effects of irreversible steps.
    *losses* are the stateful resources that it would replace or delete, *points_of_no_return* the irreversible steps:
    a promotion is only executed if *named* has all of them. *at* is the time (ISO 8601) that a rollback restores, if
    one was requested. *ephemeral*: the environment is created for this promotion only.
    *conditions* are the requirements of the environment's file, with their results. *configuration* are the settings
    of Ansible, each with its origin. *rehearse*: the release is rolled back and promoted again before it stays.
    *artifacts* are which of them hosts unpack.
    *blue_green* are the sides of an environment that has two. *crossed* are irreversible steps of newer releases whose
    effects the promotion of an older release would leave. *all_at_once*: a rollback restores all hosts
    at the same time, and not in the batches of its steps. *again* is what a rollback runs on hosts again after it
    has restored the stack; null if the stack stays. *skipped* are the steps that a rollback neither undoes nor runs
    again.
    """

    apiVersion: Literal["orchestrator/v1"] = "orchestrator/v1"
    kind: Literal["Plan"] = "Plan"
    action: Literal["promote", "rollback"] = "promote"
    at: str | None = None
    project: str
    environment: str
    release: PackageRef
    losses: tuple[Loss, ...] = ()
    points_of_no_return: tuple[str, ...] = ()
    named: Named = NOTHING
    definition: Digest
    after: str | None = None
    stack: StackPreview | None = None
    inventory: Inventory | None = None
    inventory_digest: Digest | None = None
    requirements: tuple[Requirement, ...] = ()
    undo: tuple[PlannedUndo, ...] = ()
    steps: tuple[PlannedStep, ...]
    blue_green: PlannedSides | None = Field(default=None, exclude_if=lambda sides: sides is None)
    verify: tuple[SuiteSpec, ...]
    artifacts: tuple[PlannedArtifact, ...] = Field(default=(), exclude_if=lambda found: not found)
    rehearse: bool = False
    watch: PlannedWatch | None = None
    probe: Probe | None = None
    base: tuple[HostState, ...] = ()
    unmet: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()
    uninspected: str = Field(default="", exclude_if=lambda reason: not reason)
    back: WayBack
    automatic_rollback: bool = True
    ephemeral: Ephemeral | None = None
    no_return: bool = False
    crossed: tuple[str, ...] = Field(default=(), exclude_if=lambda steps: not steps)
    all_at_once: bool = Field(default=False, exclude_if=lambda yes: not yes)
    again: SecondPass | None = Field(default=None, exclude_if=lambda again: again is None)
    skipped: tuple[SkippedStep, ...] = Field(default=(), exclude_if=lambda steps: not steps)
    conditions: tuple[Condition, ...] = ()
    configuration: Configuration | None = Field(default=None, exclude_if=lambda settings: settings is None)
    notes: tuple[str, ...] = ()
    created_at: str = ""

    @property
    def digest(self) -> str:
        """The digest over all that decides what this plan does."""
        data = self.model_dump(mode="json", by_alias=True, exclude={"created_at": True, "stack": {"update_file"}})
        return digest_of(data)

    def document(self) -> dict[str, Any]:
        """The plan with its digest, as `plan --json` and `--out` give it."""
        return {**self.model_dump(mode="json", by_alias=True), "digest": self.digest}

    @property
    def unnamed_losses(self) -> tuple[Loss, ...]:
        """The stateful resources that nobody has named."""
        return self.named.lacking(self.losses)

    @property
    def unnamed_points(self) -> tuple[str, ...]:
        """The points of no return that nobody has named."""
        return tuple(step for step in self.points_of_no_return if step not in self.named.no_return)

    @property
    def unnamed_crossed(self) -> tuple[str, ...]:
        """The steps of newer releases that would be left behind and that nobody has named."""
        return tuple(step for step in self.crossed if step not in self.named.no_return)

    def executed(self, groups: Iterable[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
        """The batches *groups* of a step that are run: a rollback leaves the hosts alone that have its release."""
        left = set(self.blue_green.left) if self.action == "rollback" and self.blue_green is not None else set[str]()
        kept = (tuple(host for host in hosts if host not in left) for hosts in groups)
        return tuple(hosts for hosts in kept if hosts)

    @property
    def blocking(self) -> tuple[str, ...]:
        """The unreachable hosts that keep this plan from being executed: more than their steps tolerate.

        A host whose failure a step tolerates is left out of the later ones. A host that no step names is still looked
        at when the environment is proved, where nothing is tolerated.
        """
        missing, left_out, blocking = set(self.unreachable), set[str](), dict[str, None]()
        named = {host for step in self.steps for batch in step.batches or () for host in batch}
        for step in self.steps:
            hosts = [host for batch in step.batches or () for host in batch if host not in left_out]
            bad = [host for host in hosts if host in missing]
            if bad and (len(bad) > step.max_failures or len(bad) == len(hosts)):
                blocking.update(dict.fromkeys(bad))
            left_out.update(bad)
        if self.inventory is not None and self.verify:
            blocking.update({host: None for host in self.unreachable if host not in named})
        return tuple(blocking)


PARTS = {
    "apiVersion": "the version of plans",
    "kind": "the version of plans",
    "action": "what is to be done",
    "at": "the time that is restored",
    "project": "the project",
    "environment": "the environment",
    "release": "the release package",
    "losses": "which stateful resources are lost",
    "points_of_no_return": "the points of no return",
    "named": "what was agreed to by name",
    "definition": "the environment's definition",
    "after": "the environment before it",
    "stack": "the stack's state",
    "inventory": "the hosts",
    "inventory_digest": "the hosts",
    "requirements": "what hosts must have",
    "undo": "what is undone",
    "steps": "the steps",
    "blue_green": "which side is live",
    "verify": "the tests",
    "rehearse": "whether it is rehearsed",
    "watch": "the watch",
    "probe": "the probe",
    "base": "what runs on the hosts",
    "unmet": "what hosts have not",
    "unreachable": "which hosts can be reached",
    "uninspected": "why the hosts are unknown",
    "back": "the way back",
    "automatic_rollback": "whether a failure is rolled back by itself",
    "ephemeral": "whether it is made for this promotion only",
    "no_return": "the word on steps that cannot be undone",
    "crossed": "the steps of newer releases that cannot be undone",
    "all_at_once": "whether all hosts are restored at the same time",
    "again": "the steps after the restored infrastructure",
    "skipped": "the steps that are left out",
    "conditions": "what the environment requires",
    "configuration": "the configuration",
    "artifacts": "what hosts unpack",
    "notes": "the notes",
}
"""What the digest of a plan covers, by the name that a person would call it; two plans differ in these."""


def held(approved: Plan, now: Plan) -> Plan:
    """*now*, with what is not asked for a second time taken from *approved*: check mode.

    What Pulumi would do is not taken from there: *now* has it from Pulumi's own saved update plan. What is set on a
    controller and not passed on decides nothing, and neither does what is masked: notes about it may differ.
    """
    notes = [note for note in now.notes if not decides_nothing(note)]
    notes += [note for note in approved.notes if decides_nothing(note)]
    previews = [step.preview for step in approved.steps]
    previews += [None] * (len(now.steps) - len(previews))
    steps = tuple(
        step.model_copy(update={"preview": preview}) for step, preview in zip(now.steps, previews, strict=False)
    )
    return now.model_copy(update={"steps": steps, "notes": tuple(notes)})


def differences(approved: Plan, now: Plan) -> list[str]:
    """The names of the parts in which *now* is no longer what was *approved*. Empty when the plan still holds."""
    before, after = approved.document(), now.document()
    found = dict.fromkeys(name for field, name in PARTS.items() if before.get(field) != after.get(field))
    for part, what in (("versions", VERSIONS), ("settings", SETTINGS)):
        if STACK in found and _stack_without(approved, part) == _stack_without(now, part):
            return [what if name == STACK else name for name in found]
    return list(found)


STACK = "the stack's state"
VERSIONS = "the versions of Pulumi and its providers"
SETTINGS = "the settings of Pulumi"


def _stack_without(plan: Plan, part: str) -> StackPreview | None:
    return plan.stack and plan.stack.model_copy(update={part: {}})
