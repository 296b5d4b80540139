"""Rehearse: before a release stays, it is rolled back and promoted again: N → N+1 → N → N+1.

The first leg is the promotion itself. If it changes the stack, the stack is rolled back after the hosts, and updated
again, unless a stateful resource would be lost. A snapshot of the hosts is taken at each stop. What was not restored is
a failure of the release, which is rolled back.
"""

from collections.abc import Mapping

from orchestrator.domain.effects import AGAIN, NOTHING, Change
from orchestrator.domain.error_codes import DEFINITION_NOT_KEPT
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import PROMOTION_KINDS, Entry, Record
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.plan import Loss
from orchestrator.domain.promotion import Event
from orchestrator.domain.rehearsal import (
    InfrastructureRehearsal,
    Leg,
    Rehearsal,
    Timed,
    not_restored,
    still_left,
    unseen,
)
from orchestrator.domain.release import Package
from orchestrator.domain.snapshot import Difference
from orchestrator.domain.step import Outcome, StepResult, attempts
from orchestrator.domain.step_payloads import RehearsalJudged, SnapshotTaken, StackSpared
from orchestrator.domain.story import seconds_between
from orchestrator.domain.text import counted
from orchestrator.flow import deploy, host_states, provision, rollback, switch, verify
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext
from orchestrator.inspect.stacks import kept_of
from orchestrator.planning import second_pass
from orchestrator.planning.evidence import REHEARSED, documents, snapshot, store_document
from orchestrator.planning.rollback_plan import TAKEN_BACK
from orchestrator.planning.steps import suites_of
from orchestrator.ports import Emit
from orchestrator.ports.lists import each_run
from orchestrator.services import Services

STACK_BACK = "rehearse.stack.back"
STOPS = ("before", "there", "back", "again")
SAID = 5  # reasons that a sentence names


def snapshot_before(ctx: RunContext) -> None:
    """At N: its tests, and what is on the hosts. Nothing has been changed on them yet, but on standby hosts."""
    if ctx.pinned_plan().rehearse:
        previous = _package(ctx)
        _restore_standby(ctx, previous)
        verify.verify_suites(ctx, suites_of(previous.manifest.release), previous, "rehearse.before", _hosts(ctx))
        _take_snapshot(ctx, "before")


def _restore_standby(ctx: RunContext, previous: Package) -> None:
    """Deploy N to a standby side that has another release: what a rollback leaves behind is compared from N to N."""
    other_standbys = {
        state.host for state in ctx.pinned_plan().current_hosts if state.is_other_standby(previous.digest)
    }
    hosts = tuple(host for host in ctx.hosts if host in other_standbys)
    if hosts:
        ctx.restored_package = previous
        rollback.restore_standby(ctx, hosts, "rehearse.level")


def roll_back_and_repeat(ctx: RunContext) -> None:
    """Roll back from N+1, which was verified, to N, and promote again; then report what was not restored."""
    if not ctx.pinned_plan().rehearse:
        return
    _take_snapshot(ctx, "there")
    restored = _back(ctx)
    _take_snapshot(ctx, "back")
    _promote_again(ctx, stack=restored)
    _take_snapshot(ctx, "again")
    _judge(ctx)


def _back(ctx: RunContext) -> bool:
    """Undo N+1 as a rollback would: undo playbooks and N's own steps on its hosts, the stack, N's tests.

    Returns whether the stack was restored.
    """
    ctx.move(Event.DEPLOY)
    previous = ctx.restored_package = _package(ctx)
    rollback.take_back(ctx, TAKEN_BACK)
    restored = _stack_back(ctx, previous)
    ctx.move(Event.VERIFY)
    verify.verify_suites(ctx, suites_of(previous.manifest.release), previous, TAKEN_BACK, verify.worked_on(ctx))
    host_states.record_restored(ctx, previous.ref, ctx.hosts, TAKEN_BACK)
    ctx.effects.take_back()
    return restored


