"""What would leave with a train, what stays or waits, and why: a pure function of the train and of facts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from graphlib import TopologicalSorter

from orchestrator.domain.admission.conditions import Admission, Condition, ConditionKind
from orchestrator.domain.approval.requests import LIFETIME
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.domain.release import PackageRef
from orchestrator.management.trains.model import Boarding, Train, TrainStop
from orchestrator.management.trains.ports import ReleaseShape
from orchestrator.management.trains.reasons import CLOSED, OF_CAUSE, OF_CONDITION, WAITED_FOR, StayReason


@dataclass(frozen=True)
class PlaceFacts:
    """A package in an environment of a train: the conditions of its promotion *at* the time of the stop (*admission*).

    *previous* is the current release of the same package, *runs* whether the package itself is verified there already,
    *newest* whether *previous* was verified last there of all packages. *requirements* is what the hosts did not have,
    when that was checked last. *voters_at* is when enough approvers are present, if they are not at that time.
    *undone* are the releases with an undo playbook that a rollback to *previous* would undo as well.
    """

    admission: Admission
    at: datetime
    previous: PackageRef | None = None
    runs: bool = False
    newest: bool = True
    undone: tuple[str, ...] = ()
    requirements: str = ""
    voters_at: datetime | None = None

    @property
    def ready_at(self) -> datetime:
        """When everything is over that a package waits for at a stop, as far as that is known."""
        ends = (condition.until for condition in self.admission.missing if condition.state == "waiting")
        known = [end for end in (*ends, self.admission.opens, self.voters_at) if end is not None]
        return self.at if self.runs else max((self.at, *known))


@dataclass(frozen=True)
class BoardingFacts:
    """The facts of a package: the *shape* of its release (None: not kept), and each place that it goes to."""

    shape: ReleaseShape | None
    places: Mapping[str, PlaceFacts] = field(default_factory=dict)


class Obstacle(Model):
    """A *reason* why a package stays or waits, in *environment* if it is about one, at the stop *stop* (0: any).

    *text* is the reason in words. *until* is when it will be over, if that is known. *waits* is whether the train waits
    for it.
    """

    reason: StayReason
    environment: str = ""
    stop: int = 0
    text: str
    until: Moment | None = None
    waits: bool = False


class BoardingPrognosis(Model):
    """What would become of a package: whether it *leaves*, and the reasons why it stays or waits."""

    package: PackageRef
    leaves: bool
    environments: tuple[str, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()

    @property
    def why(self) -> Obstacle | None:
        """The first reason why it stays; None if it leaves."""
        return next((each for each in self.obstacles if not each.waits), None) if not self.leaves else None


class StopPrognosis(Model):
    """A stop: the time *at* which it can start, and *until* when a package that leaves waits there, as far as known."""

    number: int
    environments: tuple[str, ...]
    at: Moment
    until: Moment | None = None


class Prognosis(Model):
    """What would leave with a train that departs at *departs_at*, in the order in which packages go, and what stays.

    *stops* are its stops with their times, which waits at earlier stops move.
    """

    train: str
    departs_at: Moment
    members: tuple[BoardingPrognosis, ...]
    stops: tuple[StopPrognosis, ...] = ()

    @property
    def leaving(self) -> tuple[BoardingPrognosis, ...]:
        """The packages that would leave."""
        return tuple(member for member in self.members if member.leaves)


def predict(
    train: Train, facts: Mapping[str, BoardingFacts], at: datetime, times: Sequence[datetime] = ()
) -> Prognosis:
    """The prognosis of *train* for a departure at *at*. *facts* has those of each package aboard, by its name.

    *times* are those of the stops.
    """
    ordered = ordered_members(train.aboard)
    found = {member.name: _member(train, member, facts) for member in ordered}
    for member in ordered:  # in the order of dependencies: what stays makes the next ones stay
        missing = _missing(member, found, facts)
        if missing is not None:
            own = found[member.name]
            obstacles = (*own.obstacles, missing)
            found[member.name] = own.model_copy(update={"leaves": False, "obstacles": obstacles})
    members = [found[member.name] for member in ordered]
    ranked = [*(each for each in members if each.leaves), *(each for each in members if not each.leaves)]
    leaving = [facts[member.package.name] for member in members if member.leaves]
    stops = (_stop(train, number, leaving, start) for number, start in enumerate(times, 1))
    return Prognosis(train=train.id, departs_at=at, members=tuple(ranked), stops=tuple(stops))


def _stop(train: Train, number: int, leaving: Sequence[BoardingFacts], start: datetime) -> StopPrognosis:
    stop = train.stops[number - 1]
    ready = ready_at(stop, leaving, start)
    return StopPrognosis(
        number=number, environments=stop.environments, at=start, until=ready if ready > start else None
    )


def ready_at(stop: TrainStop, leaving: Iterable[BoardingFacts], start: datetime) -> datetime:
    """When no package of *leaving* waits any more at *stop*, which can start at *start*."""
    places = (each.places[name] for each in leaving for name in stop.environments if name in each.places)
    return max((place.ready_at for place in places), default=start)


def ordered_members(members: tuple[Boarding, ...]) -> list[Boarding]:
    """*members* so that each comes after those that it depends on, otherwise as they boarded."""
    names = {member.name: member for member in members}
    place = {name: number for number, name in enumerate(names)}
    sorter = TopologicalSorter({name: [a for a in member.after if a in names] for name, member in names.items()})
    sorter.prepare()
    found: list[Boarding] = []
    ready = list(sorter.get_ready())
    while ready:
        ready.sort(key=lambda name: place[name])
        name = ready.pop(0)
        found.append(names[name])
        sorter.done(name)
        ready += sorter.get_ready()
    return found


def destinations(train: Train, shape: ReleaseShape) -> tuple[str, ...]:
    """The environments of *train* that a release of this *shape* goes to, in order."""
    return tuple(name for name in train.environments if name in shape.environments)


def _member(train: Train, member: Boarding, facts: Mapping[str, BoardingFacts]) -> BoardingPrognosis:
    own = facts[member.name]
    if own.shape is None:
        text = f"the package {member.release} is not kept any more"
        obstacles: tuple[Obstacle, ...] = (Obstacle(reason=StayReason.NOT_KEPT, text=text),)
    else:
        obstacles = tuple(_obstacles(train, member, own.shape, facts))
    environments = destinations(train, own.shape) if own.shape is not None else ()
    return BoardingPrognosis(
        package=member.release,
        leaves=all(each.waits for each in obstacles),
        environments=environments,
        obstacles=obstacles,
    )


def _obstacles(
    train: Train, member: Boarding, shape: ReleaseShape, facts: Mapping[str, BoardingFacts]
) -> Iterator[Obstacle]:
    own = facts[member.name]
    for number, stop in enumerate(train.stops, 1):
        if not set(stop.environments) & set(shape.environments):
            text = f"its release does not declare {stop}"
            yield Obstacle(reason=StayReason.NOT_DECLARED, stop=number, text=text)
    if shape.impossible:
        text = f"it cannot be rolled back: {', '.join(shape.impossible)} cannot be undone"
        yield Obstacle(reason=StayReason.IRREVERSIBLE, text=text)
    if own.places and all(place.runs for place in own.places.values()):
        yield Obstacle(reason=StayReason.ALREADY_DEPLOYED, text="it runs, verified, at every stop")
    for number, stop in enumerate(train.stops, 1):
        for environment in stop.environments:
            if environment in own.places:
                yield from _at(train, member, environment, number, facts)


def _at(
    train: Train, member: Boarding, environment: str, number: int, facts: Mapping[str, BoardingFacts]
) -> Iterator[Obstacle]:
    """The obstacles of *member* in *environment* at the stop *number*."""
    place = facts[member.name].places[environment]
    if number == len(train.stops) and place.previous is None:
        text = f"nothing of {member.name} is in {environment} to which it could be rolled back"
        yield Obstacle(reason=StayReason.NO_PREVIOUS, environment=environment, stop=number, text=text)
    undone = (*place.undone, *_shared_undo(member, environment, facts))
    if undone:
        text = f"its rollback in {environment} would also undo {', '.join(undone)}"
        yield Obstacle(reason=StayReason.SHARED_UNDO, environment=environment, stop=number, text=text)
    if place.runs:
        return
    if place.requirements:
        text = f"{environment}: {place.requirements}"
        yield Obstacle(reason=StayReason.REQUIREMENTS, environment=environment, stop=number, text=text)
    for condition in place.admission.missing:
        if condition.kind in OF_CONDITION:
            yield _obstacle(condition, place, environment, number)


def _shared_undo(member: Boarding, environment: str, facts: Mapping[str, BoardingFacts]) -> tuple[str, ...]:
    """The other packages of the train in *environment* that have an undo playbook."""
    return tuple(
        name
        for name, other in facts.items()
        if name != member.name and environment in other.places and other.shape is not None and other.shape.has_undo
    )


def _obstacle(condition: Condition, place: PlaceFacts, environment: str, number: int) -> Obstacle:
    reason, until, text = _reason(condition, place), condition.until, f"{environment}: {condition.reason}"
    if reason is StayReason.APPROVERS:
        until, text = place.voters_at, f"{text}; they are absent"
    waits = (reason in WAITED_FOR and condition.state == "waiting") or (reason in CLOSED and number > 1)
    if waits and until is not None and until > place.at + LIFETIME:
        waits, text = False, f"{text}; a run request expires after {LIFETIME.days} days"
    return Obstacle(reason=reason, environment=environment, stop=number, text=text, until=until, waits=waits)


def _reason(condition: Condition, place: PlaceFacts) -> StayReason:
    if condition.causes and condition.causes[0] in OF_CAUSE:
        return OF_CAUSE[condition.causes[0]]
    if condition.state == "waiting" and condition.kind is ConditionKind.PATH:
        return StayReason.TOO_EARLY
    if condition.state == "waiting" and condition.kind is ConditionKind.APPROVAL and place.voters_at is not None:
        return StayReason.APPROVERS
    return OF_CONDITION[condition.kind]


def _missing(
    member: Boarding, found: Mapping[str, BoardingPrognosis], facts: Mapping[str, BoardingFacts]
) -> Obstacle | None:
    """The first package before *member* that stays without being deployed; None if there is none."""
    for name in member.after:
        other = found.get(name)
        deployed = name in facts and _is_deployed(facts[name])
        if other is None or not (other.leaves or deployed):
            text = f"it comes after {name}, which {'stays' if other is not None else 'is not aboard'}"
            return Obstacle(reason=StayReason.DEPENDENCY, text=text)
    return None


def _is_deployed(facts: BoardingFacts) -> bool:
    return bool(facts.places) and all(place.runs for place in facts.places.values())
