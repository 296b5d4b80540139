"""Every route with the use cases that it calls as the actor of its request, or with the reason why it needs none.

The table has no rights of its own: `tests/app/rights.yaml` has those of each use case.
"""

from dataclasses import dataclass

from orchestrator.web.calendar_routes import CALENDAR_PAGES
from orchestrator.web.environment_routes import ENVIRONMENT_ROUTES
from orchestrator.web.setting_routes import DEFINITION_ROUTES, HOOK_ROUTES, READING


@dataclass(frozen=True)
class Public:
    """A route that needs no actor, for this *reason*."""

    reason: str


@dataclass(frozen=True)
class UseCaseRoute:
    """A route that calls the use case that its address names, with the rights of that."""


SIGN_IN = Public("how users sign in")
FILES = Public("files without data of the project")
PROBES = Public("for supervisors of the process; without data of the project")

REQUESTING = ("plans.find", "plans.require_executable", "plans.risk", "run_requests.request_promotion")
ROLLING_BACK = ("releases.rollback_package", "submissions.submit(RollBack)")
SEARCHING = (
    "queries.find_releases",
    "queries.find_runs",
    "people.show_access",
    "planned_releases.show_schedule",
    "implementation_plans.list_plans",
    "change_requests.list_changes",
    "reviews.list_reviews",
    "reviews.list_actions",
    "trains.list_lines",
    "trains.list_trains",
    "bookings.list_bookings",
)
NEEDED = (
    "implementation_plans.own_tasks",
    "planned_releases.show_schedule",
    "trains.list_trains",
    "reviews.list_actions",
    "reviews.list_reviews",
    "change_requests.list_changes",
    "bookings.list_bookings",
    "notification_rules.list_own_notifications",
)
CHANGE_EVENTS = {
    name: f"change_requests.{name}_change"
    for name in ("submit", "revise", "accept", "reject", "defer", "reopen", "withdraw", "close")
}
BOOKING_EVENTS = {
    "extend": "bookings.extend_booking",
    "hand-over": "bookings.hand_over_booking",
    "end": "bookings.end_booking",
    "cancel": "bookings.cancel_booking",
}
MANAGEMENT: dict[str, tuple[str, ...]] = {
    "POST /change-requests": ("change_requests.add_change",),
    "GET /change-requests/{change}": ("change_requests.show_change",),
    "POST /change-requests/{change}/edit": ("change_requests.edit_change",),
    "POST /change-requests/{change}/rank": ("change_requests.override_rank",),
    **{f"POST /change-requests/{{change}}/{name}": (case,) for name, case in CHANGE_EVENTS.items()},
    "POST /bookings": ("bookings.book",),
    "GET /bookings/{booking}": ("bookings.show_booking",),
    "POST /booking-quotas": ("bookings.set_quota",),
    **{f"POST /bookings/{{booking}}/{name}": (case,) for name, case in BOOKING_EVENTS.items()},
}
"""The routes of release management that pages and the API have."""
SCOPE_CHOICES = ("change_requests.list_changes", "queries.releases")
SHOWN_RELEASE = ("planned_releases.show_planned_release",)
RELEASE_PAGES: dict[str, tuple[str, ...]] = {
    "GET /planned-releases": ("planned_releases.list_planned_releases", "reviews.overdue_actions", *SCOPE_CHOICES),
    "POST /planned-releases": ("planned_releases.plan_release",),
    "GET /planned-releases/{release}": (
        *SHOWN_RELEASE,
        "reviews.show_review",
        "implementation_plans.list_plans",
        *SCOPE_CHOICES,
    ),
    "GET /planned-releases/{release}/notes": ("planned_releases.write_notes",),
    "GET /planned-releases/{release}/cancel": SHOWN_RELEASE,
    "GET /planned-releases/{release}/phase": (*SHOWN_RELEASE, "planned_releases.preview_phase"),
    "POST /planned-releases/{release}/phase": (*SHOWN_RELEASE, "planned_releases.set_phase"),
    "POST /planned-releases/{release}/phases/{phase}/start": ("planned_releases.start_phase",),
    "POST /planned-releases/{release}/phases/{phase}/complete": ("planned_releases.complete_phase",),
    "POST /planned-releases/{release}/phases/{phase}/remove": ("planned_releases.remove_phase",),
    "POST /planned-releases/{release}/edit": (*SHOWN_RELEASE, "planned_releases.edit_release"),
    "POST /planned-releases/{release}/add": ("planned_releases.add_to_scope",),
    "POST /planned-releases/{release}/remove": ("planned_releases.remove_from_scope",),
    **{
        f"POST /planned-releases/{{release}}/{name}": (f"planned_releases.{name}_release",)
        for name in ("confirm", "freeze", "hold", "resume", "close", "cancel")
    },
}
TASK_EVENTS = {
    "begin": "begin_task",
    "done": "complete_task",
    "decide": "decide_task",
    "fail": "fail_task",
    "help-needed": "request_help",
    "retry": "retry_task",
    "skip": "skip_task",
    "evidence": "add_evidence",
}
PLAN_PATH = "/implementation-plans/{plan}"
PLAN_PAGES: dict[str, tuple[str, ...]] = {
    "GET /implementation-plans": tuple(
        f"implementation_plans.{name}" for name in ("list_plans", "own_tasks", "list_templates")
    ),
    "POST /implementation-plans": ("implementation_plans.start_plan",),
    f"GET {PLAN_PATH}": ("implementation_plans.show_plan",),
    f"GET {PLAN_PATH}/abort": ("implementation_plans.show_plan",),
    f"POST {PLAN_PATH}/abort": ("implementation_plans.abort_plan",),
    f"POST {PLAN_PATH}/replan": ("implementation_plans.show_plan", "implementation_plans.replan_plan"),
    f"POST {PLAN_PATH}/tasks": ("implementation_plans.add_task",),
    f"GET {PLAN_PATH}/tasks/{{task}}": ("implementation_plans.show_task",),
    f"GET {PLAN_PATH}/tasks/{{task}}/files/{{digest}}": ("implementation_plans.read_evidence",),
    f"POST {PLAN_PATH}/tasks/{{task}}/replan": ("implementation_plans.show_task", "implementation_plans.replan_task"),
    **{
        f"POST {PLAN_PATH}/tasks/{{task}}/{name}": (f"implementation_plans.{case}",)
        for name, case in TASK_EVENTS.items()
    },
}
REVIEW_PAGES: dict[str, tuple[str, ...]] = {
    "GET /reviews": ("reviews.list_reviews",),
    "POST /reviews": ("reviews.open_review",),
    "GET /reviews/{review}": ("reviews.show_review",),
    "POST /reviews/{review}/write": ("reviews.write_review",),
    "POST /reviews/{review}/close": ("reviews.close_review",),
    "POST /reviews/{review}/feedback": ("reviews.add_feedback",),
    "POST /reviews/{review}/actions": ("reviews.add_action",),
    "GET /actions": ("reviews.list_actions",),
    "POST /actions/{action}/done": ("reviews.complete_action",),
    "POST /actions/{action}/cancel": ("reviews.cancel_action",),
}
"""The pages of release management whose objects the API has by its use cases."""
PEOPLE_PAGES: dict[str, tuple[str, ...]] = {
    "GET /users": ("people.show_access",),
    "POST /users": ("people.add_user",),
    "GET /users/{user}": ("people.show_access", "tokens.list_tokens", "provider_accounts.list_accounts"),
    "POST /users/{user}/edit": ("people.edit_user",),
    "POST /users/{user}/disable": ("people.disable_user",),
    "POST /users/{user}/enable": ("people.edit_user",),
    "POST /users/{user}/link": ("sign_in_links.create_link",),
    "POST /users/{user}/unlink": ("provider_accounts.unlink_account",),
    "POST /groups": ("people.add_group",),
    "POST /groups/{group}/members": ("people.set_members",),
    "POST /groups/{group}/remove": ("people.remove_group",),
    "POST /service-accounts": ("people.add_service_account",),
    "POST /service-accounts/{account}/disable": ("people.disable_service_account",),
    "POST /absences": ("people.add_absence",),
    "POST /absences/end": ("people.end_absence",),
    "GET /roles": ("people.show_access",),
    "POST /bindings": ("access.grant",),
    "POST /bindings/revoke": ("access.revoke",),
    "GET /can-i": ("people.show_access", "access.can_i"),
    "GET /tokens": ("tokens.list_tokens", "people.show_access"),
    "POST /tokens": ("tokens.create_token",),
    "POST /tokens/{prefix}/rotate": ("tokens.rotate_token",),
    "POST /tokens/{prefix}/revoke": ("tokens.revoke_token",),
}
"""The pages of users, roles and tokens."""
RULES = "notification_rules"
RULE_ROUTES: dict[str, tuple[str, ...]] = {
    "GET /notification-rules/{rule}": (f"{RULES}.show_notification_rule",),
    "POST /notification-rules": (f"{RULES}.add_notification_rule",),
    "POST /notification-rules/{rule}/edit": (f"{RULES}.show_notification_rule", f"{RULES}.edit_notification_rule"),
    "POST /notification-rules/{rule}/remove": (f"{RULES}.remove_notification_rule",),
    "POST /notification-rules/{rule}/test": (f"{RULES}.test_notification_rule",),
    "POST /notifications/{notification}/retry": (f"{RULES}.retry_notification",),
}
"""The routes of notifications that pages and the API have."""
SENT = (f"{RULES}.list_notifications", f"{RULES}.list_own_notifications")
RULE_CHOICES = (f"{RULES}.list_notification_rules", "people.show_access")
NOTIFICATIONS: dict[str, tuple[str, ...]] = {
    **RULE_ROUTES,
    "GET /notification-rules/{rule}": (f"{RULES}.show_notification_rule", *SENT, *RULE_CHOICES),
    "GET /notifications": (*RULE_CHOICES, SENT[0]),
    "GET /me/notifications": (*RULE_CHOICES, SENT[1]),
    **{route.replace(" /", " /api/v1/"): cases for route, cases in RULE_ROUTES.items()},
    "GET /api/v1/notification-rules": (f"{RULES}.list_notification_rules",),
    "GET /api/v1/notifications": SENT,
}
"""The routes of notifications."""
TRAINS: dict[str, tuple[str, ...]] = {
    "GET /api/v1/trains": ("trains.list_trains",),
    "POST /api/v1/trains": ("trains.create_train",),
    "GET /api/v1/trains/{train}": ("trains.show_train",),
    "GET /api/v1/trains/{train}/prognosis": ("trains.show_prognosis",),
    "GET /api/v1/train-lines": ("trains.list_lines",),
    "GET /api/v1/train-lines/{line}": ("trains.show_line",),
    "POST /api/v1/train-lines": ("trains.add_line",),
    "POST /api/v1/train-lines/{line}/edit": ("trains.edit_line",),
    "POST /api/v1/train-lines/{line}/remove": ("trains.remove_line",),
    "POST /api/v1/trains/{train}/board": ("trains.board_train",),
    "POST /api/v1/trains/{train}/leave": ("trains.leave_train",),
    "POST /api/v1/trains/{train}/depart": ("trains.depart",),
    **{
        f"POST /api/v1/trains/{{train}}/{name}": (f"trains.{name}_train",)
        for name in ("edit", "hold", "resume", "cancel", "resolve")
    },
}
"""The routes of release trains."""
TRAIN_PAGES: dict[str, tuple[str, ...]] = {
    "GET /trains": ("trains.list_trains", "trains.list_lines", "trains.show_line"),
    "POST /trains": ("trains.create_train",),
    "POST /train-lines": ("trains.add_line",),
    "GET /train-lines/{line}": ("trains.show_line",),
    "POST /train-lines/{line}/edit": ("trains.show_line", "trains.edit_line"),
    "POST /train-lines/{line}/remove": ("trains.remove_line",),
    "GET /trains/{train}": ("trains.show_train", "trains.show_prognosis", "queries.releases"),
    "GET /trains/{train}/cancel": ("trains.show_train",),
    "POST /trains/{train}/board": ("trains.board_train",),
    "POST /trains/{train}/leave": ("trains.leave_train",),
    "POST /trains/{train}/edit": ("trains.show_train", "trains.edit_train"),
    "POST /trains/{train}/depart": ("trains.depart",),
    **{f"POST /trains/{{train}}/{name}": (f"trains.{name}_train",) for name in ("hold", "resume", "cancel", "resolve")},
}
"""The pages of release trains."""
PROMOTING = ("releases.kept_package", "plans.targets", "submissions.submit(Promote)", *REQUESTING)

