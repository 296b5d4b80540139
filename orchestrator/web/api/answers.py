"""What each route of `/api/v1` returns: the models behind the schemas in the description of the API."""

from typing import Any, Literal, cast

from pydantic import GetJsonSchemaHandler, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from orchestrator.documents import definitions, hooks, management, notifications, project, register
from orchestrator.documents.head import Document
from orchestrator.domain.access.principals import ActorKind, Method, Scope, User
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.approval.votes import Vote
from orchestrator.domain.calendar.verdict import LineStop
from orchestrator.domain.environment_reports import EnvironmentReports
from orchestrator.domain.facts import EnvironmentFacts, RunFacts
from orchestrator.domain.journal import Lease, Record
from orchestrator.domain.log_lines import OutputPart
from orchestrator.domain.model import DIGEST, Digest, Model
from orchestrator.domain.moments import Moment
from orchestrator.domain.plan import Plan
from orchestrator.domain.project_definition import ProjectDefinition
from orchestrator.domain.release import PackageRef
from orchestrator.domain.risk.assessment import Risk
from orchestrator.domain.wave_plan import WavePlan
from orchestrator.management.bookings.model import Quota
from orchestrator.management.hooks.state import DeliveryState

Cursor = str | None
"""Where the next page starts; null on the last one."""


def document_of(kind: str, base: type[Model] | None = None, title: str = "", **fields: Any) -> type[Document]:
    """The model of a document of a *kind*, with what *base* has, and *fields*. *title* names its schema."""
    bases: Any = (base, Document) if base is not None else (Document,)
    given: dict[str, Any] = {name: (kind_of, ...) for name, kind_of in fields.items()}
    given["kind"] = (Literal[kind], ...)
    made = create_model(title or f"{kind}Answer", __base__=bases, __module__=__name__, **given)
    return cast("type[Document]", made)


def without(kind: str, model: type[Document], *names: str) -> type[Document]:
    """The document *model* without the fields that the API does not have."""
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in model.model_fields.items() if name not in names
    }
    return create_model(f"{kind}Answer", __base__=Document, __module__=__name__, **fields)


class RequestPart(Model):
    """A run request in its current *state*, with the conditions of its start."""

    request: RunRequest
    state: RequestState
    approval: register.ApprovalState
    admission: register.StartConditions
    votes: tuple[Vote, ...]


class ShownRequest(RequestPart):
    """A run request with the *text* of its plan, as approvers see it."""

    text: str | None


class FoundObject(Model):
    """One object that a search found: a line *about* it, and the *path* of its page."""

    kind: str
    name: str
    about: str
    path: str


class NewToken(Model):
    """A token with its text, which is shown once."""

    prefix: str
    owner: str
    owner_kind: ActorKind
    name: str
    method: Method
    scopes: tuple[Scope, ...] | None
    created_at: Moment
    expires_at: Moment
    grace_until: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None
    token: str


