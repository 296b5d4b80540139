"""What a rollback does, for the steps that do it: one value, whether an operator or a failure requested it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.domain.plan import Loss, Plan, PlannedReversal, PlannedUndo, PlaySpec, SecondPass, StackPreview
from orchestrator.domain.release import Package
from orchestrator.domain.rollback_plan import RollbackPlan
from orchestrator.domain.sides import Side


@dataclass(frozen=True)
class RestoringPlay:
    """One play that restores the release: the *name* of its step. Another play follows on the hosts *remaining*.

    With *proved* the suites verify its hosts before the next play, which starts after *pause* seconds.
    """

    name: str
    label: str
    play: PlaySpec
    remaining: frozenset[str] = frozenset()
    proved: bool = False
    pause: float = 0.0


@dataclass(frozen=True)
class Restoration:
    """What a rollback does, in this order. *undo* and *restore* are its plays, *reversals* plans among the undos.

    *switch* lets the service lead to the side *live* again before anything else. *definition* is that of the stack
    afterwards (None: it stays): the update is held to the *preview* of the plan, or previewed first if there is none.
    With *losses* it is left alone. The hosts *restored* need the release again if plays get other variables then, by
    the steps of *second_pass*. *sided*: the release goes to the side that is not live, which is switched to. *every*:
    hosts that come with the stack need the release, also if there was none before. *verified* is the definition to
    record with the verified release; None if it is that of the plan.
    """

    undo: tuple[PlannedUndo, ...] = ()
    reversals: tuple[PlannedReversal, ...] = ()
    restore: tuple[RestoringPlay, ...] = ()
    restored: tuple[str, ...] = ()
    definition: str | None = None
    preview: StackPreview | None = None
    losses: tuple[Loss, ...] = ()
    second_pass: SecondPass | None = None
    switch: PlaySpec | None = None
    live: Side | None = None
    sided: bool = False
    every: bool = False
    verified: str | None = None


def after_failure(plan: Plan, computed: RollbackPlan, target: Package, *, stack_changed: bool) -> Restoration:
    """The rollback of a promotion by *plan*, as it was *computed* from what was started, to the package *target*."""
    return Restoration(
        undo=computed.undo,
        reversals=computed.reversals,
        restore=restoring_plays(computed.restore, "restore", target),
        restored=computed.touched,
        definition=computed.definition,
        second_pass=computed.second_pass,
        switch=computed.switch,
        live=computed.live,
        verified=plan.rollback_target.definition if stack_changed else None,
    )


def as_planned(
    plan: Plan, target: Package, batches: Sequence[Sequence[tuple[str, ...]]], hosts: Iterable[str]
) -> Restoration:
    """The rollback that an operator requested, by its *plan*, to the package *target*, in *batches*."""
    changes = plan.stack is not None and plan.stack.changes_something
    left = plan.blue_green.unchanged_hosts if plan.blue_green is not None else ()
    return Restoration(
        undo=plan.undo,
        reversals=plan.reversals,
        restore=_in_batches(plan, target, batches, proved=not changes),
        restored=tuple(host for host in hosts if host not in left),
        definition=plan.definition if changes else None,
        preview=plan.stack,
        losses=plan.losses,
        second_pass=plan.second_pass,
        sided=True,
        every=True,
    )


def restoring_plays(plays: Sequence[PlaySpec], prefix: str, target: Package) -> tuple[RestoringPlay, ...]:
    """The last verified release's own steps, as they were planned. Names of steps start with *prefix*."""
    return tuple(
        RestoringPlay(f"{prefix}.{play.step}", f"restore {target.ref}", play, _hosts(plays[number:]))
        for number, play in enumerate(plays, start=1)
    )


def _hosts(plays: Iterable[PlaySpec]) -> frozenset[str]:
    return frozenset(host for play in plays for host in play.limit)


def _in_batches(
    plan: Plan, target: Package, batches: Sequence[Sequence[tuple[str, ...]]], *, proved: bool
) -> tuple[RestoringPlay, ...]:
    """The steps of a rollback as its plan shows them.

    Each batch but the last one is verified before the next one starts. If the infrastructure is restored as well, the
    suites only run after that, because they may depend on it.
    """
    found = []
    planned = [(step, plan.executed(groups)) for step, groups in zip(plan.steps, batches, strict=False)]
    for position, (step, groups) in enumerate(planned, start=1):
        remaining = frozenset(host for _, others in planned[position:] for hosts in others for host in hosts)
        for number, hosts in enumerate(groups, start=1):
            several, more = len(groups) > 1, number < len(groups)
            skipped = (*step.play.skip_tags, *step.once.skipped(number, len(groups)))
            play = step.play.model_copy(update={"limit": hosts, "skip_tags": skipped})
            name = f"restore.{step.play.step}" + (f".{number}" if several else "")
            label = f"restore {target.ref}" + (f" batch {number} of {len(groups)}" if several else "")
            pause = step.pause if more else 0.0
            found.append(RestoringPlay(name, label, play, remaining, proved=more and proved, pause=pause))
    return tuple(found)
