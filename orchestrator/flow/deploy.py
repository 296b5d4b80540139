"""Deploy: every step in order, batch by batch, each batch verified before the next one starts."""

from dataclasses import dataclass

from orchestrator.domain.effects import Change
from orchestrator.domain.journal import Entry, Record, Run
from orchestrator.domain.plan import PendingHandler, PlannedCanary, PlannedStep
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.flow import gates, host_states, implement, probe, verify
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext
from orchestrator.ports import Emit

RECENT = 5  # runs in which handlers that did not run are searched
Batches = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Batch:
    """The batch *number* of *count* of a *step*, called *name* in the journal."""

    step: PlannedStep
    name: str
    number: int
    count: int
    hosts: tuple[str, ...]

    @property
    def final(self) -> bool:
        """Whether the step ends with it."""
        return self.number == self.count

    @property
    def canary(self) -> PlannedCanary | None:
        """How its hosts are observed, if it is a canary."""
        return self.step.canary if self.number == 1 else None

    @property
    def label(self) -> str:
        """What a run's log calls it."""
        label = self.step.play.step if self.count == 1 else f"{self.step.play.step} batch {self.number} of {self.count}"
        return f"{label} (canary)" if self.canary is not None else label


def roll_out(ctx: RunContext, prefix: str = "") -> None:
    """Run the plan's steps. The first batch that is not good, beyond what the step tolerates, halts the run.

    *prefix* starts the names of steps that are repeated; then canaries are not observed again, and implementation plans
    not started again.

    A host whose failure is tolerated is excluded from later steps and from verification.
    """
    ctx.move(Event.DEPLOY)
    probe.begin(ctx)
    steps = ctx.pinned_plan().steps
    _implement(ctx, 0, prefix)
    for number, (step, groups) in enumerate(zip(steps, ctx.batches, strict=True), start=1):
        left = tuple(tuple(host for host in hosts if host not in ctx.excluded_hosts) for hosts in groups)
        if step.canary is not None and any(left) and not left[0]:
            message = f"every canary of the step {step.play.step} failed in a step before it"
            raise RunHalted(step.play.step, StepResult(outcome=Outcome.FAILED, message=message, data={"code": "R171"}))
        remaining = tuple(ctx.batches[number:])
        _roll_out_step(ctx, step, tuple(hosts for hosts in left if hosts), prefix, remaining)
        _implement(ctx, number, prefix)


def _implement(ctx: RunContext, position: int, prefix: str) -> None:
    """Carry out the implementation plans that follow the first *position* steps with a playbook."""
    for planned in ctx.pinned_plan().implementations if not prefix else ():
        if planned.position == position:
            implement.carry_out(ctx, planned)


def _roll_out_step(
    ctx: RunContext, step: PlannedStep, groups: Batches, prefix: str, remaining: tuple[Batches, ...]
) -> None:
    """Run one step; *remaining* are the batches of each step after it."""
    if not groups:
        message = f"every host of the step {step.play.step} failed in a step before it"
        raise RunHalted(step.play.step, StepResult(outcome=Outcome.FAILED, message=message, data={"code": "D102"}))
    changed_again = frozenset(host for batches in remaining for hosts in batches for host in hosts)
    good, failed = set[str](), 0
    for number, hosts in enumerate(groups, start=1):
        batch = Batch(step, f"{prefix}{step.play.step}.{number}", number, len(groups), hosts)
        result = _deploy_batch(ctx, batch)
        host_states.record_result(ctx, result, ctx.pinned_package().ref, batch.name, hosts, changed_again)
        bad = [host for host in result.hosts if not host.outcome.good]
        failed += len(bad)
        good |= set(hosts) - {host.host for host in bad}
        if not result.good and not (_blames_hosts(result, bad) and _tolerated(batch, failed, good)):
            raise RunHalted(batch.name, result)
        _leave_out(ctx, step, bad)
        _prove_batch(ctx, batch, is_last=batch.final and not remaining, observe=not prefix)
        if not batch.final and step.pause:
            ctx.pause(f"{batch.name}.pause", step.pause)


def _blames_hosts(result: StepResult, bad: list[HostResult]) -> bool:
    """Whether a batch is not good because of the hosts *bad* alone, which its step may tolerate."""
    return bool(bad) and result.outcome in {Outcome.FAILED, Outcome.UNKNOWN} and result.code is None


