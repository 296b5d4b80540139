"""How arguments and results of use cases are sent: by their types, and what the server keeps by its name."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from types import GenericAlias
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import TypeAdapter

from orchestrator.app.admission import Promotion
from orchestrator.app.requests import Request as RunRequests
from orchestrator.app.requests import RunRequest, Unknown, parse_request
from orchestrator.app.submit import AnyRequest
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment, require_possible_times
from orchestrator.domain.plan import Plan
from orchestrator.domain.release import Package, PackageRef
from orchestrator.domain.rollback_plan import RollbackPlan
from orchestrator.domain.wave_plan import WavePlan

if TYPE_CHECKING:
    from orchestrator.domain.access.principals import Actor
    from orchestrator.management.application import ManagedApplication

PLANS = frozenset({Plan, WavePlan})
MOMENTS: dict[Any, Any] = {datetime: Moment, datetime | None: Moment | None}
"""The types of times, each with that by which it is sent: an offset is needed."""


class PromotionReference(Model):
    """A promotion as a client names it: what the journal and the files show about it is added by the server."""

    environment: str
    package: PackageRef
    overrun: bool
    rehearsal: bool
    requested: bool


def promotion_reference(promotion: Promotion) -> PromotionReference:
    """*promotion* as a client names it."""
    return PromotionReference(
        environment=promotion.environment,
        package=promotion.package,
        overrun=promotion.overrun,
        rehearsal=promotion.rehearsal,
        requested=promotion.requested,
    )


def is_iterable(kind: Any) -> bool:
    """Whether an argument of the type *kind* is sent as an array."""
    return get_origin(kind) in {Iterable, Sequence}


def _is_plan(kind: Any) -> bool:
    """Whether *kind* is that of a plan that the server keeps, or None."""
    found = set(get_args(kind)) - {type(None)} if get_args(kind) else {kind}
    return bool(found) and found <= PLANS


def _is_request(kind: Any) -> bool:
    return kind == RunRequests or kind is AnyRequest


def sent_type(kind: Any) -> Any:
    """The type by which an argument of the type *kind* is sent.

    A client names what the server keeps: packages, plans, runs, and the rollback of a promotion that is in progress.
    It cannot give them another content, by which rights would be checked.
    """
    if kind is Promotion:
        return PromotionReference
    if kind is Package:
        return PackageRef
    if _is_plan(kind):
        return str | None
    if kind in {RollbackPlan, Run}:
        return str
    if kind in MOMENTS:
        return MOMENTS[kind]
    return GenericAlias(tuple, (get_args(kind)[0], ...)) if is_iterable(kind) else kind


def argument_data(kind: Any, value: Any) -> Any:
    """An argument of a client as JSON data."""
    if kind is Promotion:
        return promotion_reference(value).to_json()
    if kind is Package:
        return value.ref.to_json()
    if kind is RollbackPlan:
        return value.environment
    if kind is Run:
        return value.id
    if _is_plan(kind):
        return value.digest if value is not None else None
    return to_data(sent_type(kind), tuple(value) if is_iterable(kind) else value)


def argument_of(app: "ManagedApplication", actor: "Actor", kind: Any, data: Any) -> Any:
    """The argument of the type *kind* that a client has sent as *data*, with what *app* keeps.

    Raises `pydantic.ValidationError` on another form, N110, and what is raised where it is not kept.
    """
    value = from_data(sent_type(kind), data)
    require_possible_times(value)
    if kind is Promotion:
        package = app.releases.kept_package(actor, value.package.digest)
        how = {"overrun": value.overrun, "rehearsal": value.rehearsal, "requested": value.requested}
        return app.promotion(package, value.environment, **how)
    if kind is Package:
        return app.releases.kept_package(actor, value.digest)
    if kind is RollbackPlan:
        return _current_rollback(app, actor, value)
    if kind is Run:
        return app.queries.find_run(actor, value)
    if _is_plan(kind):
        return app.plans.kept(actor, value) if value is not None else None
    return _new_request(app, actor, value) if kind is AnyRequest else value


def _current_rollback(app: "ManagedApplication", actor: "Actor", environment: str) -> RollbackPlan:
    found = app.plans.current_rollback(actor, environment)
    if found is None:
        raise OrchestratorError("N110", f"{environment} has no promotion in progress")
    return found


def _new_request(app: "ManagedApplication", actor: "Actor", request: RunRequest) -> RunRequest:
    """*request* if it is new, and what it names is as the server has it. Raises N110.

    With a root or a retry of its own it would be that of another one. Rules are those of its environments, its package
    by name, and its project definition: a client does not choose other ones.
    """
    if isinstance(request, Unknown) or request.root or request.by or request.retry is not None or request.definition:
        text = "request: a new request of a known kind has no root, no user, no retry and no project definition"
        raise OrchestratorError("N110", text)
    release, waves = request.release, request.waves
    if release is not None and release not in app.releases.kept_refs(actor):
        raise OrchestratorError("N110", f"request: {release} with the digest {release.digest[:19]} is not kept")
    if waves is not None and app.plans.waves(actor, waves.name) != waves:
        raise OrchestratorError("N110", f"request: the waves {waves.name} are not those of the project")
    return request


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """What reads and writes values of the type *kind*."""
    return TypeAdapter(kind)


def to_data(kind: Any, value: Any) -> Any:
    """*value* of the type *kind* as JSON data. Of a package the folders of the server are left out."""
    if _is_request(kind):
        return value.to_json()
    if kind is Package:
        value = value.model_copy(update={"path": "", "root": None, "home": None})
    return adapter(kind).dump_python(value, mode="json", by_alias=True)


def from_data(kind: Any, data: Any) -> Any:
    """The value of the type *kind* that `to_data` wrote. Raises `pydantic.ValidationError` on anything else."""
    if _is_request(kind):
        return _read_request(data)
    return adapter(kind).validate_json(json.dumps(data))


def _read_request(data: Any) -> RunRequest:
    reads: Callable[[Any], RunRequest] = parse_request
    try:
        return reads(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OrchestratorError("N110", f"request: not a request: {type(error).__name__} {error}") from error
