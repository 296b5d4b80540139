"""Moments as users give them to commands."""

from datetime import UTC, datetime, timedelta

import click
import pytest

from orchestrator.cli.register_options import MOMENT


def given(text: str) -> datetime:
    return MOMENT.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "after"),
    [("now", timedelta(0)), ("+3d", timedelta(days=3)), ("+90m", timedelta(minutes=90)), ("+0s", timedelta(0))],
)
def test_a_moment_can_be_given_from_now(text: str, after: timedelta) -> None:
    """`now` and `+3d` are moments from the current second on; they have an offset, as every moment has."""
    before = datetime.now(UTC).replace(microsecond=0)
    found = given(text)
    assert before + after <= found <= datetime.now(UTC) + after
    assert found.tzinfo is not None


def test_a_moment_is_iso_8601_with_an_offset() -> None:
    """A moment with an offset is that moment; one without an offset, and what is no time, are refused with both forms."""
    assert given("2026-12-24T19:00:00+01:00") == datetime(2026, 12, 24, 18, tzinfo=UTC)
    for text in ("tomorrow", "+3", "+", "+99999999d"):
        with pytest.raises(click.BadParameter, match="at most 100 years" if "9999" in text else r"or as \+3d|must"):
            given(text)
    with pytest.raises(click.BadParameter):
        given("2026-12-24T19:00:00")
