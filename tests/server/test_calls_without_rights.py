"""Calls that a worker executes later: the server accepts them only from those who have the rights to them."""

from typing import Any

import pytest

from orchestrator.app.people import add_user
from orchestrator.domain.access.principals import User
from orchestrator.domain.moments import parse_moment
from orchestrator.management.use_case_names import BY_WORKER
from orchestrator.management.use_cases import use_case_called
from tests.cli.request_project import PLACE, RequestProject, office
from tests.server.site import Site

__all__ = ["office"]  # the fixture
PACKAGE = "the package"
ARGUMENTS: dict[str, dict[str, Any]] = {
    "hooks.build_delivery": {"delivery": "0" * 16},
    "implementation_plans.run_task": {"root": "abc123"},
    "notification_duties.send_notifications": {},
    "plans.make": {"package": PACKAGE, "environment": PLACE},
    "plans.make_for_waves": {"package": PACKAGE, "waves": {"name": "both", "environments": [["staging"], [PLACE]]}},
    "plans.forecast": {"plan": PLACE},
    "inspections.drift": {"environment": PLACE},
    "inspections.parity": {"left": PLACE, "right": "staging"},
    "inspections.requirements": {"package": PACKAGE, "environment": PLACE},
    "environments.preview": {"environment": PLACE, "stack": "shop"},
    "environments.destruction": {"environment": PLACE, "stack": "shop"},
    "environments.outputs": {"environment": PLACE},
    "environments.inventory": {"environment": PLACE},
}
FOUND_FIRST = {"implementation_plans.run_task": "A110"}
"""What is missing, where the environment of the right is that of something else."""
VIEWED = {"environments.outputs", "environments.inventory"}
"""What viewers may do. With `secret` they need another right."""


@pytest.fixture
def site(office: RequestProject, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A server that has workers, and a user without a role."""
    made = Site(office, office.app())
    monkeypatch.setattr(type(made.app), "scheduler_runs", lambda _app: True)
    add_user(made.root, User(name="nil"))
    return made


def called(office: RequestProject, site: Site, name: str, case: str, **more: Any) -> tuple[int, str]:
    """The status and the code of the call of *case* by the user *name*."""
    package = office.packages.put(office.release("1.0.0")).ref.to_json()
    given = {key: package if value is PACKAGE else value for key, value in (ARGUMENTS[case] | more).items()}
    done = site.signed_in(name).post(f"/api/v1/use-cases/{case}", {"arguments": given})
    return done.status_code, done.json().get("code", "")


def waits(site: Site) -> bool:
    """Whether a call waits for a worker."""
    return site.app.worker_calls.take("worker", parse_moment(site.app.services.clock.now())) is not None


def test_every_call_of_workers_is_here() -> None:
    """Each use case that a worker executes has its arguments in the table of this test, and a check of its rights."""
    assert ARGUMENTS.keys() == BY_WORKER
    functions = [case for name in BY_WORKER if (case := use_case_called(name)).group is None]
    assert all(callable(case.function.__dict__["check_call"]) for case in functions)


@pytest.mark.parametrize("case", sorted(BY_WORKER))
def test_a_call_without_rights_is_refused_and_does_not_wait(office: RequestProject, site: Site, case: str) -> None:
    """A user without the right gets the usual refusal at once, it is in the audit stream, and no worker gets the call."""
    entries = site.app.register.reading(lambda records: records.head()).index
    expected = FOUND_FIRST.get(case, "A101")
    assert called(office, site, "nil", case)[1] == expected
    if case not in VIEWED | {"plans.forecast"}:
        assert called(office, site, "vic", case)[1] == expected
    assert not waits(site)
    last = site.app.register.reading(lambda records: records.audit(after=entries))
    assert expected != "A101" or [each.outcome for each in last if str(each.actor) == "nil"][-1] == "denied"


@pytest.mark.parametrize("case", sorted(VIEWED))
def test_secrets_are_read_with_their_own_right(office: RequestProject, site: Site, case: str) -> None:
    """A viewer may have outputs and inventories read without secrets, and not with them."""
    assert called(office, site, "vic", case, secret=True) == (403, "A101")
    assert not waits(site)
    assert called(office, site, "vic", case)[0] == 202
    assert waits(site)


@pytest.mark.parametrize("case", ["plans.make", "inspections.drift", "inspections.parity", "environments.preview"])
def test_a_call_with_rights_waits_for_a_worker(office: RequestProject, site: Site, case: str) -> None:
    """The server accepts the call of a release manager, and refuses arguments that no worker could use."""
    assert called(office, site, "ann", case, nothing=1) == (422, "N110")
    assert not waits(site)
    assert called(office, site, "ann", case)[0] == 202
    assert waits(site)
