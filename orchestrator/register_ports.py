"""The port of the register: management records and the audit stream of one project."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from orchestrator.domain.access.provider_sign_in import ClientCredentials, ProviderEndpoints
from orchestrator.domain.access.sign_in import Failures, Session
from orchestrator.domain.audit.chain import AuditEntry, AuditHead, AuditRecord, Finding
from orchestrator.domain.audit.restores import RestoreNote
from orchestrator.domain.idempotency import KeptReply
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.model import Model
from orchestrator.domain.register import RecordKind, SchedulerLease
from orchestrator.domain.worker_calls import WorkerCall

T = TypeVar("T", bound=Model)
R = TypeVar("R")
AT_ONCE = 500
"""The number of records that are read at once by what needs all of a kind."""


class Records(Protocol):
    """The register at one moment."""

    def all(self, kind: RecordKind[T], part: str | None = None) -> tuple[T, ...]:
        """The records of *kind* in the order of their keys; with *part* only those in it."""

    def page(
        self,
        kind: RecordKind[T],
        parts: Sequence[str] | None = None,
        *,
        start: str = "",
        prefix: str = "",
        about: str | None = None,
        newest_first: bool = False,
        cursor: str | None = None,
        limit: int = PAGE_SIZE,
    ) -> Page[T]:
        """A page of the records of *kind*, in the order of position and key, or against it with *newest_first*.

        With *parts* only those in one of them, with *start* those from this position on, with *about* those that are
        about this, with *prefix* those whose keys start with it, in the order of their keys. *cursor* is that of the
        page before.
        """

    def positions(self, kind: RecordKind[T], parts: Sequence[str]) -> list[str]:
        """The positions of all records of *kind* in *parts*, in order."""

    def written_since(self, kind: RecordKind[T], at: datetime) -> tuple[T, ...]:
        """The records of *kind* that were written at this moment or later, in the order of their keys."""

    def count(self, kind: RecordKind[T]) -> dict[str, int]:
        """How many records of *kind* each part has."""

    def get(self, kind: RecordKind[T], key: str) -> T | None:
        """The record of *kind* with this key."""

    def version(self, kind: RecordKind[T], key: str) -> int:
        """How often the record was written; 0 if there is not any."""

    def audit(self, after: int = 0, limit: int | None = None) -> tuple[AuditEntry, ...]:
        """The entries of the audit stream with a higher index than *after*, in order."""

    def head(self) -> AuditHead:
        """The newest place of the audit stream."""

    def newest_time(self) -> datetime | None:
        """The time of the newest entry of the audit stream; None if it is empty."""

    def kept(self, name: str, make: Callable[[], R]) -> R:
        """What *make* finds in the records alone. It may be kept under *name* for as long as no record changes."""


def each_record(
    records: Records,
    kind: RecordKind[T],
    parts: Sequence[str] | None = None,
    *,
    start: str = "",
    prefix: str = "",
    about: str | None = None,
) -> Iterator[T]:
    """Every record that `Records.page` lists, read page by page as they are consumed."""
    cursor: str | None = None
    while True:
        page = records.page(kind, parts, start=start, prefix=prefix, about=about, cursor=cursor, limit=AT_ONCE)
        yield from page.items
        if (cursor := page.cursor) is None:
            return


def page_of_fitting(
    records: Records,
    kind: RecordKind[T],
    parts: Sequence[str] | None,
    fits: Callable[[T], bool],
    *,
    about: str | None = None,
    newest_first: bool = False,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[T]:
    """A page of those records of `Records.page` that *fits* lets pass. Others are read as well."""
    assert kind.position is not None
    found: list[T] = []
    following = cursor
    while True:
        page = records.page(kind, parts, about=about, newest_first=newest_first, cursor=following, limit=AT_ONCE)
        found += filter(fits, page.items)
        if len(found) > limit:
            last = found[limit - 1]
            return Page(items=tuple(found[:limit]), cursor=f"{kind.position(last)} {kind.key(last)}")
        if (following := page.cursor) is None:
            return Page(items=tuple(found))


class Changes(Records, Protocol):
    """The register in one transaction that changes it. No other change happens at the same time."""

    def put(self, kind: RecordKind[T], value: T, expected: int | None = None) -> None:
        """Write a record. With *expected*, raise A107 unless that is its version."""

    def remove(self, kind: RecordKind[T], key: str) -> None:
        """Remove a record, if there is one."""

    def record(self, record: AuditRecord) -> AuditEntry:
        """Append *record* to the audit stream."""


class Register(Protocol):
    """The management records of one project and its audit stream.

    A transaction that changes records without an audit entry is refused with `RuntimeError`. *work* can be called more
    than once, when the database was away meanwhile: it has no effects of its own.
    """

    project: str

    def reading(self, work: Callable[[Records], R]) -> R:
        """What *work* finds in the register at one moment."""

    def changing(self, by: str, work: Callable[[Changes], R], fence: int | None = None) -> R:
        """What *work* returns, after all that it changed was committed. Nothing is changed if it raises.

        With *fence* it is a change of the scheduler: raises S103 if another process has taken its lease since.
        """

    def take_scheduler(self, holder: str, until: datetime) -> SchedulerLease | None:
        """Take or extend the lease of the scheduler; None if another *holder* has it. A new holder has a new fence."""

    def release_scheduler(self, holder: str) -> None:
        """End the lease of the scheduler, if *holder* has it."""

    def scheduler(self) -> SchedulerLease | None:
        """The lease of the scheduler, also one that has ended; None if there was never any."""

    def close(self) -> None:
        """Close connections."""


class SignIns(Protocol):
    """Sessions and failed sign-ins of one project. They change without an audit entry."""

    def start(self, session: Session) -> None:
        """Keep a new session."""

    def session(self, sha256: str) -> Session | None:
        """The session with this hash of its value."""

    def use(self, session: Session) -> None:
        """Record a later use of a session; one that was ended meanwhile stays ended."""

    def end(self, sha256: str) -> bool:
        """End a session; whether there was one."""

    def end_all(self, user: str) -> int:
        """End every session of *user*. Returns how many there were."""

    def sessions_of(self, user: str) -> tuple[Session, ...]:
        """The sessions of *user*, the newest first."""

    def sessions_from(self, provider_session: str) -> tuple[Session, ...]:
        """The sessions that come from the session of a provider with this key."""

    def keep_once(self, key: str, text: str, until: datetime) -> bool:
        """Keep *text* under *key* until a moment; False if the key is kept already."""

    def take_once(self, key: str) -> str | None:
        """The text under *key*, which is not kept any more; None if there is none. Of two callers one gets it."""

    def failures(self, source: str) -> Failures | None:
        """The failures of *source*: an account, an address, or both together. None if there are none."""

    def fail(self, source: str, at: datetime) -> Failures:
        """Count one more failure. Of several at the same moment each is counted."""

    def succeed(self, source: str) -> None:
        """Forget the failures."""

    def forgive(self, source: str, part: str) -> None:
        """Forget the failures of *part*, and as many of *source*. Its others stay, with the time of the last one."""

    def remove_before(self, started: datetime, failed: datetime, kept: datetime) -> None:
        """Remove sessions that started before *started*, failures before *failed*, and what is kept until *kept*."""

    def close(self) -> None:
        """Close connections."""


class KeptReplies(Protocol):
    """The replies to requests with idempotency keys, of one project. A *key* is that of one actor."""

    def open(self, actor: str, key: str, reply: KeptReply) -> KeptReply | None:
        """Keep *reply*, which is open. If the key is known, nothing changes, and its reply is returned."""

    def close_with(self, actor: str, key: str, reply: KeptReply) -> None:
        """Keep *reply* in place of the open one."""

    def forget(self, actor: str, key: str) -> None:
        """Forget a key, whose request had no effect."""

    def remove_before(self, at: datetime) -> None:
        """Remove replies from before *at*."""

    def close(self) -> None:
        """Close connections."""


class WorkerCalls(Protocol):
    """The calls of use cases that workers execute for the servers of one project."""

    def add(self, call: WorkerCall) -> None:
        """Record a new call, which waits."""

    def get(self, call: str) -> WorkerCall | None:
        """The call with this id; None if there is none, or it is too old."""

    def take(self, holder: str, now: datetime) -> WorkerCall | None:
        """Claim the oldest call that waits for *holder*, from *now* for `CLAIM_LASTS`; None if none waits."""

    def change(self, call: WorkerCall) -> bool:
        """Write *call*, which was taken, with a longer claim or its end; False if its holder has lost it."""

    def remove_before(self, at: datetime) -> None:
        """Remove calls from before *at*."""

    def close(self) -> None:
        """Close connections."""


class DefinitionArchives(Protocol):
    """The archives of the project definitions of one project, each under the digest of its definition."""

    def keep(self, digest: str, data: bytes) -> None:
        """Keep an archive. One that is kept already stays as it is."""

    def fetch(self, digest: str) -> bytes | None:
        """The archive with this digest as it is kept; None if it is not. The caller checks it."""

    def digests(self) -> frozenset[str]:
        """The digests of all archives."""

    def remove(self, digest: str) -> None:
        """Remove an archive, if there is one."""

    def close(self) -> None:
        """Close connections."""


class PasswordHashes(Protocol):
    """Slow hashes of passwords."""

    def hashed(self, password: str) -> str:
        """The hash that is stored of *password*."""

    def fits(self, stored: str | None, password: str) -> bool:
        """Whether *password* has the hash *stored*. With None the result is false, after the same time."""


class AuditKeys(Protocol):
    """The key of the project, as the audit stream needs it. Both methods raise S150 and S151."""

    def chained(self, head: AuditHead, record: AuditRecord) -> AuditEntry:
        """The entry that *record* becomes after *head*, with a code made with the current key."""

    def broken(
        self, entries: Sequence[AuditEntry], *, head: AuditHead | None = None, start: AuditHead | None = None
    ) -> Finding | None:
        """The first fault of *entries* by the current key and the former ones; see `verify_chain`."""


class AuditHeads(Protocol):
    """The file beside the database with the newest place of the audit stream."""

    def write(self, project: str, newer: Callable[[AuditHead | None], AuditHead | None]) -> None:
        """Record the head of *project* that *newer* returns for the recorded one (None: there is none).

        The recorded head stays if *newer* returns None, or if it is of another project.
        """

    def read(self) -> AuditHead | None:
        """The recorded head; None if there is none."""

    def restored(self) -> RestoreNote | None:
        """The restore that has no entry in the stream yet; None if there is none."""

    def remove_note(self, note: RestoreNote) -> None:
        """Remove the restore *note*, which has got its entry."""


class IdentityProviders(Protocol):
    """The OpenID Connect providers of a server. All methods raise A112 if the provider cannot be used."""

    def endpoints(self, issuer: str) -> ProviderEndpoints:
        """What the provider currently publishes about itself."""

    def redeem(self, client: ClientCredentials, code: str, redirect: str, verifier: str) -> Mapping[str, object]:
        """The claims of the ID token for *code*, whose signature, issuer and `at_hash` are right. Raises A111."""

    def verified(self, text: str, issuer: str) -> Mapping[str, object]:
        """The claims of the logout token *text* if *issuer* has signed it. Raises A111."""


class JobTokens(Protocol):
    """Reads the tokens that CI systems give to their jobs."""

    def issuer(self, text: str) -> str:
        """The issuer that the token *text* names, which is not verified. Raises A111."""

    def verified(self, text: str, issuer: str) -> Mapping[str, Any]:
        """The claims of the token *text* if *issuer* has signed it. Raises A111 and A112."""

    def of_job(self, environ: Mapping[str, str], audience: str) -> str:
        """The token of the CI job that this process is part of, for *audience*. Raises A111 and A112."""
