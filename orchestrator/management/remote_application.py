"""The application of a project that a server serves: the server executes its use cases."""

import inspect
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

from orchestrator import __version__
from orchestrator.app.acting import Acting
from orchestrator.app.admission import Promotion
from orchestrator.app.calendar import states
from orchestrator.app.clients import ProjectFacts
from orchestrator.app.planned_requests import RequestOptions
from orchestrator.app.plans import Plans
from orchestrator.app.queries import Queries
from orchestrator.app.recovery import Recovery
from orchestrator.app.releases import Releases
from orchestrator.app.request_duties import Shows
from orchestrator.app.request_facts import RequestRules
from orchestrator.app.submit import Submissions
from orchestrator.app.tokens import NewToken
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.access.tokens import Token, token_hash
from orchestrator.domain.approval.requests import RunRequest as ApprovalRequest
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.calendar.state import EnvironmentCalendar
from orchestrator.domain.environment import Environment, unknown_environment
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors, Where, catalogue
from orchestrator.domain.journal import DEFAULT_QUEUE
from orchestrator.domain.moments import moment_text
from orchestrator.domain.plan import Plan
from orchestrator.domain.risk.kinds import ChangeKind
from orchestrator.domain.text import clean_text
from orchestrator.domain.wave_plan import WavePlan
from orchestrator.management.application import ManagedApplication
from orchestrator.management.change_requests.ports import ImportFiles
from orchestrator.management.remote_groups import (
    NothingInterrupted,
    RemotePlans,
    RemoteQueries,
    RemoteRecovery,
    RemoteReleases,
    RemoteSubmissions,
)
from orchestrator.management.sent_types import from_data
from orchestrator.management.use_cases import name_of, use_cases
from orchestrator.ports import Clock
from orchestrator.ports.servers import ServerConnection, ServerReply
from orchestrator.register_ports import JobTokens

EXCHANGE = "/api/v1/token-exchange"
PROBLEM = "application/problem+json"
DONE, ACCEPTED = frozenset({200, 201}), 202
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 1.0
"""Between two readings of a call that a worker executes."""


class RemoteUseCases:
    """Has use cases executed by the server behind *connection*: the `Forwarder` of a command."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The result of *function* at the server. Raises what it raises there, and N-codes."""
        name = name_of(inspect.unwrap(function))
        case = use_cases().get(name)
        if case is None:
            raise not_yet(name)
        data = {"arguments": case.arguments_data(arguments, named)}
        key = secrets.token_hex(16) if case.changes else None
        reply = self.connection.post(f"/api/v1/use-cases/{name}", json.dumps(data).encode(), key)
        if case.by_worker:
            reply = self._worked(reply)
        return from_data(case.result_type, reply_document(self.connection.url, reply)["result"])

    def order(self, path: str, order: dict[str, Any]) -> dict[str, Any]:
        """The document of a POST of *order*, with an idempotency key. Raises what the route raises, and N-codes."""
        reply = self.connection.post(path, json.dumps(order).encode(), secrets.token_hex(16))
        return reply_document(self.connection.url, reply)

    def _worked(self, reply: ServerReply) -> ServerReply:
        """The response with the result of the call in *reply*, once a worker has executed it."""
        if reply.status != ACCEPTED:
            return reply
        path, pause = f"/api/v1/worker-calls/{json.loads(reply.body)['call']}", FIRST_PAUSE_S
        while reply.status == ACCEPTED:
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_S)
            reply = self.connection.get(path)
        return reply


def not_yet(what: str) -> OrchestratorError:
    """The error for *what* a server cannot do for a command yet."""
    return OrchestratorError("N131", f"{what} is not possible with a server yet")


def reply_document(url: str, reply: ServerReply) -> dict[str, Any]:
    """The document of a *reply* of the server at *url*. Raises the errors that it reports, and N137."""
    try:
        found = json.loads(reply.body)
    except ValueError:
        found = None
    if isinstance(found, dict) and reply.status in DONE and "apiVersion" in found:
        return found
    if isinstance(found, dict) and reply.media == PROBLEM:
        raise_problem(found)
    raise OrchestratorError("N137", f"{url} responded with status {reply.status}, and not as a server of this program")


def raise_problem(document: Mapping[str, Any]) -> NoReturn:
    """Raise the errors of a problem *document*."""
    listed = document.get("errors") or [
        {"code": document.get("code"), "message": document.get("detail"), "hint": document.get("hint")}
    ]
    errors = [error_of(each) for each in listed if isinstance(each, dict)]
    if len(errors) == 1:
        raise errors[0]
    raise OrchestratorErrors(errors)