ROUTES: dict[str, tuple[str, ...] | Public | UseCaseRoute] = {
    "GET /healthz": PROBES,
    "GET /readyz": PROBES,
    "GET /metrics": ("queries.facts_of_all", "queries.run_page", "run_requests.list_requests"),
    "GET /assets/{name}": FILES,
    "GET /errors/{code}": Public("the catalogue of error codes"),
    "GET /sign-in": SIGN_IN,
    "POST /sign-in": SIGN_IN,
    "POST /sign-out": SIGN_IN,
    "GET /sign-in/{provider}": SIGN_IN,
    "GET /sign-in/{provider}/callback": SIGN_IN,
    "GET /sign-in/{provider}/sign-out": SIGN_IN,
    "POST /sign-in/{provider}/back-channel": Public("the logout token of a provider, which is verified"),
    "GET /link/{text}": SIGN_IN,
    "POST /link/{text}": SIGN_IN,
    "GET /": ("run_requests.list_requests", "queries.facts_of_all", "queries.run_page", *NEEDED),
    "GET /matrix": (
        "queries.facts_of_all",
        "queries.releases",
        "queries.release_rows",
        "access.allowed_environments",
    ),
    "GET /runs": ("queries.run_page",),
    "GET /runs/{run}": ("queries.story", "queries.run_facts", "run_requests.show_request", "queries.facts"),
    "GET /requests": ("run_requests.list_requests",),
    "GET /requests/{run}": ("run_requests.show_request",),
    **ENVIRONMENT_ROUTES,
    "GET /releases/{release}": (
        "releases.kept_package",
        "queries.releases",
        "queries.facts_of_all",
        "queries.release_rows",
        "admission.why",
        "planned_releases.compare_release",
        "run_requests.list_requests",
        "queries.run_page",
        "planned_releases.show_schedule",
    ),
    "GET /promote": ("releases.kept_package", "admission.why"),
    **CALENDAR_PAGES,
    "GET /audit": ("audit.list_entries",),
    "POST /audit/export": ("audit.export_stream",),
    "GET /me": (
        "access.own_bindings",
        "tokens.list_tokens",
        "people.show_access",
        "calendar_addresses.calendar_address",
    ),
    "GET /calendars/{text}.ics": Public("the secret address of the calendar of a user, who may view what is in it"),
    "POST /me/calendar": Public("the address of the calendar of the user of the session"),
    "POST /me/calendar/revoke": Public("the address of the calendar of the user of the session"),
    "POST /me/sessions/end": Public("the sessions of the user of the session"),
    "POST /me/zone": Public("the time zone of the reader's pages, in a cookie"),
    "GET /runs/{run}/log": ("queries.story", "queries.log_page", "queries.outputs"),
    "GET /runs/{run}/dossier": (
        "queries.story",
        "queries.run_facts",
        "run_requests.show_request",
        "plans.kept",
        "plans.risk",
        "audit.list_entries",
        "audit.show_entry",
    ),
    "GET /runs/{run}/outputs/{job}": ("queries.output_part",),
    "GET /search": SEARCHING,
    "GET /plans/{plan}": ("plans.kept", "plans.risk", "run_requests.list_requests"),
    "GET /change-requests": ("change_requests.list_changes", "change_requests.show_ranking"),
    "POST /change-requests/import": ("change_requests.preview_changes", "change_requests.import_changes"),
    "GET /projects": ("projects.list_projects",),
    "GET /measures": ("measures.show_measures",),
    "GET /bookings": (
        "bookings.list_bookings",
        "bookings.find_slots",
        "bookings.show_contention",
        "access.allowed_environments",
        "bookings.list_quotas",
    ),
    **MANAGEMENT,
    **RELEASE_PAGES,
    **PLAN_PAGES,
    **REVIEW_PAGES,
    **PEOPLE_PAGES,
    **TRAIN_PAGES,
    **NOTIFICATIONS,
    **HOOK_ROUTES,
    "POST /requests/{run}/votes": ("votes.cast_vote",),
    "POST /requests/{run}/votes/withdraw": ("votes.take_back_vote",),
    "POST /requests/{run}/withdraw": ("run_requests.withdraw_request",),
    "POST /requests/{run}/risk": ("run_requests.raise_request_risk",),
    "POST /runs/{run}/control": ("queries.story", "control.request", "queries.has_worker", "control.transfer"),
    "POST /runs/{run}/retry": ("queries.story", "submissions.retry"),
    "POST /promote": PROMOTING,
    "POST /rehearse": ("releases.kept_package", "plans.targets", "submissions.submit(Rehearse)"),
    "POST /promote/plan": ("releases.kept_package", "plans.make"),
    "POST /environments/{environment}/rollback": ROLLING_BACK,
    "POST /environments/{environment}/lock": ("control.lock",),
    "POST /environments/{environment}/unlock": ("control.unlock",),
    "GET /api/v1/me": ("access.own_bindings",),
    "GET /api/v1/can-i": ("access.can_i",),
    "GET /api/v1/matrix": ("queries.facts_of_all", "queries.releases", "queries.release_rows"),
    "GET /api/v1/runs": ("queries.run_page",),
    "GET /api/v1/runs/{run}": ("queries.story", "queries.run_facts"),
    "GET /api/v1/calendar": ("calendar.show_calendar", "calendar.states", "calendar.recorded_overrides"),
    "GET /api/v1/requests": ("run_requests.list_requests",),
    "GET /api/v1/requests/{run}": ("run_requests.show_request",),
    "GET /api/v1/runs/{run}/log": ("queries.log_page",),
    "GET /api/v1/runs/{run}/outputs": ("queries.outputs",),
    "GET /api/v1/runs/{run}/outputs/{job}": ("queries.output_part",),
    "GET /api/v1/search": SEARCHING,
    "GET /api/v1/plans/{plan}": ("plans.kept", "plans.risk"),
    "GET /api/v1/change-requests": ("change_requests.list_changes",),
    "GET /api/v1/change-ranking": ("change_requests.show_ranking",),
    "GET /api/v1/bookings": ("bookings.list_bookings",),
    "GET /api/v1/free-slots": ("bookings.find_slots",),
    "GET /api/v1/contention": ("bookings.show_contention",),
    "GET /api/v1/projects": ("projects.list_projects",),
    "GET /api/v1/measures": ("measures.show_measures",),
    "GET /api/v1/booking-quotas": ("bookings.list_quotas",),
    "GET /api/v1/booking-quotas/{team}/{environment}": ("bookings.list_quotas",),
    **{route.replace(" /", " /api/v1/"): cases for route, cases in MANAGEMENT.items()},
    **TRAINS,
    "GET /api/v1/users": ("people.show_access",),
    "GET /api/v1/users/{user}": ("people.show_access",),
    "POST /api/v1/users/{user}/edit": ("people.edit_user",),
    "POST /api/v1/use-cases/{case}": UseCaseRoute(),
    "POST /api/v1/token-exchange": Public("the token of a CI job shows what the job is; a service account accepts it"),
    "POST /api/v1/hooks/{hook}": Public("the signature of the sender, which is verified; a service account acts"),
    **{f"{method} /api/v1/packages/{{digest}}": ("packageuploads.upload_offset",) for method in READING},
    "PUT /api/v1/packages/{digest}": ("packageuploads.upload_part",),
    **DEFINITION_ROUTES,
    "GET /api/v1/worker-calls/{call}": Public("the result of a call, for the actor of that call"),
    "GET /api/v1/events": ("access.allowed_environments",),
    "GET /api/v1/record-events": ("access.allowed_environments",),
    "POST /api/v1/promotions": ("releases.kept_package", "plans.targets", "submissions.submit(Promote)"),
    "POST /api/v1/rollbacks": ROLLING_BACK,
    "POST /api/v1/runs/{run}/control": ("queries.story", "control.request", "queries.has_worker", "control.transfer"),
    "POST /api/v1/requests": REQUESTING,
    "POST /api/v1/requests/{run}/votes": ("votes.cast_vote",),
    "POST /api/v1/requests/{run}/votes/withdraw": ("votes.take_back_vote",),
    "POST /api/v1/requests/{run}/withdraw": ("run_requests.withdraw_request",),
    "POST /api/v1/environments/{environment}/lock": ("control.lock",),
    "POST /api/v1/environments/{environment}/unlock": ("control.unlock",),
    "POST /api/v1/line-stops": ("calendar.stop_line",),
    "POST /api/v1/line-stops/resume": ("calendar.resume_line",),
}
