"""Runs that users name by their request: one that waits has no run yet, and one that started later has another id."""

import time
from typing import TYPE_CHECKING

from orchestrator.cli import output
from orchestrator.domain.error_codes import OBJECT_UNKNOWN, RIGHT_MISSING, RUN_NOT_FOUND
from orchestrator.domain.errors import OrchestratorError

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.app.run_requests import RequestView

POLL = 1.0  # seconds between two checks whether a request has started


def request_without_run(app: "Application", wanted: str) -> "RequestView | None":
    """The promotion request *wanted*, if no run has this id and it is that of a request, or the first part of one."""
    return None if _is_recorded(app, wanted) else _request(app, wanted)


def wait_for_start(app: "Application", seen: "RequestView") -> "RequestView":
    """The request *seen* after it has started or ended. What it waits for is printed when that changes."""
    from orchestrator.app.run_requests import show_request
    from orchestrator.cli.run_requests import WAITS, hint_worker, wait_reason

    printed = ""
    if hint := hint_worker(app, seen):
        output.note(hint)
    while seen.state in WAITS or (seen.request.run and not _is_recorded(app, seen.request.run)):
        if seen.state in WAITS and (text := wait_reason(seen)) != printed:
            output.note_folded(f"{seen.request.id} waits: {text}")
            printed = text
        time.sleep(POLL)
        seen, _ = show_request(app.acting, seen.request.id, app.request_rules())
    return seen


def _is_recorded(app: "Application", run: str) -> bool:
    """Whether the journal has *run*. A request is started first, and its run follows."""
    try:
        app.queries.find_run(app.actor, run)
    except OrchestratorError as error:
        if error.code != RUN_NOT_FOUND:
            raise
        return False
    return True


def _request(app: "Application", wanted: str) -> "RequestView | None":
    from orchestrator.app.run_requests import show_request

    try:
        return show_request(app.acting, wanted, app.request_rules())[0]
    except OrchestratorError as error:
        if error.code in {OBJECT_UNKNOWN, RIGHT_MISSING}:
            return None
        raise
