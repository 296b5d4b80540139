"""A register with users in every role, and actors at it."""

import copy
from datetime import UTC, datetime

from orchestrator.adapters.memory.register import MemoryRegister
from orchestrator.adapters.memory.store import ManualClock
from orchestrator.app.acting import Acting
from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.domain.access.principals import Actor, Binding, User
from orchestrator.domain.audit.chain import record_by
from orchestrator.domain.register import BINDINGS, USERS, RecordKind, T
from orchestrator.register_ports import Changes, Register

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
ENVIRONMENTS = ("staging", "production")


class Desk:
    """A project with one user for each built-in role in *environment*, named like the role; `root` administers it."""

    def __init__(self, register: Register | None = None, environment: str = "*") -> None:
        self.register, self.clock = register or MemoryRegister(), ManualClock(NOON)
        self.write(USERS, User(name="root"), *(User(name=role) for role in BUILT_IN))
        self.write(BINDINGS, Binding(role="administrator", to="user:root"))
        self.write(BINDINGS, *(Binding(role=role, to=f"user:{role}", environment=environment) for role in BUILT_IN))

    def write(self, kind: RecordKind[T], *values: T) -> None:
        """Write records as they are, without asking for a right."""

        def work(changes: Changes) -> None:
            for value in values:
                changes.put(kind, value)
            entry = {"project": self.register.project, "at": NOON, "action": "test", "object": kind.name}
            changes.record(record_by(Actor(name="test"), **entry))

        self.register.changing("test", work)

    def copied(self) -> "Desk":
        """Another desk with what is kept at this one, which stays as it is: a change replaces the tables in memory."""
        made = copy.copy(self)
        made.register, made.clock = copy.copy(self.register), copy.copy(self.clock)
        return made

    def acting(self, name: str) -> Acting:
        """The user *name* at the register."""
        return Acting(self.register, Actor(name=name), self.clock, ENVIRONMENTS)

    @property
    def entries(self) -> int:
        """How many entries the audit stream has."""
        return self.register.reading(lambda records: records.head().index)
