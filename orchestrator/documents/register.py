"""The documents that the commands of the register print with `--json`, as models."""

from typing import Literal

from orchestrator.documents.head import Document
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import (
    Absence,
    Actor,
    ActorKind,
    Binding,
    Group,
    Method,
    Scope,
    ServiceAccount,
    User,
)
from orchestrator.domain.access.provider_sign_in import Account
from orchestrator.domain.admission.conditions import ConditionKind, ConditionState
from orchestrator.domain.admission.documents import ListedAdmission
from orchestrator.domain.admission.overrides import Override
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.approval.reviews import EmergencyReview
from orchestrator.domain.approval.votes import Vote
from orchestrator.domain.audit.breaks import BreakDetail
from orchestrator.domain.audit.chain import AuditEntry, AuditHead
from orchestrator.domain.audit.export import AuditExport
from orchestrator.domain.audit.restores import RestoreDetail
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.calendar.state import EnvironmentCalendar
from orchestrator.domain.calendar.verdict import LineStop
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.domain.register import Message
from orchestrator.domain.release import PackageRef
from orchestrator.domain.risk.kinds import Level


class ListedUser(User):
    """A user with the names of the groups."""

    groups: tuple[str, ...]


class UserDocument(ListedUser, Document):
    """`orchestrator people show --json`. *bindings* are those of the user and the groups."""

    kind: Literal["User"]
    bindings: tuple[Binding, ...]


class UsersDocument(Document):
    """`orchestrator people list --json`."""

    kind: Literal["Users"]
    users: tuple[ListedUser, ...]


class AccountsDocument(Document):
    """`orchestrator people accounts --json`."""

    kind: Literal["Accounts"]
    user: str
    accounts: tuple[Account, ...]


class AccountDocument(Account, Document):
    """`orchestrator people unlink --json`: the account that was removed."""

    kind: Literal["Account"]


class CalendarAddressDocument(Document):
    """`orchestrator calendar subscribe --json`: the secret *path* is not shown again."""

    kind: Literal["CalendarAddress"]
    user: str
    created_at: Moment
    path: str


class RevokedCalendarAddressDocument(Document):
    """`orchestrator calendar unsubscribe --json`."""

    kind: Literal["RevokedCalendarAddress"]
    user: str


class GroupsDocument(Document):
    """`orchestrator group list --json`."""

    kind: Literal["Groups"]
    groups: tuple[Group, ...]


class ServiceAccountsDocument(Document):
    """`orchestrator service-account list --json`."""

    kind: Literal["ServiceAccounts"]
    service_accounts: tuple[ServiceAccount, ...]


class AbsencesDocument(Document):
    """`orchestrator away --json`."""

    kind: Literal["Absences"]
    absences: tuple[Absence, ...]


class AccessDocument(Document):
    """`orchestrator access show --json`. *roles* are the built-in ones and those of the project, with their actions."""

    kind: Literal["Access"]
    roles: dict[str, tuple[Action, ...]]
    bindings: tuple[Binding, ...]


class AccessDifferenceDocument(Document):
    """`orchestrator access apply --json`. *removals* were done if *pruned*."""

    kind: Literal["AccessDifference"]
    changes: tuple[str, ...]
    removals: tuple[str, ...]
    applied: bool
    pruned: bool


class SignInLinkDocument(Document):
    """`orchestrator people reset-password --json`. *path* is below the address of the server, and a secret."""

    kind: Literal["SignInLink"]
    user: str
    path: str
    expires_at: Moment


class VerdictDocument(Document):
    """`orchestrator can-i --json`. *rule* decided; *could* are users who may, *near* bindings that do not suffice."""

    kind: Literal["Verdict"]
    allowed: bool
    actor: str
    action: Action
    target: str
    rule: str
    reason: str
    binding: str | None
    until: Moment | None
    could: tuple[str, ...]
    near: tuple[str, ...]


class ActorDocument(Document):
    """`orchestrator whoami --json`. *every_right*: there are no bindings, and the actor is the local user."""

    kind: Literal["Actor"]
    actor: Actor
    bindings: tuple[Binding, ...]
    every_right: bool


class ListedToken(Model):
    """A token without its hash, with its *state*."""

    prefix: str
    owner: str
    owner_kind: ActorKind
    name: str
    method: Method = Method.TOKEN
    scopes: tuple[Scope, ...] | None
    created_at: Moment
    expires_at: Moment
    grace_until: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None
    state: str


class TokensDocument(Document):
    """`orchestrator token list --json`."""

    kind: Literal["Tokens"]
    tokens: tuple[ListedToken, ...]


class CalendarDocument(Document):
    """`orchestrator calendar list --json`."""

    kind: Literal["Calendar"]
    environments: dict[str, EnvironmentCalendar]
    rules: tuple[CalendarRule, ...]
    line_stops: tuple[LineStop, ...]
    overrides: tuple[Override, ...]


