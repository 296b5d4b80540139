"""Change requests of the source *drift*: opened once for each environment and set of differences, then closed."""

from orchestrator.app.acting import Acting, Change, View, change, read_own
from orchestrator.domain.access.actions import Action
from orchestrator.domain.drift import Drift
from orchestrator.domain.model import digest_of
from orchestrator.domain.text import few
from orchestrator.management.change_requests.decisions import add_incoming, resolve_change, submit_incoming
from orchestrator.management.change_requests.imports import Incoming
from orchestrator.management.change_requests.model import ChangeDraft, ChangeRequest, Source
from orchestrator.management.change_requests.ports import ChangeSources
from orchestrator.management.change_requests.state import CHANGE_REQUEST_TABLE, OPEN_STATES, ChangeEvent
from orchestrator.management.change_requests.store import CHANGE_REQUESTS

LONGEST = 9_000
"""Characters of the facts in the reason of a request."""
GONE = "the drift is gone"


def follow_drift(acting: Acting, drift: Drift, sources: ChangeSources) -> tuple[ChangeRequest, ...]:
    """Open a change request for a new set of differences, and close those of which no difference is left.

    Returns the requests that were opened or closed. The same drift again changes nothing, whatever process finds it.
    While something is unknown, no request is closed: its differences may still exist.
    """

    def is_pending(view: View) -> bool:
        known = open_drifts(view, drift.environment)
        return _is_new(known, drift) or bool(_gone(known, drift))

    def work(task: Change) -> tuple[ChangeRequest, ...]:
        known = open_drifts(task, drift.environment)
        closed = [resolve_change(task, each, GONE) for each in _gone(known, drift)]
        return (*closed, *([_opened(task, drift, sources)] if _is_new(known, drift) else []))

    return change(acting, Action.DECIDE_REQUESTS, work) if read_own(acting, is_pending) else ()


def open_drifts(view: View, environment: str) -> tuple[ChangeRequest, ...]:
    """The open requests about drift in *environment*."""
    found = (each for state in OPEN_STATES for each in view.records.all(CHANGE_REQUESTS, state.value))
    return tuple(each for each in found if each.source is Source.DRIFT and environment in each.environments)


def drift_reference(drift: Drift) -> str:
    """What identifies the set of differences in its environment: their order and what is unknown do not count."""
    return f"{drift.environment} {digest_of(sorted(map(str, drift.findings))).removeprefix('sha256:')[:32]}"


def _is_new(known: tuple[ChangeRequest, ...], drift: Drift) -> bool:
    """Whether none of the open requests is about this set of differences."""
    reference = drift_reference(drift)
    return bool(drift.findings) and all(each.source_ref != reference for each in known)


def _gone(known: tuple[ChangeRequest, ...], drift: Drift) -> list[ChangeRequest]:
    """The open requests of which no difference is left. A planned one is left out: it ends with its release."""
    if drift.unknown:
        return []
    found = set(drift.findings)
    return [
        each
        for each in known
        if not found & set(each.findings) and CHANGE_REQUEST_TABLE.allows(each.state, ChangeEvent.RESOLVE)
    ]


def _opened(task: Change, drift: Drift, sources: ChangeSources) -> ChangeRequest:
    draft = ChangeDraft(
        title=f"Drift in {drift.environment}: {few(sorted({each.name for each in drift.findings}))}"[:200],
        reason=_facts(drift),
        packages=(drift.release.name,),
        environments=(drift.environment,),
    )
    incoming = Incoming(source=Source.DRIFT, source_ref=drift_reference(drift), draft=draft)
    return submit_incoming(task, add_incoming(task, incoming, sources, findings=drift.findings), sources)


def _facts(drift: Drift) -> str:
    """Each difference, and the release that it is a difference from."""
    since = f"{drift.release} was verified in {drift.environment} by {drift.run} at {drift.since}. Its drift:"
    lines = [since, *(f"- {each}" for each in drift.findings), *(f"- unknown: {text}" for text in drift.unknown)]
    text = "\n".join(lines)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
