"""Deploy: every step in order, batch by batch, each batch verified before the next one starts."""

from orchestrator.domain.effects import Change
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import PendingHandler, PlannedStep
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.flow import gates, host_states, probe, verify
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext
from orchestrator.ports import Emit

RECENT = 5  # runs in which handlers that did not run are searched
Batches = tuple[tuple[str, ...], ...]


def roll_out(ctx: RunContext, prefix: str = "") -> None:
    """Run the plan's steps. The first batch that is not good, beyond what the step tolerates, halts the run.

    *prefix* is what their names begin with, when they are run once more; then canaries are not looked at again.

    A host whose failure is tolerated is left alone from then on: by later steps, and by every proof.
    """
    ctx.move(Event.DEPLOY)
    probe.begin(ctx)
    steps = ctx.pinned_plan().steps
    for number, (step, groups) in enumerate(zip(steps, ctx.batches, strict=True), start=1):
        left = tuple(tuple(host for host in hosts if host not in ctx.excluded_hosts) for hosts in groups)
        if step.canary is not None and any(left) and not left[0]:
            message = f"every canary of the step {step.play.step} failed in a step before it"
            raise RunHalted(step.play.step, StepResult(outcome=Outcome.FAILED, message=message, data={"code": "R171"}))
        later = tuple(ctx.batches[number:])
        _roll_out_step(ctx, step, tuple(hosts for hosts in left if hosts), prefix, later)


def _roll_out_step(
    ctx: RunContext, step: PlannedStep, groups: Batches, prefix: str, later: tuple[Batches, ...]
) -> None:
    """Run one step; *later* are the batches of each step after it."""
    last, changed_again = not later, frozenset(host for batches in later for hosts in batches for host in hosts)
    good: set[str] = set()
    failed = 0
    if not groups:
        message = f"every host of the step {step.play.step} failed in a step before it"
        raise RunHalted(step.play.step, StepResult(outcome=Outcome.FAILED, message=message, data={"code": "D102"}))
    for number, hosts in enumerate(groups, start=1):
        name = f"{prefix}{step.play.step}.{number}"
        result = _batch(ctx, step, name, number, len(groups), hosts)
        host_states.record_result(ctx, result, ctx.pinned_package().ref, name, hosts, changed_again)
        bad = [host for host in result.hosts if not host.outcome.good]
        failed += len(bad)
        good |= set(hosts) - {host.host for host in bad}
        final, canary = number == len(groups), step.canary if number == 1 else None
        blame = (
            bad and result.outcome in {Outcome.FAILED, Outcome.UNKNOWN} and "code" not in result.data
        )  # of hosts only
        alone = final or canary is not None  # nobody would be left to prove it on, or to go first
        if not result.good and (not blame or failed > step.max_failures or (alone and not good)):
            raise RunHalted(name, result)
        _leave_out(ctx, step, bad)
        there = tuple(host for host in hosts if host not in ctx.excluded_hosts)
        if canary is not None or (len(groups) > 1 and not (final and last)):  # everything is verified after the last
            _prove_batch(ctx, name, there)
        if canary is not None and not prefix:
            gates.observe_release(ctx, gates.Observation(f"{name}.look", there, canary.look))
        if not final and step.pause:
            ctx.pause(f"{name}.pause", step.pause)


def _leave_out(ctx: RunContext, step: PlannedStep, bad: list[HostResult]) -> None:
    """Go on without the hosts *bad*, whose failure the step tolerates, and say so."""
    for host in bad:
        ctx.excluded_hosts[host.host] = host.outcome.value
        text = f"{host.host} is left out: {host.outcome} in {step.play.step}, which tolerates {step.max_failures}"
        data = {"level": "warning", "text": text}
        ctx.note(Entry(kind="notice", host=host.host, data=data, key=f"left out:{host.host}"))


def _batch(
    ctx: RunContext, step: PlannedStep, name: str, number: int, count: int, hosts: tuple[str, ...]
) -> StepResult:
    """Deploy one batch."""
    if ctx.state is State.VERIFYING:
        ctx.move(Event.DEPLOY)
    skipped = (*step.play.skip_tags, *step.once.skipped(number, count))
    play = step.play.model_copy(update={"limit": hosts, "skip_tags": skipped})
    package = ctx.pinned_package()

    def work(job: str, emit: Emit) -> StepResult:
        inventory, context = ctx.inventory(), ctx.context()
        host_states.begin_change(ctx, name, hosts)
        ready = play.model_copy(update={"pending": pending_handlers(ctx, step.play.step, package.digest, hosts)})
        return ctx.services.deployer.deploy(ready, package, inventory, context, job, emit)

    label = step.play.step if count == 1 else f"{step.play.step} batch {number} of {count}"
    label += " (canary)" if step.canary is not None and number == 1 else ""
    about = {"verb": "deploy", "playbook": play.playbook, "hosts": list(hosts), "batch": number, "batches": count}
    return ctx.step(name, label, work, may_change=Change("hosts", hosts, step), **about)


def pending_handlers(ctx: RunContext, step: str, digest: str, hosts: tuple[str, ...]) -> tuple[PendingHandler, ...]:
    """The handlers that the last attempt at *step* notified on *hosts* and did not run, for the same package.

    Only the last run that changed a host counts: what came after it has brought another state there.
    """
    store, found = ctx.services.store, dict[str, tuple[PendingHandler, ...]]()
    for run in store.runs(ctx.run.environment, limit=RECENT):
        for record in reversed(store.records(run.id)):
            if record.kind != "step.finished" or not record.data.get("hosts"):
                continue
            same = record.step.partition("~")[0].rpartition(".")[0] in {step, f"rehearse.again.{step}"}
            if run.id == ctx.run.id and not same:
                continue
            result = StepResult.from_json(record.data)
            mine = same and run.release is not None and run.release.digest == digest
            items = [PendingHandler.from_json(item) for item in result.data.get("handlers", ())] if mine else []
            for host in result.touched():
                found.setdefault(host, tuple(item for item in items if item.host == host))
        if set(hosts) <= set(found):
            break
    return tuple(item for host in hosts for item in found.get(host, ()))


def _prove_batch(ctx: RunContext, name: str, hosts: tuple[str, ...]) -> None:
    if not hosts:
        return
    ctx.move(Event.VERIFY)
    verify.verify_suites(ctx, ctx.pinned_plan().verify, ctx.pinned_package(), name, hosts)
