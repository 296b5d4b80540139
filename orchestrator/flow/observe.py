"""Observe: the release of each host, as the host reports it. If it cannot, it is *unknown* until an operator decides.

There are three occasions. An operator requests it; the effect of a step is not known; or the store is older than the
hosts, because a backup was restored. Then a host has a fencing token that was not issued yet.
"""

from orchestrator.domain.effects import NOTHING
from orchestrator.domain.errors import JobLost, OrchestratorError
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import SILENT, HostState
from orchestrator.domain.run_parameters import ObserveParameters, OverrideParameters
from orchestrator.domain.sides import SIDES, Side
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.step_payloads import HostsObserved, SidesDeclared
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext
from orchestrator.inspect import tokens
from orchestrator.inspect.blue_green import BlueGreenState
from orchestrator.inspect.observed import states_of
from orchestrator.inspect.stacks import context_of
from orchestrator.ports import Emit

UNSURE = (Outcome.ERRORED, Outcome.UNKNOWN, Outcome.ABORTED)


def inspect_hosts(ctx: RunContext) -> None:
    """Inspect every host of the environment, and record what they report; halt if one remains unknown."""

    def work(job: str, emit: Emit) -> StepResult:
        try:
            seen = _inspect(ctx, job, emit)
            reconcile(ctx, seen)
        finally:
            ctx.services.deployer.close()
        states = states_of(ctx.services, ctx.run.environment, seen.hosts)
        unknown = [state.host for state in states if state.truth == "unknown"]
        data = HostsObserved(states=tuple(states)).to_json()
        for state in states:
            if state.differs:
                reported = "does not respond" if state.serves == SILENT else f"reports {state.serves}"
                text = f"{state.host}: {state.release} is current there, and its service {reported}"
                emit(Entry(kind="notice", host=state.host, data={"level": "warning", "text": text}))
        if unknown:
            reasons = [f"{host.host}: {host.invalid}" for host in seen.hosts if host.invalid]
            if any(tokens.TOO_FAR in reason for reason in reasons):
                reasons.append(tokens.remedy(ctx.run.environment, seen))
            message = "; ".join([f"the release of {', '.join(unknown)} is unknown", *reasons])
            data["code"] = "R161"
            return StepResult(outcome=Outcome.UNKNOWN, message=message, hosts=seen.hosts, log=seen.log, data=data)
        return StepResult(outcome=Outcome.SUCCEEDED, hosts=seen.hosts, log=seen.log, data=data)

    result = ctx.step("observe", "inspect the hosts", work, may_change=NOTHING, verb="observe")
    _write(ctx, result, "observe")
    if not result.good:
        raise RunHalted("observe", result)


def after_doubt(ctx: RunContext, last: StepResult | None = None) -> None:
    """Inspect the hosts if the effect of a step of this run, or of the *last* one, is not known.

    Whether they are inspected follows from what was recorded, so that a replay is the same. No failure here stops the
    run: the state of a host that could not be inspected stays.
    """
    results = [started.result for started in ctx.effects.started if started.touched()] + ([last] if last else [])
    if ctx.plan is None or not ctx.effects.changed or not any(result.outcome in UNSURE for result in results):
        return
    ctx.observed += 1
    name = f"observe.{ctx.observed}"

    def work(job: str, emit: Emit) -> StepResult:
        try:
            seen = _inspect(ctx, job, emit)
        except JobLost:
            raise
        except OrchestratorError as error:
            return StepResult(outcome=Outcome.SKIPPED, message=f"the hosts could not be inspected: {error.message}")
        states = states_of(ctx.services, ctx.run.environment, seen.hosts)
        data = HostsObserved(states=tuple(states)).to_json()
        return StepResult(outcome=Outcome.SUCCEEDED, message=seen.message, hosts=seen.hosts, log=seen.log, data=data)

    result = ctx.step(name, "inspect the hosts", work, may_change=NOTHING, verb="observe")
    _write(ctx, result, name)


