"""Who acts in a request to a server: the owner of its token, or the user of its session."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.app.acting import Acting, Change, access_of, change
from orchestrator.app.actor import token_actor
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.access.principals import PRINCIPAL, Actor, ActorKind, Binding, Method, User
from orchestrator.domain.access.sign_in import (
    LONGEST,
    LONGEST_DELAY,
    LONGEST_PASSWORD,
    SHORTEST_PASSWORD,
    USED_EVERY,
    VALUE,
    VALUE_BYTES,
    Failures,
    Origin,
    Password,
    Session,
    SignInLink,
    network_of,
    secret_value,
    value_hash,
)
from orchestrator.domain.audit.chain import record_by
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now
from orchestrator.domain.register import ACCOUNTS, BINDINGS, PASSWORDS, SIGN_IN_LINKS, USERS
from orchestrator.ports import Clock
from orchestrator.register_ports import Changes, PasswordHashes, Records, Register, SignIns

UNKNOWN_DIGITS = 3
"""How many hexadecimal digits distinguish the rows of unknown names: names that attackers invent fill 4,096 rows."""
REFUSED = "the name or the password is wrong"
ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class Source:
    """Where a request comes from: the *address* of the client, and what its program calls itself (*agent*)."""

    address: str
    agent: str = ""


@dataclass(frozen=True)
class NewSession:
    """A *session* with its *value*, which the browser gets and nothing keeps."""

    session: Session
    value: str


@dataclass(frozen=True)
class Authentication:
    """Authenticates requests to the server of one project. *local* is who started it.

    With *own* the project is one of several: *own* opens the register with its tokens, and users sign in at the project
    of *register*.
    """

    register: Register
    sign_ins: SignIns
    hashes: PasswordHashes
    clock: Clock
    local: Acting
    own: Callable[[], Register] | None = None

    def token(self, text: str) -> Actor:
        """The owner of the token *text*. Raises A108.

        A token of a user is valid in all projects of a server if it is one of the project where users sign in. Its
        prefix then has the name of that project, so that it differs from every token of another one.
        """
        if self.own is None:
            return token_actor(self.register, text, self.clock, "the token")
        try:
            return token_actor(self.own(), text, self.clock, "the token")
        except OrchestratorError:
            found = token_actor(self.register, text, self.clock, "the token")
            if found.kind is not ActorKind.USER:
                raise
        return found.model_copy(update={"credential": f"{self.register.project}:{found.credential}"})

    def session(self, value: str) -> Session | None:
        """The session with this *value*, if it is valid and its user is active. Its use is recorded."""
        found = self.sign_ins.session(value_hash(value)) if VALUE.fullmatch(value) else None
        now = self.now()
        if found is None or not found.is_valid(now) or not self._is_active(found.user) or not self._is_linked(found):
            return None
        if now.has_reached(found.used_at + USED_EVERY):
            found = found.model_copy(update={"used_at": now.earliest})
            self.sign_ins.use(found)
        return found

    def sign_in(self, name: str, password: str, source: Source) -> NewSession:
        """A new session of the user *name*. Raises N121 for a wrong name or password, N123 after many failures."""
        account, address = self._account_of(name), f"address:{network_of(source.address)}"
        own, places = f"{account} {address}", (account, address)
        for place in places:
            self._refuse_delayed(self.sign_ins.failures(place))
        stored = self._password(name)
        fits = self.hashes.fits(stored.hash if stored else None, password[: LONGEST_PASSWORD + 1])
        if not fits or not self._is_active(name):
            self._failed(name, places)
            if account.startswith("user:"):
                self.sign_ins.fail(own, self.now().earliest)
            raise OrchestratorError("N121", REFUSED)
        self._succeeded(account, address, own)
        made = self.start(name, source)
        if self._password(name) != stored:  # set meanwhile, which may have ended the sessions before this one was kept
            self.sign_out(made.session)
            raise OrchestratorError("N121", REFUSED)
        return made

    def sign_out(self, session: Session) -> None:
        """End the session."""
        if self.sign_ins.end(session.sha256):
            self.record(session.actor(), "session:end", session.id)

    def sessions_with(self, session: Session) -> tuple[Session, ...]:
        """All sessions of the user of *session*, the newest first."""
        return self.sign_ins.sessions_of(session.user)

    def sign_out_elsewhere(self, session: Session) -> int:
        """End every other session of the user of *session*. Returns how many there were."""
        others = [each for each in self.sign_ins.sessions_of(session.user) if each.sha256 != session.sha256]
        for other in others:
            if self.sign_ins.end(other.sha256):
                self.record(session.actor(), "session:end", other.id)
        return len(others)

    def link(self, text: str) -> SignInLink:
        """The one-time link with this secret. Raises N124 unless it is valid."""
        key = value_hash(text)
        found = self.register.reading(lambda records: records.get(SIGN_IN_LINKS, key))
        if found is None or not found.is_valid(self.now()):
            raise OrchestratorError("N124", "the link is unknown, has been used, or has expired")
        return found

    def set_password(self, text: str, name: str, password: str, source: Source) -> NewSession:
        """Use the link *text*: set the password of its user, or create the administrator *name*. Raises N124 and N125.

        All other sessions of the user end.
        """
        link = self.link(text)
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            limits = f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
            raise OrchestratorError("N125", f"a password has {limits}")
        if link.user is None and not PRINCIPAL.fullmatch(f"user:{name}"):
            raise OrchestratorError("N125", "a name has lower-case letters, digits, dots, dashes and underscores")
        user, stored = link.user or name, self.hashes.hashed(password)

        def work(task: Change) -> None:
            current = task.existing(SIGN_IN_LINKS, link.sha256)
            if not current.is_valid(task.now):
                raise OrchestratorError("N124", "the link has been used or has expired")
            if link.user is None:
                _create_administrator(task, name)
            task.put(SIGN_IN_LINKS, current.model_copy(update={"used_at": task.now.earliest}))
            task.put(PASSWORDS, Password(user=user, hash=stored, changed_at=task.now.earliest))

        if link.user is None:
            change(self.local, Action.MANAGE_ACCESS, work)
        else:
            change(self._acting(user, link), Action.MANAGE_PEOPLE, work, owner=user)
        self.sign_ins.end_all(user)
        self.sign_ins.succeed(f"user:{user}")
        return self.start(user, source)

    def tidy(self) -> None:
        """Remove sessions that have ended, and old failures."""
        now = self.now().earliest
        self.sign_ins.remove_before(now - LONGEST, now - 4 * LONGEST_DELAY, now)

    def start(self, user: str, source: Source, origin: Origin | None = None) -> NewSession:
        """A new session of *user*, who has been authenticated: by the provider that *origin* names, or a password."""
        value, at = secret_value(secrets.token_bytes(VALUE_BYTES)), self.now().earliest
        session = Session(
            sha256=value_hash(value),
            user=user,
            started_at=at,
            used_at=at,
            address=source.address,
            agent=source.agent[:200],
            origin=origin,
        )
        more = {"provider": origin.provider, "account": origin.account} if origin is not None else {}
        self.record(session.actor(), "session:start", session.id, {"address": source.address, **more})
        self.sign_ins.start(session)
        return NewSession(session, value)

    def _password(self, name: str) -> Password | None:
        return self.register.reading(lambda records: records.get(PASSWORDS, name))

    def _succeeded(self, account: str, address: str, own: str) -> None:
        """Forget the failures of the account, and of those of the address its *own* ones.

        Those of other names stay: otherwise one account would be enough to guess the passwords of all others.
        """
        self.sign_ins.succeed(account)
        self.sign_ins.forgive(address, own)

    def _failed(self, name: str, places: tuple[str, ...]) -> None:
        """Count the failure. The audit stream gets the first one that has a delay, and not every attempt."""
        at = self.now().earliest
        counted = [self.sign_ins.fail(place, at) for place in places]
        before = [each.model_copy(update={"count": each.count - 1}) if each.count > 1 else None for each in counted]
        for place, now, earlier in zip(places, counted, before, strict=True):
            if now.delayed_until > now.last_at and (earlier is None or earlier.delayed_until == earlier.last_at):
                actor = Actor(name=name if place.startswith("user:") and self._is_active(name) else "unknown")
                unproved = actor.model_copy(update={"method": Method.SESSION})
                self.record(unproved, "session:start", place, {"failures": now.count}, denied=True)

    def _refuse_delayed(self, failures: Failures | None) -> None:
        if failures is not None and failures.delays(self.now()):
            seconds = max(1, round((failures.delayed_until - self.now().latest).total_seconds()))
            raise OrchestratorError("N123", f"too many failed sign-ins: the next one is possible in {seconds} s")

    def record(
        self, actor: Actor, action: str, key: str, detail: dict[str, object] | None = None, *, denied: bool = False
    ) -> None:
        """Append *action* on the session *key* to the audit stream; if it was *denied*, on the object *key*."""
        entry = record_by(
            actor,
            project=self.register.project,
            at=self.now().earliest,
            action=action,
            object=key if denied else f"session:{key}",
            outcome="denied" if denied else "done",
            detail=detail or {},
        )

        def work(records: Changes) -> None:
            records.record(entry)

        self.register.changing(str(actor), work)

    def _account_of(self, name: str) -> str:
        """Where failures of *name* are counted. Unknown names share a bounded number of places, which delay alike."""
        if self.register.reading(lambda records: records.get(USERS, name)) is not None:
            return f"user:{name}"
        return f"unknown:{value_hash(name).removeprefix('sha256:')[:UNKNOWN_DIGITS]}"

    def _is_active(self, name: str) -> bool:
        def work(records: Records) -> bool:
            access = access_of(records)
            return records.kept("directory", lambda: Directory(access)).is_active_user(name)

        return self.register.reading(work)

    def _is_linked(self, session: Session) -> bool:
        """Whether the account with which *session* was started still belongs to its user."""
        if session.origin is None:
            return True
        key = session.origin.account
        account = self.register.reading(lambda records: records.get(ACCOUNTS, key))
        return account is not None and account.user == session.user

    def _acting(self, user: str, link: SignInLink) -> Acting:
        actor = Actor(name=user, method=Method.SESSION, credential=link.sha256.removeprefix("sha256:")[:12])
        return Acting(self.register, actor, self.clock, self.local.environments, tokens=self.local.tokens)

    def now(self) -> Now:
        """The current time."""
        return Now.at(self.clock.now())


def _create_administrator(task: Change, name: str) -> None:
    """The first user with every right. A project with bindings has its administrators already. Raises N124."""
    if task.access.bindings:
        raise OrchestratorError("N124", "the project has an administrator already")
    if task.records.get(USERS, name) is None:
        task.put(USERS, User(name=name))
    task.put(BINDINGS, Binding(role=ADMINISTRATOR, to=f"user:{name}"))
