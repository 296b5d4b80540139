"""Every use case as every role: who may do it, and that a refused attempt changes nothing but the audit stream."""
# ruff: noqa: DTZ001 - times of rules are wall-clock times

import contextlib
import inspect
import pkgutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import pytest
import yaml

import orchestrator.app
import orchestrator.management
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.app import (
    access,
    admission,
    audit,
    calendar,
    calendar_addresses,
    environment_reports,
    notification_duties,
    notification_rules,
    people,
    provider_accounts,
    requirement_reports,
    run_requests,
    sign_in_links,
    starts,
    tokens,
    votes,
)
from orchestrator.app.acting import Acting, Denied, Right
from orchestrator.app.admission import Promotion
from orchestrator.app.authorize import RegisterRights, UseCases
from orchestrator.app.request_facts import RequestRules
from orchestrator.app.requests import RunRequest as AnyRunRequest
from orchestrator.app.rights import ACTIONS
from orchestrator.app.votes import Shown
from orchestrator.domain.access.access_file import AccessFile
from orchestrator.domain.access.actions import BUILT_IN, Action
from orchestrator.domain.access.principals import Absence, Actor, Binding, Group, ServiceAccount, Trust, User
from orchestrator.domain.access.provider_sign_in import Account
from orchestrator.domain.access.tokens import Token, token_hash
from orchestrator.domain.admission.refusal import NotAdmitted
from orchestrator.domain.approval.policy import Quorum, Requirement
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.approval.votes import Decision, Vote
from orchestrator.domain.audit.chain import AuditHead
from orchestrator.domain.audit.export import AuditFilter
from orchestrator.domain.calendar.feed import CalendarAddress
from orchestrator.domain.calendar.rules import CalendarRule, RuleKind
from orchestrator.domain.calendar.verdict import LineStop
from orchestrator.domain.drift import Drift
from orchestrator.domain.environment_reports import DriftReport, ParityReport, drift_report, parity_reports
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.notifications import ChannelKind, Fact, Notification, NotificationRule, RuleDraft, Target
from orchestrator.domain.parity import Parity
from orchestrator.domain.register import (
    ABSENCES,
    ACCOUNTS,
    CALENDAR_ADDRESSES,
    CALENDAR_RULES,
    GROUPS,
    KINDS,
    LINE_STOPS,
    NOTIFICATION_RULES,
    NOTIFICATIONS,
    REQUESTS,
    SERVICE_ACCOUNTS,
    TOKENS,
    USERS,
    VOTES,
    CastVote,
    PlanText,
    RecordKind,
)
from orchestrator.domain.release import PackageRef
from orchestrator.domain.requirements.check import RequirementReport
from orchestrator.domain.risk.assessment import RiskFacts, assess
from orchestrator.domain.risk.kinds import Level
from orchestrator.domain.waves import Waves
from orchestrator.management.kinds import MANAGEMENT_KINDS
from tests.app.desk import ENVIRONMENTS, NOON, Desk
from tests.app.notification_receivers import NotificationProject
from tests.management.calls import MANAGEMENT_CALLS, lay_management