def error_of(data: Mapping[str, Any]) -> OrchestratorError:
    """The error that a document describes; N137 for a code that is not known."""
    code, message = str(data.get("code")), clean_text(str(data.get("message")))
    if code not in catalogue():
        return OrchestratorError("N137", f"the server reports an unknown code {clean_text(code, 20)}: {message}")
    file = data.get("file")
    where = Where(str(file), data.get("line"), data.get("column")) if file else None
    hint = data.get("hint")
    return OrchestratorError(code, message, where=where, hint=str(hint) if hint else None)


@dataclass(frozen=True)
class ClientParts:
    """What a command uses of its own machine when it acts at a server."""

    environ: Mapping[str, str]
    job_tokens: JobTokens
    import_files: ImportFiles


class RemoteExchange:
    """The `Exchange` at the server of *forwarder*, for *tokens* of CI jobs on this machine."""

    def __init__(self, forwarder: RemoteUseCases, tokens: JobTokens) -> None:
        self._forwarder, self.tokens = forwarder, tokens

    def exchange(self, text: str, account: str | None = None) -> NewToken:
        """A token for the service account that accepts the token *text*. Raises A111, A112 and N-codes."""
        connection = self._forwarder.connection
        order = {"token": text, "account": account}
        found = reply_document(connection.url, connection.post_without_token(EXCHANGE, json.dumps(order).encode()))
        made = str(found["token"])
        fields = {name: value for name, value in found.items() if name not in {"apiVersion", "kind", "token"}}
        return NewToken(Token.from_json({**fields, "sha256": token_hash(made)}), made)


class RemoteParts:
    """What groups of use cases are given in place of the parts of a project: nothing but the server."""

    def __init__(self, forwarder: RemoteUseCases) -> None:
        self.rights = SimpleNamespace(forwarder=forwarder)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise not_yet(f"what needs the {name.replace('_', ' ')} of the project")


