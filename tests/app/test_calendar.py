"""The calendar and stops of the line at the register."""
# ruff: noqa: DTZ001 - times of rules are wall-clock times

from datetime import datetime, timedelta

import pytest

from orchestrator.app import calendar
from orchestrator.app.admission import Promotion, override_calendar
from orchestrator.app.entrance import RunEntrance
from orchestrator.domain.calendar.rules import CalendarRule, RuleKind
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.register import CALENDAR_RULES
from orchestrator.domain.release import PackageRef
from tests.app.desk import NOON, Desk

SHOP = PackageRef(name="shop", version="1.0.0", digest=f"sha256:{'1' * 64}")


def rule(name: str = "c1", **more: object) -> CalendarRule:
    fields = {
        "kind": RuleKind.HARD_FREEZE,
        "title": "year end",
        "start": datetime(2026, 11, 29, 11),
        "end": datetime(2026, 11, 29, 14),
        "zone": "UTC",
    }
    return CalendarRule.model_validate({"id": name, **fields, **more})


def refuse(desk: Desk, environment: str = "production", *declared: CalendarRule) -> str:
    entrance = RunEntrance(desk.register, desk.clock, lambda: declared)
    run = Run(id="r-1", root="r", kind="promotion", environment=environment, release=SHOP, by="ann")
    return entrance.closed(run)


def test_a_freeze_closes_until_it_ends_or_is_removed() -> None:
    """A freeze closes exactly its environments, with its title and end, until it is removed."""
    desk = Desk()
    calendar.add_rule(desk.acting("release-manager"), rule(environments=("prod*",), owner="ann"))
    assert refuse(desk).startswith("hard freeze 'year end' by release-manager until 2026-11-29 14:00 UTC")
    assert refuse(desk, "staging") == ""
    assert not calendar.verdicts(desk.acting("viewer"))["production"].is_open
    calendar.remove_rule(desk.acting("release-manager"), "c1")
    assert refuse(desk) == ""


def test_declared_windows_count_with_entered_ones() -> None:
    """An environment with a window in its file is closed outside of it, and open inside of an entered one."""
    desk = Desk()
    declared = rule(
        "file:production:0", kind=RuleKind.WINDOW, start=datetime(2026, 1, 1, 1), end=datetime(2026, 1, 1, 3)
    )
    assert "outside of its windows" in refuse(desk, "production", declared)
    calendar.add_rule(desk.acting("release-manager"), rule(kind=RuleKind.WINDOW))
    assert refuse(desk, "production", declared) == ""


def test_a_stopped_line_is_resumed_by_name() -> None:
    """A stop of all environments is ended by `*` only, and one of an environment by its name."""
    desk = Desk()
    manager = desk.acting("release-manager")
    calendar.stop_line(manager, "*", "leak")
    calendar.stop_line(manager, "staging", "audit", NOON + timedelta(hours=1))
    assert "line stopped by release-manager" in refuse(desk)
    calendar.resume_line(manager, "*")
    assert refuse(desk) == ""
    assert "audit" in refuse(desk, "staging")
    desk.clock.sleep(3601)
    assert refuse(desk, "staging") == ""
    with pytest.raises(OrchestratorError) as caught:
        calendar.resume_line(manager, "production")
    assert caught.value.code == "A110"


def test_an_import_is_idempotent_and_checks_environments() -> None:
    """The same import again changes nothing; an entry for an unknown environment imports nothing."""
    desk = Desk()
    manager = desk.acting("release-manager")
    first = calendar.import_rules(manager, [rule(uid="u1", source="ics")])
    assert (len(first.added), len(first.changed)) == (1, 0)
    again = calendar.import_rules(manager, [rule(uid="u1", source="ics")])
    assert (again.added, again.changed) == ((), ())
    with pytest.raises(OrchestratorError) as caught:
        calendar.import_rules(manager, [rule("c2", uid="u2"), rule("c3", uid="u3", environments=("prodution",))])
    assert caught.value.code == "A110"
    assert len(calendar.show_calendar(manager).rules) == 1


@pytest.mark.parametrize("jump", [-3 * 3600.0, 3 * 3600.0])
def test_a_clock_that_jumps_opens_nothing_earlier(jump: float) -> None:
    """A run is held while the true time may be in the freeze, whether the wall clock was set forward or back."""
    desk = Desk()
    desk.write(CALENDAR_RULES, rule())
    run = Run(id="r-1", root="r", kind="promotion", environment="production", release=SHOP, by="ann")
    entrance = RunEntrance(desk.register, desk.clock, tuple)
    assert entrance.closed(run) != ""
    desk.clock.jump(jump)
    assert entrance.closed(run) != ""
    desk.clock.sleep(2 * 3600 + 60)
    if jump > 0:
        assert entrance.closed(run) == ""


def test_an_override_is_shown_to_every_run_that_uses_it() -> None:
    """A run of the release that passed a freeze records by whom and why; a run of another release is held."""
    desk = Desk()
    desk.write(CALENDAR_RULES, rule(kind=RuleKind.SOFT_FREEZE))
    manager, entrance = desk.acting("release-manager"), RunEntrance(desk.register, desk.clock, tuple)
    override_calendar(manager, Promotion("production", SHOP), "payments are down")
    run = Run(id="r-1", root="r", kind="promotion", environment="production", release=SHOP, by="ann")
    [text] = entrance.passed(run)
    assert text.startswith("passed by release-manager: payments are down (soft freeze 'year end'")
    assert entrance.closed(run) == ""
    other = run.model_copy(update={"release": PackageRef(name="shop", version="2", digest=f"sha256:{'2' * 64}")})
    assert (entrance.passed(other), entrance.closed(other) != "") == ((), True)