EXPECTED: dict[str, list[str]] = yaml.safe_load((Path(__file__).parent / "rights.yaml").read_text())
DOOR = {"acting", "actor", "entrance", "exchange", "request_duties", "request_facts", "scheduler", "voters"}
"""Modules that are no use cases: the way to the register, who acts, and what the system does."""
MODULES = [
    import_module(f"orchestrator.app.{module.name}") for module in pkgutil.iter_modules(orchestrator.app.__path__)
]
MANAGEMENT = [
    import_module(module.name)
    for module in pkgutil.walk_packages(orchestrator.management.__path__, "orchestrator.management.")
    if not module.ispkg
]
DAY = timedelta(days=1)
RULE = CalendarRule(
    id="c1", kind=RuleKind.WINDOW, title="day", start=datetime(2026, 1, 1, 8), end=datetime(2026, 1, 1, 17), zone="UTC"
)
SHOP = PackageRef(name="shop", version="1.0.0", digest=f"sha256:{'1' * 64}")
SOFT = CalendarRule(
    id="c9",
    kind=RuleKind.SOFT_FREEZE,
    title="eve",
    start=datetime(2026, 11, 29, 8),
    end=datetime(2026, 11, 29, 17),
    zone="UTC",
)
FILE = AccessFile(apiVersion="orchestrator/v1", kind="Access", people=(User(name="zoe"),))
FILTER = AuditFilter(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2027, 1, 1, tzinfo=UTC))
AWAY = Absence(user="bob", deputy="root", start=NOON, end=NOON + DAY)
TOKEN = Token(prefix="a" * 8, sha256=token_hash("x"), owner="bob", created_at=NOON, expires_at=NOON + DAY)
TRUST = Trust(issuer="https://ci.example", audience="orchestrator", claims={"sub": "shop"})
SENDING = NotificationProject()
RULE_DRAFT = RuleDraft(name="new", channel=ChannelKind.WEBHOOK)
CHANGED_RULE = RuleDraft(name="ops", channel=ChannelKind.WEBHOOK, digest="daily")
TARGET = Target(address="https://93.184.216.34/x", secret="whsec_eA==").model_dump_json()
ABOUT = {"sealed": SENDING.seal("ops", TARGET), "shown": "x", "created_at": NOON, "created_by": "root"}
SENT_BY = NotificationRule(name="ops", events=("never",), channel=ChannelKind.WEBHOOK, **ABOUT)  # type: ignore[arg-type]
DEAD = Notification(
    id="n1", message="n1", rule="ops", fact=Fact(id="f", kind="run.failed", at=NOON, about="r", text="x"), due_at=NOON,
    state="dead",
)  # fmt: skip
STOP = LineStop(id="l1", environment="staging", stopped_at=NOON, stopped_by="root", reason="leak")


def _passing(environment: str) -> Promotion:
    return Promotion(environment, SHOP, declared=(SOFT,))


def _checked(acting: Acting, environment: str) -> None:
    """A right is asked first; the line of staging is stopped."""
    with contextlib.suppress(NotAdmitted):
        admission.check_promotion(acting, Promotion(environment, SHOP))


def _first_link(acting: Acting) -> None:
    """A right is asked first; the project has an administrator."""
    try:
        sign_in_links.create_first_link(acting)
    except Denied:
        raise
    except OrchestratorError as refused:
        assert refused.code == "N124"  # noqa: PT017 - a refused right is another error


def _lost(acting: Acting) -> AuditHead:
    """A place that is not in the stream."""
    return AuditHead(project=acting.project, index=10**6, code="a" * 64)


TEXT = PlanText(digest=SHOP.digest, plan=SHOP.digest, text="a plan")
VOTE = Vote(plan=SHOP.digest, rendered=SHOP.digest, by="approver", decision=Decision.APPROVE, at=NOON)
RULES, SHOWN = RequestRules(), Shown(SHOP.digest, SHOP.digest)


def report(environment: str) -> RequirementReport:
    """A report of requirements without hosts."""
    return RequirementReport(environment=environment, release="shop 1.0.0", digest=SHOP.digest, at=NOON)


def drift_of(environment: str) -> DriftReport:
    """A report without drift."""
    return drift_report(Drift(environment=environment, release=SHOP, run="r1", since=""), NOON, "ann")


def parity_of(environment: str) -> ParityReport:
    """A report without differences from itself."""
    return parity_reports(Parity(left=environment, right=environment), NOON, "ann")[0]


def request(environment: str, name: str = "shop") -> RunRequest:
    return RunRequest(
        id=f"r-{environment}", project="shop", environment=environment, package=SHOP.digest, plan=SHOP.digest,
        rendered=SHOP.digest, requirement=Requirement(quorums=(Quorum(count=2),)), requested_by=Actor(name="root"),
        requested_at=NOON, name=name, version="1.0.0", risk=assess(RiskFacts()),
    )  # fmt: skip


