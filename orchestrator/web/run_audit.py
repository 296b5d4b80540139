"""The audit entries about one run, found by the time of the run, so that the whole stream is not read."""

from datetime import UTC, datetime, timedelta

from orchestrator.app.acting import Acting
from orchestrator.app.audit import list_entries, show_entry
from orchestrator.domain.audit.chain import AuditEntry
from orchestrator.domain.audit.export import AuditFilter, about_run

EVERY = AuditFilter(start=datetime(1970, 1, 1, tzinfo=UTC), end=datetime(9999, 1, 1, tzinfo=UTC))
AT_ONCE = 500
MOST = 20_000
"""How many entries are read for one run."""
TOLERANCE = timedelta(hours=1)
"""By how much the clocks of the machines may differ whose entries are in the stream."""


def entries_about(acting: Acting, run: str, start: datetime, end: datetime) -> tuple[list[AuditEntry], bool]:
    """The entries between *start* and *end* about the run with the id *run*, and whether all of them were read.

    Raises A101.
    """
    found: list[AuditEntry] = []
    before, left = _first_after(acting, end + TOLERANCE), MOST
    while before > 1:
        if left <= 0:
            return found, False
        page = list_entries(acting, EVERY, AT_ONCE, before)
        found[:0] = [entry for entry in page if about_run(entry, f"run:{run}")]
        if not page or page[0].at < start - TOLERANCE:
            break
        before, left = page[0].index, left - len(page)
    return found, True


def _first_after(acting: Acting, moment: datetime) -> int:
    """The index after the last entry that was recorded until *moment*."""
    newest = list_entries(acting, EVERY, 1)
    low, high = 1, newest[-1].index + 1 if newest else 1
    while low < high:
        middle = (low + high) // 2
        if show_entry(acting, middle).at <= moment:
            low = middle + 1
        else:
            high = middle
    return low
