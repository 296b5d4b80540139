"""The newest reports of drift and parity of an environment, kept for everyone who may view it."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.app import environment_reports
from orchestrator.domain.access.principals import Binding, User
from orchestrator.domain.drift import Drift, Finding
from orchestrator.domain.environment_reports import (
    LONGEST_TEXT,
    MOST_DIFFERENCES,
    DriftReport,
    drift_report,
    parity_reports,
)
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.parity import GATED, Parity, ProfileDifference
from orchestrator.domain.register import BINDINGS, USERS
from orchestrator.domain.release import PackageRef
from orchestrator.register_ports import Register
from tests.app.desk import NOON, Desk
from tests.contracts.test_register import opened, register

__all__ = ["opened", "register"]  # the fixtures
SHOP = PackageRef(name="shop", version="1.0.0", digest=f"sha256:{'1' * 64}")
HOUR = timedelta(hours=1)


def drift(*names: str, environment: str = "production", **more: Any) -> Drift:
    found = tuple(Finding(part="file", name=name, host="web1", what="was edited") for name in names)
    since = "2026-01-01T00:00:00.000Z"
    return Drift(environment=environment, release=SHOP, run="r1", since=since, findings=found, **more)


def parity(*names: str) -> Parity:
    found = tuple(ProfileDifference(kind="package", name=name, left="1", right=None) for name in names)
    return Parity(left="staging", right="production", differences=found)


def test_the_newest_report_of_drift_is_kept(register: Register) -> None:
    """On every adapter: a newer report takes the place of an older one, whoever looked, and an older one changes nothing."""
    desk = Desk(register)
    for hours, by in ((1, "olga"), (2, "system:system"), (0, "ann")):
        report = drift_report(drift(*"ab"[:hours]), NOON + hours * HOUR, by, run="r2", request="R-7")
        environment_reports.keep_drift(desk.acting("operator"), report)
    found = environment_reports.environment_reports(desk.acting("viewer"), "production")
    assert found.parity is None
    assert found.drift is not None
    kept = found.drift
    assert (kept.by, kept.at, kept.run, kept.request) == ("system:system", NOON + 2 * HOUR, "r2", "R-7")
    assert (kept.summary, kept.found) == ("2 differences", drift("a", "b"))
    assert environment_reports.environment_reports(desk.acting("viewer"), "staging").drift is None


def test_parity_is_kept_for_both_environments(register: Register) -> None:
    """On every adapter: the newest comparison of each of both environments is kept, with what was compared."""
    desk = Desk(register)
    for report in parity_reports(parity("libssl3"), NOON, "ann", run="r2", kinds=GATED):
        environment_reports.keep_parity(desk.acting("operator"), report)
    for report in parity_reports(parity(), NOON - HOUR, "bob"):
        environment_reports.keep_parity(desk.acting("operator"), report)
    for name, other in (("staging", "production"), ("production", "staging")):
        found = environment_reports.environment_reports(desk.acting("viewer"), name).parity
        assert found is not None
        assert (found.other, found.by, found.run, found.kinds) == (other, "ann", "r2", GATED)
        assert (found.summary, found.found) == ("1 difference", parity("libssl3"))


def test_parity_is_shown_to_those_who_may_view_both() -> None:
    """A user who may view one environment sees its drift, and not how another one differs from it."""
    desk = Desk()
    desk.write(USERS, User(name="guest"))
    desk.write(BINDINGS, Binding(role="viewer", to="user:guest", environment="staging"))
    environment_reports.keep_drift(desk.acting("operator"), drift_report(drift(environment="staging"), NOON, "ann"))
    for report in parity_reports(parity("libssl3"), NOON, "ann"):
        environment_reports.keep_parity(desk.acting("operator"), report)
    found = environment_reports.environment_reports(desk.acting("guest"), "staging")
    assert (found.drift is not None, found.parity) == (True, None)
    with pytest.raises(OrchestratorError, match="has no role") as refused:
        environment_reports.environment_reports(desk.acting("guest"), "production")
    assert refused.value.code == "A101"


def test_a_report_is_bounded() -> None:
    """A report keeps the first differences with short texts, and how many there were."""
    many = [f"file-{number} {'x' * LONGEST_TEXT}" for number in range(MOST_DIFFERENCES + 5)]
    found = drift_report(drift(*many, unknown=("web2: unreachable",)), NOON, "ann")
    assert (found.differences, found.unknown, found.omitted) == (MOST_DIFFERENCES + 5, 1, 5)
    assert len(found.found.findings) == MOST_DIFFERENCES
    assert max(len(each.name) for each in found.found.findings) < 2 * LONGEST_TEXT
    assert (found.summary, found.is_empty) == ("105 differences, 1 unknown", False)
    first, _ = parity_reports(parity(*many), NOON, "ann")
    assert (first.differences, first.omitted, first.is_empty) == (MOST_DIFFERENCES + 5, 5, False)
    assert drift_report(drift(unknown=("web2: unreachable",)), NOON, "ann").summary == "1 unknown"
    nothing = drift_report(drift(), NOON, "ann")
    assert (nothing.summary, nothing.is_empty) == ("no drift", True)
    assert DriftReport.from_json(nothing.to_json()) == nothing
