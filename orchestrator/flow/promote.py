"""Promote: this release is now that of the environment, and, after the last check, its last verified one."""

from orchestrator.domain.journal import Entry, Verified, verified_key
from orchestrator.domain.promotion import Event
from orchestrator.domain.release import PackageRef
from orchestrator.flow.run_context import RunContext


def record(ctx: RunContext) -> None:
    """Record that the release's tests passed here: it may be promoted along the path, and is a rollback target.

    A release with a watch counts as verified only after the watch.
    """
    ctx.move(Event.PROMOTE)
    if ctx.pinned_plan().watch is None:
        record_verified(ctx, ctx.pinned_package().ref)


def record_verified(ctx: RunContext, ref: PackageRef, definition: str | None = None) -> None:
    """Write down that *ref*'s tests passed in the environment, and on which *definition* (by default the plan's)."""
    mark = Verified(
        environment=ctx.run.environment,
        release=ref,
        run=ctx.run.id,
        at=ctx.services.clock.now(),
        definition=definition or ctx.pinned_plan().definition,
    )
    ctx.note(Entry(kind="verified", data=mark.to_json(), key=verified_key(ref)))