Call = Callable[[Acting, str], Any]
REGISTER_CALLS: dict[str, Call] = {
    "access.apply": lambda a, _: access.apply(a, FILE, prune=False),
    "access.allowed_environments": lambda a, e: access.allowed_environments(a, Action.PROMOTE, (e,)),
    "access.can_i": lambda a, e: access.can_i(a, access.Question(action=Action.PROMOTE, environment=e)),
    "access.grant": lambda a, e: access.grant(a, Binding(role="operator", to="user:bob", environment=e)),
    "access.own_bindings": lambda a, _: access.own_bindings(a),
    "access.preview": lambda a, _: access.preview(a, FILE, prune=True),
    "access.revoke": lambda a, _: access.revoke(a, "viewer", "user:viewer", "*", "*"),
    "admission.check_promotion": _checked,
    "admission.override_calendar": lambda a, e: admission.override_calendar(a, _passing(e), "x", "c9"),
    "admission.show_closings": lambda a, e: admission.show_closings(a, Promotion(e, SHOP)),
    "admission.why": lambda a, e: admission.why(a, Promotion(e, SHOP)),
    "audit.explain_break": lambda a, _: audit.explain_break(a, audit.KeptAudit(MemoryKeys()), (_lost(a),), "failover"),
    "audit.export_stream": lambda a, _: audit.export_stream(a, FILTER),
    "audit.list_entries": lambda a, _: audit.list_entries(a, FILTER),
    "audit.show_entry": lambda a, _: audit.show_entry(a, 1),
    "audit.verify_stream": lambda a, _: audit.verify_stream(a, audit.KeptAudit(MemoryKeys()), ()),
    "environment_reports.environment_reports": environment_reports.environment_reports,
    "environment_reports.keep_drift": lambda a, e: environment_reports.keep_drift(a, drift_of(e)),
    "environment_reports.keep_parity": lambda a, e: environment_reports.keep_parity(a, parity_of(e)),
    "environment_reports.drift_marks": lambda a, _: environment_reports.drift_marks(a, []),
    "requirement_reports.keep_report": lambda a, e: requirement_reports.keep_report(a, report(e)),
    "requirement_reports.requirement_reports": requirement_reports.requirement_reports,
    "calendar_addresses.calendar_address": lambda a, _: calendar_addresses.calendar_address(a),
    "calendar_addresses.create_calendar_address": lambda a, _: calendar_addresses.create_calendar_address(a),
    "calendar_addresses.revoke_calendar_address": lambda a, _: calendar_addresses.revoke_calendar_address(a, "bob"),
    "calendar.add_rule": lambda a, e: calendar.add_rule(a, RULE.model_copy(update={"id": "c2", "environments": (e,)})),
    "calendar.import_rules": lambda a, _: calendar.import_rules(a, [RULE.model_copy(update={"uid": "u1"})]),
    "calendar.preview_import": lambda a, _: calendar.preview_import(a, [RULE]),
    "calendar.recorded_overrides": lambda a, _: calendar.recorded_overrides(a),
    "calendar.remove_rule": lambda a, _: calendar.remove_rule(a, "c1"),
    "calendar.resume_line": lambda a, _: calendar.resume_line(a, "staging"),
    "calendar.show_calendar": lambda a, _: calendar.show_calendar(a),
    "calendar.states": lambda a, _: calendar.states(a),
    "calendar.stop_line": lambda a, e: calendar.stop_line(a, e, "leak"),
    "calendar.verdicts": lambda a, _: calendar.verdicts(a),
    "people.add_absence": lambda a, _: people.add_absence(a, "bob", "root", NOON + 2 * DAY, NOON + 3 * DAY),
    "people.add_group": lambda a, _: people.add_group(a, "new", ["bob"]),
    "people.add_service_account": lambda a, _: people.add_service_account(a, ServiceAccount(name="new")),
    "people.add_user": lambda a, _: people.add_user(a, User(name="new")),
    "people.disable_service_account": lambda a, _: people.disable_service_account(a, "ci"),
    "people.disable_user": lambda a, _: people.disable_user(a, "bob"),
    "people.edit_user": lambda a, _: people.edit_user(a, "bob", {"team": "red"}),
    "people.end_absence": lambda a, _: people.end_absence(a, "bob"),
    "people.remove_group": lambda a, _: people.remove_group(a, "ops"),
    "people.set_members": lambda a, _: people.set_members(a, "ops", [], ["bob"]),
    "people.show_access": lambda a, _: people.show_access(a),
    "notification_duties.send_notifications": lambda a, _: notification_duties.send_notifications(a, SENDING),
    "notification_rules.add_notification_rule": lambda a, _: notification_rules.add_notification_rule(
        a, RULE_DRAFT, "https://93.184.216.34/x", SENDING
    ),
    "notification_rules.edit_notification_rule": lambda a, _: notification_rules.edit_notification_rule(
        a, CHANGED_RULE, "", SENDING
    ),
    "notification_rules.show_notification_rule": lambda a, _: notification_rules.show_notification_rule(a, "ops"),
    "notification_rules.list_own_notifications": lambda a, _: notification_rules.list_own_notifications(a),
    "notification_rules.list_notification_rules": lambda a, _: notification_rules.list_notification_rules(a),
    "notification_rules.list_notifications": lambda a, _: notification_rules.list_notifications(a),
    "notification_rules.remove_notification_rule": lambda a, _: notification_rules.remove_notification_rule(a, "ops"),
    "notification_rules.retry_notification": lambda a, _: notification_rules.retry_notification(a, "n1"),
    "notification_rules.test_notification_rule": lambda a, _: notification_rules.test_notification_rule(a, "ops"),
    "provider_accounts.list_accounts": lambda a, _: provider_accounts.list_accounts(a, "bob"),
    "provider_accounts.unlink_account": lambda a, _: provider_accounts.unlink_account(a, "bob"),
    "run_requests.list_requests": lambda a, _: run_requests.list_requests(a, RULES),
    "run_requests.own_messages": lambda a, _: run_requests.own_messages(a),
    "run_requests.raise_request_risk": lambda a, e: run_requests.raise_request_risk(
        a, f"r-{e}", Level.HIGH, "why", RULES
    ),
    "run_requests.record_builder": lambda a, _: run_requests.record_builder(a, SHOP.digest),
    "run_requests.request_promotion": lambda a, e: run_requests.request_promotion(a, request(e, "bank"), TEXT, RULES),
    "run_requests.show_request": lambda a, e: run_requests.show_request(a, f"r-{e}", RULES),
    "run_requests.withdraw_request": lambda a, e: run_requests.withdraw_request(a, f"r-{e}"),
    "sign_in_links.create_first_link": lambda a, _: _first_link(a),
    "sign_in_links.create_link": lambda a, _: sign_in_links.create_link(a, "bob"),
    "starts.start_request": lambda a, e: starts.start_request(a, f"r-{e}", RULES),
    "votes.cast_vote": lambda a, e: votes.cast_vote(a, f"r-{e}", Decision.APPROVE, SHOWN, RULES),
    "votes.take_back_vote": lambda a, e: votes.take_back_vote(a, f"r-{e}", RULES),
    "tokens.create_token": lambda a, _: tokens.create_token(a, "bob", lifetime=DAY),
    "tokens.distrust_issuer": lambda a, _: tokens.distrust_issuer(a, "ci", TRUST.issuer),
    "tokens.trust_issuer": lambda a, _: tokens.trust_issuer(a, "ci", TRUST),
    "tokens.list_tokens": lambda a, _: tokens.list_tokens(a),
    "tokens.revoke_token": lambda a, _: tokens.revoke_token(a, "a" * 8),
    "tokens.rotate_token": lambda a, _: tokens.rotate_token(a, "a" * 8),
}


