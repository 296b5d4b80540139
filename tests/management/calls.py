"""Each use case of release management, called once, for the table of rights."""

from collections.abc import Callable
from typing import Any

from orchestrator.app.acting import Acting
from orchestrator.management.change_requests import decisions, duties, queries
from orchestrator.management.change_requests.imports import Incoming
from orchestrator.management.change_requests.model import ChangeRequest, Source
from orchestrator.management.change_requests.state import ChangeState
from orchestrator.management.change_requests.store import CHANGE_REQUESTS
from tests.app.desk import NOON, Desk
from tests.management.sources import DRAFT, Sources

Call = Callable[[Acting, str], Any]
SOURCES = Sources()
INCOMING = (Incoming(source=Source.FILE, source_ref="T-1", draft=DRAFT),)
NUMBERS = {ChangeState.DRAFT: 1, ChangeState.ASSESSING: 2, ChangeState.DEFERRED: 3, ChangeState.RELEASED: 4}

MANAGEMENT_CALLS: dict[str, Call] = {
    "change_requests.accept_change": lambda a, _: decisions.accept_change(a, "R-2", SOURCES),
    "change_requests.add_change": lambda a, _: decisions.add_change(a, DRAFT, SOURCES),
    "change_requests.close_change": lambda a, _: decisions.close_change(a, "R-4"),
    "change_requests.count_changes": lambda a, _: queries.count_changes(a),
    "change_requests.defer_change": lambda a, _: decisions.defer_change(a, "R-2", "later"),
    "change_requests.edit_change": lambda a, _: decisions.edit_change(a, "R-1", {"value": 1}, SOURCES),
    "change_requests.import_changes": lambda a, _: decisions.import_changes(a, INCOMING, SOURCES),
    "change_requests.list_changes": lambda a, _: queries.list_changes(a),
    "change_requests.override_rank": lambda a, _: decisions.override_rank(a, "R-2", 1.0, "why"),
    "change_requests.preview_changes": lambda a, _: queries.preview_changes(a, INCOMING),
    "change_requests.read_commits": lambda a, e: queries.read_commits(a, SOURCES, e),
    "change_requests.recompute_ranks": lambda a, _: duties.recompute_ranks(a, SOURCES),
    "change_requests.reject_change": lambda a, _: decisions.reject_change(a, "R-2", "no"),
    "change_requests.reopen_change": lambda a, _: decisions.reopen_change(a, "R-3", SOURCES),
    "change_requests.show_change": lambda a, _: queries.show_change(a, "R-1", SOURCES),
    "change_requests.show_ranking": lambda a, _: queries.show_ranking(a),
    "change_requests.submit_change": lambda a, _: decisions.submit_change(a, "R-1", SOURCES),
    "change_requests.withdraw_change": lambda a, _: decisions.withdraw_change(a, "R-2"),
}


def lay_management(desk: Desk) -> None:
    """Records of another user, one in each state that the calls need."""
    about = {**DRAFT.model_dump(), "reporter": "root", "created_at": NOON}
    for state, number in NUMBERS.items():
        desk.write(CHANGE_REQUESTS, ChangeRequest.model_validate({**about, "number": number, "state": state}))
