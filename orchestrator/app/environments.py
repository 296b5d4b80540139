"""Environments: what their stacks are, have, and would become."""

import secrets
from collections.abc import Callable

from pydantic import JsonValue

from orchestrator.app.acting import Right
from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.parts import Parts
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.model import Model
from orchestrator.domain.plan import Acknowledgements, Loss, StackPreview, StackSpec, losses
from orchestrator.domain.text import clean_text
from orchestrator.flow.environment import loss_refusal, stateful_resources
from orchestrator.inspect.stacks import inventory_of, outputs_of, stack_of, stacks_of
from orchestrator.planning.credentials import credential_refusal, missing_for_stack


def reading_rights(environment: str, *, secret: bool = False) -> tuple[Right, ...]:
    """The right to view *environment*, or to read the secrets in it."""
    return (Right(Action.READ_SECRETS if secret else Action.VIEW, environment),)


class PreviewedStack(Model):
    """What an update would change in a stack, and the *warnings* of its engine."""

    preview: StackPreview
    warnings: tuple[str, ...] = ()


class ShownInventory(Model):
    """The *inventory* of an environment as an actor may see it, and the *digest* of the whole one."""

    inventory: Inventory
    digest: str


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
    def preview(
        self, actor: Actor, environment: str, stack: str, warn: Callable[[str], object] = lambda _text: None
    ) -> PreviewedStack:
        """What an update would change in the *stack* of *environment*. Raises E102, E170 and R103.

        Warnings are given to *warn* as they come, and are part of the result.
        """
        warnings = list[str]()

        def take(entry: Entry) -> None:
            if entry.kind == "notice" and entry.data.get("level") == "warning":
                warnings.append(self._parts.secrets.text(str(entry.data["text"])))
                warn(warnings[-1])

        job, spec = f"preview-{secrets.token_hex(4)}", self._named(environment, stack)
        self._require_credentials(environment)
        found = self._parts.provisioner.preview(spec, job, take)
        return PreviewedStack(preview=StackPreview.model_validate(found), warnings=tuple(warnings))

    @use_case(Action.PLAN)
    def destruction(self, actor: Actor, environment: str, stack: str) -> tuple[int, tuple[Loss, ...]]:
        """How many resources the *stack* of *environment* has, and which are stateful. Raises E102, E170 and R103."""
        spec = self._named(environment, stack)
        self._require_credentials(environment)
        count = self._parts.provisioner.resources(spec)
        return count, stateful_resources(self._parts.services, spec)

    def _named(self, environment: str, stack: str) -> StackSpec:
        """The *stack* of *environment*: its own, or that of a side. Raises E102 and R103."""
        own = [*stacks_of(self._parts.services, environment).values(), self._existing(environment)]
        found = next((spec for spec in own if spec.stack == stack), None)
        if found is None:
            raise OrchestratorError("E102", f"{environment} has no stack {clean_text(stack, 100)}")
        return found

    def _require_credentials(self, environment: str) -> None:
        """Raise E170 while this machine does not have what the stack of *environment* needs."""
        why = credential_refusal(missing_for_stack(self._parts.services, environment))
        if why is not None:
            raise why

    def _existing(self, environment: str) -> StackSpec:
        spec = stack_of(self._parts.services, environment)
        if spec is None:
            raise OrchestratorError("E102", f"{environment} has no Pulumi program")
        return spec

    @use_case(reading_rights)
    def outputs(self, actor: Actor, environment: str, *, secret: bool = False) -> dict[str, JsonValue]:
        """The outputs of the stack by name. Without *secret* those that are, and known secrets, are masked.

        Raises E-codes.
        """
        found = outputs_of(self._parts.services, environment)
        if secret:
            return {**found.plain, **found.secret}
        return dict(self._parts.secrets.data(found.masked()))

    @use_case(reading_rights)
    def inventory(self, actor: Actor, environment: str, *, secret: bool = False) -> ShownInventory:
        """The hosts as playbooks and suites get them, with *secret* also their variables. Raises E-codes."""
        services = self._parts.services
        found = inventory_of(services, environment, outputs_of(services, environment))
        return ShownInventory(inventory=found if secret else found.hosts_only(), digest=found.digest)


def update_refusal(preview: StackPreview, spec: StackSpec, named: Acknowledgements) -> OrchestratorError | None:
    """Why an update is refused: R230 for each stateful resource that it would lose and that is not *named*."""
    return loss_refusal("R230", losses(preview.changes, spec.settings.stateful), named)


def destruction_refusal(lost: tuple[Loss, ...], named: Acknowledgements) -> OrchestratorError | None:
    """Why a destruction is refused: R231 for each stateful resource that is not *named*."""
    return loss_refusal("R231", lost, named)
