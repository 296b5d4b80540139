"""Conditions: what the environment's file requires before a release is promoted to it."""

from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.parity import GATED
from orchestrator.domain.plan import Condition, Plan
from orchestrator.domain.release import Package, PackageRef
from orchestrator.inspect import drift, parity
from orchestrator.inspect.release_history import last_verified
from orchestrator.planning import evidence
from orchestrator.ports import Emit
from orchestrator.services import Services

NAMED = 50  # reasons that a plan names
SAID = 5  # reasons that a sentence names


def check_conditions(
    services: Services, environment: str, package: Package, job: str, emit: Emit
) -> tuple[Condition, ...]:
    """Every condition of *environment*, as it is found for *package*. Changes nothing outside.

    A release that was verified there last puts the environment back to what it was: nothing keeps it out.
    """
    rule = services.environment(environment)[0]
    last = last_verified(services, environment)
    if last is None or last.release.digest == package.digest:
        return ()
    found = []
    if rule.require.no_drift:
        seen = drift.find_drift(services, environment, f"{job}.drift", emit)
        services.findings.found_drift(seen)
        found.append(Condition(name="drift", holds=seen.is_empty, why=seen.reasons[:NAMED]))
    if rule.require.parity:
        found.append(_parity(services, rule, job, emit))
    if rule.require.rehearsal:
        found.append(_rehearsal(services, environment, last.release, package.ref))
    return tuple(found)


def _parity(services: Services, rule: Environment, job: str, emit: Emit) -> Condition:
    """Whether the environment is like the one that it names, in all but their releases."""
    other = rule.parity.with_ if rule.parity is not None else rule.after
    if other is None:
        return Condition(
            name="parity", holds=False, why=("there is no environment to compare it with: write parity.with",)
        )
    seen = parity.find_differences(services, other, rule.name, f"{job}.parity", emit, GATED)
    services.findings.found_parity(seen, GATED)
    return Condition(name="parity", holds=seen.is_empty, why=seen.reasons[:NAMED])


def _rehearsal(services: Services, environment: str, previous: PackageRef, release: PackageRef) -> Condition:
    """Whether there is good evidence, from another environment, for exactly this pair of packages."""
    found = evidence.newest(services, environment, previous, release)
    if found is None:
        why = f"the rollback from {release} to {previous} was never rehearsed with these packages"
        return Condition(name="rehearsal", holds=False, why=(why,))
    return Condition(name="rehearsal", holds=found.good, why=found.reasons[:NAMED], evidence=found.digest)


def missing_rehearsal(services: Services, environment: str, previous: PackageRef, release: PackageRef) -> str:
    """What the evidence that the way from *release* to *previous* was rehearsed lacks; empty if it is good."""
    found = _rehearsal(services, environment, previous, release)
    return "" if found.holds else "; ".join(found.why[:SAID])


def condition_refusal(plan: Plan, condition: Condition) -> OrchestratorError:
    """The error for a plan whose *condition* does not hold."""
    reasons = "; ".join(condition.why[:SAID])
    reasons += f" (and {len(condition.why) - SAID} more)" if len(condition.why) > SAID else ""
    if condition.name == "parity":
        message = f"{plan.environment} differs from the environment that it is compared with: {reasons}"
        return OrchestratorError("R182", message)
    if condition.name == "rehearsal":
        hint = "orchestrator rehearse RELEASE --in ENV, in an environment that runs the current release of this one"
        return OrchestratorError("R186", f"{plan.environment} requires a rehearsal: {reasons}", hint=hint)
    message = f"{plan.environment} has drifted from its last release: {reasons}"
    return OrchestratorError("R181", message, hint=f"orchestrator drift {plan.environment}")


def condition_notes(found: tuple[Condition, ...]) -> tuple[str, ...]:
    """The notes of a plan about conditions that do not hold."""
    return tuple(
        f"cannot be executed: {condition.name}: {text}"
        for condition in found
        if not condition.holds
        for text in condition.why
    )
