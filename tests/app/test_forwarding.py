"""Use cases of the register that a client calls: what arrives at the server, and what comes back."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.app.acting import Acting
from orchestrator.app.audit import KeptAudit
from orchestrator.app.sign_in_links import SignInPlace
from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.remote_application import RemoteUseCases
from orchestrator.management.use_cases import use_case_called, use_cases
from orchestrator.ports.servers import ServerReply
from tests.app.desk import Desk
from tests.app.test_rights import CALLS, RULES, SENDING, everything, laid
from tests.management.calls import FACTS, HOOK_PROJECT, PLANS, RELEASES, SOURCES, TRAIN_FACTS, NoWorks
from tests.management.sources import MeasureFacts, NoProjects, ReviewJournal

UNLIKE = {
    "calendar.stop_line",
    "tokens.create_token",
    "tokens.rotate_token",
    "hooks.add_hook",
    "notification_rules.add_notification_rule",
    "calendar_addresses.create_calendar_address",
    "sign_in_links.create_link",
    "access.preview",
}
"""Use cases whose results differ each time: secrets, ids, and a difference that has the time."""
PROMOTIONS = {"admission.why", "admission.override_calendar"}
"""Use cases about a promotion, which the server makes of the package: tests of commands call them."""
REGISTER = sorted(name for name, case in use_cases().items() if case.group is None and name not in PROMOTIONS)


class Wire:
    """A `ServerConnection` to the use cases of this process, as a *role* of the *desk*."""

    url = "wire"

    def __init__(self, desk: Desk, role: str) -> None:
        self.keys: list[str | None] = []
        self._app: Any = SimpleNamespace(
            acting_as=lambda _actor: desk.acting(role),
            request_rules=lambda: RULES,
            change_sources=SOURCES,
            kept_audit=KeptAudit(MemoryKeys()),
            sign_in_place=SignInPlace(),
            booking_sources=FACTS,
            release_sources=RELEASES,
            implementation_sources=PLANS,
            review_sources=ReviewJournal(),
            measure_sources=MeasureFacts(),
            train_sources=TRAIN_FACTS,
            hook_sources=HOOK_PROJECT,
            notification_sources=SENDING,
            project_sources=NoProjects(),
            task_works=NoWorks(),
        )

    def post(self, path: str, body: bytes, key: str | None) -> ServerReply:
        """The response of a server."""
        self.keys.append(key)
        case = use_case_called(path.rpartition("/")[2])
        actor: Any = None
        try:
            result = case.call(self._app, actor, json.loads(body)["arguments"])
        except OrchestratorError as error:
            return ServerReply(403, "application/problem+json", json.dumps({"errors": [error.to_json()]}).encode())
        return ServerReply(200, "application/json", json.dumps({"apiVersion": "v1", "result": result}).encode())

    def post_without_token(self, path: str, body: bytes) -> ServerReply:
        """Every call here has an actor."""
        raise AssertionError((path, body))

    def get(self, path: str) -> ServerReply:
        """No call is executed by a worker here."""
        raise AssertionError(path)

    def put(self, path: str, data: bytes, place: str) -> ServerReply:
        """Nothing is uploaded here."""
        raise AssertionError((path, data, place))

    def events(self, path: str, cursor: str | None) -> Iterator[str]:
        """No events."""
        del path, cursor
        return iter(())

    def close(self) -> None:
        """Nothing is open."""


def outcome(name: str, acting: Acting) -> object:
    """The result of a use case, or the error that it raises."""
    try:
        return CALLS[name](acting, "staging")
    except OrchestratorError as error:
        return error.to_json()


@pytest.mark.parametrize("name", REGISTER)
@pytest.mark.parametrize("role", ["viewer", "release-manager", "administrator", "approver"])
def test_a_call_at_a_server_has_the_same_result_and_effect(name: str, role: str) -> None:
    """A use case has the same result, error and records when a client calls it; a change has an idempotency key."""
    here, there = laid(), laid()
    wire = Wire(there, role)
    remote = here.acting(role)
    remote = Acting(**{**remote.__dict__, "forwarder": RemoteUseCases(wire)})
    there_result, here_result = outcome(name, remote), outcome(name, here.acting(role))
    if name not in UNLIKE:
        assert there_result == here_result
        assert everything(there) == everything(here)
    assert there.entries == here.entries
    assert all((key is not None) is use_cases()[name].changes for key in wire.keys[-1:])