def _tolerated(batch: Batch, failed: int, good: set[str]) -> bool:
    """Whether the step continues after *failed* hosts, with the hosts *good*."""
    alone = batch.final or batch.canary is not None  # no host would be left to verify it on, or to go first
    return failed <= batch.step.max_failures and (bool(good) or not alone)


def _leave_out(ctx: RunContext, step: PlannedStep, bad: list[HostResult]) -> None:
    """Continue without the hosts *bad*, whose failure the step tolerates, and report that."""
    for host in bad:
        ctx.excluded_hosts[host.host] = host.outcome.value
        text = f"{host.host} is left out: {host.outcome} in {step.play.step}, which tolerates {step.max_failures}"
        data = {"level": "warning", "text": text}
        ctx.note(Entry(kind="notice", host=host.host, data=data, key=f"left out:{host.host}"))


def _deploy_batch(ctx: RunContext, batch: Batch) -> StepResult:
    if ctx.state is State.VERIFYING:
        ctx.move(Event.DEPLOY)
    step, hosts = batch.step, batch.hosts
    skipped = (*step.play.skip_tags, *step.once.skipped(batch.number, batch.count))
    play = step.play.model_copy(update={"limit": hosts, "skip_tags": skipped})
    package = ctx.pinned_package()

    def work(job: str, emit: Emit) -> StepResult:
        inventory, context = ctx.inventory(), ctx.context()
        host_states.begin_change(ctx, batch.name, hosts)
        ready = play.model_copy(update={"pending": pending_handlers(ctx, step.play.step, package.digest, hosts)})
        return ctx.services.deployer.deploy(ready, package, inventory, context, job, emit)

    about = {"playbook": play.playbook, "hosts": list(hosts), "batch": batch.number, "batches": batch.count}
    return ctx.step(batch.name, batch.label, work, may_change=Change("hosts", hosts, step), verb="deploy", **about)


def pending_handlers(ctx: RunContext, step: str, digest: str, hosts: tuple[str, ...]) -> tuple[PendingHandler, ...]:
    """The handlers that the last attempt at *step* notified on *hosts* and did not run, for the same package.

    Only the last run that changed a host counts: it has replaced the state that earlier runs left.
    """
    store, found = ctx.services.store, dict[str, tuple[PendingHandler, ...]]()
    for run in store.runs(ctx.run.environment, limit=RECENT):
        found = _pending_after(run, store.records(run.id), step, digest, own=run.id == ctx.run.id) | found
        if set(hosts) <= set(found):
            break
    return tuple(item for host in hosts for item in found.get(host, ()))


def _pending_after(
    run: Run, records: list[Record], step: str, digest: str, *, own: bool
) -> dict[str, tuple[PendingHandler, ...]]:
    """The hosts that *run* changed, and the handlers of *step* that it left pending on each.

    Other steps of a run that is not finished (*own*) have not replaced what an attempt at the step left.
    """
    found = dict[str, tuple[PendingHandler, ...]]()
    for record in reversed(records):
        if record.kind != "step.finished" or not record.data.get("hosts"):
            continue
        same = record.step.partition("~")[0].rpartition(".")[0] in {step, f"rehearse.again.{step}"}
        if own and not same:
            continue
        result = StepResult.from_json(record.data)
        mine = same and run.release is not None and run.release.digest == digest
        items = [PendingHandler.from_json(item) for item in result.data.get("handlers", ())] if mine else []
        for host in result.touched():
            found.setdefault(host, tuple(item for item in items if item.host == host))
    return found


def _prove_batch(ctx: RunContext, batch: Batch, *, is_last: bool, observe: bool) -> None:
    """Verify the hosts of *batch*, and *observe* a canary. With the last batch, everything is verified afterwards."""
    hosts = tuple(host for host in batch.hosts if host not in ctx.excluded_hosts)
    if hosts and (batch.canary is not None or (batch.count > 1 and not is_last)):
        ctx.move(Event.VERIFY)
        verify.verify_suites(ctx, ctx.pinned_plan().verify, ctx.pinned_package(), batch.name, hosts)
    if batch.canary is not None and observe:
        gates.observe_release(ctx, gates.Observation(f"{batch.name}.look", hosts, batch.canary.observation))
