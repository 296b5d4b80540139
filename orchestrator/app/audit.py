"""The audit stream: list, show, verify and export."""

from dataclasses import dataclass

from orchestrator.app.acting import Acting, Change, View, change, read_register, unknown
from orchestrator.domain.access.actions import Action
from orchestrator.domain.audit.chain import AuditEntry, AuditHead, Finding, head_of
from orchestrator.domain.audit.export import AuditExport, AuditFilter, describe, population
from orchestrator.register_ports import AuditKeys


def list_entries(acting: Acting, chosen: AuditFilter, limit: int | None = None) -> tuple[AuditEntry, ...]:
    """The entries that fit *chosen*, in order; with *limit* only the newest ones."""
    found = read_register(acting, Action.READ_AUDIT, lambda view: population(view.records.audit(), chosen))
    return found if limit is None else found[max(0, len(found) - limit) :]


def show_entry(acting: Acting, index: int) -> AuditEntry:
    """The entry at *index*. Raises A110."""

    def work(view: View) -> AuditEntry:
        found = view.records.audit(after=index - 1, limit=1) if index > 0 else ()
        if not found:
            raise unknown("audit entry", str(index), [])
        return found[0]

    return read_register(acting, Action.READ_AUDIT, work)


@dataclass(frozen=True)
class Verification:
    """What `verify` found in *entries* entries that end with *head*; *finding* is the first fault."""

    entries: int
    head: AuditHead
    finding: Finding | None


def verify_stream(acting: Acting, keys: AuditKeys, heads: tuple[AuditHead, ...]) -> Verification:
    """Check the whole stream against each of *heads*: the one beside the database, and those kept elsewhere."""

    def work(view: View) -> Verification:
        entries = view.records.audit()
        found = [f for head in (*heads, None) if (f := keys.broken(entries, head=head)) is not None]
        first = min(found, key=lambda finding: finding.index, default=None)
        return Verification(len(entries), view.records.head(), first)

    return read_register(acting, Action.READ_AUDIT, work)


@dataclass(frozen=True)
class Exported:
    """The *statement* of an export and the *entries* of its population."""

    statement: AuditExport
    entries: tuple[AuditEntry, ...]


def export_stream(acting: Acting, chosen: AuditFilter, sample: tuple[int, int] | None = None) -> Exported:
    """The population of *chosen* with its statement. The export itself is recorded first."""

    def work(task: Change) -> Exported:
        task.record(f"project:{acting.project}", detail={"filter": str(chosen)})
        entries = task.records.audit()
        head = head_of(entries[-1])
        by, at = str(acting.actor), task.now.earliest
        statement = describe(entries, chosen, head=head, at=at, by=by, sample=sample)
        return Exported(statement, population(entries, chosen))

    return change(acting, Action.EXPORT_AUDIT, work)
