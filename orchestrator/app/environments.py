"""Environments: what their stacks are, have, and would become."""

import secrets
from collections.abc import Callable

from orchestrator.app.acting import Right
from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.parts import Parts
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.context import Outputs
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import Acknowledgements, Loss, StackPreview, StackSpec, losses
from orchestrator.flow.environment import loss_refusal, stateful_resources
from orchestrator.inspect.stacks import inventory_of, outputs_of, stack_of, stacks_of


def reading_rights(environment: str, *, secret: bool = False) -> tuple[Right, ...]:
    """The right to view *environment*, or to read the secrets in it."""
    return (Right(Action.READ_SECRETS if secret else Action.VIEW, environment),)


class Environments(UseCases):
    """The use cases about environments and their stacks. Nothing is changed."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(Action.VIEW)
    def stack(self, actor: Actor, environment: str) -> StackSpec | None:
        """The stack of *environment*; None without a Pulumi program. Raises R103."""
        return stack_of(self._parts.services, environment)

    @use_case(Action.VIEW)
    def existing_stack(self, actor: Actor, environment: str) -> StackSpec:
        """The stack of *environment*. Raises E102 without a Pulumi program, and R103."""
        return self._existing(environment)

    @use_case(Action.VIEW)
    def stacks(self, actor: Actor, environment: str) -> list[StackSpec]:
        """The stack of *environment*; both, if each side is one. Raises E102 and R103."""
        return list(stacks_of(self._parts.services, environment).values()) or [self._existing(environment)]

    @use_case(Action.PLAN)
    def preview(self, actor: Actor, environment: str, spec: StackSpec, emit: Callable[[Entry], None]) -> StackPreview:
        """What an update would change in the stack *spec* of *environment*."""
        job = f"preview-{secrets.token_hex(4)}"
        return StackPreview.model_validate(self._parts.provisioner.preview(spec, job, emit))

    @use_case(Action.PLAN)
    def destruction(self, actor: Actor, environment: str, spec: StackSpec) -> tuple[int, tuple[Loss, ...]]:
        """How many resources the stack *spec* of *environment* has, and which of them are stateful."""
        count = self._parts.provisioner.resources(spec)
        return count, stateful_resources(self._parts.services, spec)

    def _existing(self, environment: str) -> StackSpec:
        spec = stack_of(self._parts.services, environment)
        if spec is None:
            raise OrchestratorError("E102", f"{environment} has no Pulumi program")
        return spec

    @use_case(reading_rights)
    def outputs(self, actor: Actor, environment: str, *, secret: bool = False) -> Outputs:
        """The outputs of the stack; *secret*: to print its secrets too. Raises E-codes."""
        del secret
        return outputs_of(self._parts.services, environment)

    @use_case(reading_rights)
    def inventory(self, actor: Actor, environment: str, *, secret: bool = False) -> Inventory:
        """The hosts as playbooks and suites get them; *secret*: to print their variables too. Raises E-codes."""
        del secret
        services = self._parts.services
        return inventory_of(services, environment, outputs_of(services, environment))


def update_refusal(preview: StackPreview, spec: StackSpec, named: Acknowledgements) -> OrchestratorError | None:
    """Why an update is refused: R230 for each stateful resource that it would lose and that is not *named*."""
    return loss_refusal("R230", losses(preview.changes, spec.settings.stateful), named)


def destruction_refusal(lost: tuple[Loss, ...], named: Acknowledgements) -> OrchestratorError | None:
    """Why a destruction is refused: R231 for each stateful resource that is not *named*."""
    return loss_refusal("R231", lost, named)
