"""The `Implementations` port in memory: plans end at once, unless a test has them wait or be aborted."""

from dataclasses import replace

from orchestrator.adapters.memory.world import World
from orchestrator.ports import ImplementationStatus, WantedImplementation


class MemoryImplementations:
    """The `Implementations` port on a `World`.

    A plan is completed at its start. A fault of the verb `implement` names a template: its plan is aborted. The
    plan of a template among *waiting* of the world has not ended.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def start(self, wanted: WantedImplementation) -> ImplementationStatus:
        """Start the plan once."""
        key = wanted.run.id, wanted.step
        plans = self._world.plans
        if key not in plans:
            plans[key] = (f"IP-{len(plans) + 1}", wanted.template, wanted.package.ref.version)
            self._world.ledger.append(f"start {wanted.template} {plans[key][0]}")
        return self.status(plans[key][0])

    def status(self, plan: str) -> ImplementationStatus:
        """Whether it has ended, and how."""
        template, version = next((each[1], each[2]) for each in self._world.plans.values() if each[0] == plan)
        if plan in self._world.aborted_plans:
            return ImplementationStatus(plan, "aborted", self._world.aborted_plans[plan])
        if template in self._world.waiting:
            return ImplementationStatus(plan)
        if ("implement", template, version) in self._world.faults:
            return ImplementationStatus(plan, "aborted", "no-go")
        return ImplementationStatus(plan, "completed")

    def abort(self, plan: str, why: str) -> ImplementationStatus:
        """Abort it."""
        found = self.status(plan)
        if found.ended is not None:
            return found
        self._world.aborted_plans[plan] = why
        self._world.ledger.append(f"abort {plan}")
        return replace(found, ended="aborted", note=why)
