"""The releases that were rolled back in an environment: they are not promoted to it again without a reason."""

from collections.abc import Collection
from typing import Literal

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import STOPPED, Run, recorded_failure
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.promotion import State
from orchestrator.inspect.release_history import VERIFYING_KINDS, has_verified
from orchestrator.ports.lists import each_run
from orchestrator.services import Services

Verdict = Literal["bad", "good", "stuck", "restored"]
UNVERIFIED = frozenset({State.REQUESTED, State.PLANNING, State.BUILDING, State.FAILED})
"""The states in which a promotion has not verified anything."""
FEW = 10
"""How many runs are read at once: the newest ones mostly decide."""


def rolled_back_refusal(environment: str, before: Run, what: str) -> OrchestratorError:
    """The error R203 for the release *what*, which the run *before* has rolled back."""
    message = f"{what} was rolled back in {environment} by {before.id} (--allow-rolled-back -m WHY promotes it anyway)"
    return OrchestratorError("R203", message)


def rolled_back_releases(services: Services, environment: str, digests: Collection[str]) -> dict[str, Run]:
    """Those of the packages *digests* that were rolled back in *environment* and did not succeed since: digest → run.

    A promotion that a user has stopped does not count against its release. An ephemeral environment has none. Runs are
    read from the newest one on, until each package is decided.
    """
    return _decided(services, environment, digests, oldest="")


def rolled_back_by(services: Services, environment: str, digest: str) -> Run | None:
    """The run that rolled the package *digest* back in *environment*; None if none did, or if it succeeded since.

    It is what `rolled_back_releases` finds, but a package that was never there costs one query, and not all runs.
    """
    of_package = RunFilter(environment=environment, digest=digest, kinds=VERIFYING_KINDS)
    oldest = ""
    for run in each_run(services.store, of_package):
        oldest = run.id
    return _decided(services, environment, (digest,), oldest).get(digest) if oldest else None


def _decided(services: Services, environment: str, digests: Collection[str], oldest: str) -> dict[str, Run]:
    """What the runs of *environment* show of *digests*; none before the run *oldest* is read, unless it is empty."""
    if not digests or services.environment(environment)[0].ephemeral is not None:
        return {}
    decision = _Decision(digests)
    for run in each_run(services.store, RunFilter(environment=environment, kinds=VERIFYING_KINDS), FEW):
        if not decision.undecided:
            break
        decision.take(run, _verdict(services, run))
        if run.id == oldest:
            break
    return decision.found | decision.bad


class _Decision:
    """What the runs of an environment, from the newest one on, show of the packages *digests*.

    *later* is the next run with a verified release after the one that is taken, if it restored that release: the
    package before it was rolled back. *bad* are promotions that were rolled back, unless such a run shows more.
    """

    def __init__(self, digests: Collection[str]) -> None:
        self.undecided, self.found, self.bad = set(digests), dict[str, Run](), dict[str, Run]()
        self.later: Run | None = None

    def take(self, run: Run, verdict: Verdict | None) -> None:
        """Take the run before the one that was taken last."""
        digest = _digest(run)
        if verdict == "bad" and digest in self.undecided:
            self.bad.setdefault(digest, run)
            if self.later is None:
                self.undecided.discard(digest)
        elif verdict == "stuck":
            self._replaced(digest)
        elif verdict in {"good", "restored"}:
            self._replaced(digest)
            self.undecided -= {digest, *self.bad}
            self.later = run if verdict == "restored" else None

    def _replaced(self, digest: str) -> None:
        """Record that the later run took the place of the package *digest*, which was on the hosts before it."""
        if digest in self.undecided and self.later is not None and _digest(self.later) != digest:
            self.bad.pop(digest, None)
            self.found[digest] = self.later
            self.undecided.discard(digest)


def _digest(run: Run) -> str:
    return run.release.digest if run.release is not None else ""


def _verdict(services: Services, run: Run) -> Verdict | None:
    """What *run* shows of its release: it was *restored*, or its promotion was; None if the run shows neither."""
    if run.kind == "rollback":
        return "restored" if run.state is State.ROLLED_BACK else None
    if run.kind != "promotion":
        return None
    if run.state is State.ROLLED_BACK:
        return None if _stopped(services, run) else "bad"
    if run.state is State.SUCCEEDED or (run.state not in UNVERIFIED and has_verified(services.store, run)):
        return "good"
    return "stuck" if run.state is State.NEEDS_INTERVENTION else None


def _stopped(services: Services, run: Run) -> bool:
    """Whether the run was rolled back because a user stopped it."""
    ended = services.store.entry(run.id, "ended")
    return ended is not None and recorded_failure([ended]).get("code") == STOPPED
