"""The steps of a run, in order. This file is the table of contents; the order is not written elsewhere.

    FLOW      request → plan → build → provision → deploy → switch → verify → rehearse → promote → watch → close
    ROLLBACK  halt → switch back → undo (newest started step first) → restore → verify → close

A verb is a function in the file of its name. It reads and extends one `RunContext` (a run on its way), calls the ports
for effects through `RunContext.step`, and raises `RunHalted` if the run cannot continue. A halt before the first effect
ends in *failed*, with nothing changed; after it, the second list runs.
"""

from collections.abc import Callable

from orchestrator.domain.journal import Kind, Run
from orchestrator.domain.promotion import State
from orchestrator.flow import (
    build,
    close,
    deploy,
    environment,
    ephemeral,
    observe,
    plan,
    promote,
    provision,
    rehearse,
    request,
    rollback,
    switch,
    verify,
    watch,
)
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext

Verb = Callable[[RunContext], None]

FLOW: tuple[Verb, ...] = (
    request.admit,  # records the request, and takes the environment's lease
    plan.resolve_plan,  # what would be done; with an approved plan: does it still hold?
    build.unpack_release,  # the sealed package, verified again file by file
    provision.update,  # the infrastructure, held to the plan
    rehearse.snapshot_before,  # what is on the hosts now, if the rollback is to be rehearsed
    deploy.roll_out,  # every step, batch by batch, each batch verified before the next
    switch.switch_over,  # from the side that is live to the one that was deployed to, where there are sides
    verify.verify_environment,  # the release's own tests over the whole environment
    rehearse.roll_back_and_repeat,  # the rollback, and the release again, if that is to be rehearsed
    promote.record,  # this release is now the environment's own
    watch.watch_release,  # the tests again, for as long as the release requires
    close.finish,  # the lease back, nothing left behind
)

ROLLBACK: tuple[Verb, ...] = (
    rollback.halt,  # nothing of the failed step still runs; is a rollback possible?
    switch.switch_back,  # to the side that was live, where it was switched
    rollback.undo,  # steps with an undo of their own, newest started first
    rollback.restore,  # infrastructure and touched hosts, by the last verified release's own steps
    rollback.verify_restored,  # that release's own tests
    close.finish_rollback,
)

TAKE_AWAY: tuple[Verb, ...] = (  # instead, where the environment was made for this promotion only
    ephemeral.keep_or_destroy,  # is it to be kept for an inspection?
    ephemeral.destroy_ephemeral,  # everything that was made is destroyed
    close.finish_taken_away,
)

RETURN: tuple[Verb, ...] = (  # a rollback that an operator requested: the same second list, planned first
    request.admit,
    plan.resolve_plan,
    build.unpack_release,
    rollback.start_requested,  # its hosts, and what its plan restores
    rollback.undo,
    rollback.restore,
    rollback.verify_restored,
    close.finish_rollback,
)

UPDATE: tuple[Verb, ...] = (request.admit, environment.update_environment, close.finish_environment)
DESTROY: tuple[Verb, ...] = (request.admit, environment.destroy, close.finish_environment)
RESOLVE: tuple[Verb, ...] = (request.admit, environment.resolve, close.finish_environment)
OBSERVE: tuple[Verb, ...] = (request.admit, observe.inspect_hosts, close.finish_environment)
ACCEPT: tuple[Verb, ...] = (request.admit, observe.override_release, close.finish_environment)
REAP: tuple[Verb, ...] = (request.admit, ephemeral.reap, close.finish_environment)


def promotion(ctx: RunContext) -> Run:
    """Run one plan in one environment to its end, and return the run as it ended."""
    try:
        for verb in FLOW:
            verb(ctx)
    except RunHalted as halted:
        if ctx.state is State.CLOSING:
            close.end_needing_intervention(ctx, halted)
        elif ctx.effects.changed:
            _roll_back(ctx, halted)
        else:
            close.refuse(ctx, halted)
    return ctx.ended()


def rehearsal(ctx: RunContext) -> Run:
    """A promotion that rolls back, and promotes again, before its release stays."""
    return promotion(ctx)


def going_back(ctx: RunContext) -> Run:
    """Run a rollback that an operator requested, and return the run as it ended."""
    return _straight(RETURN, ctx)


def provisioning(ctx: RunContext) -> Run:
    """Update the infrastructure of an environment without a release, and return the run as it ended."""
    return _straight(UPDATE, ctx)


def destruction(ctx: RunContext) -> Run:
    """Destroy an environment, and return the run as it ended."""
    return _straight(DESTROY, ctx)


def resolution(ctx: RunContext) -> Run:
    """Settle what an operation that died may have made, and return the run as it ended."""
    return _straight(RESOLVE, ctx)


def observation(ctx: RunContext) -> Run:
    """Observe every host of an environment, and return the run as it ended."""
    return _straight(OBSERVE, ctx)


def acceptance(ctx: RunContext) -> Run:
    """Record an operator's decision about a host that cannot be inspected, and return the run as it ended."""
    return _straight(ACCEPT, ctx)


def reaping(ctx: RunContext) -> Run:
    """Destroy what another run has made for itself only, and return the run as it ended."""
    return _straight(REAP, ctx)


WORKFLOWS: dict[Kind, Callable[[RunContext], Run]] = {
    "promotion": promotion,
    "rollback": going_back,
    "provision": provisioning,
    "destroy": destruction,
    "resolve": resolution,
    "observe": observation,
    "override": acceptance,
    "reap": reaping,
    "rehearsal": rehearsal,
}


def _straight(verbs: tuple[Verb, ...], ctx: RunContext) -> Run:
    """Without a second list: a failure after an effect needs manual intervention."""
    try:
        for verb in verbs:
            verb(ctx)
    except RunHalted as halted:
        if ctx.effects.changed:
            close.end_needing_intervention(ctx, halted)
        else:
            close.refuse(ctx, halted)
    return ctx.ended()


def _roll_back(ctx: RunContext, failure: RunHalted) -> None:
    ctx.failure = failure
    try:
        for verb in ROLLBACK if ctx.effects.ephemeral_stack is None else TAKE_AWAY:
            verb(ctx)
    except RunHalted as halted:
        close.end_needing_intervention(ctx, halted)
