"""Each use case of release management, called once, for the table of rights."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from orchestrator.app.acting import Acting
from orchestrator.domain.access.principals import SYSTEM_ACTOR, ServiceAccount
from orchestrator.domain.drift import Drift, Finding
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import SERVICE_ACCOUNTS
from orchestrator.management.bookings import decisions as booking
from orchestrator.management.bookings import duties as booking_duties
from orchestrator.management.bookings import queries as bookings
from orchestrator.management.bookings.model import BookingDraft, EnvironmentBooking
from orchestrator.management.bookings.state import BookingState
from orchestrator.management.bookings.store import BOOKINGS
from orchestrator.management.calendar_feed import read_feed
from orchestrator.management.change_requests import decisions, drifts, duties, queries
from orchestrator.management.change_requests.imports import Incoming
from orchestrator.management.change_requests.model import ChangeRequest, Source
from orchestrator.management.change_requests.state import ChangeState
from orchestrator.management.change_requests.store import CHANGE_REQUESTS
from orchestrator.management.hooks import decisions as hooks
from orchestrator.management.hooks import queries as hook_queries
from orchestrator.management.hooks.model import Delivery, Hook, HookDraft, HookEvent, HookForm
from orchestrator.management.hooks.store import DELIVERIES, HOOKS
from orchestrator.management.implementation_plans import additions, evidence, replanning, works
from orchestrator.management.implementation_plans import decisions as implementation
from orchestrator.management.implementation_plans import duties as implementation_duties
from orchestrator.management.implementation_plans import queries as plans
from orchestrator.management.implementation_plans import task_decisions as tasks
from orchestrator.management.implementation_plans.decisions import PlanStart
from orchestrator.management.implementation_plans.evidence import EvidenceDraft, file_draft
from orchestrator.management.implementation_plans.replanning import PlanChange, TaskChange
from orchestrator.management.implementation_plans.state import TaskEvent
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.implementation_plans.works import WorkResult
from orchestrator.management.measures.queries import show_measures
from orchestrator.management.planned_releases import decisions as release
from orchestrator.management.planned_releases import duties as release_duties
from orchestrator.management.planned_releases import notes
from orchestrator.management.planned_releases import phase_decisions as phases
from orchestrator.management.planned_releases import queries as releases
from orchestrator.management.planned_releases.decisions import Scope
from orchestrator.management.planned_releases.model import PlannedRelease, ReleaseDraft, ScopePackage
from orchestrator.management.planned_releases.phase_decisions import PhaseChange
from orchestrator.management.planned_releases.phases import standard_phases
from orchestrator.management.planned_releases.state import ReleaseState
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.projects.queries import list_projects
from orchestrator.management.reviews import decisions as reviews
from orchestrator.management.reviews import duties as review_duties
from orchestrator.management.reviews import queries as review_queries
from orchestrator.management.reviews.model import Review, ReviewAction
from orchestrator.management.reviews.store import RELEASE_REVIEWS, REVIEW_ACTIONS
from orchestrator.management.trains import decisions as trains
from orchestrator.management.trains import departure
from orchestrator.management.trains import duties as train_duties
from orchestrator.management.trains import line_decisions as train_lines
from orchestrator.management.trains import queries as train_queries
from orchestrator.management.trains.decisions import TrainChange
from orchestrator.management.trains.state import TrainState
from orchestrator.management.trains.store import TRAINS
from tests.app.desk import NOON, Desk
from tests.management.sources import (
    DRAFT,
    SHOP,
    BookingFacts,
    HookProject,
    ImplementationFacts,
    MeasureFacts,
    NoProjects,
    ReleaseFacts,
    ReviewJournal,
    Sources,
)
from tests.management.trains import TrainFacts, draft

Call = Callable[[Acting, str], Any]
SOURCES = Sources()
INCOMING = (Incoming(source=Source.FILE, source_ref="T-1", draft=DRAFT),)
NUMBERS = {ChangeState.DRAFT: 1, ChangeState.ASSESSING: 2, ChangeState.DEFERRED: 3, ChangeState.RELEASED: 4}
FACTS, HOUR = BookingFacts(), timedelta(hours=1)


def times(environment: str) -> BookingDraft:
    """A free time of *environment*."""
    return {"environment": environment, "start": NOON + 9 * HOUR, "end": NOON + 10 * HOUR, "purpose": "test"}


def possible(call: Call) -> Call:
    """*call*, whose time may be closed: the right is asked first."""

    def whole(acting: Acting, environment: str) -> None:
        try:
            call(acting, environment)
        except OrchestratorError as error:
            if error.code not in {"G203", "G301"}:
                raise

    return whole


EDITED = Finding(part="file", name="app", host="web1", what="was edited")
DRIFT = Drift(environment="staging", release=SHOP, run="r1", since="2026-01-01T00:00:00.000Z", findings=(EDITED,))
OLD_SHOP = SHOP.model_copy(update={"version": "1.4.0", "digest": f"sha256:{'2' * 64}"})
RELEASES, SCOPE = ReleaseFacts(), Scope(packages=("shop-1.5.0",))
LATER = PhaseChange("deploy", end=NOON + 30 * HOUR)


def planned_draft(environment: str) -> ReleaseDraft:
    """A release that deploys tomorrow."""
    freeze, at = NOON + 12 * HOUR, NOON + 24 * HOUR
    drawn = standard_phases(NOON + HOUR, freeze, at, environment)
    about = {"title": "Advent", "environment": environment, "owner": "root", "freeze_at": freeze, "release_at": at}
    return ReleaseDraft.model_validate({**about, "phases": drawn})


TRAIN_FACTS = TrainFacts()
HOOK_PROJECT = HookProject()


def hook_draft(name: str) -> HookDraft:
    """A hook of the service account *robot*."""
    return HookDraft(name=name, form=HookForm.GENERIC, account="robot", release="shop")


def building(acting: Acting, environment: str) -> None:
    """The right is asked first; the delivery is for another actor."""
    del environment
    try:
        hooks.build_delivery(acting, "d1", HOOK_PROJECT)
    except OrchestratorError as error:
        if error.code != "G702":
            raise


class NoWorks:
    """A machine that does nothing."""

    machine = "none"

    def perform(self, plan: str, task: Any, stopped: Any) -> WorkResult:
        del plan, task, stopped
        return WorkResult("done", "")

    def stop(self, plan: str, task: Any) -> bytes:
        del plan, task
        return b""


def running(acting: Acting, environment: str) -> None:
    """The right is asked first; the work is for another actor."""
    del environment
    try:
        works.run_task(acting, "00aa11", NoWorks())
    except OrchestratorError as error:
        if error.code != "G405":
            raise


RUN = "000001-production"
IDS = {"staging": "B-1", "production": "B-2"}
ACTIVE = {"staging": "B-3", "production": "B-4"}
PLANS, TASK = ImplementationFacts(), ("IP-1", "check")
MANAGEMENT_CALLS: dict[str, Call] = {
    "implementation_plans.abort_plan": lambda a, _: implementation.abort_plan(a, "IP-1", "why"),
    "implementation_plans.add_evidence": lambda a, _: tasks.add_evidence(a, *TASK, EvidenceDraft(("seen",))),
    "implementation_plans.add_task": lambda a, _: additions.add_task(a, "IP-1", "page", PLANS, TaskChange()),
    "implementation_plans.advance_plans": lambda a, _: implementation_duties.advance_plans(a),
    "implementation_plans.begin_task": lambda a, _: tasks.begin_task(a, *TASK, "why"),
    "implementation_plans.complete_task": lambda a, _: tasks.complete_task(a, *TASK, "why"),
    "implementation_plans.decide_task": lambda a, _: tasks.decide_task(a, "IP-1", "decide", go=True, reason="why"),
    "implementation_plans.fail_task": lambda a, _: tasks.fail_task(a, *TASK, "why"),
    "implementation_plans.read_evidence": lambda a, _: evidence.read_evidence(a, *TASK, "seen.txt"),
    "implementation_plans.list_plans": lambda a, _: plans.list_plans(a),
    "implementation_plans.list_templates": lambda a, _: plans.list_templates(a, PLANS),
    "implementation_plans.own_tasks": lambda a, _: plans.own_tasks(a),
    "implementation_plans.replan_plan": lambda a, _: replanning.replan_plan(a, "IP-1", PlanChange(title="x")),
    "implementation_plans.replan_task": lambda a, _: replanning.replan_task(a, *TASK, TaskChange(title="x")),
    "implementation_plans.request_help": lambda a, _: tasks.request_help(a, *TASK),
    "implementation_plans.retry_task": lambda a, _: tasks.retry_task(a, "IP-2", "check", "why"),
    "implementation_plans.run_task": running,
    "implementation_plans.show_plan": lambda a, _: plans.show_plan(a, "IP-1"),
    "implementation_plans.show_task": lambda a, _: plans.show_task(a, *TASK),
    "implementation_plans.skip_task": lambda a, _: tasks.skip_task(a, *TASK, "why"),
    "implementation_plans.start_plan": lambda a, _: implementation.start_plan(a, "launch", PLANS, PlanStart()),
    "calendar_feed.read_feed": lambda a, _: read_feed(a, (), NOON),
    "hooks.add_hook": lambda a, _: hooks.add_hook(a, hook_draft("other"), HOOK_PROJECT),
    "hooks.edit_hook": lambda a, _: hooks.edit_hook(a, hook_draft("main"), HOOK_PROJECT),
    "hooks.build_delivery": building,
    "hooks.list_deliveries": lambda a, _: hook_queries.list_deliveries(a),
    "hooks.list_hooks": lambda a, _: hook_queries.list_hooks(a),
    "hooks.remove_hook": lambda a, _: hooks.remove_hook(a, "main"),
    "hooks.show_hook": lambda a, _: hook_queries.show_hook(a, "main"),
    "hooks.test_hook": lambda a, _: hook_queries.test_hook(a, "main", HOOK_PROJECT),
    "trains.add_line": lambda a, _: train_lines.add_line(a, draft(name="monthly")),
    "trains.advance_trains": lambda a, _: train_duties.advance_trains(a, TRAIN_FACTS),
    "trains.board_train": lambda a, _: trains.board_train(a, "T-1", "shop-2.0.0", TRAIN_FACTS),
    "trains.cancel_train": lambda a, _: trains.cancel_train(a, "T-1", "why"),
    "trains.create_train": lambda a, _: trains.create_train(a, "weekly"),
    "trains.depart": lambda a, _: departure.depart(a, "T-1", TRAIN_FACTS),
    "trains.edit_line": lambda a, _: train_lines.edit_line(a, "weekly", {"boarding_s": 60}),
    "trains.edit_train": lambda a, _: trains.edit_train(a, "T-1", TrainChange(NOON + 9 * HOUR)),
    "trains.hold_train": lambda a, _: trains.hold_train(a, "T-1", "why"),
    "trains.leave_train": lambda a, _: trains.leave_train(a, "T-1", "database"),
    "trains.list_lines": lambda a, _: train_queries.list_lines(a),
    "trains.list_trains": lambda a, _: train_queries.list_trains(a),
    "trains.remove_line": lambda a, _: train_lines.remove_line(a, "weekly"),
    "trains.resolve_train": lambda a, _: trains.resolve_train(a, "T-3", "why"),
    "trains.resume_train": lambda a, _: trains.resume_train(a, "T-2"),
    "trains.show_line": lambda a, _: train_queries.show_line(a, "weekly"),
    "trains.show_prognosis": lambda a, _: train_queries.show_prognosis(a, "T-1", TRAIN_FACTS),
    "trains.show_train": lambda a, _: train_queries.show_train(a, "T-1"),
    "bookings.advance_bookings": lambda a, _: booking_duties.advance_bookings(a, FACTS),
    "bookings.book": possible(lambda a, e: booking.book(a, times(e), FACTS)),
    "bookings.cancel_booking": lambda a, e: booking.cancel_booking(a, IDS[e], FACTS),
    "bookings.end_booking": lambda a, e: booking.end_booking(a, ACTIVE[e], FACTS),
    "bookings.extend_booking": possible(lambda a, e: booking.extend_booking(a, IDS[e], NOON + 5 * HOUR, FACTS)),
    "bookings.find_slots": lambda a, e: bookings.find_slots(a, e, HOUR, 9 * HOUR, FACTS),
    "bookings.hand_over_booking": lambda a, e: booking.hand_over_booking(a, IDS[e], "user:root", FACTS),
    "bookings.list_bookings": lambda a, _: bookings.list_bookings(a),
    "bookings.list_quotas": lambda a, _: bookings.list_quotas(a),
    "bookings.set_quota": lambda a, e: booking.set_quota(a, "red", e, 1.0),
    "bookings.show_booking": lambda a, _: bookings.show_booking(a, "B-1"),
    "measures.show_measures": lambda a, _: show_measures(a, MeasureFacts()),
    "projects.list_projects": lambda a, _: list_projects(a, NoProjects()),
    "bookings.show_contention": lambda a, _: bookings.show_contention(a, FACTS, 1),
    "reviews.add_action": lambda a, _: reviews.add_action(a, RUN, "Size the disk", "root", NOON + HOUR),
    "reviews.add_feedback": lambda a, _: reviews.add_feedback(a, RUN, "slow"),
    "reviews.cancel_action": lambda a, _: reviews.cancel_action(a, "A-1", "why"),
    "reviews.close_review": lambda a, _: reviews.close_review(a, RUN),
    "reviews.complete_action": lambda a, _: reviews.complete_action(a, "A-1"),
    "reviews.list_actions": lambda a, _: review_queries.list_actions(a),
    "reviews.list_reviews": lambda a, _: review_queries.list_reviews(a),
    "reviews.open_due_reviews": lambda a, _: review_duties.open_due_reviews(a, ReviewJournal()),
    "reviews.open_review": lambda a, _: reviews.open_review(a, "REL-1", ReviewJournal()),
    "reviews.overdue_actions": lambda a, _: review_queries.overdue_actions(a),
    "reviews.show_review": lambda a, _: review_queries.show_review(a, RUN),
    "reviews.write_review": lambda a, _: reviews.write_review(a, RUN, {"went_well": "all"}),
    "planned_releases.add_to_scope": lambda a, _: release.add_to_scope(a, "REL-1", SCOPE, RELEASES),
    "planned_releases.advance_releases": lambda a, _: release_duties.advance_releases(a, RELEASES),
    "planned_releases.cancel_release": lambda a, _: release.cancel_release(a, "REL-1", RELEASES, "why"),
    "planned_releases.close_release": lambda a, _: release.close_release(a, "REL-4", RELEASES),
    "planned_releases.complete_phase": lambda a, _: phases.complete_phase(a, "REL-3", "build", RELEASES),
    "planned_releases.confirm_release": possible(lambda a, _: release.confirm_release(a, "REL-1", RELEASES)),
    "planned_releases.edit_release": lambda a, _: release.edit_release(a, "REL-1", {"title": "other"}),
    "planned_releases.freeze_release": lambda a, _: release.freeze_release(a, "REL-3"),
    "planned_releases.hold_release": lambda a, _: release.hold_release(a, "REL-3", "why"),
    "planned_releases.list_planned_releases": lambda a, _: releases.list_planned_releases(a),
    "planned_releases.plan_release": lambda a, e: release.plan_release(a, planned_draft(e), RELEASES),
    "planned_releases.preview_phase": lambda a, _: phases.preview_phase(a, "REL-1", LATER, RELEASES),
    "planned_releases.remove_from_scope": lambda a, _: release.remove_from_scope(a, "REL-1", SCOPE),
    "planned_releases.remove_phase": lambda a, _: phases.remove_phase(a, "REL-1", "close"),
    "planned_releases.resume_release": lambda a, _: release.resume_release(a, "REL-5"),
    "planned_releases.set_phase": lambda a, _: phases.set_phase(a, "REL-1", LATER, RELEASES),
    "planned_releases.show_planned_release": lambda a, _: releases.show_planned_release(a, "REL-1", RELEASES),
    "planned_releases.show_schedule": lambda a, _: releases.show_schedule(a),
    "planned_releases.start_phase": lambda a, _: phases.start_phase(a, "REL-2", "build"),
    "planned_releases.compare_release": lambda a, e: notes.compare_release(a, e, OLD_SHOP, SHOP, RELEASES),
    "planned_releases.write_notes": lambda a, _: notes.write_notes(a, "REL-1", RELEASES),
    "change_requests.accept_change": lambda a, _: decisions.accept_change(a, "R-2", SOURCES),
    "change_requests.add_change": lambda a, _: decisions.add_change(a, DRAFT, SOURCES),
    "change_requests.close_change": lambda a, _: decisions.close_change(a, "R-4"),
    "change_requests.count_changes": lambda a, _: queries.count_changes(a),
    "change_requests.defer_change": lambda a, _: decisions.defer_change(a, "R-2", "later"),
    "change_requests.edit_change": lambda a, _: decisions.edit_change(a, "R-1", {"value": 1}, SOURCES),
    "change_requests.import_changes": lambda a, _: decisions.import_changes(a, INCOMING, SOURCES),
    "change_requests.list_changes": lambda a, _: queries.list_changes(a),
    "change_requests.override_rank": lambda a, _: decisions.override_rank(a, "R-2", 1.0, "why"),
    "change_requests.drift_request": lambda a, _: queries.drift_request(a, "production 1"),
    "change_requests.preview_changes": lambda a, _: queries.preview_changes(a, INCOMING),
    "change_requests.import_start": lambda a, e: queries.import_start(a, SOURCES, e),
    "change_requests.follow_drift": lambda a, e: drifts.follow_drift(
        a, DRIFT.model_copy(update={"environment": e}), SOURCES
    ),
    "change_requests.recompute_ranks": lambda a, _: duties.recompute_ranks(a, SOURCES),
    "change_requests.reject_change": lambda a, _: decisions.reject_change(a, "R-2", "no"),
    "change_requests.reopen_change": lambda a, _: decisions.reopen_change(a, "R-3", SOURCES),
    "change_requests.revise_change": lambda a, _: decisions.revise_change(a, "R-2"),
    "change_requests.show_change": lambda a, _: queries.show_change(a, "R-1", SOURCES),
    "change_requests.show_ranking": lambda a, _: queries.show_ranking(a),
    "change_requests.submit_change": lambda a, _: decisions.submit_change(a, "R-1", SOURCES),
    "change_requests.withdraw_change": lambda a, _: decisions.withdraw_change(a, "R-2"),
}


def lay_releases(desk: Desk) -> None:
    """Planned releases, one in each state that the calls need."""
    states = (ReleaseState.DRAFT, ReleaseState.SCHEDULED, ReleaseState.IN_PROGRESS, ReleaseState.RELEASED,
              ReleaseState.ON_HOLD)  # fmt: skip
    package = ScopePackage(name="shop", version="1.5.0", digest=SHOP.digest)
    for number, state in enumerate(states, 1):
        made = {"number": number, "created_at": NOON, "created_by": "root", "state": state, "packages": (package,)}
        drawn = dict(planned_draft("production"))
        if state is ReleaseState.IN_PROGRESS:
            first, *rest = drawn["phases"]
            drawn["phases"] = (first.model_copy(update={"started_at": NOON}), *rest)
        desk.write(PLANNED_RELEASES, PlannedRelease.model_validate({**drawn, **made}))


def lay_plans(desk: Desk) -> None:
    """Two implementation plans of root: one with tasks that are ready, and one with a task that failed."""
    root = desk.acting("root")
    for _ in range(2):
        implementation.start_plan(replace(root, actor=SYSTEM_ACTOR), "launch", PLANS, PlanStart(owner="root"))
    tasks.fail_task(root, "IP-2", "check", "why")
    command = {"name": "move", "kind": "automated", "command": {"environment": "production", "words": ["true"]}}
    system = replace(root, actor=SYSTEM_ACTOR)
    made = implementation.start_plan(system, "launch", ImplementationFacts((command,)), PlanStart(owner="root"))
    begun = made.tasks[0].after_event(TaskEvent.START, made.id, root="00aa11", started_at=NOON)
    desk.write(IMPLEMENTATION_PLANS, made.with_tasks([begun]))
    tasks.add_evidence(root, *TASK, EvidenceDraft(files=(file_draft("seen.txt", b"seen"),)))


def lay_hooks(desk: Desk) -> None:
    """The hook *main* of the service account *robot*, with a delivery that waits."""
    desk.write(SERVICE_ACCOUNTS, ServiceAccount(name="robot"))
    about = {**dict(hook_draft("main")), "sealed": "x", "created_at": NOON, "created_by": "root"}
    desk.write(HOOKS, Hook.model_validate(about))
    event = HookEvent(kind="push", ref="refs/heads/main", commit="a" * 40)
    desk.write(DELIVERIES, Delivery(id="d1", hook="main", received_at=NOON, event=event))


def lay_trains(desk: Desk) -> None:
    """The line *weekly* with three trains: one that is boarding, one on hold, and one that needs intervention."""
    root = replace(desk.acting("root"), actor=SYSTEM_ACTOR)
    train_lines.add_line(root, draft())
    for _ in range(3):
        made = trains.create_train(root, "weekly")
        trains.board_train(root, made.id, "database-2.0.0", TRAIN_FACTS)
    trains.hold_train(root, "T-2", "why")
    desk.write(
        TRAINS, trains.hold_train(root, "T-3", "why").model_copy(update={"state": TrainState.NEEDS_INTERVENTION})
    )


def lay_management(desk: Desk) -> None:
    """Records of another user, one in each state that the calls need."""
    lay_releases(desk)
    lay_plans(desk)
    lay_trains(desk)
    lay_hooks(desk)
    fields = {"kind": "rollback", "environment": "production", "title": "shop", "opened_at": NOON, "due": NOON}
    desk.write(RELEASE_REVIEWS, Review.model_validate({"subject": RUN, **fields}))
    made = {"number": 1, "review": RUN, "environment": "production", "title": "Size", "owner": "root", "due": NOON}
    desk.write(REVIEW_ACTIONS, ReviewAction.model_validate({**made, "created_by": "root", "created_at": NOON}))
    about = {**DRAFT.model_dump(), "reporter": "root", "created_at": NOON}
    for state, number in NUMBERS.items():
        desk.write(CHANGE_REQUESTS, ChangeRequest.model_validate({**about, "number": number, "state": state}))
    made = {"purpose": "test", "holder": "user:root", "owner": "root", "created_at": NOON}
    for number, (held, environment) in enumerate(
        ((held, place) for held in (BookingState.CONFIRMED, BookingState.ACTIVE) for place in IDS), 1
    ):
        start = NOON + (1 if held is BookingState.CONFIRMED else 6) * HOUR
        fields = {
            **made,
            "number": number,
            "environment": environment,
            "start": start,
            "end": start + HOUR,
            "state": held,
        }
        desk.write(BOOKINGS, EnvironmentBooking.model_validate(fields))
