"""Inspections: what is true on hosts and in stacks, compared with what should be."""

import secrets

from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.parts import Parts
from orchestrator.app.rights import comparison_rights
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.drift import Drift
from orchestrator.domain.parity import Parity
from orchestrator.inspect import drift, parity


class Inspections(UseCases):
    """The use cases that inspect hosts and stacks, and change nothing."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(Action.OBSERVE, recorded=False)
    def drift(self, actor: Actor, environment: str) -> Drift:
        """What has changed in *environment* since its last release. Changes nothing. Raises R103 and R180."""
        try:
            return drift.find_drift(
                self._parts.services, environment, f"drift-{secrets.token_hex(4)}", lambda _entry: None
            )
        finally:
            self._parts.deployer.close()

    @use_case(comparison_rights, recorded=False)
    def parity(self, actor: Actor, left: str, right: str) -> Parity:
        """How two environments differ. Changes nothing. Raises R103."""
        try:
            return parity.find_differences(
                self._parts.services, left, right, f"parity-{secrets.token_hex(4)}", lambda _entry: None
            )
        finally:
            self._parts.deployer.close()