class Risks(Model):
    """The digest of a plan, and the risk of the promotion by it, if it is one."""

    risk: Risk | None = None
    arithmetic: str = ""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema, with the digest: a plan computes its own."""
        made = handler(core)
        found = handler.resolve_ref_schema(made)
        found["properties"]["digest"] = {"type": "string", "pattern": DIGEST.pattern}
        found["required"] = [*found["required"], "digest"]
        return made


class PlanAnswer(Risks, Plan):
    """The plan for one environment."""


class WavePlanAnswer(Risks, WavePlan):
    """The plan of a promotion in waves."""


Answers = dict[int, type[Model] | tuple[type[Model], ...]]
CHANGE: Answers = {200: management.ChangeRequestDocument}
BOOKING: Answers = {200: management.BookingDocument}
TRAIN: Answers = {200: management.TrainDocument}
LINE: Answers = {200: management.TrainLineDocument}
HOOK: Answers = {200: hooks.HookDocument}
RULE: Answers = {200: notifications.NotificationRuleDocument}
REQUEST = document_of("RunRequest", RequestPart)
QUEUED: Answers = {202: document_of("Asked", root=str, run=str, address=str)}
USER: Answers = {200: document_of("User", user=User)}
QUOTA: Answers = {200: document_of("Quota", Quota)}
DELIVERY = document_of("HookDelivery", delivery=str, state=DeliveryState, note=str)
CALL = document_of("WorkerCall", call=str)
RESULT = document_of("Result", result=Any)
UPLOAD = document_of("Upload", digest=Digest, offset=int, kept=bool)
KEPT_DEFINITION = document_of("KeptDefinition", definition=ProjectDefinition)
KEPT = document_of("KeptPackage", release=PackageRef, files=int)

READING: dict[str, Answers] = {
    "GET /me": {200: register.ActorDocument},
    "GET /can-i": {200: register.VerdictDocument},
    "GET /environments": {200: document_of("Environments", environments=tuple[EnvironmentFacts, ...], cursor=Cursor)},
    "GET /environments/{environment}": {200: document_of("Environment", EnvironmentFacts)},
    "GET /environments/{environment}/reports": {200: document_of("EnvironmentReports", EnvironmentReports)},
    "GET /environments/{environment}/requirements": {
        200: document_of("Requirements", environment=str, reports=tuple[project.CheckedRelease, ...], cursor=Cursor)
    },
    "GET /matrix": {200: project.MatrixDocument},
    "GET /runs": {200: document_of("History", runs=tuple[RunFacts, ...], cursor=Cursor)},
    "GET /runs/{run}": {200: without("Run", project.RunDocument, "calendar", "remedies")},
    "GET /runs/{run}/log": {200: document_of("Log", records=tuple[Record, ...], cursor=Cursor)},
    "GET /runs/{run}/outputs": {200: document_of("Outputs", jobs=tuple[str, ...], cursor=Cursor)},
    "GET /runs/{run}/outputs/{job}": {200: document_of("OutputPart", OutputPart)},
    "GET /search": {200: document_of("SearchResult", hits=tuple[FoundObject, ...])},
    "GET /calendar": {200: document_of("Calendar", register.CalendarDocument, cursor=Cursor)},
    "GET /requests": {200: document_of("RunRequests", requests=tuple[RequestPart, ...], cursor=Cursor)},
    "GET /requests/{run}": {200: document_of("RunRequest", ShownRequest, "ShownRequestAnswer")},
    "GET /plans/{plan}": {200: (PlanAnswer, WavePlanAnswer)},
    "GET /users": {200: document_of("Users", users=tuple[User, ...], cursor=Cursor)},
    "GET /users/{user}": USER,
    "GET /change-requests": {200: management.ChangeRequestsDocument},
    "GET /change-ranking": {200: document_of("ChangeRanking", management.ChangeRankingDocument)},
    "GET /change-requests/{change}": CHANGE,
    "GET /bookings": {200: management.BookingsDocument},
    "GET /bookings/{booking}": BOOKING,
    "GET /free-slots": {200: document_of("FreeSlots", management.FreeSlotsDocument, cursor=Cursor)},
    "GET /contention": {200: document_of("Contention", management.ContentionDocument, cursor=Cursor)},
    "GET /measures": {200: management.MeasuresDocument},
    "GET /projects": {200: document_of("Projects", management.ProjectsDocument, cursor=Cursor)},
    "GET /booking-quotas": {200: document_of("Quotas", management.QuotasDocument, cursor=Cursor)},
    "GET /booking-quotas/{team}/{environment}": QUOTA,
    "GET /trains": {200: management.TrainsDocument},
    "GET /trains/{train}": TRAIN,
    "GET /trains/{train}/prognosis": {200: management.TrainPrognosisDocument},
    "GET /train-lines": {200: document_of("TrainLines", management.TrainLinesDocument, cursor=Cursor)},
    "GET /train-lines/{line}": LINE,
    "GET /hooks": {200: document_of("Hooks", hooks.HooksDocument, cursor=Cursor)},
    "GET /hooks/{hook}": HOOK,
    "GET /hooks/{hook}/check": {200: hooks.HookTestDocument},
    "GET /hook-deliveries": {200: hooks.HookDeliveriesDocument},
    "GET /notification-rules": {
        200: document_of("NotificationRules", notifications.NotificationRulesDocument, cursor=Cursor)
    },
    "GET /notification-rules/{rule}": RULE,
    "GET /notifications": {200: notifications.NotificationsDocument},
    "GET /packages/{digest}": {200: UPLOAD},
    "GET /definitions": {200: definitions.ProjectDefinitionsDocument},
    "GET /definitions/{digest}": {200: definitions.ProjectDefinitionDocument},
    "GET /definition-uploads/{digest}": {200: UPLOAD},
    "GET /worker-calls/{call}": {200: RESULT, 202: CALL},
}
"""The documents of the routes that read, by their status."""
CHANGING: dict[str, Answers] = {
    "POST /promotions": QUEUED,
    "POST /rollbacks": QUEUED,
    "POST /runs/{run}/control": {202: document_of("ControlRequest", run=str, verb=str)},
    "POST /requests": {201: REQUEST},
    "POST /requests/{run}/votes": {201: REQUEST},
    "POST /requests/{run}/votes/withdraw": {200: REQUEST},
    "POST /requests/{run}/withdraw": {200: REQUEST},
    "POST /environments/{environment}/lock": {201: document_of("Lease", Lease)},
    "POST /environments/{environment}/unlock": {200: document_of("Unlocked", environment=str, lock=Lease | None)},
    "POST /line-stops": {201: document_of("LineStop", LineStop)},
    "POST /line-stops/resume": {200: document_of("LineStops", line_stops=tuple[LineStop, ...])},
    "POST /users/{user}/edit": USER,
    "POST /change-requests": {201: management.ChangeRequestDocument},
    "POST /bookings": {201: management.BookingDocument},
    "POST /booking-quotas": QUOTA,
    "POST /train-lines": {201: management.TrainLineDocument},
    "POST /train-lines/{line}/edit": LINE,
    "POST /train-lines/{line}/remove": LINE,
    "POST /trains": {201: management.TrainDocument},
    "POST /hooks": {201: hooks.NewHookDocument},
    "POST /hooks/{hook}/edit": HOOK,
    "POST /hooks/{hook}/remove": HOOK,
    "POST /notification-rules": {201: notifications.NewNotificationRuleDocument},
    "POST /notification-rules/{rule}/edit": {200: notifications.NewNotificationRuleDocument},
    "POST /notification-rules/{rule}/remove": RULE,
    "POST /notification-rules/{rule}/test": {201: notifications.NotificationDocument},
    "POST /notifications/{notification}/retry": {200: notifications.NotificationDocument},
    "POST /use-cases/{case}": {200: RESULT, 202: CALL},
    "POST /token-exchange": {201: document_of("NewToken", NewToken)},
    "POST /hooks/{hook}": {200: DELIVERY, 202: DELIVERY},
    "PUT /packages/{digest}": {201: KEPT, 202: UPLOAD},
    "PUT /definition-uploads/{digest}": {201: KEPT_DEFINITION, 202: UPLOAD},
    "POST /definitions/{digest}/use": {200: definitions.DefinitionChangeDocument},
}
"""The documents of the routes that change something, by their status."""
EVENTS: dict[str, Answers] = {
    "/change-requests/{change}/": CHANGE,
    "/bookings/{booking}/": BOOKING,
    "/trains/{train}/": TRAIN,
}
"""The documents of events, by the start of their path."""


def answers_of(method: str, path: str) -> Answers | None:
    """The documents of the route with the *path* below `/api/v1`, by their status; None if none has a schema."""
    found = {**READING, **CHANGING}.get(f"{method} {path}")
    if found is None and method == "POST":
        found = next((answers for start, answers in EVENTS.items() if path.startswith(start)), None)
    return found
