"""The audit stream: list, show, verify, explain and export."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from orchestrator.app.acting import Acting, Change, View, change, read_register, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.audit.breaks import BREAK, BreakDetail, ExplainedBreak, explained_break, recorded_breaks
from orchestrator.domain.audit.chain import AuditEntry, AuditHead, Fault, Finding, head_of
from orchestrator.domain.audit.export import AuditExport, AuditFilter, describe, population
from orchestrator.domain.audit.restores import RecordedRestore, explanation, recorded_restores
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.listing import MOST_ROWS
from orchestrator.register_ports import AT_ONCE, AuditKeys, Records


@forwarded
def list_entries(
    acting: Acting, chosen: AuditFilter, limit: int = MOST_ROWS, before: int | None = None
) -> tuple[AuditEntry, ...]:
    """The newest entries that fit *chosen*, at most *limit*, of those *before* an index; the oldest of them first."""

    def work(view: View) -> tuple[AuditEntry, ...]:
        newest_first = (entry for entry in _newest_first(view.records, before) if chosen.fits(entry))
        return tuple(islice(newest_first, limit))[::-1]

    return read_register(acting, Action.READ_AUDIT, work)


def _newest_first(records: Records, before: int | None) -> Iterator[AuditEntry]:
    """The entries before an index, read *AT_ONCE* at a time as they are consumed."""
    end = records.head().index if before is None else before - 1
    while end > 0:
        start = max(0, end - AT_ONCE)
        page = records.audit(after=start, limit=end - start)
        yield from (entry for entry in reversed(page) if entry.index <= end)
        end = start


@forwarded
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

    *restores* are those that the stream records: they explain which entries a restored state lacks. *breaks* are those
    that `explain_break` recorded. *heads* is the number of places that it was compared with.
    """

    entries: int
    head: AuditHead
    finding: Finding | None
    restores: tuple[RecordedRestore, ...] = ()
    breaks: tuple[ExplainedBreak, ...] = ()
    heads: int = 0


@dataclass(frozen=True)
class KeptAudit:
    """What the project has to verify its stream: its *keys*, and the head *beside* the database, if there is one."""

    keys: AuditKeys
    beside: AuditHead | None = None


@forwarded
def verify_stream(acting: Acting, kept: KeptAudit, heads: tuple[AuditHead, ...]) -> Verification:
    """Check the whole stream against each of *heads*, which were kept elsewhere, and the one beside the database.

    A head whose entry was lost by a recorded restore is a finding if it was kept elsewhere, and explained if not. A
    head that an explained break names is not a finding.
    """
    keys, beside = kept.keys, kept.beside

    def work(view: View) -> Verification:
        entries = view.records.audit()
        chain = keys.broken(entries)
        restores = recorded_restores(entries) if chain is None else ()
        breaks = recorded_breaks(entries) if chain is None else ()
        others = [head for head in heads if explained_break(breaks, head) is None]
        found = [chain, *(_compared(keys, entries, head, restores) for head in others)]
        if beside is not None and explanation(restores, beside) is None and explained_break(breaks, beside) is None:
            found.append(keys.broken(entries, head=beside))
        faults = [finding for finding in found if finding is not None]
        first = min(faults, key=lambda finding: finding.index, default=None)
        number = len(heads) + (beside is not None)
        return Verification(len(entries), view.records.head(), first, restores, breaks, number)

    return read_register(acting, Action.READ_AUDIT, work)


def _compared(
    keys: AuditKeys, entries: Sequence[AuditEntry], head: AuditHead, restores: Sequence[RecordedRestore]
) -> Finding | None:
    """The first fault of *entries* against a *head* that was kept elsewhere, which one of *restores* may have lost."""
    finding = keys.broken(entries, head=head)
    lost = explanation(restores, head) if finding is not None else None
    return finding if lost is None or lost.missing is None else Finding(lost.missing[0], Fault.RESTORED)


@forwarded
def explain_break(acting: Acting, kept: KeptAudit, heads: tuple[AuditHead, ...], reason: str) -> ExplainedBreak:
    """Record the *reason* why places of *heads*, or the one beside the database, are not in the stream any more.

    Each place stays in the entry. Raises A401 if the entries themselves were changed, and A402 if no place differs.
    """
    keys, beside = kept.keys, kept.beside

    def work(task: Change) -> ExplainedBreak:
        entries = task.records.audit()
        chain = keys.broken(entries)
        if chain is not None:
            raise OrchestratorError("A401", f"the audit stream was changed: {chain}")
        lost = beside is None or explanation(recorded_restores(entries), beside) is not None
        places = heads if beside is None or lost else (*heads, beside)
        detail = _differing(acting.project, keys, entries, places)
        task.record(f"project:{acting.project}", detail={BREAK: detail.to_json()})
        return recorded_breaks(task.records.audit(after=len(entries)))[-1]

    return change(acting, Action.EXPLAIN_AUDIT, work, reason=reason)


def _differing(project: str, keys: AuditKeys, entries: Sequence[AuditEntry], heads: Sequence[AuditHead]) -> BreakDetail:
    """The places of *heads* that are not in *entries* and not explained yet. Raises A402 without one."""
    other = next((head.project for head in heads if head.project != project), None)
    if other is not None:
        raise OrchestratorError("A402", f"the head is that of the project {other}, not of {project}")
    restores, breaks = recorded_restores(entries), recorded_breaks(entries)
    found = {
        head.code: (head, finding)
        for head in heads
        if explained_break(breaks, head) is None and (finding := _compared(keys, entries, head, restores)) is not None
    }
    if not found:
        raise OrchestratorError("A402", f"{len(entries)} entries agree with every head, or the break is explained")
    first = min((finding for _, finding in found.values()), key=lambda finding: finding.index)
    places = tuple(head for head, _ in found.values())
    return BreakDetail(heads=places, first=first.index, fault=first.fault, head_after=head_of(entries[-1]))


@dataclass(frozen=True)
class Exported:
    """The *statement* of an export and the *entries* of its population."""

    statement: AuditExport
    entries: tuple[AuditEntry, ...]


@forwarded
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
