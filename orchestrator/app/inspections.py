"""Inspections: what is true on hosts and in stacks, compared with what should be."""

import secrets

from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.parts import Parts
from orchestrator.app.requirement_reports import keep_report
from orchestrator.app.rights import comparison_rights
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.drift import Drift
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.parity import Parity
from orchestrator.domain.release import Package
from orchestrator.domain.requirements.check import RequirementReport
from orchestrator.inspect import drift, parity, requirements
from orchestrator.services import Findings


class Inspections(UseCases):
    """The use cases that inspect hosts and stacks, and change nothing."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(Action.OBSERVE, recorded=False)
    def drift(self, actor: Actor, environment: str) -> Drift:
        """What has changed in *environment* since its last release. Raises R103 and R180.

        Changes nothing outside. The result is kept, and release management opens and closes change requests by it.
        """
        try:
            found = drift.find_drift(
                self._parts.services, environment, f"drift-{secrets.token_hex(4)}", lambda _entry: None
            )
        finally:
            self._parts.deployer.close()
        self._findings(actor).found_drift(found)
        return found

    @use_case(Action.OBSERVE, recorded=False)
    def requirements(self, actor: Actor, package: Package, environment: str) -> RequirementReport:
        """What the hosts of *environment* have of what *package* requires. The report is kept, the newest of both.

        Raises R103, E-codes if the hosts are not known, and D151.
        """
        job = f"requirements-{secrets.token_hex(4)}"
        try:
            hosts = requirements.check_requirements(
                self._parts.services, environment, package, job, lambda _entry: None
            )
        finally:
            self._parts.deployer.close()
        acting = self._parts.acting_as(actor)
        report = RequirementReport(
            environment=environment,
            release=str(package.ref),
            digest=package.digest,
            at=parse_moment(acting.clock.now()),
            by=str(actor),
            hosts=hosts,
        )
        return keep_report(acting, report)

    @use_case(comparison_rights, recorded=False)
    def parity(self, actor: Actor, left: str, right: str) -> Parity:
        """How two environments differ. Changes nothing outside; the result is kept. Raises R103."""
        try:
            found = parity.find_differences(
                self._parts.services, left, right, f"parity-{secrets.token_hex(4)}", lambda _entry: None
            )
        finally:
            self._parts.deployer.close()
        self._findings(actor).found_parity(found)
        return found

    def _findings(self, actor: Actor) -> Findings:
        """Keeps what is found for *actor*."""
        return self._parts.findings.of(str(actor), "")