class RemoteApplication(ManagedApplication):
    """A project at the server behind a connection, for a command on the machine *here*.

    What a server does not do for commands ends with N131.
    """

    executes_here = False
    sign_in_place: Any = None  # the server supplies it

    def __init__(self, forwarder: RemoteUseCases, clock: Clock, here: ClientParts) -> None:
        self._forwarder, self._clock, self._here = forwarder, clock, here
        self.server_url = forwarder.connection.url

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment variables of the command."""
        return self._here.environ

    @property
    def import_files(self) -> ImportFiles:
        """What change requests are imported from: of the machine of the command."""
        return self._here.import_files

    @cached_property
    def exchange(self) -> Any:
        """Where tokens of CI jobs are exchanged: at the server, which verifies them."""
        return RemoteExchange(self._forwarder, self._here.job_tokens)

    @cached_property
    def _parts(self) -> Any:
        return RemoteParts(self._forwarder)

    @cached_property
    def facts(self) -> ProjectFacts:
        """The project as the server describes it. Raises A108, N132 to N137."""
        found = self.clients.project_facts(Actor(name="unknown"))  # the server knows the owner of the token
        if found.version != __version__:
            here, there = f"this program has the version {__version__}", f"the server has {found.version}"
            raise OrchestratorError("N136", f"{here}, and {there}")
        return found

    @property
    def project(self) -> Any:
        """The name and the waves of the project."""
        return self.facts

    @cached_property
    def environments(self) -> Mapping[str, tuple[Environment, Path]]:
        """Every environment with its folder at the server, in the order of the path."""
        return {each.environment.name: (each.environment, self.root / each.folder) for each in self.facts.environments}

    @property
    def root(self) -> Path:
        """The folder of the project, to which folders of environments are relative."""
        return Path("/")

    def require_environment(self, name: str) -> tuple[Environment, Path]:
        """The environment *name* and its folder. Raises R103."""
        if name not in self.environments:
            raise unknown_environment(name, self.environments)
        return self.environments[name]

    @property
    def actor(self) -> Actor:
        """The owner of the token."""
        return self.facts.actor

    @cached_property
    def acting(self) -> Acting:
        """The owner of the token at the register of the server."""
        return Acting(
            cast("Any", RemoteParts(self._forwarder)),
            self.actor,
            self._clock,
            tuple(self.environments),
            forwarder=self._forwarder,
        )

    @cached_property
    def queries(self) -> Queries:
        """The queries of the current facts."""
        return RemoteQueries(self._parts, self._forwarder.connection)

    @cached_property
    def releases(self) -> Releases:
        """Packages."""
        return RemoteReleases(self._parts, self.upload)

    @cached_property
    def recovery(self) -> Recovery:
        """What was left behind."""
        return RemoteRecovery(self._parts)

    def upload(self, file: Path, digest: str) -> None:
        """Upload the sealed *file* of the package *digest*. Raises N-codes and P-codes."""
        from orchestrator.management.remote_uploads import upload_package

        upload_package(self._forwarder, file, digest)

    def upload_definition(self, file: Path, digest: str) -> None:
        """Upload the archive *file* of the definition *digest*. Raises N-codes and F-codes."""
        from orchestrator.management.remote_uploads import upload_definition

        upload_definition(self._forwarder, file, digest)

    @cached_property
    def plans(self) -> Plans:
        """Plans."""
        return RemotePlans(self._parts)

    @cached_property
    def submissions(self) -> Submissions:
        """Requests."""
        return RemoteSubmissions(self._parts)

    def request_planned(self, plan: Plan | WavePlan, how: RequestOptions, shows: Shows) -> ApprovalRequest:
        """Record the request for *plan*, which the server shows to approvers in its own words."""
        del shows
        names = ("reason", "incident", "next_window", "allow_rolled_back", "overrun", "rehearsal")
        order = {name: getattr(how, name) for name in names}
        start = moment_text(how.start) if how.start is not None else None
        emergency, queue = how.kind is ChangeKind.EMERGENCY, how.queue or DEFAULT_QUEUE
        order |= {"plan": plan.digest, "start": start, "emergency": emergency, "queue": queue}
        return ApprovalRequest.from_json(self._forwarder.order("/api/v1/requests", order)["request"])

    @property
    def resumption(self) -> Any:
        """What was interrupted is resumed by workers."""
        return NothingInterrupted()

    def declared_rules(self) -> tuple[CalendarRule, ...]:
        """The calendar entries of the environments' files."""
        return self.facts.declared

    def calendar_states(self) -> dict[str, EnvironmentCalendar]:
        """Whether each environment is currently open to promotions."""
        return states(self.acting, self.declared_rules())

    def calendar_state(self, environment: str) -> EnvironmentCalendar:
        """Whether *environment* is currently open to promotions."""
        return self.calendar_states()[environment]

    def scheduler_runs(self) -> bool:
        """Whether some worker does what is due."""
        return self.clients.scheduler_runs(self.actor)

    def request_rules(self) -> RequestRules:
        """A place for the rules, which the server supplies."""
        return RequestRules()

    def promotion(self, package: Any, environment: str, **how: Any) -> Promotion:
        """A promotion as the server gets it."""
        chosen = {name: how.get(name, False) for name in ("overrun", "rehearsal", "requested")}
        return Promotion(environment, package.ref, **chosen)

    @property
    def change_sources(self) -> Any:
        """A place for the sources, which the server supplies."""
        return None

    @property
    def booking_sources(self) -> Any:
        """Likewise."""
        return None

    @property
    def release_sources(self) -> Any:
        """Likewise."""
        return None

    @property
    def implementation_sources(self) -> Any:
        """Likewise."""
        return None

    @property
    def review_sources(self) -> Any:
        """Likewise."""
        return None

    @property
    def train_sources(self) -> Any:
        """Likewise."""
        return None

    @property
    def notification_sources(self) -> Any:
        """Likewise."""
        return None

    @property
    def hook_sources(self) -> Any:
        """Likewise."""
        return None

    @property
    def measure_sources(self) -> Any:
        """Likewise."""
        return None

    @property
    def project_sources(self) -> Any:
        """Likewise."""
        return None

    @property
    def kept_audit(self) -> Any:
        """Likewise."""
        return None

    def close(self) -> None:
        """Close the connection."""
        self._forwarder.connection.close()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise not_yet(f"what needs the {name.replace('_', ' ')} of a project")


def remote_application(forwarder: RemoteUseCases, clock: Clock, here: ClientParts) -> RemoteApplication:
    """The application at the server of *forwarder*. Parts of a project that it does not have are refused with N131."""
    application: RemoteApplication = cast("Any", RemoteApplication)(forwarder, clock, here)
    return application
