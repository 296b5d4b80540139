"""What the register keeps beside the journal: one kind of record for each management object."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field

from orchestrator.domain.access.directory import Access
from orchestrator.domain.access.principals import Absence, Binding, Group, Role, ServiceAccount, User
from orchestrator.domain.access.provider_sign_in import Account
from orchestrator.domain.access.sign_in import Password, SignInLink
from orchestrator.domain.access.tokens import Token
from orchestrator.domain.admission.overrides import Override
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.approval.reviews import EmergencyReview
from orchestrator.domain.approval.votes import Vote
from orchestrator.domain.calendar.feed import CalendarAddress
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.calendar.verdict import Calendar, LineStop
from orchestrator.domain.environment_reports import DriftReport, ParityReport
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Digest, Model
from orchestrator.domain.moments import Moment, moment_text
from orchestrator.domain.notifications import Fact, FeedPlace, Notification, NotificationRule
from orchestrator.domain.project_definition import ProjectDefinition
from orchestrator.domain.requirements.check import RequirementReport, report_key

T = TypeVar("T", bound=Model)

OPEN, ENDED = "open", "ended"
"""The parts of the run requests: those to which something can happen, and the others."""


class CastVote(Model):
    """A *vote* on the run request *request*: the one of this *number*, from 1. Votes are kept when newer ones exist."""

    request: str
    number: int = Field(ge=1)
    vote: Vote


class Message(Model):
    """A notification to *to*, written with the event that it is about. *dedup* makes it one for each event and user.

    *by* is the actor who caused it, *object_state* the state of its object, and *path* leads to the page of that.
    """

    dedup: str
    at: Moment
    to: str
    kind: str
    environment: str = ""
    text: str
    by: str = ""
    object_state: str = ""
    path: str = "/"
    state: Literal["pending", "sent", "dead"] = "pending"


def fact_of(message: Message) -> Fact:
    """The fact that *message* is about, which needs its user."""
    return Fact(
        id=f"message {message.dedup}",
        kind=f"message.{message.kind}",
        at=message.at,
        about=message.dedup,
        environment=message.environment,
        to=message.to,
        by=message.by,
        text=message.text,
        state=message.object_state,
        path=message.path,
    )


class PlanText(Model):
    """A plan as it was shown to approvers: *text*, without colours, and its *digest*, which votes are for."""

    digest: Digest
    plan: Digest
    text: str


class PackageBuilder(Model):
    """The actor *by* who was the first to build the package with this *digest* in the project."""

    digest: Digest
    by: str
    at: Moment


class SchedulerLease(Model):
    """The process that does what is due in a project: *holder*, until *until*. *fence* rises with each new holder."""

    holder: str
    fence: int = Field(ge=1)
    until: Moment

    def has_ended(self, now: Moment) -> bool:
        """Whether another process may take it at *now*."""
        return self.until <= now


@dataclass(frozen=True)
class RecordKind(Generic[T]):
    """One kind of record: its *name*, its *model*, what identifies one (*key*), and the *part* in which it is found.

    Records are listed page by page in the order of their *position* and key; it has no space. *about* is what they are
    found by as well, such as an environment. *noun* is what the audit stream calls a record.
    """

    name: str
    model: type[T]
    key: Callable[[T], str]
    part: Callable[[T], str] = lambda _: ""
    position: Callable[[T], str] | None = None
    noun: str = ""
    about: Callable[[T], str] | None = None


USERS = RecordKind("users", User, lambda user: user.name)
GROUPS = RecordKind("user_groups", Group, lambda group: group.name)
SERVICE_ACCOUNTS = RecordKind("service_accounts", ServiceAccount, lambda account: account.name)
ROLES = RecordKind("own_roles", Role, lambda role: role.name)
BINDINGS = RecordKind("bindings", Binding, lambda binding: binding.key)
ABSENCES = RecordKind(
    "absences", Absence, lambda absence: f"{absence.user} {moment_text(absence.start)}", lambda absence: absence.user
)
TOKENS = RecordKind("tokens", Token, lambda token: token.prefix, lambda token: token.owner)
CALENDAR_RULES = RecordKind("calendar_rules", CalendarRule, lambda rule: rule.id, lambda rule: rule.source)
LINE_STOPS = RecordKind(
    "line_stops", LineStop, lambda stop: stop.id, lambda stop: ENDED if stop.resumed_at is not None else OPEN
)
REQUESTS = RecordKind(
    "run_requests",
    RunRequest,
    lambda request: request.id,
    lambda request: ENDED if request.has_ended else OPEN,
    lambda request: moment_text(request.requested_at),
)
VOTES = RecordKind("votes", CastVote, lambda cast: f"{cast.request} {cast.number:06}", lambda cast: cast.request)
OVERRIDES = RecordKind(
    "overrides", Override, lambda each: each.key, lambda each: each.environment, lambda each: moment_text(each.at)
)
REVIEWS = RecordKind(
    "emergency_reviews",
    EmergencyReview,
    lambda review: review.run,
    lambda review: OPEN if review.completed_at is None else ENDED,
    lambda review: moment_text(review.opened_at),
)
OUTBOX = RecordKind("outbox", Message, lambda message: message.dedup, lambda message: message.state)
BUILDERS = RecordKind("package_builders", PackageBuilder, lambda built: built.digest)
PLAN_TEXTS = RecordKind("plan_texts", PlanText, lambda shown: shown.digest, lambda shown: shown.plan)
PASSWORDS = RecordKind("passwords", Password, lambda password: password.user)
SIGN_IN_LINKS = RecordKind("sign_in_links", SignInLink, lambda link: link.sha256, lambda link: link.user or "")
ACCOUNTS = RecordKind("accounts", Account, lambda account: account.key, lambda account: account.user, noun="account")

CALENDAR_ADDRESSES = RecordKind(
    "calendar_addresses",
    CalendarAddress,
    lambda address: address.sha256,
    lambda address: address.user,
    noun="calendar-address",
)

NOTIFICATION_RULES = RecordKind(
    "notification_rules", NotificationRule, lambda rule: rule.name, noun="notification-rule"
)
NOTIFICATIONS = RecordKind(
    "notifications",
    Notification,
    lambda sent: sent.id,
    lambda sent: sent.state,
    lambda sent: moment_text(sent.fact.at),
    noun="notification",
    about=lambda sent: sent.rule,
)
PROJECT_DEFINITIONS = RecordKind(
    "project_definitions",
    ProjectDefinition,
    lambda definition: definition.digest,
    lambda definition: definition.part,
    lambda definition: definition.position,
    noun="project-definition",
)
REQUIREMENT_REPORTS = RecordKind(
    "requirement_reports",
    RequirementReport,
    lambda report: report_key(report.environment, report.digest),
    lambda report: report.environment,
    noun="requirements",
)
DRIFT_REPORTS = RecordKind("drift_reports", DriftReport, lambda report: report.environment, noun="drift")
PARITY_REPORTS = RecordKind("parity_reports", ParityReport, lambda report: report.environment, noun="parity")
FEED_PLACES = RecordKind("feed_places", FeedPlace, lambda place: place.name, noun="feed-place")

KINDS = (
    USERS, GROUPS, SERVICE_ACCOUNTS, ROLES, BINDINGS, ABSENCES, TOKENS,
    CALENDAR_RULES, LINE_STOPS, REQUESTS, VOTES, OVERRIDES, REVIEWS, OUTBOX, PLAN_TEXTS, BUILDERS,
    PASSWORDS, SIGN_IN_LINKS, ACCOUNTS, CALENDAR_ADDRESSES,
    NOTIFICATION_RULES, NOTIFICATIONS, FEED_PLACES, PROJECT_DEFINITIONS, REQUIREMENT_REPORTS,
    DRIFT_REPORTS, PARITY_REPORTS,
)  # fmt: skip
"""Every kind of record. The database has one table for each."""

ACCESS_KINDS: dict[str, RecordKind[Any]] = {
    "users": USERS,
    "groups": GROUPS,
    "service_accounts": SERVICE_ACCOUNTS,
    "roles": ROLES,
    "bindings": BINDINGS,
    "absences": ABSENCES,
}
"""The kinds of which `Access` is made, by its fields."""

assert set(ACCESS_KINDS) == set(Access.model_fields)
assert set(Calendar.model_fields) == {"rules", "line_stops", "bookings"}


def split_cursor(cursor: str) -> tuple[str, str]:
    """The position and the key of the last record of a page."""
    position, _, key = cursor.partition(" ")
    return position, key


def not_the_scheduler(fence: int, newer: int) -> OrchestratorError:
    """The error of a process that another one has replaced as the scheduler."""
    return OrchestratorError("S103", f"another process is the scheduler: fence {fence} is older than {newer}")


def changed_meanwhile(kind: str, key: str, expected: int, found: int) -> OrchestratorError:
    """The error of a change that was made for an older version of a record."""
    text = f"{key} in {kind} was changed by another user: version {found}, and the change is for version {expected}"
    return OrchestratorError("A107", text)
