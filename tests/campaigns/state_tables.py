"""Random commands and deaths about all objects of release management: `python -m tests.campaigns.state_tables --runs 2000`.

Users, the scheduler and runs do what the table of commands has. A process can die before or after each of its writes to
the register, and the command is then repeated. Afterwards the audit stream is compared with the state tables, with the
records, and with the messages that were written.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from orchestrator.adapters.audit_head import HeadFile
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.register import DatabaseRegister
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.domain.audit.chain import AuditEntry
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.model import digest_of
from orchestrator.domain.moments import moment_text, parse_moment
from orchestrator.domain.notifications import ChannelKind, NotificationRule
from orchestrator.domain.register import NOTIFICATION_RULES, NOTIFICATIONS, OUTBOX, RecordKind
from orchestrator.management.bookings import decisions as bookings
from orchestrator.management.bookings.admission import RegisterBookings
from orchestrator.management.bookings.duties import advance_bookings
from orchestrator.management.bookings.model import BookingDraft
from orchestrator.management.bookings.state import BOOKING_TABLE
from orchestrator.management.bookings.store import BOOKINGS
from orchestrator.management.change_requests import decisions as requests
from orchestrator.management.change_requests.duties import recompute_ranks
from orchestrator.management.change_requests.state import CHANGE_REQUEST_TABLE
from orchestrator.management.change_requests.store import CHANGE_REQUESTS
from orchestrator.management.implementation_plans.state import IMPLEMENTATION_TABLE, PlanEvent
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.planned_releases import decisions as releases
from orchestrator.management.planned_releases import phase_decisions as phases
from orchestrator.management.planned_releases.decisions import Scope
from orchestrator.management.planned_releases.duties import advance_releases
from orchestrator.management.planned_releases.model import ReleaseDraft
from orchestrator.management.planned_releases.phase_decisions import PhaseChange
from orchestrator.management.planned_releases.phases import standard_phases
from orchestrator.management.planned_releases.ports import PackagePlace, PlaceState
from orchestrator.management.planned_releases.state import PLANNED_RELEASE_TABLE
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.reviews import decisions as reviews
from orchestrator.management.reviews.duties import open_due_reviews
from orchestrator.management.reviews.ports import ReviewedRun
from orchestrator.management.reviews.state import ACTION_TABLE, REVIEW_TABLE
from orchestrator.management.reviews.store import RELEASE_REVIEWS, REVIEW_ACTIONS
from orchestrator.management.state_table import StateTable
from orchestrator.management.trains import decisions as trains
from orchestrator.management.trains import departure
from orchestrator.management.trains.decisions import TrainChange
from orchestrator.management.trains.state import TRAIN_TABLE
from orchestrator.management.trains.store import TRAINS
from orchestrator.register_ports import Records, Register
from tests.app.desk import NOON, Desk
from tests.campaigns import implementation_commands as implementation
from tests.management.sources import DRAFT, SHOP, ReleaseFacts, ReviewJournal, Sources
from tests.management.test_implementation_automation import MemoryExecutions
from tests.management.trains import DiedError, Station, dying_at

HOUR = timedelta(hours=1)
FREEZE, RELEASE = NOON + 12 * HOUR, NOON + 24 * HOUR
RUN = "00000a-production"
TABLES: dict[str, tuple[RecordKind[Any], StateTable[Any, Any]]] = {
    "change-request": (CHANGE_REQUESTS, CHANGE_REQUEST_TABLE),
    "booking": (BOOKINGS, BOOKING_TABLE),
    "planned-release": (PLANNED_RELEASES, PLANNED_RELEASE_TABLE),
    "train": (TRAINS, TRAIN_TABLE),
    "implementation-plan": (IMPLEMENTATION_PLANS, IMPLEMENTATION_TABLE),
    "release-review": (RELEASE_REVIEWS, REVIEW_TABLE),
    "review-action": (REVIEW_ACTIONS, ACTION_TABLE),
}
"""What objects are called in the audit stream, where they are kept, and their state tables."""
PROGRESS = ("pending", "active", "completed")
Step = tuple[str, int, int]
"""A command, the number that it gets, and the write at which its process dies: 0 for none, odd ones after the write."""


class World:
    """A project with a train, two accepted change requests, a planned release, a booking, and a notification rule."""

    def __init__(self, register: Register | None = None) -> None:
        self.station = Station(register)
        self.desk: Desk = self.station.desk
        self.moves: set[tuple[str, str, str]] = set()
        self.executions = MemoryExecutions()
        self.facts, self.journal = ReleaseFacts(), ReviewJournal((ReviewedRun(self.rolled_back(), "rollback"),))
        about = {"name": "chat", "channel": ChannelKind.WEBHOOK, "sealed": "x", "shown": "x"}
        rule = {**about, "created_at": NOON - HOUR, "created_by": "root"}
        self.desk.write(NOTIFICATION_RULES, NotificationRule.model_validate(rule))
        for _ in range(2):
            requests.add_change(self.acting("operator"), DRAFT, Sources(), submit=True)
        self.book(0)
        self.plan(0)

    def acting(self, name: str) -> Any:
        """The user *name*, for whom bookings count."""
        found = self.station.acting(name)
        return type(found)(**{**vars(found), "bookings": RegisterBookings(self.facts.depends_on)})

    @property
    def time(self) -> datetime:
        """The time of the register."""
        return parse_moment(self.desk.clock.now())

    @property
    def manager(self) -> Any:
        """The release manager."""
        return self.acting("release-manager")

    @property
    def system(self) -> Any:
        """The scheduler."""
        return self.acting("system")

    def rolled_back(self) -> Run:
        """A promotion of the operator that was rolled back an hour ago."""
        times = {"requested_at": moment_text(NOON - 2 * HOUR), "ended_at": moment_text(NOON - HOUR)}
        about = {"id": RUN, "root": RUN[:6], "kind": "promotion", "environment": "production", "by": "operator"}
        return Run.from_json({**about, **times, "state": "rolled back", "release": SHOP.to_json()})

    def book(self, number: int) -> object:
        """Book one of two environments, or wait for it."""
        start = self.time + HOUR * (number % 3)
        draft: BookingDraft = {
            "environment": ("staging", "production")[number % 2],
            "start": start,
            "end": start + 2 * HOUR,
            "purpose": "load test",
        }
        return bookings.book(self.acting("operator"), draft, self.facts, wait=True)

    def plan(self, number: int) -> object:
        """Plan a release of a request and a package."""
        drawn = standard_phases(NOON + HOUR, FREEZE, RELEASE, "production")
        about = {"title": "Advent", "environment": "production", "owner": "operator"}
        draft = ReleaseDraft.model_validate({**about, "freeze_at": FREEZE, "release_at": RELEASE, "phases": drawn})
        return releases.plan_release(
            self.manager, draft, self.facts, Scope((), ("shop-1.5.0",) if number % 2 == 0 else ())
        )

    def use(self, environment: str) -> None:
        """A promotion of the operator, who may have booked the environment."""
        about = {"id": f"0000-{environment}", "root": "0000", "kind": "promotion", "by": "operator"}
        run = Run.from_json({**about, "environment": environment, "release": SHOP.to_json()})
        RegisterBookings(self.facts.depends_on).use(self.system, run)

    def place(self, state: str) -> object:
        """A run leaves the package of the releases in this state."""
        self.facts.places["shop"] = PackagePlace(PlaceState(state), state, NOON)
        return advance_releases(self.system, self.facts)

    def pass_time(self, number: int) -> object:
        """Time passes, and the scheduler does what is due."""
        self.desk.clock.sleep(3600 * (1 + number % 12))
        return self.duties(number)

    def duties(self, _number: int) -> object:
        """The scheduler does what is due."""
        recompute_ranks(self.system, Sources())
        advance_bookings(self.system, self.facts)
        advance_releases(self.system, self.facts)
        open_due_reviews(self.system, self.journal)
        implementation.advance(self.system, self.executions)
        return self.station.tick()


def _id(kind: str, number: int) -> str:
    return f"{kind}-{number % 2 + 1}"


Command = Callable[[World, int], object]
REQUEST_COMMANDS: dict[str, Command] = {
    "add request": lambda w, n: requests.add_change(w.acting("operator"), DRAFT, Sources(), submit=n % 2 == 0),
    "submit": lambda w, n: requests.submit_change(w.acting("operator"), _id("R", n), Sources()),
    "revise": lambda w, n: requests.revise_change(w.acting("operator"), _id("R", n)),
    "accept": lambda w, n: requests.accept_change(w.manager, _id("R", n), Sources()),
    "reject": lambda w, n: requests.reject_change(w.manager, _id("R", n), "x"),
    "defer": lambda w, n: requests.defer_change(w.manager, _id("R", n), "x", w.time + HOUR * n),
    "reopen": lambda w, n: requests.reopen_change(w.manager, _id("R", n), Sources()),
    "withdraw": lambda w, n: requests.withdraw_change(w.acting("operator"), _id("R", n)),
    "close request": lambda w, n: requests.close_change(w.manager, _id("R", n)),
    "rank": lambda w, n: requests.override_rank(w.manager, _id("R", n), float(n % 10), "x"),
}
BOOKING_COMMANDS: dict[str, Command] = {
    "book": lambda w, n: w.book(n),
    "cancel booking": lambda w, n: bookings.cancel_booking(w.acting("operator"), _id("B", n), w.facts),
    "end booking": lambda w, n: bookings.end_booking(w.acting("operator"), _id("B", n), w.facts),
    "extend": lambda w, n: bookings.extend_booking(w.acting("operator"), _id("B", n), w.time + 5 * HOUR, w.facts),
    "hand over": lambda w, n: bookings.hand_over_booking(w.manager, _id("B", n), "user:operator", w.facts),
    "use": lambda w, n: w.use(("staging", "production")[n % 2]),
}
RELEASE_COMMANDS: dict[str, Command] = {
    "plan": lambda w, n: w.plan(n),
    "confirm": lambda w, n: releases.confirm_release(w.manager, _id("REL", n), w.facts, wait=True),
    "scope": lambda w, n: releases.add_to_scope(
        w.manager, _id("REL", n), Scope((_id("R", n // 2),)), w.facts, "x", late=True
    ),
    "unscope": lambda w, n: releases.remove_from_scope(w.manager, _id("REL", n), Scope((_id("R", n // 2),))),
    "freeze": lambda w, n: releases.freeze_release(w.manager, _id("REL", n)),
    "hold": lambda w, n: releases.hold_release(w.manager, _id("REL", n), "x"),
    "resume": lambda w, n: releases.resume_release(w.manager, _id("REL", n)),
    "cancel release": lambda w, n: releases.cancel_release(w.manager, _id("REL", n), w.facts, "x"),
    "close release": lambda w, n: releases.close_release(w.manager, _id("REL", n), w.facts),
    "start phase": lambda w, n: phases.start_phase(w.manager, _id("REL", n), ("build", "test", "close")[n % 3]),
    "complete phase": lambda w, n: phases.complete_phase(
        w.manager, _id("REL", n), ("build", "test", "close")[n % 3], w.facts
    ),
    "slip": lambda w, n: phases.set_phase(
        w.manager, _id("REL", n), PhaseChange("build", end=NOON + HOUR * (13 + n)), w.facts, wait=True
    ),
    "running": lambda w, _: w.place("running"),
    "verified": lambda w, _: w.place("verified"),
    "rolled back": lambda w, _: w.place("rolled back"),
}
TRAIN_COMMANDS: dict[str, Command] = {
    "board": lambda w, n: w.station.board("shop", version=f"{n % 2 + 2}.0.0", late="x" if n % 2 else ""),
    "leave": lambda w, _: trains.leave_train(w.manager, "T-1", "shop"),
    "edit train": lambda w, n: trains.edit_train(w.manager, "T-1", TrainChange(NOON + HOUR * (9 + n))),
    "hold train": lambda w, _: trains.hold_train(w.manager, "T-1", "x"),
    "resume train": lambda w, _: trains.resume_train(w.manager, "T-1"),
    "cancel train": lambda w, _: trains.cancel_train(w.manager, "T-1", "x"),
    "depart": lambda w, _: departure.depart(w.manager, "T-1", w.station.facts),
    "resolve train": lambda w, _: trains.resolve_train(w.manager, "T-1", "x"),
    "bad": lambda w, n: w.station.runs.bad.update(
        {("production", "website"): ("rolled back", "waits", "needs-help")[n % 3]}
    ),
}
IMPLEMENTATION_COMMANDS: dict[str, Command] = {
    **{name: lambda w, n, work=work: work(w.manager, n) for name, work in implementation.COMMANDS.items()},  # type: ignore[misc]
    "work ends": lambda w, n: implementation.end_work(w.executions, n),
}
REVIEW_COMMANDS: dict[str, Command] = {
    "open review": lambda w, n: reviews.open_review(w.manager, RUN if n % 2 else "REL-1", w.journal),
    "write": lambda w, _: reviews.write_review(w.manager, RUN, {"went_well": "all"}),
    "close review": lambda w, n: reviews.close_review(w.manager, RUN if n % 2 else "REL-1"),
    "feedback": lambda w, _: reviews.add_feedback(w.acting("operator"), RUN, "slow"),
    "add action": lambda w, n: reviews.add_action(w.manager, RUN, "Size the disk", "operator", NOON + HOUR * n),
    "complete action": lambda w, n: reviews.complete_action(w.acting("operator"), _id("A", n)),
    "cancel action": lambda w, n: reviews.cancel_action(w.manager, _id("A", n), "x"),
}
COMMANDS: dict[str, Command] = {
    **REQUEST_COMMANDS,
    **BOOKING_COMMANDS,
    **RELEASE_COMMANDS,
    **TRAIN_COMMANDS,
    **IMPLEMENTATION_COMMANDS,
    **REVIEW_COMMANDS,
    "now": World.duties,
    "later": World.pass_time,
}


def follow(world: World, steps: list[Step]) -> int:
    """Do *steps*; a command whose process died is repeated. Returns the deaths."""
    register, deaths = world.desk.register, 0
    changing, progress = register.changing, dict[tuple[str, str], str]()
    for name, number, death in steps:
        register.changing = dying_at((death + 1) // 2, changing, before=death % 2 == 0)  # type: ignore[method-assign]
        try:
            with suppress(OrchestratorError):
                COMMANDS[name](world, number)
        except DiedError:
            deaths += 1
            register.changing = changing  # type: ignore[method-assign]
            with suppress(OrchestratorError):
                COMMANDS[name](world, number)
        register.changing = changing  # type: ignore[method-assign]
        progress = register.reading(lambda records, was=progress: _progress(records, was))  # type: ignore[misc]
    register.reading(lambda records: check(records, world.moves))
    return deaths


def _progress(records: Records, was: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """The progress of every phase; none has less than it had in *was*."""
    found = {(each.id, phase.name): phase.progress for each in records.all(PLANNED_RELEASES) for phase in each.phases}
    for key, before in was.items():
        now = found.get(key, before)
        assert PROGRESS.index(now) >= PROGRESS.index(before), (key, before, now)
    return found


def check(records: Records, moves: set[tuple[str, str, str]]) -> None:
    """The audit stream has only moves of the tables, each write once, and each message and notification once.

    The *moves* that there were are added: the noun, the state and the event.
    """
    entries = records.audit()
    for noun, (kind, table) in TABLES.items():
        found = {kind.key(each): each for each in records.all(kind)}
        mine = [entry for entry in entries if entry.object.startswith(f"{noun}:")]
        assert {entry.object.partition(":")[2] for entry in mine} == set(found), noun
        for key, record in found.items():
            about = [entry for entry in mine if entry.object == f"{noun}:{key}"]
            moves |= {(noun, *move) for move in _check_object(about, record, table)}
            if noun == "implementation-plan":
                implementation.check_tasks(about, record)
    written = Counter(entry.object for entry in entries if entry.object.startswith("message:"))
    messages = {each.dedup for each in records.all(OUTBOX)}
    assert {name.partition(":")[2] for name in written} == messages
    assert not [name for name, times in written.items() if times > 1], written
    sent = Counter(each.fact.about for each in records.all(NOTIFICATIONS))
    assert sent == Counter(dict.fromkeys(messages, 1)), sent


def _check_object(entries: list[AuditEntry], record: Any, table: StateTable[Any, Any]) -> list[tuple[str, str]]:
    """The *entries* of one object form a chain of moves of the table, which ends with *record*. Returns the moves."""
    state, digest, moves = table.initial, None, []
    for entry in entries:
        assert entry.before == digest, (entry, "a write is missing")
        digest, event = entry.after, entry.detail.get("event")
        task = entry.detail.get("task") and event != str(PlanEvent.REPLAN)  # its event is of another table
        moved = None if task else next((e for e in table.moves[state] if str(e) == event), None)
        wanted = str(table.moves[state][moved]) if moved is not None else str(state)
        assert entry.detail.get("was", str(state)) == str(state), entry
        assert entry.detail.get("state", wanted) == wanted, (entry, state)
        if moved is not None:
            moves.append((str(state), str(moved)))
        state = next(each for each in table.moves if str(each) == wanted)
    assert digest == digest_of(record.to_json()), record.id
    assert record.state == state, (record.id, state)
    return moves


GROUPS = (
    REQUEST_COMMANDS,
    BOOKING_COMMANDS,
    RELEASE_COMMANDS,
    TRAIN_COMMANDS,
    IMPLEMENTATION_COMMANDS,
    REVIEW_COMMANDS,
)
STARTED: list[Step] = [(name, 0, 0) for name in ("accept", "scope", "confirm", "running", "bad")]
"""A release with a request is under way, and a package of the train will fail in production."""


def random_steps(draw: random.Random) -> list[Step]:
    """Up to 40 commands, most of them about one kind of object. A part of their processes dies."""
    group = draw.choice(GROUPS)
    names = [*sorted(COMMANDS), *3 * sorted(group), *10 * ["later"]]
    steps = [(draw.choice(names), draw.randrange(12), draw.choice((0, 0, 0, 1, 2, 3, 4, 5, 6))) for _ in range(40)]
    return [*(STARTED if draw.random() < 0.5 else ()), *steps[: draw.randint(5, 40)]]


@contextmanager
def register_of(store: str) -> Iterator[Register | None]:
    """A new register: of memory (None), or of SQLite."""
    if store == "memory":
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="tables-") as folder:
        url, heads = f"sqlite:///{folder}/state.db", HeadFile(Path(folder) / "head")
        register = DatabaseRegister(url, SystemClock(), "shop", MemoryKeys(), heads)
        yield register
        register.close()


@dataclass
class Chosen:
    """What the command line says."""

    runs: int
    seed: int
    store: str


def main(words: list[str] | None = None) -> int:
    """Do what the command line says, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.state_tables", description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=("memory", "sqlite"), default="memory")
    chosen = Chosen(**vars(parser.parse_args(words)))
    deaths = commands = 0
    moves: set[tuple[str, str, str]] = set()
    for number in range(chosen.runs):
        draw = random.Random(chosen.seed * 1_000_003 + number)
        steps = random_steps(draw)
        with register_of(chosen.store) as register:
            world = World(register)
            try:
                deaths += follow(world, steps)
            except AssertionError:
                print(f"run {number} of the seed {chosen.seed} failed: {steps}", flush=True)
                raise
        commands, moves = commands + len(steps), moves | world.moves
    every = {
        (noun, str(state), str(event))
        for noun, (_, table) in TABLES.items()
        for state, found in table.moves.items()
        for event in found
    }
    print(f"{chosen.store}: {chosen.runs} runs, {commands} commands, {deaths} deaths by the seed {chosen.seed}")
    print(f"{len(moves)} of the {len(every)} moves of the tables were made; not these:")
    for noun, state, event in sorted(every - moves):
        print(f"  {noun} {state}: {event}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
