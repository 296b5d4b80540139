"""Sides: which of two an environment's service leads to, and to which one a release goes. Never guessed, only read."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import HostState, ObservationWindow, Plan, PlannedSides, PlannedStep, PlaySpec
from orchestrator.domain.release import Package
from orchestrator.domain.sides import SIDES, BlueGreen, Side, Sides, other
from orchestrator.inspect.blue_green import BlueGreenState
from orchestrator.services import Services

SWITCH, RETIRE = "switch", "retire"  # what the plays are called, beside the steps of a release


@dataclass(frozen=True)
class BlueGreenQuery:
    """A query about sides: for a *package*, *promoting* or rolling back, on hosts with the states in *current_hosts*.

    *observation* comes before the switch. *inventory* is None if the hosts are only known after provisioning.
    *target_side* is the side whose stack was previewed, if each side is a stack.
    """

    package: Package
    environment: str
    promoting: bool
    inventory: Inventory | None
    current_hosts: tuple[HostState, ...]
    observation: ObservationWindow | None
    target_side: Side | None = None


def target_side(services: Services, environment: str) -> Side | None:
    """The side whose stack a release updates: the one that is not live. None where the sides are not stacks."""
    if services.environment(environment)[0].sides is None:
        return None
    live = BlueGreenState.of(services.store.hosts(environment)).live
    return other(live) if live is not None else "blue"


def for_side(services: Services, environment: str, side: Side | None) -> Services:
    """*services*, in which the stack of *environment* is that of *side*, where each side is a stack."""
    rule = services.environment(environment)[0].sides
    if rule is None or side is None:
        return services
    return replace(services, stacks={**services.stacks, environment: rule.of(side)})


def planned(query: BlueGreenQuery) -> PlannedSides | None:
    """The sides of a plan; None where the release has none, or the environment has no host on either.

    Raises R210 if they do not fit the hosts, R211 if the live side is not known, R212 if a host has changed sides, and
    R213 if another step is for hosts of a side.
    """
    rule = query.package.manifest.release.blue_green
    if rule is None:
        return None
    found = _found(rule, query)
    if query.inventory is not None and found is None:
        return None
    blue_green = BlueGreenState.of(query.current_hosts)
    _refuse(query, blue_green, found)
    made = PlannedSides(
        blue=rule.blue,
        green=rule.green,
        live=blue_green.live,
        to=other(blue_green.live)
        if blue_green.live is not None
        else query.target_side or _unused(query.current_hosts, found),
        hosts=found,
        switch=_play(SWITCH, rule.switch),
        router=rule.router,
        observation=query.observation if query.promoting else None,
        retire=_play(RETIRE, rule.retire) if rule.retire is not None and query.promoting else None,
        stacked=query.target_side is not None,
    )
    if query.inventory is not None and found is not None:
        made.switched(found, query.inventory)  # is there a router?
    return made if query.promoting or found is None else _for_rollback(made, blue_green, found, query)


def _for_rollback(
    planned_sides: PlannedSides, blue_green: BlueGreenState, sides: Sides, query: BlueGreenQuery
) -> PlannedSides:
    """The sides of a rollback: to the side where its release is already, otherwise to the standby side."""
    digest = query.package.digest
    deployed = {host.host for host in query.current_hosts if host.runs(digest)}
    whole = [side for side in SIDES if sides.of(side) and set(sides.of(side)) <= deployed]
    live = blue_green.live
    if live is not None and live in whole and not blue_green.switch_uncertain:
        idle = tuple(host for host in sides.of(other(live)) if host in deployed)
        return planned_sides.model_copy(update={"to": None, "unchanged_hosts": (*sides.of(live), *idle)})
    to = live if live in whole else next(iter(whole), planned_sides.to)
    if to is None:
        return planned_sides
    left = (*sides.of(other(to)), *(host for host in sides.of(to) if host in deployed))
    return planned_sides.model_copy(update={"to": to, "unchanged_hosts": left, "first": to in whole})


def _unused(current_hosts: tuple[HostState, ...], sides: Sides | None) -> Side:
    """The side that a first release goes to: one without releases, where the other has one, otherwise blue."""
    used = {state.host for state in current_hosts if state.truth != "empty"}
    free = [side for side in SIDES if sides is not None and not used & set(sides.of(side))]
    return free[0] if free else "blue"


def _refuse(query: BlueGreenQuery, blue_green: BlueGreenState, sides: Sides | None) -> None:
    if blue_green.switch_uncertain and query.promoting:
        was = (
            f"{blue_green.live} is the last known live side"
            if blue_green.live is not None
            else "no side is known to have been live"
        )
        message = f"the live side of {query.environment} is unknown: the last switch did not complete ({was})"
        raise OrchestratorError("R211", message, hint=f"orchestrator rollback {query.environment} switches for certain")
    for host, side in blue_green.sides.items() if sides is not None else ():
        now = sides.side(host) if sides is not None else side
        if now is not None and now != side:
            message = f"{host} was on the {side} side of {query.environment} when it was switched, and would be {now}"
            raise OrchestratorError("R212", message)


def _found(rule: BlueGreen, query: BlueGreenQuery) -> Sides | None:
    steps = query.package.manifest.release.playbook_steps
    if query.inventory is None:
        return None
    stacked = query.target_side is not None
    plain = [PlannedStep(play=_play(step.name, step.playbook, step.hosts), stacked=stacked) for step in steps]
    wanted = [step.rollout.blue_green is not None for step in steps]
    found = resolve_sides(rule.blue, rule.green, zip(plain, wanted, strict=True), query.inventory)
    if query.target_side is not None:
        _on_their_stacks(found, query.inventory)
    return found


def _on_their_stacks(found: Sides | None, inventory: Inventory) -> None:
    """Raise E152 unless each side's hosts are of its stack."""
    if found is None:
        raise OrchestratorError("E152", "the sides of the release select no host of the two stacks")
    for side in SIDES:
        strange = [host for host in found.of(side) if host not in inventory.members(side)]
        if strange:
            raise OrchestratorError("E152", f"{', '.join(strange)} would be {side}, and is not in the {side} stack")


