"""The steps, gates, suites and the watch of a release as a plan has them."""

from typing import Any

from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import Canary, Flaky, Gate
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model import digest_of
from orchestrator.domain.plan import (
    ObservationWindow,
    PlanAction,
    PlannedCanary,
    PlannedGate,
    PlannedImplementation,
    PlannedSides,
    PlannedStep,
    PlannedWatch,
    SuiteSpec,
    play_of,
)
from orchestrator.domain.quantities import seconds
from orchestrator.domain.release import Release
from orchestrator.domain.release_steps import ImplementationStep, Step
from orchestrator.domain.sides import BlueGreen
from orchestrator.inspect.stacks import context_of, outputs_of
from orchestrator.planning import sides
from orchestrator.planning.survey import PlanRequest, Survey
from orchestrator.ports import Emit
from orchestrator.services import Services


def steps_of(release: Release, action: PlanAction) -> tuple[Step, ...]:
    """The release's steps with a playbook; when it is restored, those which are their own undo."""
    steps = release.playbook_steps
    return steps if action == "promote" else tuple(step for step in steps if step.undo is None)


def planned_implementations(release: Release) -> tuple[PlannedImplementation, ...]:
    """The implementation plans that a promotion of *release* starts, each at its position among the playbooks."""
    found, position = [], 0
    for step in release.steps:
        if isinstance(step, ImplementationStep):
            found.append(PlannedImplementation.of(step, position))
        else:
            position += 1
    return tuple(found)


def planned_step(
    step: Step, wanted: PlanRequest, required_gates: tuple[PlannedGate, ...], blue_green: PlannedSides | None
) -> PlannedStep:
    """*step* as it is promoted, before its hosts are known; a rollback keeps its batches, order and pause."""
    rollout = step.rollout
    has_sides = rollout.blue_green is not None
    plain = PlannedStep(play=play_of(step), undo=step.undo)
    if wanted.all_at_once:
        return sides.sided(plain, blue_green, of=has_sides)
    seed = digest_of([wanted.package.digest, wanted.environment, step.name]).removeprefix("sha256:")[:16]
    about: dict[str, Any] = {
        "sizes": rollout.batches,
        "pause": seconds(rollout.pause),
        "once": rollout.once,
        "order": rollout.order,
        "seed": seed if rollout.order == "shuffled" else "",
    }
    if wanted.action == "promote":
        canary = _canary(rollout.canary or Canary(), required_gates) if rollout.strategy == "canary" else None
        about |= {"max_failures": rollout.max_failures, "strategy": rollout.strategy, "canary": canary}
    return sides.sided(plain.model_copy(update=about), blue_green, of=has_sides)


def refuse_empty(services: Services, wanted: PlanRequest, steps: tuple[PlannedStep, ...], survey: Survey) -> None:
    """Refuse a promotion with a step for which there is no host, also when Pulumi will only make the hosts.

    Raises D101, D102, R170 and R210.
    """
    inventory = survey.inventory
    if inventory is None and survey.stack is not None and survey.stack.inventory is not None:
        inventory = services.deployer.resolve(survey.stack.inventory)
    if wanted.action != "promote" or inventory is None:
        return
    for step in steps:
        if not step.stacked and not step.cut(inventory):
            raise OrchestratorError("D102", f"the step {step.play.step} has no host: {step.play.hosts!r} selects none")


def _canary(canary: Canary, required_gates: tuple[PlannedGate, ...]) -> PlannedCanary:
    return PlannedCanary(hosts=canary.hosts, observation=observation_of(canary.observe, canary, required_gates))


def observation_of(span: str, rule: Canary | BlueGreen, required_gates: tuple[PlannedGate, ...]) -> ObservationWindow:
    """The observation of *span* by *rule*, with the gates *required_gates*, which are checked in any case."""
    gates = (*_gates(rule.gates), *required_gates)
    return ObservationWindow(seconds=seconds(span), every=seconds(rule.every), gates=gates, flaky=rule.flaky)


def _gates(gates: tuple[Gate, ...]) -> tuple[PlannedGate, ...]:
    """The gates of a release; a suite gets a name that no suite of `verify` can have."""
    return tuple(
        PlannedGate(gate=gate, suite=suite_of(f"gate.{gate.name}", gate.tests, gate.timeout) if gate.tests else None)
        for gate in gates
    )


def own_gates(environment: Environment) -> tuple[PlannedGate, ...]:
    """The gates of the environment itself, which every release has to pass."""
    return tuple(PlannedGate(gate=gate, own=True) for gate in environment.gates)


def suite_of(name: str, tests: str, timeout: str, args: tuple[str, ...] = (), flaky: Flaky | None = None) -> SuiteSpec:
    """A suite as a value, with its time limit in seconds."""
    return SuiteSpec(name=name, tests=tests, args=args, timeout=seconds(timeout), flaky=flaky)


def suites_of(release: Release) -> tuple[SuiteSpec, ...]:
    """The release's own suites."""
    return tuple(suite_of(item.name, item.tests, item.timeout, item.args, item.flaky) for item in release.verify)


def watch_of(release: Release, required_gates: tuple[PlannedGate, ...]) -> PlannedWatch | None:
    """The watch of *release*, with the *required_gates* in addition; None if it has no watch."""
    watch = release.watch
    if watch is None:
        return None
    return PlannedWatch(
        seconds=seconds(watch.duration),
        every=seconds(watch.every),
        suite=suite_of("watch", watch.tests, "10m", flaky=watch.flaky) if watch.tests is not None else None,
        gates=(*_gates(watch.gates), *required_gates),
        flaky=watch.flaky,
    )


def all_checked(
    services: Services, wanted: PlanRequest, steps: tuple[PlannedStep, ...], survey: Survey, job: str, emit: Emit
) -> tuple[PlannedStep, ...]:
    """*steps* with the predictions of Ansible's check mode, if requested and if the hosts are known."""
    preview = services.environment(wanted.environment)[0].preview
    if not wanted.check or preview == "none" or survey.inventory is None or survey.full is None:
        return steps
    return tuple(_checked(services, wanted, step, survey.full, job, emit) for step in steps)


def _checked(
    services: Services, wanted: PlanRequest, step: PlannedStep, inventory: Inventory, job: str, emit: Emit
) -> PlannedStep:
    hosts = tuple(host for batch in step.batches or () for host in batch)
    outputs = outputs_of(services, wanted.environment)
    context = context_of(services, wanted.environment, job, outputs, wanted.fence)
    play = step.play.model_copy(update={"limit": hosts})
    preview = services.deployer.check(play, wanted.package, inventory, context, f"{job}.{step.play.step}", emit)
    return step.model_copy(update={"preview": preview})