def _stack_back(ctx: RunContext, previous: Package) -> bool:
    """Restore the stack of N if N+1 has another definition, and N on hosts that it creates. Whether it was restored."""
    plan, before, worked = ctx.pinned_plan(), set(ctx.hosts), verify.worked_on(ctx)
    definition = plan.rollback_target.definition
    if not ctx.effects.stack_changed or definition is None or definition == plan.definition:
        return False

    def work(job: str, emit: Emit) -> StepResult:
        if plan.losses:
            return _spared(ctx, plan.losses, "")
        if plan.blue_green is not None:
            return _spared(ctx, (), "the release goes to one of two sides, and the other serves meanwhile")
        try:
            spec = kept_of(ctx.services, ctx.run.environment, definition)
        except OrchestratorError as error:
            if error.code != DEFINITION_NOT_KEPT:
                raise
            return _spared(ctx, (), error.message)
        return rollback.constrained(ctx, spec, job, emit, _spared)

    label = f"pulumi up {ctx.run.environment}, as it was"
    restored = (
        ctx.must(STACK_BACK, label, work, may_change=Change("stack"), verb="rehearse").outcome is Outcome.SUCCEEDED
    )
    if restored:
        ctx.forget_outputs()
        changed = set(worked) if provision.settle_restored(ctx, "rehearse.hosts.back") else set()
        fresh = rollback.replaced_hosts(ctx, "rehearse.look.back")
        new = tuple(host for host in ctx.hosts if host not in before or host in fresh or host in changed)
        planned = plan.rollback_target.second_pass or second_pass.second_pass(
            previous.manifest, ctx.hosts_only_inventory, ()
        )
        plays = second_pass.on_hosts(planned, ctx.hosts_only_inventory, new)
        rollback.restore_hosts(ctx, plays, "rehearse.new", verb="rehearse")
    return restored


def _spared(_ctx: RunContext, losses: tuple[Loss, ...], why: str) -> StepResult:
    """The result of the infrastructure's rehearsal if it is skipped, which does not fail the rehearsal."""
    text = f"that would {'; '.join(map(str, losses))}" if losses else why
    message = f"the infrastructure is not rolled back: {text}"
    return StepResult(
        outcome=Outcome.SKIPPED, message=message, data={"untouched": True, **StackSpared(why=text).to_json()}
    )


def _stack_again(ctx: RunContext) -> None:
    """Update the stack to its state in the plan again, and read the hosts that it has after that."""

    def refused(_ctx: RunContext, losses: tuple[Loss, ...], why: str) -> StepResult:
        text = f"that would {'; '.join(map(str, losses))}" if losses else why
        message = f"the infrastructure cannot be updated again: {text}"
        return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "R232", "untouched": True})

    def work(job: str, emit: Emit) -> StepResult:
        spec = kept_of(ctx.services, ctx.run.environment, ctx.pinned_plan().definition)
        return rollback.constrained(ctx, spec, job, emit, refused)

    label = f"pulumi up {ctx.run.environment}, again"
    ctx.must("rehearse.stack.again", label, work, may_change=Change("stack"), verb="rehearse")
    ctx.forget_outputs()
    provision.record_hosts(ctx, "rehearse.hosts.again", "rehearse.require")


def _promote_again(ctx: RunContext, *, stack: bool) -> None:
    """Deploy N+1 again, with the *stack* if that was restored, in its batches, and run its tests."""
    if stack:
        _stack_again(ctx)
    deploy.roll_out(ctx, AGAIN)
    switch.switch_over(ctx, AGAIN)
    verify.verify_environment(ctx, AGAIN.rstrip("."))


def _package(ctx: RunContext) -> Package:
    """N: the release that the rollback restores."""
    release = ctx.pinned_plan().rollback_target.release
    if release is None:
        raise RuntimeError("a rehearsal without a rollback target")
    return ctx.services.packages.fetch(release.digest)


def _hosts(ctx: RunContext) -> tuple[str, ...]:
    """The hosts on which N was before the run started: those that came with it have nothing to restore."""
    known = {state.host for state in ctx.pinned_plan().current_hosts}
    return tuple(host for host in ctx.hosts if host in known)


def _take_snapshot(ctx: RunContext, stop: str) -> None:
    """What is on the hosts at this stop, kept by its digest."""

    def work(job: str, emit: Emit) -> StepResult:
        rule = ctx.environment.snapshot
        seen = ctx.services.deployer.snapshot(rule, ctx.inventory(), ctx.context(), job, emit)
        seen = ctx.services.secrets.document(seen)
        files = sum(len(host.files) for host in seen.hosts.values())
        store_document(ctx.services, "snapshots", seen.digest, seen.to_json())
        message = f"{counted(files, 'file')} on {counted(len(seen.hosts), 'host')}"
        return StepResult(
            outcome=Outcome.SUCCEEDED, message=message, data=SnapshotTaken(snapshot=seen.digest).to_json()
        )

    ctx.must(f"rehearse.{stop}", f"inspect the hosts, {stop}", work, may_change=NOTHING, verb="rehearse")