def resolve_sides(
    blue: str, green: str, steps: Iterable[tuple[PlannedStep, bool]], inventory: Inventory
) -> Sides | None:
    """The sides of *steps* (each with whether it has sides) on the hosts of *inventory*. Raises R210 and R213."""
    found, plain = None, []
    for step, has_sides in steps:
        if has_sides:
            found = step.model_copy(update={"sides": (blue, green)}).divided(inventory)
        else:
            plain.append(step)
    for step in plain if found is not None else ():
        shared = [host for host in inventory.select(step.play.hosts) if found is not None and found.side(host)]
        if shared:
            hint = "select other hosts, or give it strategy: blue_green with the same sides"
            message = f"the step {step.play.step} is for {', '.join(shared)} too, of which one side must stay as it is"
            raise OrchestratorError("R213", message, hint=hint)
    return found


def of_plan(plan: Plan, inventory: Inventory) -> Sides | None:
    """The sides of *plan* on the hosts of *inventory*; None where it has none. Raises D101, R210 and R213."""
    planned = plan.blue_green
    if planned is None:
        return None
    steps = ((step, step.sides is not None) for step in plan.steps)
    found = resolve_sides(planned.blue, planned.green, steps, inventory)
    if planned.stacked:
        _on_their_stacks(found, inventory)
    if found is not None:
        planned.switched(found, inventory)
    return found


def sided(step: PlannedStep, planned: PlannedSides | None, *, of: bool) -> PlannedStep:
    """*step*, which goes to one side when it is one *of* those that have sides; where there are none, as `rolling`."""
    if not of:
        return step
    if planned is None:
        return step.model_copy(update={"strategy": "rolling"})
    to = planned.to or (other(planned.live) if planned.live is not None else None)
    about = {"sides": (planned.blue, planned.green), "to": to, "stacked": planned.stacked}
    return step.model_copy(update=about)


def side_notes(planned: PlannedSides | None, query: BlueGreenQuery) -> tuple[str, ...]:
    """The notes of a plan about sides."""
    if planned is None:
        rule = query.package.manifest.release.blue_green
        if rule is None:
            return ()
        return (f"no host of {query.environment} is on a side ({rule.blue}, {rule.green}): it is deployed as rolling",)
    if planned.live is None and planned.hosts is not None and query.promoting:
        return (f"{query.environment} was never switched: the release is deployed to {planned.to}, which becomes live",)
    if query.promoting:
        return ()
    if planned.to is None:
        return (f"{planned.live} is live and has it already: nothing is switched",)
    return (f"{planned.to} has it already: it is switched to first",) if planned.first else ()


def _play(step: str, playbook: str, hosts: str = "all") -> PlaySpec:
    return PlaySpec(step=step, playbook=playbook, hosts=hosts)
