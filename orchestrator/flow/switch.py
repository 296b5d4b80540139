"""Switch: from the live side to the verified one. In a rollback the switch back comes first."""

from dataclasses import replace

from orchestrator.domain.context import Switched
from orchestrator.domain.effects import SWITCHED_BACK, Change
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import HostState, PlaySpec, Truth
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.release import Package
from orchestrator.domain.sides import Side, Sides, other
from orchestrator.domain.started import touched
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.flow import gates, host_states, observe, verify
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext
from orchestrator.planning.sides import RETIRE, SWITCH, of_plan
from orchestrator.ports import Emit

BACK = SWITCHED_BACK


def switch_over(ctx: RunContext, prefix: str = "") -> None:
    """Verify the side that the release went to, observe it, and switch the traffic to it. Does nothing without sides.

    *prefix* starts the names of steps that are repeated; then the side is not observed again.
    """
    planned, sides = ctx.pinned_plan().blue_green, ctx.sides
    if planned is None or sides is None or planned.to is None:
        return
    hosts = _good(ctx, planned.to)
    if ctx.state is not State.VERIFYING:
        ctx.move(Event.VERIFY)
    verify.verify_suites(ctx, ctx.pinned_plan().verify, ctx.pinned_package(), f"{prefix}side", hosts)
    if planned.observation is not None and not prefix:
        gates.observe_release(ctx, gates.Observation("switch.look", hosts, planned.observation))
    ctx.move(Event.DEPLOY)
    switch_traffic(
        ctx, planned.to, ctx.pinned_package(), planned.switched(sides, ctx.hosts_only_inventory), f"{prefix}{SWITCH}"
    )


def switch_traffic(
    ctx: RunContext, side: Side, package: Package, play: PlaySpec, name: str, verb: str = SWITCH
) -> None:
    """Let the service lead to *side* by *package*'s *play*, and write down that it does; halt unless it went well."""

    def work(job: str, emit: Emit) -> StepResult:
        context = replace(ctx.context(rolling_back=ctx.going_back), sides=_switched_sides(ctx, side))
        return ctx.services.deployer.deploy(play, package, ctx.inventory(), context, job, emit)

    about: dict[str, object] = {
        "playbook": play.playbook,
        "hosts": list(play.limit),
        "release": package.ref.to_json(),
        "live": side,
    }
    label = f"switch back to {side}" if name.endswith(BACK) else f"switch to {side}"
    change = Change("side", play.limit, is_rollback=name.endswith(BACK))
    result = ctx.step(name, label, work, may_change=change, verb=verb, **about)
    if not result.good:
        if touched(result, play.limit):  # where it leads is not known
            _note(ctx, ctx.live, name, switch_uncertain=True)
        raise RunHalted(name, result)
    ctx.live = side
    _note(ctx, side, name, switch_uncertain=False)


def switch_back(ctx: RunContext) -> None:
    """Switch the traffic back if a switch was started, before the rest of the rollback."""
    rollback_plan, begun = ctx.rollback_plan, ctx.effects.switching
    release = ctx.pinned_plan().rollback_target.release
    if rollback_plan is None or release is None or not begun:
        return
    if rollback_plan.switch is not None and rollback_plan.live is not None:
        switch_traffic(ctx, rollback_plan.live, ctx.pinned_package(), rollback_plan.switch, BACK)
    ctx.restored_package = ctx.services.packages.fetch(release.digest)  # there was no time for that before
    observe.after_doubt(ctx)


def switch_first(ctx: RunContext) -> None:
    """Where a rollback finds its release on the whole other side: let the service lead there before all else."""
    planned, sides = ctx.pinned_plan().blue_green, ctx.sides
    if planned is not None and sides is not None and planned.first and planned.to is not None:
        switch_traffic(ctx, planned.to, ctx.pinned_package(), planned.switched(sides, ctx.hosts_only_inventory), SWITCH)


def switch_after_restore(ctx: RunContext) -> None:
    """If a rollback restored its release on the other side: verify it there, and switch the traffic to that side."""
    plan = ctx.pinned_plan()
    planned, package = plan.blue_green, ctx.pinned_package()
    if planned is None or planned.to is None or ctx.effects.switching:
        return
    ctx.sides = ctx.sides or of_plan(plan, ctx.hosts_only_inventory)
    if ctx.sides is not None:
        verify.verify_suites(ctx, plan.verify, package, "side", ctx.sides.of(planned.to))
        switch_traffic(ctx, planned.to, package, planned.switched(ctx.sides, ctx.hosts_only_inventory), SWITCH)


def retire(ctx: RunContext) -> StepResult | None:
    """Run the playbook for the new standby side, if that has anything; its result when that is not good."""
    plan, sides, live = ctx.pinned_plan(), ctx.sides, ctx.live
    planned, package = plan.blue_green, ctx.pinned_package()
    if planned is None or planned.retire is None or sides is None or live is None:
        return None
    hosts = planned.retired(plan.current_hosts, sides, live)
    if not hosts:
        return None
    play = planned.retire.model_copy(update={"limit": hosts})

    def work(job: str, emit: Emit) -> StepResult:
        inventory, context = ctx.inventory(), replace(ctx.context(), sides=_switched_sides(ctx, live))
        host_states.begin_change(ctx, RETIRE, hosts)
        return ctx.services.deployer.deploy(play, package, inventory, context, job, emit)

    about: dict[str, object] = {"playbook": play.playbook, "hosts": list(hosts), "release": package.ref.to_json()}
    change = Change("hosts", hosts)
    result = ctx.step(RETIRE, f"retire {other(live)}", work, may_change=change, verb="close", **about)
    changed = set(touched(result, hosts))
    states = _states_after_retirement(ctx, result, [host for host in hosts if host in changed])
    spared = tuple(host for host in hosts if host not in changed)
    ctx.record_hosts([*states, *host_states.as_before(ctx, RETIRE, spared)], RETIRE)
    return None if result.good else result


def _states_after_retirement(ctx: RunContext, result: StepResult, changed: list[str]) -> list[HostState]:
    """What is on the *changed* hosts by their reports; a host without one is unknown."""
    releases = {state.digest: state.release for state in ctx.services.store.hosts(ctx.run.environment)}
    reported, states = {host.host: host for host in result.hosts}, []
    for host in changed:
        report = reported.get(host, HostResult(host=host, outcome=Outcome.UNKNOWN, touched=True))
        release = releases.get(report.release) if report.release is not None else None
        truth: Truth = "seen" if release else "empty" if report.outcome is Outcome.SUCCEEDED else "unknown"
        states.append(HostState(host=host, truth=truth, release=release, run=ctx.run.id))
    return states


def _good(ctx: RunContext, side: Side) -> tuple[str, ...]:
    """The hosts of *side* without those whose failure was tolerated."""
    return tuple(host for host in _sides(ctx).of(side) if host not in ctx.excluded_hosts)


def _switched_sides(ctx: RunContext, live: Side) -> Switched:
    """What a playbook is given when *live* is to be the live side."""
    return Switched(live, other(live), _good(ctx, live), _good(ctx, other(live)))


def _note(ctx: RunContext, live: Side | None, name: str, *, switch_uncertain: bool) -> None:
    data = {"live": live, "switch_uncertain": switch_uncertain, "sides": _sides(ctx).to_json()}
    ctx.note(Entry(kind="switched", step=name, data=data, key=f"switched:{name}"))


def _sides(ctx: RunContext) -> Sides:
    if ctx.sides is None:
        raise RuntimeError("a switch without sides")
    return ctx.sides
