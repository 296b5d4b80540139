"""How the journal records that an environment was locked and unlocked: as runs without steps."""

from collections.abc import Mapping
from typing import Literal

from orchestrator.domain.errors import Exit
from orchestrator.domain.journal import LOCK, Entry, Lease, Run, run_id
from orchestrator.domain.promotion import State
from orchestrator.domain.text import moment

LOCKED = "locked"
"""The entry of a lock, by its kind and its key."""
UNLOCKED = "unlocked"
"""The entry of a lock that was removed, by its kind and its key."""


def lock_run(kind: Literal["lock", "unlock"], number: str, environment: str, by: str, at: str) -> Run:
    """The run that records that *by* locked, or unlocked, *environment* at the time *at* (ISO 8601).

    *number* distinguishes it from other locks. Requests never have such a root: it starts with the kind.
    """
    root = f"{kind}-{number}"
    return Run(id=run_id(root, environment), root=root, kind=kind, environment=environment, by=by, requested_at=at)


def lock_holder(run: Run) -> str:
    """The holder of the lease of a lock that *run* records."""
    return f"{LOCK}{run.root.removeprefix(f'{run.kind}-')}"


def locked_entries(lease: Lease) -> list[Entry]:
    """The entries of the run that records the lock with this *lease*."""
    end = f" until {moment(lease.until)}" if lease.until else ""
    data = {"lock": lease.to_json(), "by": lease.by, "why": lease.reason}
    return [Entry(kind=LOCKED, data=data, key=LOCKED), _ended(f"{lease.environment} is locked{end}: {lease.reason}")]


def unlocked_entries(lease: Lease, by: str, why: str) -> list[Entry]:
    """The entries of the run that records that *by* removed the lock with this *lease*, because of *why*."""
    data = {"lock": lease.to_json(), "by": by, "why": why}
    text = f"the lock of {lease.by} is removed: {why}" if why else f"the lock of {lease.by} is removed"
    return [Entry(kind=UNLOCKED, data=data, key=UNLOCKED), _ended(text)]


def recorded_lock(entry: Entry) -> Lease:
    """The lease that an entry of a lock, or of its end, is about."""
    lock: Mapping[str, object] = entry.data["lock"]
    return Lease.from_json(lock)


def _ended(message: str) -> Entry:
    data = {"state": State.SUCCEEDED.value, "message": message, "exit": int(Exit.OK), "failure": None}
    return Entry(kind="ended", data=data, key="ended")
