"""What a front end is given of a project beside its use cases: its process, its actor, and its own files."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from orchestrator.app.acting import Acting
from orchestrator.app.admission import Promotion
from orchestrator.app.audit import KeptAudit
from orchestrator.app.authentication import Authentication
from orchestrator.app.exchange import Exchange
from orchestrator.app.idempotency import IdempotentRequests
from orchestrator.app.parts import Parts
from orchestrator.app.request_duties import Shows
from orchestrator.app.request_facts import RequestRules
from orchestrator.app.scheduler import Scheduler
from orchestrator.app.single_sign_on import SingleSignOn
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.audit.restores import RestoreNote
from orchestrator.domain.authentication import KeyRecord
from orchestrator.domain.calendar.feed import CalendarFeed
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.calendar.state import EnvironmentCalendar
from orchestrator.domain.environment import Environment, Project
from orchestrator.domain.listing import PAGE_SIZE, FeedEntry, StoreFigures
from orchestrator.domain.plan import Plan
from orchestrator.domain.release import Package
from orchestrator.domain.worker import WorkerConfig, WorkerEvent
from orchestrator.domain.worker_calls import WorkerCall
from orchestrator.ports import Clock, Keys
from orchestrator.register_ports import AuditHeads, AuditKeys, Register, WorkerCalls


class ProjectKeys(Keys, AuditKeys, Protocol):
    """The project key with its file."""

    @property
    def file(self) -> Path:
        """The file of the current key."""

    def known(self) -> list[KeyRecord]:
        """The current key, then the retired ones that are accepted."""

    def rotate(self, *, revoke: bool = False) -> KeyRecord:
        """Make a new key. With *revoke*, former ones are not accepted any more."""


class MissingFile(Protocol):
    """A controller file that a restored state lacks."""

    @property
    def name(self) -> str:
        """Its path below the state folder."""

    @property
    def id(self) -> str:
        """Its identifier."""

    def to_json(self) -> dict[str, object]:
        """As JSON data."""


class WithheldFiles(Protocol):
    """The secrets that a restored backup did not contain."""

    def require(self) -> None:
        """Raises S193 while a secret is missing."""

    def missing(self) -> Sequence[MissingFile]:
        """Those that are still missing."""

    def place(self, item: MissingFile) -> Path:
        """Where *item* has its place."""

    def give_up(self, name: str) -> bool:
        """Do not wait for one any more; whether it was missing."""


class BackupContent(Protocol):
    """The description of a backup."""

    @property
    def made_at(self) -> str:
        """When it was made, in UTC."""

    @property
    def schema_version(self) -> str:
        """The schema of its store."""

    @property
    def store(self) -> str:
        """The kind of its store."""

    @property
    def files(self) -> Sequence[object]:
        """The files of the state that it contains."""

    @property
    def withheld(self) -> Sequence[MissingFile]:
        """The secrets that it does not contain."""

    def to_json(self) -> dict[str, object]:
        """As JSON data."""


class Backups(Protocol):
    """The backups of a project."""

    def take(self, target: Path, at: str, passphrase: bytes, *, logs: bool, secrets: bool) -> BackupContent:
        """Write the state into the new file *target*, made *at* a time, and read it again."""

    def has_state(self) -> bool:
        """Whether there may be a state that a restore replaces."""

    def locked_requests(self) -> list[str]:
        """The requests on which a process of this machine works, by its locks."""

    def inspect(self, file: Path, passphrase: bytes | None) -> BackupContent:
        """What *file* contains. Raises S-codes."""

    def restore(self, file: Path, passphrase: bytes | None, note: RestoreNote) -> Path:
        """Replace the state by that of *file*, with *note* for the audit stream; where the old one is kept.

        Raises S-codes.
        """

    def undo_restore(self) -> bool:
        """Undo an interrupted restore. Returns whether there was one."""


class RunFeed(Protocol):
    """The entries of all runs, in the order in which they become visible."""

    def feed(self, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> list[FeedEntry]:
        """The entries after *cursor*; from the first one without it."""

    def feed_end(self) -> str | None:
        """The cursor of the newest entry; None without entries."""

    def wait_for_entries(self, seconds: float) -> None:
        """Return when there may be new entries, at the latest after so many *seconds*."""


class LoopbackHost(Protocol):
    """A host on this machine that a program of the project has made."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def stack(self) -> str:
        """The stack that it belongs to."""

    @property
    def address(self) -> str:
        """Its loopback address."""

    @property
    def port(self) -> int:
        """The port of its SSH server."""


