"""The parts of a project that are about users, rights, the calendar and the audit stream."""

import getpass
import os
import socket
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.approval_wiring import ApprovalParts
from orchestrator.project_wiring import ProjectParts

if TYPE_CHECKING:
    from orchestrator.adapters.audit_head import HeadFile
    from orchestrator.adapters.project_key import FileKeys
    from orchestrator.app.acting import Acting
    from orchestrator.app.admission import Promotion
    from orchestrator.app.audit import KeptAudit
    from orchestrator.app.authentication import Authentication
    from orchestrator.app.authorize import Rights
    from orchestrator.app.bookings import Bookings
    from orchestrator.app.entrance import RunEntrance
    from orchestrator.app.exchange import Exchange
    from orchestrator.app.idempotency import IdempotentRequests
    from orchestrator.app.request_duties import Shows
    from orchestrator.app.scheduler import Duty, Scheduler
    from orchestrator.app.single_sign_on import SingleSignOn
    from orchestrator.domain.access.principals import Actor
    from orchestrator.domain.calendar.feed import CalendarFeed
    from orchestrator.domain.calendar.rules import CalendarRule
    from orchestrator.domain.calendar.state import EnvironmentCalendar
    from orchestrator.domain.release import Package
    from orchestrator.ports import Uploads
    from orchestrator.register_ports import KeptReplies, Register, SignIns, WorkerCalls
    from orchestrator.services import Services


