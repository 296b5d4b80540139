"""The states of hosts after an inspection, and the hosts that are unknown."""

from collections.abc import Iterable

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import HostState
from orchestrator.domain.release import PackageRef
from orchestrator.domain.step import HostResult, Outcome
from orchestrator.services import Services

ANSWERED = (Outcome.SUCCEEDED, Outcome.FAILED)


def refuse_unknown(services: Services, environment: str, silent: Iterable[str], restored: Iterable[str] = ()) -> None:
    """Refuse to act if a host is recorded as unknown and is among the *silent* of this inspection. Raises R160.

    Hosts that are *restored* by the plan do not count.
    """
    recorded = {state.host for state in services.store.hosts(environment) if state.settled.truth == "unknown"}
    unknown = [host for host in silent if host in recorded and host not in set(restored)]
    if unknown:
        raise OrchestratorError(
            "R160",
            f"the release of {', '.join(unknown)} in {environment} is unknown",
            hint=f"orchestrator observe {environment} inspects it; "
            f"orchestrator environment override {environment} {unknown[0]} --release VERSION -m WHY "
            "declares its release",
        )


def states_of(services: Services, environment: str, reports: Iterable[HostResult]) -> list[HostState]:
    """What is known of each host: its own report, otherwise what the journal has, as far as that still counts."""
    remembered = {state.host: state.settled for state in services.store.hosts(environment)}
    return [
        _state(services, remembered.get(host.host, HostState(host=host.host, truth="empty")), host).model_copy(
            update={"serves": host.serves}
        )
        for host in reports
    ]


def _state(services: Services, before: HostState, report: HostResult) -> HostState:
    """*before*, corrected by the host's report. Without a release in it, *seen* becomes *unknown*."""
    if report.outcome not in ANSWERED or report.invalid:
        return before.model_copy(update={"truth": "unknown"})
    if report.release is None:
        return before.model_copy(update={"truth": "unknown"}) if before.truth == "seen" else before
    if before.digest == report.release:
        return before.model_copy(update={"truth": "seen"})
    unknown = PackageRef(name="unknown", version="0", digest=report.release)
    return HostState(host=before.host, truth="seen", release=services.packages.ref(report.release) or unknown)