class AdmissionDocument(ListedAdmission, Document):
    """`orchestrator why --json`. *calendar* is whether the *environment* is open."""

    kind: Literal["Admission"]
    release: PackageRef
    environment: str
    calendar: EnvironmentCalendar


class OverridesDocument(Document):
    """`orchestrator calendar override --json`."""

    kind: Literal["Overrides"]
    overrides: tuple[Override, ...]


class LineStopsDocument(Document):
    """`orchestrator line status --json`."""

    kind: Literal["LineStops"]
    line_stops: tuple[LineStop, ...]
    calendar: dict[str, EnvironmentCalendar]


class ApprovalState(Model):
    """How far a plan is approved. *could* can give a missing approval, *void* has why votes do not count."""

    satisfied: bool
    reason: str
    counted: tuple[str, ...]
    missing: int
    could: tuple[str, ...]
    rejected_by: tuple[str, ...]
    void: dict[str, str]
    expires: Moment | None


class StartCondition(Model):
    """One condition of a start with its *state*, who can change it, when it will be over, and what changes it."""

    condition: ConditionKind
    state: ConditionState
    reason: str
    who: tuple[str, ...]
    until: Moment | None
    command: str | None
    code: str | None


class StartConditions(Model):
    """All conditions of a start. *until* is before which it cannot start, if that is known."""

    may_start: bool
    refused: bool
    until: Moment | None
    conditions: tuple[StartCondition, ...]


class RequestItem(Model):
    """A run request in its current *state*. *level* and *arithmetic* are of its risk, *review* follows an emergency."""

    request: RunRequest
    state: RequestState
    level: Level
    arithmetic: str
    expires_at: Moment
    approval: ApprovalState
    admission: StartConditions
    votes: tuple[Vote, ...]
    review: EmergencyReview | None


class RunRequestDocument(RequestItem, Document):
    """`orchestrator approvals RUN --json`, and what `promote`, `approve`, `reject` and `withdraw` print.

    *text* is the plan as approvers see it, for `approvals RUN`. *worker*: a worker does what is due.
    """

    kind: Literal["RunRequest"]
    text: str | None
    worker: bool


class RunRequestsDocument(Document):
    """`orchestrator approvals --json`. *messages* are for the actor, *cursor* is of the next page with `--all`."""

    kind: Literal["RunRequests"]
    requests: tuple[RequestItem, ...]
    messages: tuple[Message, ...]
    cursor: str | None
    worker: bool


class AuditEntriesDocument(Document):
    """`orchestrator audit list --json`."""

    kind: Literal["AuditEntries"]
    entries: tuple[AuditEntry, ...]


class AuditFinding(Model):
    """The first wrong or missing entry."""

    index: int
    fault: str


class MissingEntries(Model):
    """The *first* and the *last* index that are missing."""

    first: int
    last: int


class AuditRestore(RestoreDetail):
    """A restore that the *entry* of the stream records, *by* whom, and which entries are *missing* since."""

    entry: int
    by: str
    at: Moment
    missing: MissingEntries | None


class AuditBreak(BreakDetail):
    """A break that the *entry* of the stream explains: *by* whom, and the *reason*."""

    entry: int
    by: str
    at: Moment
    reason: str


class AuditBreakDocument(AuditBreak, Document):
    """`orchestrator audit explain --json`."""

    kind: Literal["AuditBreak"]


class AuditVerificationDocument(Document):
    """`orchestrator audit verify --json`. *heads* is how many heads the stream was compared with."""

    kind: Literal["AuditVerification"]
    entries: int
    head: AuditHead
    finding: AuditFinding | None
    heads: int
    restores: tuple[AuditRestore, ...]
    breaks: tuple[AuditBreak, ...]


class AuditExportDocument(AuditExport, Document):
    """`orchestrator audit export --json`, and `statement.json` of an export."""

    kind: Literal["AuditExport"]


MODELS: dict[str, type[Document]] = {
    "user": UserDocument,
    "users": UsersDocument,
    "accounts": AccountsDocument,
    "calendar-address": CalendarAddressDocument,
    "revoked-calendar-address": RevokedCalendarAddressDocument,
    "account": AccountDocument,
    "groups": GroupsDocument,
    "service-accounts": ServiceAccountsDocument,
    "absences": AbsencesDocument,
    "access": AccessDocument,
    "access-difference": AccessDifferenceDocument,
    "sign-in-link": SignInLinkDocument,
    "verdict": VerdictDocument,
    "actor": ActorDocument,
    "tokens": TokensDocument,
    "calendar": CalendarDocument,
    "admission": AdmissionDocument,
    "overrides": OverridesDocument,
    "line-stops": LineStopsDocument,
    "run-request": RunRequestDocument,
    "run-requests": RunRequestsDocument,
    "audit-entries": AuditEntriesDocument,
    "audit-verification": AuditVerificationDocument,
    "audit-break": AuditBreakDocument,
    "audit-export": AuditExportDocument,
}