def local_user() -> str:
    """The name of the user of this process; in a container without such a name, its number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


class RegisterParts(ApprovalParts, ProjectParts):
    """What `App` has of the register. Each part is made when it is first used."""

    if TYPE_CHECKING:  # App has these

        @property
        def bookings(self) -> Bookings:
            """What keeps others out of environments."""

        @property
        def uploads(self) -> Uploads:
            """Unfinished uploads of packages."""

        @property
        def keys(self) -> FileKeys:
            """The project key."""

        @property
        def services(self) -> Services:
            """What every run is given."""

    @cached_property
    def audit_head(self) -> "HeadFile":
        """The file with the newest place of the audit stream."""
        from orchestrator.adapters.audit_head import HeadFile

        return HeadFile(self.state)

    @property
    def kept_audit(self) -> "KeptAudit":
        """What the project has to verify its audit stream."""
        from orchestrator.app.audit import KeptAudit

        return KeptAudit(self.keys, self.audit_head.read())

    @cached_property
    def register(self) -> "Register":
        """Management records and the audit stream."""
        from orchestrator.adapters.database.masking import mask_databases
        from orchestrator.adapters.database.register import DatabaseRegister

        mask_databases()
        return DatabaseRegister(self.store_url, self.clock, self.project.name, self.keys, self.audit_head)

    @cached_property
    def exchange(self) -> "Exchange":
        """Where tokens of CI jobs are exchanged."""
        from orchestrator.adapters.oidc import OidcTokens
        from orchestrator.app.exchange import Exchange

        return Exchange(self.register, self.clock, OidcTokens())

    @cached_property
    def sign_ins(self) -> "SignIns":
        """Sessions and failed sign-ins."""
        from orchestrator.adapters.database.sign_ins import DatabaseSignIns

        return DatabaseSignIns(self.store_url, self.project.name)

    @cached_property
    def kept_replies(self) -> "KeptReplies":
        """The replies to requests with idempotency keys."""
        from orchestrator.adapters.database.kept_replies import DatabaseKeptReplies

        return DatabaseKeptReplies(self.store_url, self.project.name)

    @cached_property
    def worker_calls(self) -> "WorkerCalls":
        """The calls of use cases that workers execute."""
        from orchestrator.adapters.database.worker_calls import DatabaseWorkerCalls

        return DatabaseWorkerCalls(self.store_url, self.project.name)

    @cached_property
    def idempotent_requests(self) -> "IdempotentRequests":
        """Executes requests with idempotency keys."""
        from orchestrator.app.idempotency import IdempotentRequests

        return IdempotentRequests(self.kept_replies, self.clock, self.keys)

    @cached_property
    def authentication(self) -> "Authentication":
        """Who acts in requests to a server. Raises N101 without the packages of a server, and A108."""
        from orchestrator.app.authentication import Authentication
        from orchestrator.domain.errors import OrchestratorError

        try:
            from orchestrator.adapters.passwords import Argon2Passwords
        except ModuleNotFoundError as error:
            raise OrchestratorError("N101", f"{error.name} is not installed") from error
        return Authentication(self.register, self.sign_ins, Argon2Passwords(), self.clock, self.acting)

    def write_feed(self, feed: "CalendarFeed") -> str:
        """The calendar of a user as a calendar file."""
        from orchestrator.adapters.calendar_file.writer import write_feed

        return write_feed(feed)

    @cached_property
    def single_sign_on(self) -> "SingleSignOn":
        """Sign-in with OpenID Connect providers. Raises N101 and A108."""
        from orchestrator.adapters.client_secrets import ClientSecrets
        from orchestrator.adapters.identity_providers import RealIdentityProviders
        from orchestrator.app.single_sign_on import SingleSignOn

        secret = ClientSecrets(self.environ, self.home, self.secrets)
        return SingleSignOn(self.authentication, self.project.sign_in, RealIdentityProviders(), secret)

    @cached_property
    def acting(self) -> "Acting":
        """The actor of this process at the register. Raises A108."""
        from orchestrator.app.actor import current_actor

        return self.acting_as(current_actor(self.register, self.environ, local_user(), self.clock))

    def acting_as(self, actor: "Actor") -> "Acting":
        """The *actor* at the register."""
        from orchestrator.app.acting import Acting

        return Acting(
            self.register,
            actor,
            self.clock,
            tuple(self._known_environments()),
            tokens=self.project.tokens,
            bookings=self.bookings,
        )

    def scheduler(self, shows: "Shows") -> "Scheduler":
        """What does the duties that are due, as the system. New plans of requests are shown to approvers by *shows*."""
        from orchestrator.app.scheduler import Scheduler
        from orchestrator.domain.access.principals import SYSTEM_ACTOR

        return Scheduler(self.acting_as(SYSTEM_ACTOR), f"{socket.gethostname()} {os.getpid()}", self.duties(shows))

    def duties(self, shows: "Shows") -> "tuple[Duty, ...]":
        """What is done when it is due."""
        from orchestrator.app.uploads import RemoveUploads

        return *self.request_duties(shows), RemoveUploads(self.uploads)

    @cached_property
    def rights(self) -> "Rights":
        """What the bindings in the register allow."""
        from orchestrator.app.authorize import RegisterRights

        return RegisterRights(self.register, self.clock, self._known_environments)

    @property
    def actor(self) -> "Actor":
        """The owner of ORCHESTRATOR_TOKEN, otherwise the user of this machine. Raises A108."""
        return self.acting.actor

    @property
    def local_actor(self) -> "Actor":
        """The user of this machine, without reading the register."""
        from orchestrator.domain.access.principals import Actor

        return Actor(name=local_user())

    def declared_rules(self) -> "tuple[CalendarRule, ...]":
        """The windows, freezes and holidays that the files of the environments declare."""
        found = self._known_environments()
        return tuple(
            entry.to_rule(name, index)
            for name, environment in found.items()
            for index, entry in enumerate(environment.windows)
        )

    @cached_property
    def entrance(self) -> "RunEntrance":
        """The conditions of every run before it takes the lease of its environment."""
        from orchestrator.app.entrance import RunEntrance

        return RunEntrance(self.register, self.clock, self.declared_rules, self.bookings)

    def promotion(
        self,
        package: "Package",
        environment: str,
        *,
        allow_rolled_back: bool = False,
        overrun: bool = False,
        rehearsal: bool = False,
        requested: bool = False,
    ) -> "Promotion":
        """What a promotion of *package* into *environment* is checked with. Raises R103.

        Before a plan exists its risk is not known: the approvals are those of a low one, which are the fewest.
        """
        from orchestrator.app.admission import Promotion
        from orchestrator.domain.risk.kinds import ChangeKind, Level
        from orchestrator.planning.admission import approval_rules
        from orchestrator.planning.durations import estimated
        from orchestrator.planning.path_facts import path_facts

        rules = approval_rules(self.services)
        return Promotion(
            environment,
            package.ref,
            path=path_facts(self.services, package.ref, environment, allow_rolled_back=allow_rolled_back),
            estimate=lambda: estimated(self.services, package, environment),
            requirement=rules.requirement(package.ref.name, environment, Level.LOW, ChangeKind.NORMAL),
            declared=self.declared_rules(),
            overrun=overrun,
            rehearsal=rehearsal,
            requested=requested,
        )

    def calendar_states(self) -> "dict[str, EnvironmentCalendar]":
        """Whether each environment is open to promotions now, and when that changes."""
        from orchestrator.app.calendar import states

        return states(self.acting, self.declared_rules())

    def calendar_state(self, environment: str) -> "EnvironmentCalendar":
        """Whether *environment* is open to promotions now, and when that changes."""
        return self.calendar_states()[environment]