class GroupedCall(Protocol):
    """A call of a use case of a group, with the values that are *given* in place of the usual ones."""

    def __call__(self, acting: Acting, environment: str, **given: Any) -> None: ...


def submitted(submit: GroupedCall, kind: type[AnyRunRequest]) -> GroupedCall:
    """A call of *submit* with a request of this *kind*."""

    def call(acting: Acting, environment: str, **given: Any) -> None:
        submit(acting, environment, request=requested(kind, environment), **given)

    return call


def decorated() -> dict[str, GroupedCall]:
    """Every use case of a group, called without parts; a request is of each kind, and is one use case a kind."""
    found: dict[str, GroupedCall] = {}
    for group in UseCases.__subclasses__():
        for name, method in inspect.getmembers(group, lambda value: hasattr(value, "needs")):
            found[f"{group.__name__.lower()}.{name}"] = grouped(group, method)
    submit = found.pop("submissions.submit")
    for kind in ACTIONS:
        found[f"submissions.submit({kind.__name__})"] = submitted(submit, kind)
    return found


def grouped(group: type[UseCases], method: Callable[..., Any]) -> GroupedCall:
    """A call of a use case of *group* with nothing but rights: if it is allowed, it comes as far as the parts."""

    def call(acting: Acting, environment: str, **given: Any) -> None:
        run = Run(id=f"abc-{environment}", root="abc", kind="promotion", environment=environment)
        known = {
            "environment": environment,
            "run": run,
            "leftover": SimpleNamespace(run=run),
            "left": environment,
            "right": environment,
            **given,
        }
        rights = RegisterRights(acting.register, acting.clock, lambda: ENVIRONMENTS)
        names = list(inspect.signature(method).parameters)[2:]
        try:
            method(group(Untouchable(rights)), acting.actor, **{name: known.get(name, name) for name in names})
        except Denied:
            raise
        except Exception:  # noqa: BLE001 - it was allowed, and cannot work with such arguments
            return

    return call


