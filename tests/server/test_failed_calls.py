"""Calls that a worker executes for a server, and that fail by a mistake of the program."""

from typing import Any, NoReturn

import pytest

from orchestrator.domain.moments import parse_moment
from orchestrator.management.use_cases import use_case_called
from orchestrator.management.worker_calls import answer_call, read_call, submit_call
from orchestrator.planning import make
from tests.cli.request_project import PLACE, RequestProject, office

__all__ = ["office"]  # the fixture


def mistaken(*_: Any) -> NoReturn:
    """What a mistake of ours is: an error without a code."""
    raise ValueError("the third value is missing")


def test_a_call_that_fails_by_a_mistake_ends(office: RequestProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call ends with M199 and is not executed again: no worker repeats it, and no client waits for it."""
    package = office.packages.put(office.release("1.0.0"))
    with office.acting("ann"):
        app = office.app()
    monkeypatch.setattr(type(app), "scheduler_runs", lambda _app: True)
    monkeypatch.setattr(make, "make", mistaken)
    arguments = {"package": package.ref.to_json(), "environment": PLACE}
    call = submit_call(app, app.actor, use_case_called("plans.make"), arguments)
    taken = app.worker_calls.take("worker", parse_moment(app.services.clock.now()))
    assert taken is not None
    answer_call(app, taken)
    [error] = read_call(app, app.actor, call.id).errors
    assert (error["code"], "third value" in error["message"]) == ("M199", False)
    app.close()
