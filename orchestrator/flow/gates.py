"""Gates: what the environment's file wants to hold before a release is promoted there. A shut one says why."""

from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.parity import GATED
from orchestrator.domain.plan import Gate, Plan
from orchestrator.domain.release import Package, PackageRef
from orchestrator.flow import drift, evidence, parity
from orchestrator.flow.course import Setting
from orchestrator.flow.trail import last_verified
from orchestrator.ports import Emit

NAMED = 50  # reasons that a plan names
SAID = 5  # reasons that a sentence names


def ask(setting: Setting, environment: str, package: Package, job: str, emit: Emit) -> tuple[Gate, ...]:
    """Every gate of *environment*, as it is found for *package*. Changes nothing.

    A release that was verified there last puts the environment back to what it was: nothing keeps it out.
    """
    rule = setting.environment(environment)[0]
    last = last_verified(setting, environment)
    if last is None or last.release.digest == package.digest:
        return ()
    found = []
    if rule.gates.drift:
        seen = drift.look(setting, environment, f"{job}.drift", emit)
        found.append(Gate(name="drift", open=seen.none, why=seen.reasons[:NAMED]))
    if rule.gates.parity:
        found.append(_parity(setting, rule, job, emit))
    if rule.require.rehearsal:
        found.append(_rehearsal(setting, environment, last.release, package.ref))
    return tuple(found)


def _parity(setting: Setting, rule: Environment, job: str, emit: Emit) -> Gate:
    """Whether the environment is like the one that it names, in all but their releases."""
    other = rule.parity.with_ if rule.parity is not None else rule.after
    if other is None:
        return Gate(name="parity", open=False, why=("there is no environment to compare it with: write parity.with",))
    seen = parity.look(setting, other, rule.name, f"{job}.parity", emit, GATED)
    return Gate(name="parity", open=seen.none, why=seen.reasons[:NAMED])


def _rehearsal(setting: Setting, environment: str, back: PackageRef, release: PackageRef) -> Gate:
    """Whether there is good evidence, from another environment, for exactly this pair of packages."""
    found = evidence.newest(setting, environment, back, release)
    if found is None:
        why = f"the way from {release} back to {back} was never rehearsed with these packages"
        return Gate(name="rehearsal", open=False, why=(why,))
    return Gate(name="rehearsal", open=found.good, why=found.reasons[:NAMED], evidence=found.digest)


def refusal(plan: Plan, gate: Gate) -> OrchestratorError:
    """The error for a plan whose *gate* is shut."""
    reasons = "; ".join(gate.why[:SAID])
    reasons += f" (and {len(gate.why) - SAID} more)" if len(gate.why) > SAID else ""
    if gate.name == "parity":
        message = f"{plan.environment} is not like the environment that it is compared with: {reasons}"
        return OrchestratorError("R182", message)
    if gate.name == "rehearsal":
        hint = "orchestrator rehearse RELEASE --in ENV, in an environment that runs the release which is here now"
        return OrchestratorError("R186", f"{plan.environment} wants a rehearsal: {reasons}", hint=hint)
    message = f"{plan.environment} is not as its last release left it: {reasons}"
    return OrchestratorError("R181", message, hint=f"orchestrator drift {plan.environment}")


def notes(found: tuple[Gate, ...]) -> tuple[str, ...]:
    """What a plan says of gates that are shut to whoever reads it."""
    return tuple(f"cannot be executed: {gate.name}: {text}" for gate in found if not gate.open for text in gate.why)