def requested(kind: type[AnyRunRequest], environment: str) -> AnyRunRequest:
    """A request in which nothing but the environment is known."""
    request = object.__new__(kind)
    object.__setattr__(request, "targets", (environment,))
    object.__setattr__(request, "rollout", Waves(name="all", environments=((environment,),)))
    return request


class Untouchable:
    """Parts of which only the rights may be used."""

    def __init__(self, rights: RegisterRights) -> None:
        self.rights = rights

    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)


GROUPED = decorated()
CALLS: dict[str, Call] = {**REGISTER_CALLS, **MANAGEMENT_CALLS, **GROUPED}


def use_cases() -> set[str]:
    """Every function of `orchestrator.app` whose first parameter is the actor at the register, or that is decorated."""
    found = set(decorated())
    for module in MODULES:
        short = module.__name__.rpartition(".")[2]
        for name, function in inspect.getmembers(module, inspect.isfunction):
            first = next(iter(inspect.signature(function).parameters), "")
            if function.__module__ == module.__name__ and not name.startswith("_") and first == "acting":
                found |= {f"{short}.{name}"} if short not in DOOR else set()
    return found | management_use_cases()


def management_use_cases() -> set[str]:
    """The same of `orchestrator.management`, by the names of the nouns."""
    return {
        f"{module.__name__.split('.')[2]}.{name}"
        for module in MANAGEMENT
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
        and next(iter(inspect.signature(function).parameters), "") == "acting"
    }  # fmt: skip


def laid() -> Desk:
    return _laid().copied()  # the same each time, and dearer to lay than all calls of a role


