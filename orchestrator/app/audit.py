"""The audit stream: list, show, verify and export."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.app.acting import Acting, Change, View, change, read_register, unknown
from orchestrator.domain.access.actions import Action
from orchestrator.domain.audit.chain import AuditEntry, AuditHead, Fault, Finding, head_of
from orchestrator.domain.audit.export import AuditExport, AuditFilter, describe, population
from orchestrator.domain.audit.restores import RecordedRestore, explanation, recorded_restores
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
    """What `verify` found in *entries* entries that end with *head*; *finding* is the first fault.

    *restores* are those that the stream records: they explain which entries a restored state lacks.
    """

    entries: int
    head: AuditHead
    finding: Finding | None
    restores: tuple[RecordedRestore, ...] = ()


def verify_stream(
    acting: Acting, keys: AuditKeys, heads: tuple[AuditHead, ...], beside: AuditHead | None = None
) -> Verification:
    """Check the whole stream against each of *heads*, which were kept elsewhere, and the one *beside* the database.

    A head whose entry was lost by a recorded restore is a finding if it was kept elsewhere, and explained if not.
    """

    def work(view: View) -> Verification:
        entries = view.records.audit()
        chain = keys.broken(entries)
        restores = recorded_restores(entries) if chain is None else ()
        found = [chain, *(_compared(keys, entries, head, restores) for head in heads)]
        if beside is not None and explanation(restores, beside) is None:
            found.append(keys.broken(entries, head=beside))
        faults = [finding for finding in found if finding is not None]
        first = min(faults, key=lambda finding: finding.index, default=None)
        return Verification(len(entries), view.records.head(), first, restores)

    return read_register(acting, Action.READ_AUDIT, work)


def _compared(
    keys: AuditKeys, entries: Sequence[AuditEntry], head: AuditHead, restores: Sequence[RecordedRestore]
) -> Finding | None:
    """The first fault of *entries* against a *head* that was kept elsewhere, which one of *restores* may have lost."""
    finding = keys.broken(entries, head=head)
    lost = explanation(restores, head) if finding is not None else None
    return finding if lost is None or lost.missing is None else Finding(lost.missing[0], Fault.RESTORED)


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