class FrontEndParts(Protocol):
    """What a front end is given. The journal, durable execution and what runs are given are not among it."""

    @property
    def home(self) -> Path:
        """The folder of the project on this machine."""

    @property
    def root(self) -> Path:
        """The folder with the project's files: the same, or the definition that was pushed."""

    @property
    def receives_definitions(self) -> bool:
        """Whether the project's definition is the one that was pushed, and not its folder."""

    def refresh_definition(self) -> bool:
        """Use the current definition from now on, if the project's is pushed. Returns whether it is another one."""

    @property
    def project(self) -> Project:
        """The file of the project."""

    @property
    def environments(self) -> Mapping[str, tuple[Environment, Path]]:
        """Every environment with its folder, in the order of the path."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment variables to act under."""

    @property
    def keys(self) -> ProjectKeys:
        """The project key."""

    def loopback_hosts(self) -> list[tuple[LoopbackHost, bool]]:
        """The recorded loopback hosts, and whether each is running."""

    @property
    def withheld(self) -> WithheldFiles:
        """The secrets that a restored backup did not contain."""

    @property
    def register(self) -> Register:
        """Management records and the audit stream."""

    @property
    def audit_head(self) -> AuditHeads:
        """The file with the newest place of the audit stream."""

    @property
    def kept_audit(self) -> KeptAudit:
        """What the project has to verify its audit stream."""

    @property
    def feed(self) -> RunFeed:
        """The entries of all runs, in the order in which they become visible."""

    def store_figures(self) -> StoreFigures:
        """What monitoring reads of the store."""

    def require_store(self) -> None:
        """Return if the journal can be read. Raises S-codes."""

    def acting_as(self, actor: Actor) -> Acting:
        """The *actor* at the register."""

    def promotion(
        self,
        package: Package,
        environment: str,
        *,
        allow_rolled_back: bool = False,
        overrun: bool = False,
        rehearsal: bool = False,
        requested: bool = False,
    ) -> Promotion:
        """What a promotion of *package* into *environment* is checked with. Raises R103."""

    @property
    def actor(self) -> Actor:
        """Who acts in this process. Raises A108."""

    @property
    def local_actor(self) -> Actor:
        """The user of this machine, without reading the register."""

    @property
    def exchange(self) -> Exchange:
        """Where tokens of CI jobs are exchanged."""

    @property
    def acting(self) -> Acting:
        """The actor at the register. Raises A108."""

    @property
    def authentication(self) -> Authentication:
        """Who acts in requests to a server. Raises N101 and A108."""

    @property
    def single_sign_on(self) -> SingleSignOn:
        """Sign-in with OpenID Connect providers. Raises N101 and A108."""

    @property
    def idempotent_requests(self) -> IdempotentRequests:
        """Executes requests with idempotency keys."""

    def write_feed(self, feed: CalendarFeed) -> str:
        """The calendar of a user as a calendar file."""

    @property
    def worker_calls(self) -> WorkerCalls:
        """The calls of use cases that workers execute."""

    def declared_rules(self) -> tuple[CalendarRule, ...]:
        """The calendar entries of the environments' files."""

    def calendar_state(self, environment: str) -> EnvironmentCalendar:
        """Whether *environment* is currently open to promotions."""

    def calendar_states(self) -> dict[str, EnvironmentCalendar]:
        """Whether each environment is currently open to promotions."""

    def scheduler(self, shows: Shows) -> Scheduler:
        """What does the duties that are due, as the system. New plans of requests are shown by *shows*."""

    def scheduler_runs(self) -> bool:
        """Whether some worker does what is due."""

    def request_rules(self) -> RequestRules:
        """What the files of the project and the journal bring to decisions about requests. Raises F-codes."""

    def refuse_rolled_back(self, plan: Plan, allow_rolled_back: str) -> None:
        """Raise R203 if the release of *plan* was rolled back there, and *allow_rolled_back* is empty."""

    def verifier_of(self, plan: Plan) -> str:
        """The user whose run verified the release of *plan* in the environment before; empty without such a run."""

    def submit_started(self, request: RunRequest) -> RunRequest | None:
        """Record the run of a *request* that the actor has started, for this process; None if it was recorded before.

        The result has another run if the name of the first one was taken meanwhile.
        """

    def settle_request(self, request: RunRequest, shows: Shows) -> RunRequest | None:
        """*request* after the end of its run, however it was started; None while the run continues."""

    @property
    def recovers(self) -> bool:
        """Whether interrupted runs are resumed automatically."""

    def run_in_background(self, root: str) -> int:
        """Resume *root* in a process without a terminal, as soon as no other has it. Returns its number."""

    def run_worker(
        self,
        rules: WorkerConfig,
        on_event: Callable[[WorkerEvent], None],
        work: Callable[[str], int],
        tidy: Callable[[], None],
        duties: Callable[[], Iterable[str]],
        answer: Callable[[WorkerCall], None],
    ) -> None:
        """Take requests by *rules* until stopped. *work* executes one, *answer* a call, in own processes."""

    def warm(self) -> None:
        """Import and read what every run needs, so that a process that is forked need not."""

    def stop_softly(self) -> None:
        """Park before the next effect."""

    def release_claim(self) -> None:
        """Let another process continue what this one was doing."""

    @property
    def parked(self) -> bool:
        """Whether this process can end, and the run be resumed."""

    @property
    def stop_reason(self) -> str:
        """Why this process stopped; empty if a user or the system requested it."""

    @property
    def taken_over(self) -> bool:
        """Whether another process has taken over."""

    def close(self) -> None:
        """Close databases and locks."""


class ApplicationParts(Parts, FrontEndParts, Protocol):
    """All parts of a project: those of use cases, and those of a front end."""

    @property
    def clock(self) -> Clock:
        """The clock of this machine."""

    @property
    def keys(self) -> ProjectKeys:
        """The project key."""

    @property
    def withheld(self) -> WithheldFiles:
        """The secrets that a restored backup did not contain."""

    @property
    def backups(self) -> Backups:
        """The backups of the project."""

    def forget(self) -> None:
        """Close everything, and read again what is needed next: files of the state are replaced meanwhile."""
