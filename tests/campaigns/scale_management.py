"""Release management at scale: change requests, bookings, trains, planned releases, plans, reviews and notifications.

Most objects that have an end have ended, except for the change requests: half of the backlog is open.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

import sqlalchemy as sa

from orchestrator.adapters.database import tables
from orchestrator.app.notification_rules import NotificationFilter, list_notifications
from orchestrator.app.run_requests import own_messages
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.model import Model, digest_of
from orchestrator.domain.moments import moment_text
from orchestrator.domain.notifications import Fact, Notification
from orchestrator.domain.register import NOTIFICATIONS, OUTBOX, Message, RecordKind
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.bookings.queries import BookingFilter, find_slots, list_bookings, show_contention
from orchestrator.management.bookings.state import BookingState
from orchestrator.management.bookings.store import BOOKINGS
from orchestrator.management.change_requests.model import ChangeRequest, RankedAt
from orchestrator.management.change_requests.queries import count_changes, list_changes, show_ranking
from orchestrator.management.change_requests.risk import ChangeFacts, PackageFacts
from orchestrator.management.change_requests.state import OPEN_STATES, ChangeState
from orchestrator.management.change_requests.store import CHANGE_REQUESTS
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task, TaskSpan
from orchestrator.management.implementation_plans.queries import list_plans, own_tasks
from orchestrator.management.implementation_plans.state import PlanState, TaskState
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.planned_releases.model import PlannedRelease, ScopePackage
from orchestrator.management.planned_releases.phases import standard_phases
from orchestrator.management.planned_releases.queries import list_planned_releases, show_schedule
from orchestrator.management.planned_releases.state import ReleaseState
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.reviews.model import Review, ReviewAction
from orchestrator.management.reviews.queries import list_actions, list_reviews, overdue_actions, show_review
from orchestrator.management.reviews.state import ActionState, ReviewState
from orchestrator.management.reviews.store import RELEASE_REVIEWS, REVIEW_ACTIONS
from orchestrator.management.trains.model import Boarding, Train, TrainStop
from orchestrator.management.trains.queries import list_lines, list_trains, show_train
from orchestrator.management.trains.state import TrainState
from orchestrator.management.trains.store import TRAINS
from orchestrator.wiring import App

ANN = Actor(name="ann")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AT_ONCE = 500
PACKAGES = 20
Make = Callable[[App, random.Random], object]


class Amounts(NamedTuple):
    """How many objects of each kind there are."""

    requests: int = 20_000
    bookings: int = 5_000
    trains: int = 2_000
    releases: int = 1_000
    plans: int = 1_000
    reviews: int = 2_000
    notifications: int = 20_000


def amounts(requests: int) -> Amounts:
    """The amounts beside so many change requests, of each kind in the same proportion."""
    whole = Amounts()
    return Amounts(*(max(20, each * requests // whole.requests) for each in whole))


class Backlog:
    """What is written: objects of a project with these *environments*, around the moment *now*."""

    def __init__(self, environments: Sequence[str], now: datetime) -> None:
        self.environments, self.now = tuple(environments), now

    def environment(self, number: int) -> str:
        """The environment of the object with this number."""
        return self.environments[number % len(self.environments)]

    def request(self, number: int) -> ChangeRequest:
        """A change request; every second one is open, and one of 200 has moved since yesterday."""
        chance = random.Random(number)
        ended = (ChangeState.CLOSED, ChangeState.REJECTED, ChangeState.WITHDRAWN)
        state = chance.choice(OPEN_STATES) if number % 2 else chance.choice(ended)
        package = PackageFacts(package=f"shop{number % PACKAGES}", promotions=9, rollbacks=chance.randrange(3))
        made = ChangeRequest(
            title=f"Change {number} of the checkout",
            reason="Customers asked for it in the last survey. " * 3,
            value=chance.randint(1, 5),
            urgency=chance.randint(1, 5),
            packages=(package.package,),
            environments=(self.environment(number),),
            number=number + 1,
            reporter="ann",
            created_at=self.now - timedelta(days=number % 700 + 2),
            state=state,
            facts=ChangeFacts(packages=(package,)),
        )
        at = self.now - HOUR if number % 200 == 1 else made.created_at
        ranks = [RankedAt(at=made.created_at, rank=3.0, risk=3, why="entered")]
        return made.model_copy(update={"ranks": (*ranks, RankedAt(at=at, rank=made.rank, risk=3, why="facts"))})

    def booking(self, number: int, count: int) -> EnvironmentBooking:
        """A booking of four hours; every fifth has not ended, and is in the next weeks."""
        is_open = number % 5 == 0
        turn = number // len(self.environments)
        start = self.now + HOUR * (5 * turn + 1) if is_open else self.now - DAY - HOUR * (8760 * number // count)
        return EnvironmentBooking(
            number=number + 1,
            environment=self.environment(number),
            start=start,
            end=start + 4 * HOUR,
            purpose="load test",
            holder=f"user:user{number % 50}",
            owner=f"user{number % 50}",
            created_at=start - DAY,
            state=BookingState.CONFIRMED if is_open else BookingState.COMPLETED,
            confirmed_at=start - DAY,
        )

    def train(self, number: int) -> Train:
        """A train of five packages; every tenth has not ended."""
        is_open = number % 10 == 0
        at = self.now + HOUR * number if is_open else self.now - HOUR * number
        members = tuple(
            Boarding(
                name=f"shop{each}",
                version="1.0.0",
                digest=digest_of([number, each]),
                boarded_at=at - DAY,
                boarded_by="ann",
            )
            for each in range(5)
        )
        return Train(
            number=number + 1,
            stops=tuple(TrainStop(environments=(self.environment(2 * number + each),)) for each in range(2)),
            departs_at=at,
            boarding_closes_at=at - HOUR,
            conductor=ANN,
            created_at=at - DAY,
            created_by="ann",
            members=members,
            state=TrainState.BOARDING if is_open else TrainState.ARRIVED,
        )

    def release(self, number: int) -> PlannedRelease:
        """A planned release; every tenth has not ended."""
        is_open = number % 10 == 0
        at = self.now + HOUR * (number + 48) if is_open else self.now - HOUR * (number + 48)
        environment = self.environment(2 * number + 1)
        return PlannedRelease(
            title=f"Release {number}",
            environment=environment,
            owner=f"user{number % 50}",
            freeze_at=at - DAY,
            release_at=at,
            phases=standard_phases(at - 2 * DAY, at - DAY, at, environment),
            number=number + 1,
            created_at=at - 9 * DAY,
            created_by="ann",
            state=ReleaseState.SCHEDULED if is_open else ReleaseState.CLOSED,
            packages=(ScopePackage(name=f"shop{number % PACKAGES}", version="1.0.0", digest=digest_of(number)),),
        )

    def plan(self, number: int) -> ImplementationPlan:
        """An implementation plan of ten tasks; every tenth has not ended, and waits in its first task."""
        is_open = number % 10 == 0
        at = self.now - HOUR * (number + 1)
        state = TaskState.READY if is_open else TaskState.DONE
        tasks = tuple(
            Task(
                name=f"task-{each}",
                title=f"Task {each}",
                owner=f"user{number % 50}",
                after=(f"task-{each - 1}",) if each else (),
                duration_s=600,
                planned=TaskSpan(start=at, end=at + HOUR),
                state=state if not each or not is_open else TaskState.PENDING,
            )
            for each in range(10)
        )
        return ImplementationPlan(
            number=number + 1,
            title=f"Launch {number}",
            template="launch",
            digest=digest_of("launch"),
            owner="ann",
            start_at=at,
            created_at=at,
            created_by="ann",
            tasks=tasks,
            state=PlanState.RUNNING if is_open else PlanState.COMPLETED,
        )

    def review(self, number: int) -> Review:
        """A review; every tenth is open."""
        at = self.now - HOUR * number
        return Review(
            subject=f"REL-{number + 1}",
            kind="release",
            environment=self.environment(number),
            title=f"Release {number}",
            opened_at=at,
            due=at + 7 * DAY,
            lead=f"user{number % 50}",
            state=ReviewState.CLOSED if number % 10 else ReviewState.OPEN,
        )

    def actions(self, number: int) -> Iterator[ReviewAction]:
        """The two actions of a review; one of every tenth review is open, and one of every fiftieth is overdue."""
        for each in range(2):
            at = self.now - HOUR * number
            is_open = number % 10 == 0 and each == 0
            yield ReviewAction(
                number=2 * number + each + 1,
                review=f"REL-{number + 1}",
                environment=self.environment(number),
                title="Size the disk",
                owner=f"user{number % 49}",
                due=self.now - DAY if number % 50 == 0 else self.now + DAY,
                created_by="ann",
                created_at=at,
                state=ActionState.OPEN if is_open else ActionState.DONE,
            )

    def notification(self, number: int) -> Notification:
        """A notification; one of a hundred has not been sent."""
        at = self.now - timedelta(minutes=number)
        fact = Fact(id=f"run {number}", kind="run.failed", at=at, about=f"run {number}", text="it failed")
        return Notification(
            id=f"{number:032x}",
            message=f"{number:032x}",
            rule="chat",
            fact=fact,
            state="sent" if number % 100 else "pending",
            due_at=at,
        )

    def message(self, number: int) -> Message:
        """A message to a user; one of twenty has not been sent."""
        at, dedup = self.now - timedelta(minutes=number), f"booking B-{number + 1} 2 user{number % 50}"
        about = {"dedup": dedup, "to": f"user{number % 50}", "kind": "booking", "text": "its time became free"}
        return Message.from_json({**about, "at": moment_text(at), "state": "sent" if number % 20 else "pending"})

    def records(self, counts: Amounts) -> Iterator[tuple[RecordKind[Any], Iterator[Model]]]:
        """Everything, by its kinds."""
        yield CHANGE_REQUESTS, map(self.request, range(counts.requests))
        yield BOOKINGS, (self.booking(number, counts.bookings) for number in range(counts.bookings))
        yield TRAINS, map(self.train, range(counts.trains))
        yield PLANNED_RELEASES, map(self.release, range(counts.releases))
        yield IMPLEMENTATION_PLANS, map(self.plan, range(counts.plans))
        yield RELEASE_REVIEWS, map(self.review, range(counts.reviews))
        yield REVIEW_ACTIONS, (each for number in range(counts.reviews) for each in self.actions(number))
        yield NOTIFICATIONS, map(self.notification, range(counts.notifications))
        yield OUTBOX, map(self.message, range(counts.notifications))


def fill_management(db: sa.Connection, environments: Sequence[str], counts: Amounts) -> None:
    """Write so many objects of release management."""
    now = datetime.now(UTC).replace(microsecond=0)
    for kind, values in Backlog(environments, now).records(counts):
        while rows := [_row(kind, value, now) for value in islice(values, AT_ONCE)]:
            db.execute(tables.register_tables[kind.name].insert(), rows)


def _row(kind: RecordKind[Any], value: Any, now: datetime) -> dict[str, object]:
    newest = value.ranks[-1].at if isinstance(value, ChangeRequest) else now - DAY * 2
    stamp = {"created_by": "ann", "changed_at": moment_text(newest), "changed_by": "ann", "version": 1}
    row = {
        "project": "scale",
        "key": kind.key(value),
        "part": kind.part(value),
        "created_at": moment_text(now),
        **stamp,
    }
    position = {"position": kind.position(value)} if kind.position is not None else {}
    about = {"about": kind.about(value)} if kind.about is not None else {}
    return {**row, **position, **about, "data": value.model_dump_json()}


class Lists:
    """What is measured of release management. Cursors are those of a page in the middle."""

    def __init__(self, environments: Sequence[str], counts: Amounts) -> None:
        self.environments, self.counts = tuple(environments), counts

    def made(self) -> dict[str, Make]:
        """Each list and how it is made."""
        return {**self._requests(), **self._calendar(), **self._others()}

    def _environment(self, chance: random.Random) -> str:
        return chance.choice(self.environments)

    def _requests(self) -> dict[str, Make]:
        return {
            "change requests, 50 (request list)": lambda app, _: list_changes(app.acting),
            "change requests, a page in the middle": lambda app, c: list_changes(
                app.acting, OPEN_STATES, f"{100 - c.uniform(0.5, 5):08.4f}.{0:08} R-1"
            ),
            "change requests of every state, 50": lambda app, _: list_changes(app.acting, tuple(ChangeState)),
            "accepted change requests, 50": lambda app, _: list_changes(app.acting, (ChangeState.ACCEPTED,)),
            "change requests, the lowest rank first": lambda app, _: list_changes(app.acting, lowest_first=True),
            "change requests by their states": lambda app, _: count_changes(app.acting),
            "change requests, and what moved (request rank)": lambda app, _: show_ranking(app.acting),
        }

    def _calendar(self) -> dict[str, Make]:
        return {
            "bookings, 50 (bookings)": lambda app, _: list_bookings(app.acting),
            "bookings of an environment, with ended ones": lambda app, c: list_bookings(
                app.acting, BookingFilter(self._environment(c), ended=True)
            ),
            "bookings of an environment": lambda app, c: list_bookings(app.acting, BookingFilter(self._environment(c))),
            "own bookings, with ended ones": lambda app, _: list_bookings(
                app.acting, BookingFilter(mine=True, ended=True)
            ),
            "free slots (free)": lambda app, c: find_slots(
                app.acting, self._environment(c), 4 * HOUR, 30 * DAY, app.booking_sources
            ),
            "contention, 6 weeks (contention)": lambda app, _: show_contention(app.acting, app.booking_sources),
            "trains, 50 (train list)": lambda app, _: list_trains(app.acting),
            "trains with ended ones, the latest first": lambda app, _: list_trains(
                app.acting, ended=True, latest_first=True
            ),
            "one train (train show)": lambda app, c: show_train(app.acting, f"T-{c.randint(1, self.counts.trains)}"),
            "train lines": lambda app, _: list_lines(app.acting),
        }

    def _others(self) -> dict[str, Make]:
        return {
            "planned releases, 50 (release list)": lambda app, _: list_planned_releases(app.acting),
            "planned releases with ended ones, 50": lambda app, _: list_planned_releases(app.acting, ended=True),
            "schedule of the releases (release schedule)": lambda app, _: show_schedule(app.acting),
            "implementation plans, 50 (implementation list)": lambda app, _: list_plans(app.acting),
            "implementation plans with ended ones, 50": lambda app, _: list_plans(app.acting, ended=True),
            "own tasks (implementation tasks)": lambda app, _: own_tasks(app.acting),
            "reviews, 50 (review list)": lambda app, _: list_reviews(app.acting),
            "reviews with ended ones, 50": lambda app, _: list_reviews(app.acting, ended=True),
            "one review with its actions (review show)": lambda app, c: show_review(
                app.acting, f"REL-{c.randint(1, self.counts.reviews)}"
            ),
            "actions, 50 (action list)": lambda app, _: list_actions(app.acting, ended=True),
            "own actions": lambda app, _: list_actions(app.acting, mine=True, ended=True),
            "overdue actions": lambda app, _: overdue_actions(app.acting),
            "notifications, 50 (notifications list)": lambda app, _: list_notifications(app.acting),
            "notifications that wait": lambda app, _: list_notifications(
                app.acting, NotificationFilter(state="pending")
            ),
            "own messages": lambda app, _: own_messages(app.acting),
        }
