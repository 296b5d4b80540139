"""Change requests as users read them: in words, and as data for documents."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from orchestrator.cli.output import Cell, out_folded, print_json

if TYPE_CHECKING:
    from orchestrator.management.change_requests.imports import ChangeImport, Skipped
    from orchestrator.management.change_requests.model import ChangeRequest, RankMove

HEADS = ("request", "rank", "risk", "state", "title", "packages", "environments", "due")


def change_row(request: "ChangeRequest") -> list[Cell]:
    """The request as a row of a table."""
    places = ", ".join(request.packages) or "–", ", ".join(request.environments) or "–"
    due = request.due.isoformat() if request.due else "–"
    rank = f"{request.rank:.2f}" + ("*" if request.override else "")
    return [request.id, rank, str(request.risk.risk), request.state.value, request.title, *places, due]


def change_lines(request: "ChangeRequest") -> Iterator[str]:
    """The request with its rank, its risk, and its checks."""
    from orchestrator.domain.moments import minute_text

    yield f"{request.id} {request.state}: {request.title}"
    yield f"  by       {request.reporter}, at {minute_text(request.created_at)}, from {request.source.value}" + (
        f" {request.source_ref[:40]}" if request.source_ref else ""
    )
    if request.reason:
        yield f"  reason   {request.reason.replace(chr(10), ' ')}"
    yield (
        f"  for      {', '.join(request.packages) or 'no package'} → {', '.join(request.environments) or 'nowhere'}"
        + (f", due on {request.due}" if request.due else "")
    )
    yield from (f"  link     {link}" for link in request.links)
    yield f"  rank     {request.arithmetic}"
    yield from (f"  risk     {line}" for line in request.risk.lines)
    yield f"  risk     {request.risk.arithmetic}"
    yield from (f"  check    {'✔' if check.holds else '✘'} {check.name}: {check.text}" for check in request.checks)
    if request.release:
        yield f"  release  {request.release}"
    if request.decided_at is not None:
        until = f", until {minute_text(request.until)}" if request.until else ""
        because = f": {request.note}" if request.note else ""
        yield f"  decided  {request.state} by {request.decided_by} at {minute_text(request.decided_at)}{until}{because}"


def print_change(request: "ChangeRequest", *, as_json: bool, note: str = "") -> None:
    """Print one request, with a *note* below it."""
    if as_json:
        from orchestrator.management.documents import change_item

        print_json("ChangeRequest", change_item(request))
        return
    for line in change_lines(request):
        out_folded(line)
    if note:
        out_folded(note)


def move_line(move: "RankMove") -> str:
    """A move of the ranking in one line."""
    before = f"{move.before:.2f}" if move.before is not None else "new"
    place = f"place {move.place_before} → {move.place}" if move.place_before else f"place {move.place}"
    return f"{move.request} {before} → {move.after:.2f}, {place}: {'; '.join(move.why)}"


def import_lines(found: "ChangeImport") -> Iterator[str]:
    """What an import adds, changes and skips."""
    for incoming in found.added:
        draft = incoming.draft
        yield f"add '{draft.title}' (value {draft.value}, urgency {draft.urgency}) from {incoming.source_ref[:12]}"
    for request, incoming in found.changed:
        yield f"change {request.id} '{incoming.draft.title}'"
    for each in found.skipped:
        yield f"skip '{each.title}': {each.why}"


def import_document(
    found: "ChangeImport", skipped: "tuple[Skipped, ...]", since: str, *, imported: bool
) -> dict[str, Any]:
    """The import as data for documents; *skipped* was not considered at all."""
    return {
        "added": [each.to_json() for each in found.added],
        "changed": [request.id for request, _ in found.changed],
        "skipped": [each.to_json() for each in (*found.skipped, *skipped)],
        "since": since,
        "imported": imported,
    }
