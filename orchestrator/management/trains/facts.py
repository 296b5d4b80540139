"""The facts of a train's prognosis: read from the register, the files and the journal. Nothing is written."""

from datetime import datetime, timedelta

from orchestrator.app.acting import View
from orchestrator.app.admission import Promotion, facts_at
from orchestrator.domain.admission.may_start import Start, may_promote
from orchestrator.domain.moments import Now
from orchestrator.domain.release import PackageRef
from orchestrator.management.trains.model import Boarding, Train
from orchestrator.management.trains.ports import TrainSources
from orchestrator.management.trains.prognosis import BoardingFacts, PlaceFacts, Prognosis, destinations, predict


def prognosis_of(view: View, train: Train, sources: TrainSources, at: datetime) -> Prognosis:
    """The prognosis of *train* for a departure at *at*, by the windows, freezes and bookings of that time."""
    return predict(train, train_facts(view, train, sources, at), at)


def train_facts(view: View, train: Train, sources: TrainSources, at: datetime) -> dict[str, BoardingFacts]:
    """The facts of each package aboard, by its name."""
    return {member.name: _boarding_facts(view, train, member, sources, at) for member in train.aboard}


def _boarding_facts(view: View, train: Train, member: Boarding, sources: TrainSources, at: datetime) -> BoardingFacts:
    shape = sources.shape(member.release)
    if shape is None:
        return BoardingFacts(None)
    times = {
        name: max(at + timedelta(seconds=stop.after_s), view.now.earliest)
        for stop in train.stops
        for name in stop.environments
    }
    names = destinations(train, shape)
    return BoardingFacts(
        shape, {name: place_facts(view, train, member.release, name, sources, times[name]) for name in names}
    )


def place_facts(
    view: View, train: Train, package: PackageRef, environment: str, sources: TrainSources, at: datetime
) -> PlaceFacts:
    """The facts of *package* in *environment*, at the time *at*."""
    path = sources.path(environment, package)
    requirement = sources.needed(environment, package)
    promotion = Promotion(environment, package, path=path, declared=sources.declared_rules(), requirement=requirement)
    start = Start(view.acting.project, environment, train.conductor, requirement=requirement, package=package.digest)
    admission = may_promote(start, train.conductor, facts_at(view, promotion, start, train.conductor), Now.at(at))
    previous, newest = sources.current(environment, package.name), sources.newest(environment)
    undone = sources.undone_with(environment, previous) if previous is not None else ()
    return PlaceFacts(
        admission,
        previous=previous,
        runs=previous == package,
        after=path.previous,
        newest=previous is not None and previous == newest,
        undone=tuple(str(ref) for ref in undone),
    )
