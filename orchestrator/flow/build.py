"""Build: the sealed package, taken out of the store and verified again, file by file, before any effect."""

from orchestrator.domain.effects import NOTHING
from orchestrator.domain.promotion import Event
from orchestrator.domain.release import Package
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow.run_context import RunContext
from orchestrator.ports import Emit


def unpack_release(ctx: RunContext) -> None:
    """Unpack the package of this run and that of its rollback, and check the digest of every file."""
    ctx.move(Event.BUILD)
    plan = ctx.pinned_plan()
    wanted = [
        plan.release,
        *([plan.rollback_target.release] if plan.rollback_target.release and plan.rollback_target.available else []),
    ]

    unpacked: dict[str, Package] = {}

    def work(_job: str, _emit: Emit) -> StepResult:
        for ref in wanted:
            unpacked[ref.digest] = ctx.services.packages.fetch(ref.digest)
        return StepResult(outcome=Outcome.SUCCEEDED, message=f"{plan.release} is sealed and whole")

    about = {"verb": "build", "digest": plan.release.digest}
    ctx.must("build", f"verify the package of {plan.release}", work, may_change=NOTHING, **about)
    ctx.package = unpacked.get(plan.release.digest) or ctx.services.packages.fetch(plan.release.digest)
    ctx.previous_package = (
        unpacked.get(plan.rollback_target.release.digest) if plan.rollback_target.release is not None else None
    )
