"""Phases and what depends on them, over all open releases: pure functions. A slip moves every dependent phase."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from graphlib import CycleError, TopologicalSorter

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment, minute_text
from orchestrator.domain.text import few, nearest
from orchestrator.management.planned_releases.model import DEPLOY, Phase, PlannedRelease, Span
from orchestrator.management.planned_releases.state import ReleaseState

STANDARD = ("build", "test", DEPLOY, "close")
DEPLOY_LASTS, CLOSE_LASTS = timedelta(hours=4), timedelta(days=1)


def standard_phases(start: datetime, freeze: datetime, release: datetime, environment: str) -> tuple[Phase, ...]:
    """Build until the freeze time, test until the release time, deploy for 4 hours, and close within a day.

    The phase deploy uses *environment*. Raises `ValueError` unless the times are in this order.
    """
    times = (start, freeze, release, release + DEPLOY_LASTS, release + DEPLOY_LASTS + CLOSE_LASTS)
    return tuple(
        Phase(
            name=name,
            planned=Span(start=first, end=last),
            environment=environment if name == DEPLOY else None,
            after=STANDARD[place - 1 : place] if place else (),
        )
        for place, (name, first, last) in enumerate(zip(STANDARD, times[:-1], times[1:], strict=True))
    )


@dataclass(frozen=True)
class PhaseMove:
    """A *phase* that moved from *before* to *after*, in the release *release*."""

    release: PlannedRelease
    phase: Phase
    before: Span
    after: Span


class PhaseMoved(Model):
    """A phase that moved, and the users it affects."""

    release: str
    phase: str
    before: Span
    after: Span
    seconds: float
    environment: str | None
    affected: tuple[str, ...]


def moved(move: PhaseMove) -> PhaseMoved:
    """*move* as users see it: it affects the owner of the release, and who is responsible for the phase."""
    return PhaseMoved(
        release=move.release.id,
        phase=move.phase.name,
        before=move.before,
        after=move.after,
        seconds=(move.after.end - move.before.end).total_seconds(),
        environment=move.phase.environment,
        affected=tuple(dict.fromkeys(user for user in (move.phase.responsible, move.release.owner) if user)),
    )


def full_key(release: PlannedRelease, key: str) -> str:
    """*key* as `REL-1:test`, whichever way a phase of *release* names it."""
    return key if ":" in key else f"{release.id}:{key}"


def with_moves(releases: Mapping[str, PlannedRelease], moves: Iterable[PhaseMove]) -> dict[str, PlannedRelease]:
    """The releases that have *moves*, with the times after them."""
    found: dict[str, PlannedRelease] = {}
    for move in moves:
        before = found.get(move.release.id, releases[move.release.id])
        found[move.release.id] = before.with_phases([move.phase])
    return found


def check_phases(releases: Mapping[str, PlannedRelease], changed: PlannedRelease) -> None:
    """Raise G205 if a phase of *changed* comes after one that does not exist, after itself, or starts too early."""
    together = {**releases, changed.id: changed}
    known = {f"{each.id}:{phase.name}": phase for each in together.values() for phase in each.phases}
    for phase in changed.phases:
        for key in phase.after:
            full = full_key(changed, key)
            if full not in known:
                hint = nearest(full, sorted(known)) if known else None
                text = f"{changed.id} {phase.name} comes after {key}, which does not exist"
                raise OrchestratorError("G205", text, hint=hint)
            if phase.progress == "pending" and phase.span.start < known[full].end:
                text = f"{changed.id} {phase.name} would start before {key} ends, at {minute_text(known[full].end)}"
                raise OrchestratorError("G205", text)
    phase_order(together)


def phase_order(releases: Mapping[str, PlannedRelease]) -> tuple[str, ...]:
    """Every phase as `REL-1:test`, each one behind those it depends on. Raises G205 for a cycle."""
    graph = {
        f"{each.id}:{phase.name}": [full_key(each, key) for key in phase.after]
        for each in releases.values()
        for phase in each.phases
    }
    try:
        return tuple(key for key in TopologicalSorter(graph).static_order() if key in graph)
    except CycleError as error:
        raise OrchestratorError("G205", f"phases depend on each other: {few(list(error.args[1]))}") from None


def slip(releases: Mapping[str, PlannedRelease], name: str, phase: Phase) -> tuple[PhaseMove, ...]:
    """What moves when *phase* of the release *name* gets the times that it has now, itself first if it moved.

    A dependent phase keeps its length, and starts when everything it depends on has ended. It never moves to an
    earlier time. A phase that has started does not move its start; a completed one does not move.
    """
    first = releases[name]
    was = first.phase(phase.name)
    changed = {f"{name}:{phase.name}": phase}
    moves = [PhaseMove(first, phase, was.span, phase.span)] if was is not None and was.span != phase.span else []
    releases = {**releases, name: first.with_phases([phase])}
    known = {f"{each.id}:{p.name}": (each, p) for each in releases.values() for p in each.phases}
    for key in phase_order(releases):
        release, found = known[key]
        if key in changed or found.progress != "pending":
            continue
        needs = [full_key(release, other) for other in found.after]
        if not any(each in changed for each in needs):
            continue
        ends = [changed[each].end if each in changed else known[each][1].end for each in needs if each in known]
        late = max(ends, default=found.start) - found.span.start
        if late > timedelta(0):
            after = shifted(found, late, replan=release.state is not ReleaseState.DRAFT)
            changed[key] = after
            moves.append(PhaseMove(release, after, found.span, after.span))
    return tuple(moves)


def shifted(phase: Phase, by: timedelta, *, replan: bool) -> Phase:
    """*phase* at another time."""
    return timed(phase, Span(start=phase.span.start + by, end=phase.span.end + by), replan=replan)


def timed(phase: Phase, span: Span, *, replan: bool) -> Phase:
    """*phase* planned for *span*; with *replan* its first plan is kept beside it."""
    return phase.model_copy(update={"replanned": span} if replan else {"planned": span})


def overdue_phases(releases: Iterable[PlannedRelease], now: Moment) -> Iterator[tuple[PlannedRelease, Phase]]:
    """The phases that have not been completed at their end, of releases that are not drafts."""
    for release in releases:
        if release.state in {ReleaseState.SCHEDULED, ReleaseState.IN_PROGRESS, ReleaseState.ROLLED_BACK}:
            yield from ((release, p) for p in release.phases if p.progress != "completed" and p.span.end <= now)
