"""The use cases that a client can call, with their arguments and results as JSON data: see decision 0043.

The types are those of the functions. A test checks that each of them can be sent.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import ValidationError

from orchestrator.app.audit import KeptAudit
from orchestrator.app.notification_rules import NotificationSources
from orchestrator.app.request_facts import RequestRules
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import first_fault
from orchestrator.management.bookings.ports import BookingSources
from orchestrator.management.change_requests.ports import ChangeSources
from orchestrator.management.hooks.ports import HookSources
from orchestrator.management.implementation_plans.ports import ImplementationSources
from orchestrator.management.measures.ports import MeasureSources
from orchestrator.management.planned_releases.notes import NoteSources
from orchestrator.management.planned_releases.ports import ReleaseSources
from orchestrator.management.projects.ports import ProjectSources
from orchestrator.management.reviews.ports import ReviewSources
from orchestrator.management.sent_types import argument_data, argument_of, to_data
from orchestrator.management.trains.ports import TrainSources

if TYPE_CHECKING:
    from orchestrator.domain.access.principals import Actor
    from orchestrator.management.application import ManagedApplication

APP, MANAGEMENT = "orchestrator.app", "orchestrator.management"
READS: dict[str, tuple[str, ...]] = {
    "access": ("can_i", "own_bindings", "preview"),
    "admission": ("why",),
    "audit": ("list_entries", "show_entry", "verify_stream"),
    "calendar_addresses": ("calendar_address",),
    "calendar": ("show_calendar", "states", "verdicts", "recorded_overrides", "preview_import"),
    "people": ("show_access",),
    "provider_accounts": ("list_accounts",),
    "notification_rules": ("list_notification_rules", "list_notifications"),
    "run_requests": ("list_requests", "show_request", "own_messages"),
    "tokens": ("list_tokens",),
    "bookings.queries": ("list_bookings", "show_booking", "list_quotas", "find_slots", "show_contention"),
    "change_requests.queries": ("list_changes", "show_change", "show_ranking", "import_start", "preview_changes"),
    "planned_releases.queries": ("list_planned_releases", "show_planned_release", "show_schedule"),
    "planned_releases.phase_decisions": ("preview_phase",),
    "planned_releases.notes": ("write_notes", "compare_release"),
    "implementation_plans.queries": ("list_plans", "show_plan", "show_task", "own_tasks", "list_templates"),
    "measures.queries": ("show_measures",),
    "projects.queries": ("list_projects",),
    "reviews.queries": ("overdue_actions", "list_reviews", "show_review", "list_actions"),
    "hooks.queries": ("list_hooks", "show_hook", "list_deliveries", "test_hook"),
    "trains.queries": ("list_lines", "show_line", "list_trains", "show_train", "show_prognosis"),
}
"""The functions that read, by their modules."""
CHANGES: dict[str, tuple[str, ...]] = {
    "access": ("grant", "revoke", "apply"),
    "admission": ("override_calendar",),
    "audit": ("export_stream", "explain_break"),
    "calendar_addresses": ("create_calendar_address", "revoke_calendar_address"),
    "calendar": ("add_rule", "remove_rule", "import_rules", "stop_line", "resume_line"),
    "people": (
        "add_user",
        "edit_user",
        "disable_user",
        "add_group",
        "set_members",
        "remove_group",
        "add_service_account",
        "disable_service_account",
        "add_absence",
        "end_absence",
    ),
    "provider_accounts": ("unlink_account",),
    "notification_rules": (
        "add_notification_rule",
        "remove_notification_rule",
        "retry_notification",
        "test_notification_rule",
    ),
    "notification_duties": ("send_notifications",),
    "run_requests": ("withdraw_request", "raise_request_risk"),
    "sign_in_links": ("create_link",),
    "tokens": ("create_token", "rotate_token", "revoke_token", "trust_issuer", "distrust_issuer"),
    "votes": ("cast_vote", "take_back_vote"),
    "bookings.decisions": ("book", "cancel_booking", "end_booking", "extend_booking", "hand_over_booking", "set_quota"),
    "change_requests.decisions": (
        "add_change",
        "edit_change",
        "submit_change",
        "withdraw_change",
        "accept_change",
        "reject_change",
        "defer_change",
        "reopen_change",
        "close_change",
        "override_rank",
        "import_changes",
    ),
    "change_requests.duties": ("recompute_ranks",),
    "planned_releases.decisions": (
        "plan_release",
        "edit_release",
        "add_to_scope",
        "remove_from_scope",
        "confirm_release",
        "freeze_release",
        "hold_release",
        "resume_release",
        "cancel_release",
        "close_release",
    ),
    "planned_releases.phase_decisions": ("set_phase", "remove_phase", "start_phase", "complete_phase"),
    "planned_releases.duties": ("advance_releases",),
    "implementation_plans.decisions": ("start_plan", "abort_plan"),
    "implementation_plans.duties": ("advance_plans",),
    "implementation_plans.replanning": ("replan_task", "add_task"),
    "implementation_plans.task_decisions": (
        "begin_task",
        "complete_task",
        "fail_task",
        "retry_task",
        "skip_task",
        "request_help",
        "decide_task",
        "add_evidence",
    ),
    "reviews.decisions": (
        "open_review",
        "write_review",
        "close_review",
        "add_feedback",
        "add_action",
        "complete_action",
        "cancel_action",
    ),
    "hooks.decisions": ("add_hook", "remove_hook", "build_delivery"),
    "trains.line_decisions": ("add_line", "edit_line", "remove_line"),
    "trains.decisions": (
        "create_train",
        "edit_train",
        "board_train",
        "leave_train",
        "hold_train",
        "resume_train",
        "cancel_train",
        "resolve_train",
    ),
    "trains.departure": ("depart",),
    "trains.duties": ("advance_trains",),
}
"""The functions that change something."""
GROUP_READS: dict[str, tuple[str, ...]] = {
    "clients": ("project_facts", "scheduler_runs"),
    "queries": (
        "facts",
        "facts_of_all",
        "releases",
        "release_rows",
        "last_verified",
        "run_page",
        "recent_runs",
        "newest_run",
        "runs_of",
        "has_worker",
        "hosts",
        "story",
        "queue_facts",
        "leases",
        "find_run",
        "run_facts",
        "coming",
        "log_page",
        "records",
        "current_run",
        "open_runs",
        "is_paused",
        "has_process",
    ),
    "plans": (
        "waves",
        "agreement",
        "targets",
        "wave_targets",
        "risk",
        "needs_request",
        "kept",
        "kept_document",
        "current_rollback",
        "make",
        "make_for_waves",
        "forecast",
    ),
    "releases": ("kept_refs", "kept", "reference", "kept_package", "rollback_package", "planned_package"),
    "recovery": ("leftovers",),
    "environments": ("stack", "existing_stack", "stacks", "preview", "destruction", "outputs", "inventory"),
    "retention": ("removable",),
    "definitions": ("kept", "current", "show"),
    "maintenance": ("known_keys",),
    "submissions": ("recorded", "require_free"),
    "inspections": ("drift", "parity"),
}
"""The methods of groups that read, by the names that the application has for the groups."""
GROUP_CHANGES: dict[str, tuple[str, ...]] = {
    "control": ("lock", "unlock", "request"),
    "releases": ("remove",),
    "plans": ("keep_document",),
    "recovery": ("reap",),
    "retention": ("prune",),
    "definitions": ("make_current",),
    "maintenance": ("rotate_key",),
    "submissions": ("submit", "retry"),
}
"""The methods of groups that change something."""
GROUPS = {
    "clients": "clients.Clients",
    "queries": "queries.Queries",
    "plans": "plans.Plans",
    "releases": "releases.Releases",
    "recovery": "recovery.Recovery",
    "control": "control.Control",
    "submissions": "submit.Submissions",
    "inspections": "inspections.Inspections",
    "environments": "environments.Environments",
    "retention": "retention.Retention",
    "definitions": "definitions.Definitions",
    "maintenance": "maintenance.Maintenance",
}
"""The class of each group."""
ATTRIBUTES = {"environments": "stacks"}
"""The groups to which the application gives another name."""
BY_WORKER = frozenset(
    {
        "hooks.build_delivery",
        "notification_duties.send_notifications",
        "plans.make",
        "plans.make_for_waves",
        "plans.forecast",
        "inspections.drift",
        "inspections.parity",
        "environments.preview",
        "environments.destruction",
        "environments.outputs",
        "environments.inventory",
    }
)
"""The use cases that start engines: a worker executes them, and not the process of a server."""
SEALED = frozenset({"environments.outputs", "environments.inventory"})
"""Those whose results may have secrets: what is kept of them is encrypted with the project key."""
LOCAL_PARAMETERS = frozenset({"warn"})
"""Parameters with a default for a function of this process, which a client does not send: the result has the same."""


@dataclass(frozen=True)
class UseCase:
    """A use case called *name*: a *function* of the register, or a method of the group *group*."""

    name: str
    function: Callable[..., Any]
    group: str | None
    changes: bool

    @property
    def is_sealed(self) -> bool:
        """Whether what is kept of its result is encrypted."""
        return self.name in SEALED

    @property
    def by_worker(self) -> bool:
        """Whether a worker executes it."""
        return self.name in BY_WORKER

    def call(self, app: "ManagedApplication", actor: "Actor", data: Mapping[str, Any]) -> Any:
        """The result for the arguments in *data*, as JSON data. Raises N110, and what the use case raises."""
        given = self._arguments(app, actor, data)
        try:
            if self.group is not None:
                group = getattr(app, ATTRIBUTES.get(self.group, self.group))
                result = getattr(group, self.function.__name__)(actor, **given)
            else:
                result = self.function(app.acting_as(actor), **given)
        except ValidationError as error:  # fields that the use case itself reads
            raise _invalid(error) from error
        return to_data(self.result_type, result)

    def _arguments(self, app: "ManagedApplication", actor: "Actor", data: Mapping[str, Any]) -> dict[str, Any]:
        sent = {name: each for name, each in self.parameters.items() if each.annotation not in SUPPLIED}
        if unknown := data.keys() - sent.keys():
            raise OrchestratorError("N110", f"{self.name} has no argument {min(unknown)!r}")
        given = {name: SUPPLIED[each.annotation](app) for name, each in self.parameters.items() if name not in sent}
        for name, each in sent.items():
            if name in data:
                given[name] = self._argument(app, actor, name, data[name])
            elif each.default is inspect.Parameter.empty:
                raise OrchestratorError("N110", f"{self.name} needs the argument {name!r}")
        return given

    def _argument(self, app: "ManagedApplication", actor: "Actor", name: str, data: Any) -> Any:
        try:
            return argument_of(app, actor, self.parameters[name].annotation, data)
        except ValidationError as error:
            raise _invalid(error, name) from error

    def arguments_data(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call at a client as JSON data, without those that the server supplies."""
        names = list(_parameters(self.function))
        given = {**dict(zip(names, arguments, strict=False)), **named}
        found = {}
        for name, value in given.items():
            if name in LOCAL_PARAMETERS:
                continue
            kind = self.parameters[name].annotation
            if kind not in SUPPLIED:
                found[name] = argument_data(kind, value)
        return found

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The parameters after the actor, with their types."""
        return {name: each for name, each in _parameters(self.function).items() if name not in LOCAL_PARAMETERS}

    @property
    def result_type(self) -> Any:
        """The type of the result."""
        return get_type_hints(self.function)["return"]


def _invalid(error: ValidationError, *names: str) -> OrchestratorError:
    where, fault = first_fault(error)
    return OrchestratorError("N110", f"{'.'.join(filter(None, (*names, where)))}: {fault}")


SUPPLIED: dict[Any, Callable[["ManagedApplication"], Any]] = {
    RequestRules: lambda app: app.request_rules(),
    ChangeSources: lambda app: app.change_sources,
    BookingSources: lambda app: app.booking_sources,
    ReleaseSources: lambda app: app.release_sources,
    NoteSources: lambda app: app.release_sources,
    ImplementationSources: lambda app: app.implementation_sources,
    ReviewSources: lambda app: app.review_sources,
    MeasureSources: lambda app: app.measure_sources,
    TrainSources: lambda app: app.train_sources,
    HookSources: lambda app: app.hook_sources,
    NotificationSources: lambda app: app.notification_sources,
    ProjectSources: lambda app: app.project_sources,
    KeptAudit: lambda app: app.kept_audit,
}
"""The types of the arguments that the server supplies."""


@cache
def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    types = get_type_hints(function)
    found = [each.replace(annotation=types.get(name)) for name, each in inspect.signature(function).parameters.items()]
    first = 2 if found[0].name == "self" else 1
    return {each.name: each for each in found[first:]}


def name_of(function: Callable[..., Any]) -> str:
    """The name of the use case that is a *function* or a method of a group: `access.grant`, `queries.facts`."""
    group, _, name = function.__qualname__.rpartition(".")
    if group:
        return f"{group.lower()}.{name}"
    parts = function.__module__.split(".")
    return f"{parts[2]}.{name}"


@cache
def use_cases() -> dict[str, UseCase]:
    """Every use case that a client can call, by its name."""
    found = dict[str, UseCase]()
    for table, changes in ((READS, False), (CHANGES, True)):
        for place, names in table.items():
            module = import_module(f"{MANAGEMENT if '.' in place else APP}.{place}")
            for name in names:
                case = UseCase(f"{place.split('.')[0]}.{name}", getattr(module, name), None, changes)
                found[case.name] = case
    for table, changes in ((GROUP_READS, False), (GROUP_CHANGES, True)):
        for group, names in table.items():
            place, _, kind = GROUPS[group].rpartition(".")
            methods = getattr(import_module(f"{APP}.{place}"), kind)
            for name in names:
                found[f"{group}.{name}"] = UseCase(
                    f"{group}.{name}", inspect.unwrap(getattr(methods, name)), group, changes
                )
    return found


def use_case_called(name: str) -> UseCase:
    """The use case *name*. Raises N111."""
    found = use_cases().get(name)
    if found is None:
        raise OrchestratorError("N111", f"there is no use case {name}")
    return found
