"""The fencing tokens that hosts report: how far they may raise ours, and which hosts are too far ahead."""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.fencing import HIGHEST, STEP, is_ahead
from orchestrator.domain.host_answer import Fault
from orchestrator.domain.journal import Entry
from orchestrator.domain.step import HostResult, StepResult
from orchestrator.ports import Emit
from orchestrator.services import Services

TOO_FAR = "D183"


def limit_tokens(
    services: Services, environment: str, seen: StepResult, emit: Emit, ours: int = 0, confirmed: int = 0
) -> StepResult:
    """*seen*, where a host whose fencing token is too far ahead of *ours* is not believed, and raises nothing.

    Without *ours* the newest token of the store counts. An operator has *confirmed* tokens up to that number.
    """
    known = ours or services.store.newest_fence(environment)
    hosts = tuple(_bounded(host, known, confirmed) for host in seen.hosts)
    for host, reason in too_far(seen.model_copy(update={"hosts": hosts})).items():
        emit(Entry(kind="notice", host=host, data={"level": "warning", "text": f"{host}: {reason}"}))
    return seen.model_copy(update={"hosts": hosts})


def too_far(seen: StepResult | None) -> dict[str, str]:
    """The hosts whose tokens are too far ahead, and what is invalid in the answer of each."""
    hosts = seen.hosts if seen is not None else ()
    return {host.host: host.invalid for host in hosts if host.invalid.endswith(f"({TOO_FAR})")}


def remedy(environment: str, seen: StepResult) -> str:
    """What an operator can do about the hosts whose tokens are too far ahead."""
    ahead = too_far(seen)
    tokens = {host.host: host.fence or 0 for host in seen.hosts if host.host in ahead}
    reset = f"remove `fence` and `ledger.jsonl` from the ledger of {', '.join(tokens)}"
    allowed = max((token for token in tokens.values() if token <= HIGHEST), default=None)
    if allowed is None:
        return reset
    accept = f"orchestrator observe {environment} --accept-token {allowed}"
    return f"if an older store was restored: {accept}; otherwise {reset}"


def token_refusal(environment: str, host: HostResult) -> OrchestratorError:
    """Why *host* keeps a promotion from being executed: it would refuse our token."""
    way_out = remedy(environment, StepResult(outcome=host.outcome, hosts=(host,)))
    return OrchestratorError(TOO_FAR, f"{host.host}: {host.invalid}; nothing was changed; {way_out}")


def _bounded(host: HostResult, ours: int, confirmed: int) -> HostResult:
    if host.fence is None or not is_ahead(host.fence, ours, confirmed):
        return host
    text = f"it reports the fencing token {host.fence}, more than {STEP} ahead of {ours}, which is the newest here"
    fault = Fault(code=TOO_FAR, text=text)
    return host.model_copy(update={"invalid": "; ".join([*([host.invalid] if host.invalid else []), str(fault)])})
