"""The `Provisioner` port on a `World`."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from orchestrator.adapters.memory.inventory import web_inventory
from orchestrator.adapters.memory.world import World
from orchestrator.domain.context import Outputs
from orchestrator.domain.credentials import MissingCredential
from orchestrator.domain.environment import Environment, PulumiSettings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model import digest_of
from orchestrator.domain.parity import Definition
from orchestrator.domain.plan import ResourceChange, StackPreview, StackSpec
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.ports import Emit, Provisioned, SavedPlan


class MemoryProvisioner:
    """The `Provisioner` port on a `World`: one stack an environment, one web host for each declared name."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _place(self, spec: StackSpec) -> str:
        return spec.stack if spec.stack in self._world.sided else spec.environment

    def _hosts(self, spec: StackSpec) -> list[str]:
        """The hosts that the program makes: in a stack of a side, each is called after that."""
        start = f"{spec.stack}-" if spec.stack in self._world.sided else ""
        return [f"{start}{host}" for host in self._world.kept[spec.definition][1]]

    def definition(self, environment: Environment, folder: Path) -> StackSpec:
        """The declared hosts of this environment, by digest."""
        digest = digest_of(self._world.stacks[environment.name])
        self._world.kept[digest] = (environment.name, list(self._world.stacks[environment.name]))
        return StackSpec(environment=environment.name, program=str(folder), stack=environment.name, definition=digest)

    def kept(self, digest: str) -> StackSpec:
        """The stack that was defined under *digest*, like any other program."""
        if digest not in self._world.kept:
            raise OrchestratorError("E105", f"the definition {digest[:19]} is not kept here")
        name = self._world.kept[digest][0]
        return StackSpec(environment=name, program="", stack=name, definition=digest)

    def described(self, spec: StackSpec) -> Definition:
        """Each declared host is a file of the program."""
        return Definition(files={host: digest_of(host) for host in self._world.kept[spec.definition][1]})

    def inventory(self, environment: Environment, outputs: Outputs) -> Inventory:
        """A group `web` of the hosts in the output `hosts`."""
        if "hosts" not in outputs.plain:
            raise OrchestratorError("E120", f"the stack of {environment.name} has no output with hosts")
        return web_inventory(list(outputs.plain["hosts"]))

    def preview(
        self,
        spec: StackSpec,
        job: str,
        emit: Emit,
        *,
        save_plan: Path | None = None,
    ) -> StackPreview:
        """Which hosts would be made or removed; refused when one of these is protected."""
        del job, emit
        seen = self._previewed(spec)
        if save_plan is None or seen.refused:
            return seen
        save_plan.unlink(missing_ok=True)  # it may be linked to what was kept
        save_plan.write_text(json.dumps(seen.to_json(), indent=1), encoding="utf-8")
        return self.planned(spec, SavedPlan(save_plan, update_file=_digest_of_file(save_plan)))

    def planned(self, spec: StackSpec, plan: SavedPlan) -> StackPreview:
        """The saved preview, with the digest of the current state."""
        seen = StackPreview.from_json(json.loads(_verified(plan)))
        digests = {
            "update_plan": digest_of(seen.to_json()),
            "update_file": plan.update_file,
            "base": self.state_digest(spec),
        }
        return seen.model_copy(update=digests)

    def _previewed(self, spec: StackSpec) -> StackPreview:
        wanted, there = set(self._hosts(spec)), set(self._world.up.get(self._place(spec), []))
        changed = {"create": wanted - there, "delete": there - wanted}
        changes = [self._change(op, host) for op, hosts in changed.items() for host in hosts]
        ordered = tuple(sorted(changes, key=lambda change: change.urn))
        counts = {**{op: len(hosts) for op, hosts in changed.items()}, "same": len(wanted & there)}
        protected = [change.name for change in ordered if change.op == "delete" and change.kept == "protect"]
        refused = f"{', '.join(protected)} is protected" if protected else ""
        counts = {op: count for op, count in counts.items() if count}
        foreseen = web_inventory(self._hosts(spec))
        return StackPreview(
            state_digest=self.state_digest(spec), changes=ordered, counts=counts, refused=refused, inventory=foreseen
        )

    def _change(self, op: str, host: str) -> ResourceChange:
        kept = self._world.wanted.get(host, "")
        return ResourceChange(op=op, type="memory:host", name=host, urn=f"urn:memory::{host}", kept=kept)

    def unused_settings(self, settings: PulumiSettings) -> tuple[str, ...]:
        """The settings that the world has and does not pass on."""
        del settings
        return ()

    def missing_credential(self, spec: StackSpec) -> MissingCredential | None:
        """What the world lacks."""
        del spec
        return next((each for each in self._world.missing if each.needed_for == "plan"), None)

    def drifted(self, spec: StackSpec, job: str, emit: Emit) -> tuple[ResourceChange, ...]:
        """The hosts that were edited by hand."""
        del job, emit
        hosts = [host for host in self._world.up.get(self._place(spec), []) if host in self._world.edited]
        return tuple(
            ResourceChange(op="update", type="host", name=host, urn=f"urn:{host}", properties=("size",))
            for host in hosts
        )

    def up(self, spec: StackSpec, job: str, emit: Emit, *, plan: SavedPlan | None = None) -> Provisioned:  # noqa: ARG002
        """Create the declared hosts, constrained to *plan*."""
        try:
            _ = plan is None or _verified(plan)
        except OrchestratorError as error:
            data = {"code": error.code, "untouched": True}
            return Provisioned(
                StepResult(outcome=Outcome.FAILED, message=error.message, data=data), self.state_digest(spec)
            )
        if self._world.killed.get(spec.definition):
            self._world.killed[spec.definition] -= 1
            data = {"code": "E111", "untouched": True, "how": "lost"}
            return Provisioned(
                StepResult(outcome=Outcome.ERRORED, message="killed", data=data), self.state_digest(spec)
            )
        if ("up", spec.stack, spec.definition) in self._world.faults:
            self._world.up[self._place(spec)] = self._hosts(spec)[:1]  # it stops half-way
            self._world.serial[self._place(spec)] = self._world.serial.get(self._place(spec), 0) + 1
            self._world.ledger.append(f"up {spec.stack} half-way")
            return Provisioned(StepResult(outcome=Outcome.FAILED, message="half-way"), self.state_digest(spec))
        if ("up", spec.stack, "") in self._world.faults:
            return Provisioned(
                StepResult(outcome=Outcome.FAILED, message="the provider refused"), self.state_digest(spec)
            )
        self._world.up[self._place(spec)] = self._hosts(spec)
        self._world.serial[self._place(spec)] = self._world.serial.get(self._place(spec), 0) + 1
        for host in self._world.replaced:
            self._world.running.pop((spec.environment, host), None)
        self._world.ledger.append(f"up {spec.stack}")
        return Provisioned(StepResult(outcome=Outcome.SUCCEEDED), self.state_digest(spec))

    def destroy(self, spec: StackSpec, job: str, emit: Emit, *, remove: bool = False) -> StepResult:  # noqa: ARG002 - the port's
        """Remove every host."""
        if ("destroy", spec.stack, "") in self._world.faults:
            return StepResult(outcome=Outcome.FAILED, message="the provider refused")
        deleted = len(self._world.up.pop(self._place(spec), []))
        self._world.ledger.append(f"destroy {spec.stack}")
        return StepResult(outcome=Outcome.SUCCEEDED, data={"counts": {"delete": deleted}})

    def existing_resources(self, spec: StackSpec) -> tuple[ResourceChange, ...]:
        """Its hosts."""
        return tuple(self._change("delete", host) for host in self._world.up.get(self._place(spec), []))

    def resolve(
        self, spec: StackSpec, created: Mapping[str, str], absent: tuple[str, ...], job: str, emit: Emit
    ) -> StepResult:
        """Write down what was decided: nothing is ever pending in memory."""
        del job, emit
        words = [*(f"{urn}={identity}" for urn, identity in created.items()), *absent]
        self._world.ledger.append(f"resolve {spec.stack}: {' '.join(words)}")
        return StepResult(outcome=Outcome.SUCCEEDED)

    def outputs(self, spec: StackSpec) -> Outputs:
        """The hosts that exist."""
        hosts = self._world.up.get(self._place(spec))
        return Outputs({"hosts": hosts}, self._world.secrets) if hosts else Outputs({})

    def resources(self, spec: StackSpec) -> int:
        """The number of hosts that exist."""
        return len(self._world.up.get(self._place(spec), []))

    def state_digest(self, spec: StackSpec) -> str:
        """The digest of the existing hosts and of the number of their changes."""
        return digest_of([self._world.serial.get(self._place(spec), 0), self._world.up.get(self._place(spec))])


def _digest_of_file(file: Path) -> str:
    return "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()


def _verified(plan: SavedPlan) -> bytes:
    """The bytes of the saved preview. Raises E162 and E163."""
    if not plan.file.is_file():
        raise OrchestratorError("E162", f"the saved update plan {plan.name} is not kept on this machine")
    if plan.update_file is not None and _digest_of_file(plan.file) != plan.update_file:
        raise OrchestratorError("E163", f"the saved update plan {plan.name} was changed after the preview")
    return plan.file.read_bytes()
