"""Verify: the release's own testinfra suites, over a batch or the whole environment."""

from orchestrator.domain.effects import Change
from orchestrator.domain.plan import SuiteSpec
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.release import Package
from orchestrator.domain.step import StepResult
from orchestrator.flow import repeat
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext
from orchestrator.ports import Emit


def verify_environment(ctx: RunContext, what: str = "environment") -> None:
    """Every suite over every host of the environment, but those whose failure was tolerated."""
    if ctx.state is not State.VERIFYING:
        ctx.move(Event.VERIFY)
    verify_suites(ctx, ctx.pinned_plan().verify, ctx.pinned_package(), what, worked_on(ctx))


def worked_on(ctx: RunContext) -> tuple[str, ...]:
    """The hosts of the environment without those whose failure was tolerated, and those on standby."""
    idle = ctx.standby_hosts
    return tuple(host for host in ctx.hosts if host not in ctx.excluded_hosts and host not in idle)


def limited(ctx: RunContext, suite: SuiteSpec, hosts: tuple[str, ...]) -> SuiteSpec:
    """*suite* limited to *hosts*; a suite without a limit is for every host."""
    return suite if set(hosts) == set(ctx.hosts) else suite.model_copy(update={"limit": hosts})


def verify_suites(
    ctx: RunContext, suites: tuple[SuiteSpec, ...], package: Package, what: str, hosts: tuple[str, ...]
) -> None:
    """Run *suites* on *hosts*; halt at the first that is not good. *what* makes the steps' names."""
    for suite in suites:
        run_suite(ctx, limited(ctx, suite, hosts), package, what, must=True)


def run_suite(ctx: RunContext, suite: SuiteSpec, package: Package, what: str, *, must: bool) -> StepResult:
    """Run one suite, and again if it failed and its rule requires that. With *must*, halt unless it is good."""

    def work(job: str, emit: Emit) -> StepResult:
        context = ctx.context(rolling_back=package.digest != ctx.pinned_package().digest)
        return ctx.services.verifier.verify(suite, package, ctx.inventory(), context, job, emit)

    where = "everywhere" if not suite.limit else ", ".join(suite.limit)
    label = f"{suite.name.replace('.', ' ')} {where}"
    about: dict[str, object] = {
        "verb": "verify",
        "tests": suite.tests,
        "hosts": list(suite.limit),
        "digest": package.digest,
    }

    change = Change("suite", suite.limit)

    def check(time: int) -> StepResult:
        name = f"verify.{suite.name}.{what}" if not time else f"verify.{suite.name}.again.{time}.{what}"
        return ctx.step(name, label if not time else f"{label}, again", work, may_change=change, **about)

    result = repeat.judged(ctx, suite.flaky, f"verify.{suite.name}.{what}", label, check)
    if must and not result.good:
        raise RunHalted(f"verify.{suite.name}.{what}", result)
    return result
