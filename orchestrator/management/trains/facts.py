"""The facts of a train's prognosis: read from the register, the files and the journal. Nothing is written."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from orchestrator.app.acting import View
from orchestrator.app.admission import Promotion, facts_at
from orchestrator.domain.access.principals import Absence
from orchestrator.domain.admission.conditions import Admission, ConditionKind
from orchestrator.domain.admission.may_start import PathFacts, Start, may_promote
from orchestrator.domain.approval.policy import Requirement
from orchestrator.domain.moments import Now
from orchestrator.domain.register import REQUIREMENT_REPORTS
from orchestrator.domain.release import PackageRef
from orchestrator.domain.requirements.check import report_key
from orchestrator.management.trains.model import Train
from orchestrator.management.trains.ports import ReleaseShape, TrainSources
from orchestrator.management.trains.prognosis import (
    BoardingFacts,
    PlaceFacts,
    Prognosis,
    destinations,
    predict,
    ready_at,
)


@dataclass(frozen=True)
class RecordedPlace:
    """What is known of a package in an environment at this moment, at whatever time the train comes."""

    path: PathFacts
    requirement: Requirement
    previous: PackageRef | None
    newest: bool
    undone: tuple[str, ...]
    requirements: str


@dataclass(frozen=True)
class TrainFacts:
    """The facts of each package aboard, by its name (*boardings*), at the *times* of the stops."""

    boardings: Mapping[str, BoardingFacts] = field(default_factory=dict)
    times: tuple[datetime, ...] = ()


def prognosis_of(view: View, train: Train, sources: TrainSources, at: datetime) -> Prognosis:
    """The prognosis of *train* for a departure at *at*, by the windows, freezes and bookings of that time."""
    return prognosis_with_facts(view, train, sources, at)[0]


def prognosis_with_facts(
    view: View, train: Train, sources: TrainSources, at: datetime
) -> tuple[Prognosis, Mapping[str, BoardingFacts]]:
    """The prognosis of *train* for a departure at *at*, and the facts of each package that it follows from.

    A stop waits for the packages that leave, which makes later stops later. What stays delays none.
    """
    reading = _Reading(view, train, sources)
    leaving = {member.name for member in train.aboard}
    for _ in range(len(leaving) + 1):
        facts = reading.facts(at, leaving)
        found = predict(train, facts.boardings, at, facts.times)
        left = {member.package.name for member in found.leaving}
        if left == leaving:
            break
        leaving = left
    return found, facts.boardings


class _Reading:
    """Reads the facts of *train*, those that do not depend on the time only once."""

    def __init__(self, view: View, train: Train, sources: TrainSources) -> None:
        self._view, self._train, self._sources = view, train, sources
        self._shapes = {member.name: sources.shape(member.release) for member in train.aboard}
        self._places: dict[tuple[str, str], RecordedPlace] = {}
        for member in train.aboard:
            shape = self._shapes[member.name]
            for name in destinations(train, shape) if shape is not None else ():
                self._places[member.name, name] = _recorded(view, member.release, name, sources)

    def facts(self, at: datetime, leaving: Collection[str]) -> TrainFacts:
        """The facts for a departure at *at*, if the packages *leaving* leave."""
        found: dict[str, BoardingFacts] = {name: _bare(shape) for name, shape in self._shapes.items()}
        verified: dict[tuple[str, str], datetime] = {}
        times, ready = [], max(at, self._view.now.earliest)
        for stop in self._train.stops:
            start = max(at + timedelta(seconds=stop.after_s), ready)
            for member in self._train.aboard:
                here = {
                    name: self._at(member.release, name, start, verified)
                    for name in stop.environments
                    if (member.name, name) in self._places
                }
                own = found[member.name]
                found[member.name] = replace(own, places={**own.places, **here})
            ready = ready_at(stop, (found[name] for name in leaving), start)
            verified |= {(member, name): ready for member, name in self._places if name in stop.environments}
            times.append(start)
        return TrainFacts(found, tuple(times))

    def _at(
        self, package: PackageRef, environment: str, at: datetime, verified: Mapping[tuple[str, str], datetime]
    ) -> PlaceFacts:
        """The facts of *package* in *environment* at the time *at*. *verified* is when the train verifies it before."""
        known = self._places[package.name, environment]
        before = self._places.get((package.name, known.path.previous))
        path = known.path
        if before is not None and before.previous != package and (package.name, path.previous) in verified:
            path = replace(path, verified_at=verified[package.name, path.previous])
        admission = self._admission(package, environment, path, known.requirement, at)
        return PlaceFacts(
            admission,
            at,
            previous=known.previous,
            runs=known.previous == package,
            newest=known.newest,
            undone=known.undone,
            requirements=known.requirements,
            voters_at=self._voters_at(admission, known.requirement, at),
        )

    def _admission(
        self, package: PackageRef, environment: str, path: PathFacts, requirement: Requirement, at: datetime
    ) -> Admission:
        view, conductor = self._view, self._train.conductor
        declared = self._sources.declared_rules()
        promotion = Promotion(environment, package, path=path, declared=declared, requirement=requirement)
        start = Start(view.acting.project, environment, conductor, requirement=requirement, package=package.digest)
        return may_promote(start, conductor, facts_at(view, promotion, start, conductor), Now.at(at))

    def _voters_at(self, admission: Admission, requirement: Requirement, at: datetime) -> datetime | None:
        """When enough users are present who can give the votes that *admission* lacks; None if they are at *at*."""
        voters = next((each.who for each in admission.missing if each.kind is ConditionKind.APPROVAL), ())
        count = max((quorum.count for quorum in requirement.quorums), default=0)
        absences = self._view.directory.access.absences
        present = sorted(present_at(name, absences, at) for name in voters)
        enough = present[count - 1] if 0 < count <= len(present) else at
        return enough if enough > at else None


def _bare(shape: ReleaseShape | None) -> BoardingFacts:
    return BoardingFacts(shape)


def _recorded(view: View, package: PackageRef, environment: str, sources: TrainSources) -> RecordedPlace:
    previous, newest = sources.current(environment, package.name), sources.newest(environment)
    undone = sources.undone_with(environment, previous) if previous is not None else ()
    report = view.records.get(REQUIREMENT_REPORTS, report_key(environment, package.digest))
    return RecordedPlace(
        path=sources.path(environment, package),
        requirement=sources.needed(environment, package),
        previous=previous,
        newest=previous is not None and previous == newest,
        undone=tuple(str(ref) for ref in undone),
        requirements=report.unmet if report is not None else "",
    )


def present_at(user: str, absences: Iterable[Absence], at: datetime) -> datetime:
    """The first moment from *at* on at which *user* is not absent."""
    for absence in sorted((each for each in absences if each.user == user), key=lambda each: each.start):
        if absence.start <= at < absence.end:
            at = absence.end
    return at
