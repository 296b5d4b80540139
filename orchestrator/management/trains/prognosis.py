"""What would leave with a train, what stays or waits, and why: a pure function of the train and of facts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from graphlib import TopologicalSorter

from orchestrator.domain.admission.conditions import Admission, Condition
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.domain.release import PackageRef
from orchestrator.management.trains.model import Boarding, Train
from orchestrator.management.trains.ports import ReleaseShape
from orchestrator.management.trains.reasons import CLOSED, OF_CONDITION, WAITED_FOR, StayReason


@dataclass(frozen=True)
class PlaceFacts:
    """A package in an environment of a train: the conditions of its promotion at the time of the stop (*admission*).

    *previous* is the current release of the same package, *runs* whether the package itself is verified there already.
    *after* is the environment before on the path, *newest* whether *previous* was verified last there of all packages.
    *undone* are the releases with an undo playbook that a rollback to *previous* would undo as well.
    """

    admission: Admission
    previous: PackageRef | None = None
    runs: bool = False
    after: str = ""
    newest: bool = True
    undone: tuple[str, ...] = ()


@dataclass(frozen=True)
class BoardingFacts:
    """The facts of a package: the *shape* of its release (None: not kept), and each place that it goes to."""

    shape: ReleaseShape | None
    places: Mapping[str, PlaceFacts] = field(default_factory=dict)


class Obstacle(Model):
    """A *reason* why a package stays or waits, in *environment* if it is about one. *text* is the reason in words.

    *until* is when it will be over, if that is known. *waits* is whether the train waits for it.
    """

    reason: StayReason
    environment: str = ""
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


class Prognosis(Model):
    """What would leave with a train that departs at *departs_at*, in the order in which packages go, and what stays."""

    train: str
    departs_at: Moment
    members: tuple[BoardingPrognosis, ...]

    @property
    def leaving(self) -> tuple[BoardingPrognosis, ...]:
        """The packages that would leave."""
        return tuple(member for member in self.members if member.leaves)


def predict(train: Train, facts: Mapping[str, BoardingFacts], at: datetime) -> Prognosis:
    """The prognosis of *train* for a departure at *at*. *facts* has those of each package aboard, by its name."""
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
    return Prognosis(train=train.id, departs_at=at, members=tuple(ranked))


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
        obstacles = tuple(_obstacles(train, member, own, own.shape, facts))
    environments = destinations(train, own.shape) if own.shape is not None else ()
    return BoardingPrognosis(
        package=member.release,
        leaves=all(each.waits for each in obstacles),
        environments=environments,
        obstacles=obstacles,
    )


def _obstacles(
    train: Train, member: Boarding, own: BoardingFacts, shape: ReleaseShape, facts: Mapping[str, BoardingFacts]
) -> Iterator[Obstacle]:
    for stop in train.stops:
        if not set(stop.environments) & set(shape.environments):
            yield Obstacle(reason=StayReason.NOT_DECLARED, text=f"its release does not declare {stop}")
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
        yield Obstacle(reason=StayReason.NO_PREVIOUS, environment=environment, text=text)
    undone = (*place.undone, *_shared_undo(member, environment, facts))
    if undone:
        text = f"its rollback in {environment} would also undo {', '.join(undone)}"
        yield Obstacle(reason=StayReason.SHARED_UNDO, environment=environment, text=text)
    if place.runs:
        return
    earlier = {name for stop in train.stops[: number - 1] for name in stop.environments}
    for condition in place.admission.missing:
        reason = OF_CONDITION.get(condition.kind)
        verified_on_the_way = reason is StayReason.NOT_VERIFIED and place.after in earlier
        if reason is not None and not verified_on_the_way:
            yield _obstacle(condition, reason, environment, first=number == 1)


def _shared_undo(member: Boarding, environment: str, facts: Mapping[str, BoardingFacts]) -> tuple[str, ...]:
    """The other packages of the train in *environment* that have an undo playbook."""
    return tuple(
        name
        for name, other in facts.items()
        if name != member.name and environment in other.places and other.shape is not None and other.shape.has_undo
    )


def _obstacle(condition: Condition, reason: StayReason, environment: str, *, first: bool) -> Obstacle:
    waits = reason in WAITED_FOR and condition.state == "waiting"
    later = reason in CLOSED and not first
    return Obstacle(
        reason=reason,
        environment=environment,
        text=f"{environment}: {condition.reason}",
        until=condition.until,
        waits=waits or later,
    )


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
