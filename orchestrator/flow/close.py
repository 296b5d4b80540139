"""Close: the end of a run. In every case the lease is released, and the current state is recorded."""

from orchestrator.domain.effects import NOTHING
from orchestrator.domain.errors import Exit, OrchestratorError, lookup
from orchestrator.domain.journal import Entry
from orchestrator.domain.promotion import Event
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow import ephemeral, host_states, observe, probe, switch
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext
from orchestrator.planning.sides import RETIRE
from orchestrator.ports import Emit


def finish(ctx: RunContext) -> None:
    """The release is in place and verified. What fails from here on never undoes it."""
    ctx.move(Event.CLOSE)
    kept = switch.retire(ctx)
    probe.end_probe(ctx)
    _tidy(ctx)
    if kept is not None:
        raise RunHalted(RETIRE, kept)
    ephemeral.dispose(ctx)
    ctx.move(Event.FINISH)
    if ctx.effects.ephemeral_stack is not None:
        _end(ctx, f"{ctx.pinned_plan().release} was verified in {ctx.run.environment}, which was destroyed", Exit.OK)
        return
    but = ", ".join(f"{host} ({how})" for host, how in ctx.excluded_hosts.items())
    where = f"{ctx.run.environment}, but not verified on {but}" if but else ctx.run.environment
    _end(ctx, f"{ctx.pinned_plan().release} runs in {where}", Exit.OK)


def finish_environment(ctx: RunContext) -> None:
    """End the run: the environment is as its program defines it, or destroyed."""
    ctx.move(Event.FINISH)
    done = {
        "destroy": "destroyed",
        "resolve": "settled",
        "observe": "observed",
        "override": "as declared",
        "reap": "destroyed",
    }.get(ctx.run.kind, "up to date")
    _end(ctx, f"{ctx.run.environment} is {done}", Exit.OK)


def finish_rollback(ctx: RunContext) -> None:
    """The last verified release is back, and its tests passed."""
    probe.end_probe(ctx)
    _tidy(ctx)
    ctx.move(Event.FINISH)
    back = ctx.restored_package.ref if ctx.restored_package else None
    asked_for = ctx.run.kind == "rollback"
    _end(ctx, f"{back} is restored in {ctx.run.environment}", Exit.OK if asked_for else Exit.ROLLED_BACK)


def finish_taken_away(ctx: RunContext) -> None:
    """What was made for a promotion that failed is gone: nothing of it is left."""
    probe.end_probe(ctx)
    _tidy(ctx)
    ctx.move(Event.FINISH)
    text = f"{ctx.run.release} failed, and what was created for it in {ctx.run.environment} was destroyed"
    _end(ctx, text, Exit.ROLLED_BACK)


def refuse(ctx: RunContext, halted: RunHalted) -> None:
    """End the run, which changed nothing, with the reason."""
    probe.end_probe(ctx)
    ctx.move(Event.REFUSE)
    _end(ctx, halted.result.message, _exit(halted), halted)


def end_needing_intervention(ctx: RunContext, halted: RunHalted) -> None:
    """The run needs manual intervention: release the environment, and report the state and the remedies."""
    observe.after_doubt(ctx, halted.result)
    probe.end_probe(ctx)
    ctx.move(Event.GIVE_UP)
    _end(ctx, halted.result.message, Exit.NEEDS_INTERVENTION, halted)


def _exit(halted: RunHalted) -> Exit:
    """How the command ends: as the error's code defines, otherwise *failed, nothing changed*."""
    try:
        return lookup(halted.code).exit if halted.code else Exit.FAILED
    except KeyError:
        return Exit.FAILED


def _tidy(ctx: RunContext) -> None:
    def work(_job: str, _emit: Emit) -> StepResult:
        try:
            ctx.services.deployer.close()
        except OSError as error:
            raise OrchestratorError("R140", f"cleaning up after the run failed: {error}") from error
        return StepResult(outcome=Outcome.SUCCEEDED)

    ctx.must("close", "clean up", work, may_change=NOTHING, verb="close")


def _end(ctx: RunContext, message: str, code: Exit, halted: RunHalted | None = None) -> None:
    """Write the run's last record, release the lease and the place in the queue, and notify the subscribers."""
    failure = ctx.failure or halted
    data = {
        "state": ctx.state.value,
        "message": message,
        "exit": int(code),
        "failure": _failure(failure) if failure else None,
    }
    host_states.record_end(ctx)
    ctx.note(Entry(kind="ended", data=data, key="ended"))
    ctx.services.store.dequeue(ctx.run.environment, ctx.run.id)
    ctx.services.store.release(ctx.run.environment, ctx.run.id)
    ctx.services.notifier.notify(ctx.ended(), message)


def _failure(halted: RunHalted) -> dict[str, object]:
    return {"step": halted.step, "message": halted.result.message, "code": halted.code}