@cache
def _laid() -> Desk:
    desk = Desk()
    desk.write(USERS, User(name="bob"))
    desk.write(GROUPS, Group(name="ops", members=("bob",)))
    desk.write(SERVICE_ACCOUNTS, ServiceAccount(name="ci", trust=(TRUST,)))
    desk.write(ABSENCES, AWAY)
    desk.write(NOTIFICATION_RULES, SENT_BY)
    desk.write(NOTIFICATIONS, DEAD)
    desk.write(CALENDAR_ADDRESSES, CalendarAddress(sha256=SHOP.digest, user="bob", created_at=NOON))
    desk.write(ACCOUNTS, Account(issuer="https://login.example", subject="7", user="bob", linked_at=NOON))
    desk.write(TOKENS, TOKEN)
    desk.write(CALENDAR_RULES, RULE)
    desk.write(LINE_STOPS, STOP)
    desk.write(REQUESTS, *(request(name) for name in ENVIRONMENTS))
    desk.write(VOTES, *(CastVote(request=f"r-{name}", number=1, vote=VOTE) for name in ENVIRONMENTS))
    lay_management(desk)
    return desk


def everything(desk: Desk) -> list[object]:
    kinds: list[RecordKind[Any]] = [*KINDS, *MANAGEMENT_KINDS]
    return desk.register.reading(lambda records: [records.all(kind) for kind in kinds])


def test_every_use_case_has_an_entry() -> None:
    """The use cases of the code are those of the table that is kept by hand, and each can be called here."""
    assert use_cases() == EXPECTED.keys() == CALLS.keys()


@pytest.mark.parametrize("use_case", sorted(EXPECTED))
def test_a_role_may_do_exactly_what_the_table_says(use_case: str) -> None:
    """In each environment a role may do what the table says; a refused attempt leaves one entry *denied*, and nothing else."""
    for role, environment in product(BUILT_IN, ENVIRONMENTS):
        desk = laid()
        before, entries = everything(desk), desk.entries
        try:
            CALLS[use_case](desk.acting(role), environment)
            allowed = True
        except Denied:
            allowed = False
        assert allowed == (role in EXPECTED[use_case]), f"{role}: {use_case} in {environment}"
        if not allowed:
            assert everything(desk) == before
            assert desk.entries == entries + 1
            assert desk.register.reading(lambda records: records.audit()[-1].outcome) == "denied"


def test_a_lock_and_an_unlock_are_told_apart_in_the_stream() -> None:
    """An entry of the audit stream names the use case and its reason, so that a lock and an unlock differ."""
    desk = Desk()
    for name, reason in (("lock", "repair"), ("unlock", "repaired")):
        GROUPED[f"control.{name}"](desk.acting("operator"), "staging", why=reason)
        newest = desk.register.reading(lambda records: records.audit()[-1])
        assert (newest.action, newest.environment, newest.reason) == ("environment:lock", "staging", reason)
        assert newest.detail == {"use_case": f"control.{name}"}


def test_a_request_is_refused_as_a_whole() -> None:
    """A request for two environments, of which one is not allowed, leaves one entry: the refusal."""
    desk = Desk(environment="staging")
    acting, entries = desk.acting("release-manager"), desk.entries
    rights = RegisterRights(acting.register, acting.clock, lambda: ENVIRONMENTS)
    both = tuple(Right(Action.PROMOTE, environment) for environment in ENVIRONMENTS)
    with pytest.raises(Denied, match="promote in production"):
        rights.require(acting.actor, both, "", recorded=True)
    assert desk.entries == entries + 1
    rights.require(acting.actor, both[:1], "urgent", recorded=True)
    newest = desk.register.reading(lambda records: records.audit()[-1])
    assert (newest.action, newest.environment, newest.reason) == ("promote", "staging", "urgent")
    rights.require(acting.actor, (Right(Action.BUILD),), "", recorded=False)
    assert desk.entries == entries + 2


@pytest.mark.parametrize("use_case", ["calendar.stop_line"])
def test_a_right_in_one_environment_is_none_in_another(use_case: str) -> None:
    """A binding for one environment allows a use case there, and not in another one."""
    desk = Desk(environment="staging")
    CALLS[use_case](desk.acting("operator"), "staging")
    with pytest.raises(Denied):
        CALLS[use_case](desk.acting("operator"), "production")
