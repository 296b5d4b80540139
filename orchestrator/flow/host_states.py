"""Host states: *changing* while a step may change a host, and afterwards what the result of the step reports.

A host inspection writes no release: only a step that may change a host decides which release runs on it.
"""

from collections.abc import Container, Iterable, Mapping

from orchestrator.domain.plan import HostState
from orchestrator.domain.release import PackageRef
from orchestrator.domain.started import touched
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.flow.run_context import RunContext


def begin_change(ctx: RunContext, step: str, hosts: tuple[str, ...]) -> None:
    """Record that *step* may change *hosts* from now on. A retry of the step keeps what was known before it."""
    known = _recorded(ctx)
    states = [known.get(host, HostState(host=host, truth="empty")).changed_by(ctx.run.id) for host in hosts]
    ctx.record_hosts(states, _changing(step))


def record_result(
    ctx: RunContext,
    result: StepResult,
    release: PackageRef | None,
    step: str,
    hosts: tuple[str, ...],
    changed_again: Container[str] = (),
) -> None:
    """Record what *step* left on *hosts*: *release*, or None for a step that takes something back.

    A host that the step did not touch has what it had before. One that a later step of the same release is to change
    too (*changed_again*) stays *changing*: it has the release only when all steps have run.
    """
    known, reported = _recorded(ctx), {host.host: host for host in result.hosts}
    releases = _releases(ctx, release)
    may_be_changed = set(touched(result, hosts))
    states = []
    for host in hosts:
        if host in may_be_changed:
            answer = reported.get(host, HostResult(host=host, outcome=Outcome.UNKNOWN, touched=True))
            after = _after_change(answer, release, releases, ctx.run.id)
            if host not in changed_again or after.release != release:
                states.append(after)
        elif host in reported and reported[host].outcome is Outcome.UNKNOWN:
            states.append(_out_of_reach(ctx, known, host))
    recorded = may_be_changed | {state.host for state in states}
    untouched = tuple(host for host in hosts if host not in recorded)
    ctx.record_hosts([*states, *as_before(ctx, step, untouched)], step)


def as_before(ctx: RunContext, step: str, hosts: tuple[str, ...]) -> list[HostState]:
    """What was known of *hosts* before *step*, which declared that it may change them and did not."""
    known, store = _recorded(ctx), ctx.services.store
    begun = [host for host in hosts if store.has_entry(ctx.run.id, f"host:{_changing(step)}:{host}")]
    states = [known[host].before for host in begun if host in known]
    return [state for state in states if state is not None]


def record_inspection(ctx: RunContext, result: StepResult, step: str) -> None:
    """Record the hosts that did not answer the inspection *step* as *unknown*; it records no release."""
    known = _recorded(ctx)
    silent = [host.host for host in result.hosts if host.outcome is Outcome.UNKNOWN]
    ctx.record_hosts([_out_of_reach(ctx, known, host) for host in silent], step)


def record_restored(ctx: RunContext, release: PackageRef, hosts: Iterable[str], step: str) -> None:
    """Record that undo playbooks alone have brought *hosts* back to *release*: its suites have passed there since."""
    known, run = _recorded(ctx), ctx.run.id
    undone = [
        host for host in hosts if host in known and known[host].settled.truth == "unknown" and known[host].run == run
    ]
    ctx.record_hosts([HostState(host=host, truth="assumed", release=release, run=run) for host in undone], step)


def record_end(ctx: RunContext) -> None:
    """Record the hosts that this run was changing as *unknown*: it ends, and did not run all of its steps on them."""
    left = [state for state in _recorded(ctx).values() if state.truth == "changing" and state.run == ctx.run.id]
    ctx.record_hosts([state.settled for state in left], "end")


def _changing(step: str) -> str:
    return f"{step}:changing"


def _recorded(ctx: RunContext) -> dict[str, HostState]:
    return {state.host: state for state in ctx.services.store.hosts(ctx.run.environment)}


def _releases(ctx: RunContext, release: PackageRef | None) -> dict[str | None, PackageRef]:
    """The releases that a host may report, by digest."""
    base = [state.release for state in ctx.pinned_plan().current_hosts]
    return {known.digest: known for known in (*base, release) if known is not None}


def _out_of_reach(ctx: RunContext, known: Mapping[str, HostState], host: str) -> HostState:
    """A host that could not be reached and was not touched: it has what it had, or is gone with it."""
    base = {state.host: state for state in ctx.pinned_plan().current_hosts}
    recorded = known.get(host)
    before = recorded.before or recorded if recorded is not None else None
    if before is None or before.run != ctx.run.id:
        before = base.get(host, HostState(host=host, truth="unknown"))
    return before.model_copy(update={"truth": "unknown", "before": None})


def _after_change(
    host: HostResult, release: PackageRef | None, releases: Mapping[str | None, PackageRef], run: str
) -> HostState:
    """What is known of a host after a step: the report of the host comes first, also if it was rolled back."""
    if host.invalid:
        return HostState(host=host.host, truth="unknown", run=run)
    if host.release in releases:
        return HostState(host=host.host, truth="seen", release=releases[host.release], run=run)
    if host.outcome is Outcome.SUCCEEDED and host.release is None and release is not None:
        return HostState(host=host.host, truth="assumed", release=release, run=run)
    return HostState(host=host.host, truth="unknown", run=run)
