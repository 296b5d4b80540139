"""The releases that were rolled back in an environment: they are not promoted to it again without a reason."""

from typing import Literal

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import STOPPED, Run, recorded_failure
from orchestrator.domain.promotion import State
from orchestrator.services import Services


def rolled_back_refusal(environment: str, before: Run, what: str) -> OrchestratorError:
    """The error R203 for the release *what*, which the run *before* has rolled back."""
    message = (
        f"{what} was rolled back in {environment} by {before.id} (--allow-rolled-back -m WHY promotes it all the same)"
    )
    return OrchestratorError("R203", message)


def rolled_back_releases(services: Services, environment: str) -> dict[str, Run]:
    """The packages that were rolled back in *environment* and did not succeed in it since: digest → that run.

    A promotion that a user has stopped does not count against its release. An ephemeral environment has none.
    """
    if services.environment(environment)[0].ephemeral is not None:
        return {}
    verified = {mark.run for mark in services.store.verified(environment)}
    found: dict[str, Run] = {}
    present, stuck = "", set[str]()
    for run in reversed(services.store.runs(environment)):
        digest = run.release.digest if run.release is not None else ""
        verdict = _verdict(services, run, verified)
        if verdict == "bad":
            found[digest] = run
        elif verdict == "stuck":
            stuck.add(digest)
        elif verdict is not None:
            if verdict == "restored":
                found |= dict.fromkeys({*stuck, *([present] if present else [])} - {digest}, run)
            present, stuck = digest, set()
            found.pop(digest, None)
    return found


def _verdict(services: Services, run: Run, verified: set[str]) -> Literal["bad", "good", "stuck", "restored"] | None:
    """What *run* says of its release: it was *restored*, or its promotion was; None if the run says nothing of it."""
    if run.kind == "rollback":
        return "restored" if run.state is State.ROLLED_BACK else None
    if run.kind != "promotion":
        return None
    if run.state is State.ROLLED_BACK:
        return None if _stopped(services, run) else "bad"
    if run.state is State.SUCCEEDED or run.id in verified:
        return "good"
    return "stuck" if run.state is State.NEEDS_INTERVENTION else None


def _stopped(services: Services, run: Run) -> bool:
    """Whether a person wanted the run to stop, and that is why it went back."""
    return bool(recorded_failure(services.store.records(run.id)).get("code") == STOPPED)
