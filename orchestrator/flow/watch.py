"""Watch: the tests and the gates are repeated after the promotion, for as long as the release requires."""

from orchestrator.domain.promotion import Event
from orchestrator.flow import gates, promote, verify
from orchestrator.flow.run_context import RunContext


def watch_release(ctx: RunContext) -> None:
    """Repeat the watch's suite and gates until its time is over. A failure halts the run; *unknown* only alerts."""
    watch = ctx.pinned_plan().watch
    if watch is None:
        return
    ctx.move(Event.WATCH)
    gates.observe_release(ctx, gates.Observation("watch", verify.worked_on(ctx), watch.observation, watch.suite))
    promote.record_verified(ctx, ctx.pinned_package().ref)
