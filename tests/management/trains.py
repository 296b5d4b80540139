"""A line with a train of three packages, at a register, with facts and runs that a test sets."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from orchestrator.app.acting import Acting
from orchestrator.domain.access.principals import SYSTEM_ACTOR
from orchestrator.domain.admission.may_start import PathFacts
from orchestrator.domain.approval.policy import Requirement
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import PackageRef
from orchestrator.management.trains import decisions, departure, line_decisions, queries
from orchestrator.management.trains.driving import drive
from orchestrator.management.trains.duties import advance_trains
from orchestrator.management.trains.model import LineDraft, Train, TrainRun
from orchestrator.management.trains.ports import ReleaseShape, RunReport
from orchestrator.register_ports import Register
from tests.app.desk import ENVIRONMENTS, NOON, Desk
from tests.management.sources import BookingFacts

NAMES = ("database", "shop", "website")
HOUR = timedelta(hours=1)


def ref(name: str, version: str = "2.0.0") -> PackageRef:
    """A package, whose digest follows from its name and version."""
    number = f"{NAMES.index(name) + 1}{version[0]}"
    return PackageRef(name=name, version=version, digest=f"sha256:{(number * 32)}")


@dataclass
class TrainFacts(BookingFacts):
    """What the project of these tests tells trains: version 1.0.0 of each package runs in both environments."""

    shapes: dict[str, ReleaseShape | None] = field(default_factory=dict)
    paths: dict[tuple[str, str], PathFacts] = field(default_factory=dict)
    requirement: Requirement = field(default_factory=Requirement)
    running: dict[tuple[str, str], PackageRef | None] = field(default_factory=dict)
    undone: tuple[PackageRef, ...] = ()
    unread: str = ""
    """The package whose facts cannot be read."""

    def built(self) -> tuple[PackageRef, ...]:
        return tuple(ref(name, version) for name in NAMES for version in ("1.0.0", "2.0.0", "3.0.0"))

    def shape(self, package: PackageRef) -> ReleaseShape | None:
        return self.shapes.get(package.name, ReleaseShape(ENVIRONMENTS))

    def path(self, environment: str, package: PackageRef) -> PathFacts:
        if package.name == self.unread:
            raise OrchestratorError("R103", "the project has no environment edge")
        previous = "staging" if environment == "production" else ""
        return self.paths.get((environment, package.name), PathFacts(previous=previous))

    def needed(self, environment: str, package: PackageRef) -> Requirement:
        assert environment in ENVIRONMENTS
        del package
        return self.requirement

    def current(self, environment: str, name: str) -> PackageRef | None:
        return self.running.get((environment, name), ref(name, "1.0.0"))

    def newest(self, environment: str) -> PackageRef | None:
        return self.current(environment, NAMES[-1])

    def undone_with(self, environment: str, package: PackageRef) -> tuple[PackageRef, ...]:
        assert environment in ENVIRONMENTS
        del package
        return self.undone


class DiedError(BaseException):
    """The process that drives a train dies."""


def dying_at(left: int, changing: Any, *, before: bool) -> Any:
    """*changing*, with which the process dies at the write number *left*: before it, or after it was committed."""
    writes = 0

    def change(*args: Any, **named: Any) -> Any:
        nonlocal writes
        writes += 1
        if writes == left and before:
            raise DiedError
        done = changing(*args, **named)
        if writes == left:
            raise DiedError
        return done

    return change


@dataclass
class MemoryTrains:
    """Runs that are recorded by their roots, and the releases that they leave in each environment.

    A promotion of *bad* (environment and package) fails in the way it names. *dies* is called before and after each.
    Runs have *ended_at*; None: that is not known.
    """

    places: dict[tuple[str, str], str] = field(default_factory=dict)
    bad: dict[tuple[str, str], str] = field(default_factory=dict)
    requested: dict[str, TrainRun] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    dies: Callable[[str], None] = lambda _where: None
    ended_at: datetime | None = None

    def begin(self, train: Train, run: TrainRun) -> RunReport:
        self.dies(f"before {run.root}")
        if run.root not in self.requested:
            self.requested[run.root] = run
            self._do(train, run)
        self.dies(f"after {run.root}")
        return RunReport(f"run-{run.root}")

    def current(self, run: TrainRun) -> RunReport:
        return replace(self._became(run), ended_at=self.ended_at)

    def _became(self, run: TrainRun) -> RunReport:
        how = self.bad.get((run.environment, run.package or run.kind), "") if run.kind != "rollback" else ""
        how = self.bad.get((run.environment, f"back {run.package}"), how)
        if run.kind == "rollback" and not how.startswith("back"):
            return RunReport(run.followed, "succeeded", touched=True)
        match how:
            case "":
                return RunReport(run.followed, "succeeded", touched=run.kind == "promotion")
            case "waits":
                return RunReport(run.followed)
            case "rejected":
                return RunReport(run.followed, "failed", note="rejected")
            case "needs-help":
                return RunReport(run.followed, "needs-help", touched=True, note="needs intervention")
            case _:
                return RunReport(run.followed, "failed", touched=True, note=how)

    def _do(self, train: Train, run: TrainRun) -> None:
        """The effect of *run*. A promotion that fails restores what was verified last, of another package: nothing."""
        place = (run.environment, run.package)
        self.order.append(f"{run.kind} {run.environment} {run.package}".strip())
        if run.kind == "promotion" and self.bad.get(place) != "rejected":
            member = train.member(run.package)
            assert member is not None
            self.places[place] = "broken" if place in self.bad else member.version
        if run.kind == "rollback":
            previous = train.previous_of(*place)
            assert previous is not None
            assert previous.release is not None
            self.places[place] = previous.release.version


class Station:
    """A register with the line *weekly*, and its train T-1 with three packages, one after the other."""

    def __init__(self, register: Register | None = None, *, aboard: bool = True, **fields: Any) -> None:
        self.desk, self.facts, self.runs = Desk(register), TrainFacts(), MemoryTrains()
        self.runs.places = {(e, n): "1.0.0" for e in ENVIRONMENTS for n in NAMES}
        line_decisions.add_line(self.acting(), draft(**fields))
        decisions.create_train(self.acting(), "weekly")
        if aboard:
            self.board("database")
            self.board("shop", "database")
            self.board("website", "shop")

    def acting(self, name: str = "release-manager") -> Acting:
        found = self.desk.acting(name)
        return replace(found, actor=SYSTEM_ACTOR) if name == "system" else found

    def board(self, name: str, *after: str, version: str = "2.0.0", late: str = "") -> Train:
        return decisions.board_train(self.acting(), "T-1", f"{name}-{version}", self.facts, after, late)

    def tick(self, after: timedelta = timedelta(0)) -> list[str]:
        """The scheduler, after some time, in a process of its own."""
        self.desk.clock.jump(after.total_seconds())
        return [*advance_trains(self.acting("system"), self.facts), *drive(self.runs, self.acting("system"))]

    def leave_station(self) -> None:
        """The train departs at its time, and everything that is then due is done."""
        departure.depart(self.acting(), "T-1", self.facts)
        self.tick()

    @property
    def train(self) -> Train:
        return queries.show_train(self.acting("viewer"), "T-1")

    def set_in(self, environment: str) -> list[str]:
        return [self.runs.places[environment, name] for name in NAMES]

    def refused(self, work: Callable[[], object]) -> str:
        with pytest.raises(OrchestratorError) as error:
            work()
        return error.value.code


def draft(**fields: Any) -> LineDraft:
    """A weekly line to staging and production; boarding closes an hour before the departure."""
    about: dict[str, Any] = {
        "name": "weekly",
        "stops": [{"environments": ["staging"]}, {"environments": ["production"]}],
        "start": (NOON + 4 * HOUR).strftime("%Y-%m-%dT%H:%M:%S"),
        "rule": "FREQ=DAILY",
        "boarding_s": 3600,
    }
    return LineDraft.from_json({**about, **fields})
