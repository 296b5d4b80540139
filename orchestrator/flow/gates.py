"""Gates: what must hold while a canary is observed, and while a release is watched."""

from dataclasses import dataclass

from orchestrator.domain.effects import NOTHING
from orchestrator.domain.gate import Flaky
from orchestrator.domain.plan import ObservationWindow, PlannedGate, SuiteSpec
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow import repeat, verify
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext
from orchestrator.planning.second_pass import restrict
from orchestrator.ports import Emit


@dataclass(frozen=True)
class Observation:
    """A repeated observation of *hosts*: *what* makes the steps' names. *suite* is run each time, before the gates."""

    what: str
    hosts: tuple[str, ...]
    rule: ObservationWindow
    suite: SuiteSpec | None = None


def observe_release(ctx: RunContext, observation: Observation) -> None:
    """Observe as often as the plan states. The first failure halts the run; *unknown* rolls nothing back, and alerts.

    A check that cannot be made is alerted once, and again only if it was possible in between.
    """
    unknown: set[str] = set()
    for number in range(1, observation.rule.times + 1):
        ctx.pause(f"{observation.what}.{number}.wait", observation.rule.every)
        if observation.suite is not None:
            suite = verify.limited(ctx, observation.suite, observation.hosts)
            result = verify.run_suite(ctx, suite, ctx.pinned_package(), f"{observation.what}.{number}", must=False)
            _judge(ctx, f"{observation.what}.{number}", suite.name, result, unknown)
        for gate in observation.rule.gates:
            result = ask_gate(ctx, gate, observation.hosts, f"{observation.what}.{number}", observation.rule.flaky)
            _judge(ctx, f"gate.{gate.name}.{observation.what}.{number}", f"gate {gate.name}", result, unknown)


def _judge(ctx: RunContext, step: str, who: str, result: StepResult, unknown: set[str]) -> None:
    if result.outcome in {Outcome.FAILED, Outcome.ERRORED, Outcome.ABORTED}:
        raise RunHalted(step, result)
    if result.good:
        unknown.discard(who)
        return
    text = f"{who} could not be checked: {result.message}"
    ctx.alert("", text, f"{step}:unknown", notify=who not in unknown)
    unknown.add(who)


def ask_gate(ctx: RunContext, gate: PlannedGate, hosts: tuple[str, ...], what: str, rule: Flaky | None) -> StepResult:
    """Check one gate for those of *hosts* that it is for, again if it failed and the *rule* requires it."""
    package, meant = ctx.pinned_package(), restrict(ctx.hosts_only_inventory, gate.gate.hosts, hosts)
    if gate.suite is not None and meant:
        suite = verify.limited(ctx, gate.suite, meant).model_copy(update={"flaky": rule})
        return verify.run_suite(ctx, suite, package, what, must=False)

    def work(job: str, emit: Emit) -> StepResult:
        if not meant:
            return StepResult(outcome=Outcome.SKIPPED, message="it is for none of these hosts")
        return ctx.services.gates.ask(gate, meant, package, ctx.inventory(), ctx.context(), job, emit)

    name, label = f"gate.{gate.name}.{what}", f"gate {gate.name.replace('.', ' ')}"
    about: dict[str, object] = {"verb": "verify", "gate": gate.gate.kind, "hosts": list(meant)}

    def check(time: int) -> StepResult:
        if not time:
            return ctx.step(name, label, work, may_change=NOTHING, **about)
        again = f"gate.{gate.name}.again.{time}.{what}"
        return ctx.step(again, f"{label}, again", work, may_change=NOTHING, **about)

    return repeat.judged(ctx, rule, name, label, check)