def _judge(ctx: RunContext) -> None:
    """Compare, write the evidence down, and halt unless everything was restored."""

    def work(_job: str, _emit: Emit) -> StepResult:
        found = ctx.services.secrets.document(_evidence(ctx))
        store_document(ctx.services, "evidence", found.digest, found.to_json())
        data = RehearsalJudged(evidence=found.digest, good=found.good, document=found.to_json()).to_json()
        if found.good:
            previous = next(leg.seconds for leg in found.legs if leg.name == "back")
            return StepResult(
                outcome=Outcome.SUCCEEDED, message=f"everything was restored, in {previous:.1f} s", data=data
            )
        more = f" (and {len(found.reasons) - SAID} more)" if len(found.reasons) > SAID else ""
        message = f"the rollback to {found.back} leaves something behind: {'; '.join(found.reasons[:SAID])}{more}"
        outcome = Outcome.FAILED if found.left or found.carried else Outcome.UNKNOWN
        return StepResult(outcome=outcome, message=message, data={**data, "code": "R184"})

    result = ctx.step("rehearse.judge", "compare what was restored", work, may_change=NOTHING, verb="rehearse")
    if "evidence" in result.data:
        evidence = RehearsalJudged.read(result).to_json()
        ctx.note(Entry(kind="rehearsed", step="rehearse.judge", data=evidence, key=REHEARSED))
    if not result.good:
        raise RunHalted("rehearse.judge", result)


def _evidence(ctx: RunContext) -> Rehearsal:
    plan, run, rule = ctx.pinned_plan(), ctx.run, ctx.environment.snapshot
    records = ctx.services.store.records(run.id)
    digests = _digests(records)
    known = ctx.services.secrets  # perhaps more than when the first one was taken
    seen = {stop: known.document(snapshot(ctx.services, digests[stop])) for stop in STOPS}
    hosts = [host for host in _hosts(ctx) if host not in ctx.excluded_hosts]
    silent = tuple(f"{host}: it was left out ({how})" for host, how in ctx.excluded_hosts.items())
    if plan.rollback_target.release is None:
        raise RuntimeError("a rehearsal without a rollback target")
    return Rehearsal(
        project=ctx.services.project.name,
        environment=run.environment,
        run=run.id,
        release=plan.release,
        back=plan.rollback_target.release,
        plan=plan.digest,
        legs=_legs(records),
        infrastructure=_infrastructure(records),
        left=not_restored(seen["before"], seen["back"], rule, hosts),
        again=not_restored(seen["there"], seen["again"], rule, hosts),
        carried=still_left(seen["before"], _earlier(ctx.services, run.environment, run.id), rule),
        unknown=(*silent, *unseen(seen.values(), hosts)),
        snapshots=digests,
    )


def _digests(records: list[Record]) -> dict[str, str]:
    """The digest of what was seen at each stop."""
    found = _results(records)
    return {stop: SnapshotTaken.read(_last(found, f"rehearse.{stop}")).snapshot for stop in STOPS}


def _results(records: list[Record]) -> dict[str, StepResult]:
    return {record.step: StepResult.from_json(record.data) for record in records if record.kind == "step.finished"}


def _last(found: Mapping[str, StepResult], name: str) -> StepResult:
    """The result of a step, by its last attempt."""
    return next(found[attempt] for attempt in reversed(attempts(name)) if attempt in found)


def _infrastructure(records: list[Record]) -> InfrastructureRehearsal | None:
    """Whether the stack was restored and updated again; None if N+1 came without a change of it."""
    found = _results(records)
    if STACK_BACK not in found:
        return None
    result = _last(found, STACK_BACK)
    return InfrastructureRehearsal(back=result.outcome is Outcome.SUCCEEDED, why=StackSpared.read(result).why)


def _legs(records: list[Record]) -> tuple[Leg, ...]:
    """How long each leg took: from the end of one inspection of the hosts to the start of the next."""
    began = {record.step: record.at for record in records if record.kind == "step.started"}
    ended = {record.step: record.at for record in records if record.kind == "step.finished"}
    legs = []
    for name, before, after in (("there", "before", "there"), ("back", "there", "back"), ("again", "back", "again")):
        start, end = ended[f"rehearse.{before}"], began[f"rehearse.{after}"]
        steps = [step for step, at in began.items() if start <= at and step in ended and ended[step] <= end]
        timed = tuple(Timed(name=step, seconds=seconds_between(began[step], ended[step])) for step in steps)
        legs.append(Leg(name=name, seconds=seconds_between(start, end), steps=timed))  # type: ignore[arg-type]
    return tuple(legs)


def _earlier(services: Services, environment: str, run: str) -> list[Difference]:
    """What earlier rehearsals in *environment* have left behind."""
    chosen = RunFilter(environment=environment, kinds=tuple(sorted(PROMOTION_KINDS)))
    return [
        difference
        for found in each_run(services.store, chosen)
        if found.id != run
        for document in documents(services, found.id)
        for difference in (*document.left, *document.carried)
    ]
