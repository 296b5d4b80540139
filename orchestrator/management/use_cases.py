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
from orchestrator.app.sign_in_links import SignInPlace
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.listing import MOST_ROWS
from orchestrator.domain.model import first_fault
from orchestrator.management.bookings.ports import BookingSources
from orchestrator.management.change_requests.ports import ChangeSources
from orchestrator.management.hooks.ports import HookSources
from orchestrator.management.implementation_plans.ports import ImplementationSources
from orchestrator.management.implementation_plans.works import TaskWorks
from orchestrator.management.measures.ports import MeasureSources
from orchestrator.management.planned_releases.notes import NoteSources
from orchestrator.management.planned_releases.ports import ReleaseSources
from orchestrator.management.projects.ports import ProjectSources
from orchestrator.management.reviews.ports import ReviewSources
from orchestrator.management.sent_types import argument_data, argument_of, to_data
from orchestrator.management.trains.ports import TrainSources
from orchestrator.management.use_case_names import (
    ATTRIBUTES,
    BY_WORKER,
    CHANGES,
    GROUP_CHANGES,
    GROUP_READS,
    GROUPS,
    LOCAL_PARAMETERS,
    READS,
    SEALED,
)

if TYPE_CHECKING:
    from orchestrator.domain.access.principals import Actor
    from orchestrator.management.application import ManagedApplication

APP, MANAGEMENT = "orchestrator.app", "orchestrator.management"


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
                result = getattr(self._group(app), self.function.__name__)(actor, **given)
            else:
                result = self.function(app.acting_as(actor), **given)
        except ValidationError as error:  # fields that the use case itself reads
            raise _invalid(error) from error
        return to_data(self.result_type, result)

    def require_acceptable(self, app: "ManagedApplication", actor: "Actor", data: Mapping[str, Any]) -> None:
        """Return if *actor* has the rights to this call with the arguments in *data*, which a worker executes later.

        Raises A101, N110, and what is raised where an argument is not kept. The worker checks the rights again.
        """
        given = self._arguments(app, actor, data)
        if self.group is not None:
            self._group(app).require_rights(actor, self.function.__name__, given)
        else:
            self.function.__dict__["check_call"](app.acting_as(actor), **given)

    def _group(self, app: "ManagedApplication") -> Any:
        assert self.group is not None
        return getattr(app, ATTRIBUTES.get(self.group, self.group))

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
            value = argument_of(app, actor, self.parameters[name].annotation, data)
            _require_within(name, value)
            return value
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


NUMBERS: dict[str, tuple[float, float]] = {
    "limit": (1, MOST_ROWS),
    "after": (0, 10**15),
    "before": (0, 10**15),
    "index": (0, 10**15),
    "hours": (0, 10**6),
    "rank": (-(10**6), 10**6),
    "rating": (1, 5),
}
"""The numbers that clients can send as arguments, by their names. Others are checked by their use cases."""


def _require_within(name: str, value: Any) -> None:
    """Return if *value* is not a number, or one that the argument *name* can have. Raises N110."""
    if isinstance(value, int | float) and not isinstance(value, bool) and name in NUMBERS:
        first, last = NUMBERS[name]
        if not first <= value <= last:
            raise OrchestratorError("N110", f"{name}: from {first} to {last} is possible")


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
    TaskWorks: lambda app: app.task_works,
    ReviewSources: lambda app: app.review_sources,
    MeasureSources: lambda app: app.measure_sources,
    TrainSources: lambda app: app.train_sources,
    HookSources: lambda app: app.hook_sources,
    NotificationSources: lambda app: app.notification_sources,
    SignInPlace: lambda app: app.sign_in_place,
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