def reconcile(ctx: RunContext, seen: StepResult) -> None:
    """Record what the hosts report if one of them has *seen* this run's fence, or a newer one: the store is older.

    Nothing of this run has sent its fence to a host yet, so another run got the same one before the store was restored.
    The reports are recorded before the fence is raised: a process that dies in between repeats this.
    """
    ahead = tokens.too_far(seen)
    newest = max((host.fence or 0 for host in seen.hosts if host.host not in ahead), default=0)
    if newest < ctx.fence:
        return
    states = states_of(ctx.services, ctx.run.environment, seen.hosts)
    ctx.record_hosts(states, "reconcile")
    what = ", ".join(f"{state.host} {_words(state)}" for state in states)
    fences = f"they have seen the fence {newest}, it gave {ctx.fence}"
    text = f"the store was older than the hosts ({fences}); reconciled: {what}"
    step = "observe" if ctx.run.kind == "observe" else "plan"
    data = {"level": "warning", "text": text, "reconciled": True}
    ctx.note(Entry(kind="notice", step=step, data=data, key="reconciled"))
    ctx.services.store.raise_fence(ctx.run.environment, newest)
    ctx.enter()


def override_release(ctx: RunContext) -> None:
    """Record the release of a host that is unknown, as the operator who requested this has decided.

    Or the live side, which no host reports.
    """
    parameters = ctx.parameters(OverrideParameters)
    if parameters.live is not None:
        _override_live(ctx, parameters.live, parameters.why)
        return
    host, why, release = str(parameters.host), parameters.why, parameters.release

    def work(_job: str, _emit: Emit) -> StepResult:
        known = {state.host: state.truth for state in ctx.services.store.hosts(ctx.run.environment)}
        if known.get(host) != "unknown":
            current = f"it is {known[host]}" if host in known else "no run has touched a host of that name"
            raise OrchestratorError("R162", f"{host} is not unknown in {ctx.run.environment}: {current}")
        message = f"{ctx.run.by or 'a user'} declared that {host} runs {release or 'nothing'}: {why}"
        return StepResult(outcome=Outcome.SUCCEEDED, message=message)

    about = {"verb": "accept", "host": host, "why": why}
    ctx.must("accept", f"accept the declared release of {host}", work, may_change=NOTHING, **about)
    ctx.record_hosts([HostState(host=host, truth="assumed", release=release, run=ctx.run.id)], "accept")


def _override_live(ctx: RunContext, live: Side, why: str) -> None:
    def work(_job: str, _emit: Emit) -> StepResult:
        known = BlueGreenState.of(ctx.services.store.hosts(ctx.run.environment))
        if not known.sides:
            raise OrchestratorError("R214", f"no release has divided {ctx.run.environment} into sides yet")
        sides = {side: tuple(host for host, its in known.sides.items() if its == side) for side in SIDES}
        data = SidesDeclared(sides=sides).to_json()
        message = f"{ctx.run.by or 'a user'} declared that {live} is live: {why}"
        return StepResult(outcome=Outcome.SUCCEEDED, message=message, data=data)

    about = {"verb": "accept", "live": live, "why": why}
    result = ctx.must("accept", f"accept that {live} is live", work, may_change=NOTHING, **about)
    data = {"live": live, "switch_uncertain": False, **SidesDeclared.read(result).to_json()}
    ctx.note(Entry(kind="switched", step="accept", data=data, key="switched:accept"))


def _inspect(ctx: RunContext, job: str, emit: Emit) -> StepResult:
    """One round trip to every host; nothing is required of them."""
    context = context_of(ctx.services, ctx.run.environment, ctx.run.id, ctx.outputs(), ctx.fence)
    seen = ctx.services.deployer.inspect((), ctx.inventory(), context, job, emit)
    return tokens.limit_tokens(ctx.services, ctx.run.environment, seen, emit, ctx.fence, _confirmed(ctx))


def _confirmed(ctx: RunContext) -> int:
    """The highest fencing token that the operator of this observation takes over from hosts."""
    if ctx.run.kind != "observe":
        return 0
    return ctx.parameters(ObserveParameters).token or 0


def _write(ctx: RunContext, result: StepResult, why: str) -> None:
    ctx.record_hosts(list(HostsObserved.read(result).states), why)


def _words(state: HostState) -> str:
    """What runs on a host, in words."""
    if state.release is None:
        return "nothing" if state.truth == "empty" else "unknown"
    name = state.release.version if state.release.name != "unknown" else f"unknown {state.release.digest[7:19]}"
    return name if state.truth == "seen" else f"{name} ({state.truth})"
