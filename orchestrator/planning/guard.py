"""The releases that an environment has gone back from: they are not promoted there again without a reason."""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import STOPPED, Run
from orchestrator.domain.promotion import State
from orchestrator.services import Services


def rolled_back_refusal(environment: str, before: Run, what: str) -> OrchestratorError:
    """The error R203 for the release *what*, from which the run *before* went back."""
    message = f"{what} was rolled back in {environment} by {before.id} (--again -m WHY promotes it all the same)"
    return OrchestratorError("R203", message)


def rolled_back_releases(services: Services, environment: str) -> dict[str, Run]:
    """The packages that *environment* has gone back from and that did not go well there since: digest → that run.

    A promotion that a person has stopped says nothing about its release. Where the environment is made for each
    promotion nothing is gone back from.
    """
    if services.environment(environment)[0].ephemeral is not None:
        return {}
    verified = {mark.run for mark in services.store.verified(environment)}
    found: dict[str, Run] = {}
    present, stuck = "", set[str]()
    for run in reversed(services.store.runs(environment)):
        digest = run.release.digest if run.release is not None else ""
        if run.kind == "promotion" and run.state is State.ROLLED_BACK:
            if not _stopped(services, run):
                found[digest] = run
        elif run.kind == "promotion" and (run.state is State.SUCCEEDED or run.id in verified):
            present, stuck = digest, set()
            found.pop(digest, None)
        elif run.kind == "promotion" and run.state is State.NEEDS_INTERVENTION:
            stuck.add(digest)
        elif run.kind == "rollback" and run.state is State.ROLLED_BACK:
            found |= dict.fromkeys({*stuck, *([present] if present else [])} - {digest}, run)
            present, stuck = digest, set()
            found.pop(digest, None)
    return found


def _stopped(services: Services, run: Run) -> bool:
    """Whether a person wanted the run to stop, and that is why it went back."""
    ended = next((record.data for record in reversed(services.store.records(run.id)) if record.kind == "ended"), {})
    return (ended.get("failure") or {}).get("code") == STOPPED
