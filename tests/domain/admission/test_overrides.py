"""Who may pass a calendar entry, and what cannot be passed."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.domain.access.authorize import Target
from orchestrator.domain.access.directory import Access, Directory
from orchestrator.domain.access.principals import Actor, Method
from orchestrator.domain.admission.overrides import Override, Passing, overridden
from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.calendar.verdict import Cause, Closing
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now, parse_moment

START = parse_moment("2026-11-29T12:00:00Z")
ACCESS = Access.from_json(
    {
        "users": [{"name": "ann"}, {"name": "bob"}],
        "bindings": [
            {"role": "release-manager", "to": "user:ann"},
            {"role": "operator", "to": "user:bob", "environment": "production"},
        ],
    }
)


def override(
    name: str, cause: Cause, role: str | None = None, reason: str = "fix", environment: str = "production"
) -> Override:
    lasts = Interval(START, START + timedelta(hours=1))
    closing = Closing(cause, "f", lasts, "year end", "cid", lasts.end, role)
    actor = Actor(name=name, method=Method.TOKEN)
    passing = Passing(f"sha256:{'1' * 64}", "shop-1.1.0", Target("shop", environment), actor, reason)
    return overridden(passing, closing, Directory(ACCESS), Now.at(START))


def test_an_override_is_recorded_with_its_reason() -> None:
    """Who passed what, with the text of the entry as it was."""
    made = override("ann", Cause.SOFT_FREEZE)
    assert (made.by, made.entry, made.reason) == ("ann", "f", "fix")
    assert made.until == START + timedelta(hours=1)
    assert made.text == "soft freeze 'year end' by cid until 2026-11-29 13:00 UTC"
    with pytest.raises(ValidationError, match="reason"):
        override("ann", Cause.SOFT_FREEZE, reason=" ")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": "bob", "cause": Cause.SOFT_FREEZE}, "A101"),
        ({"name": "ann", "cause": Cause.SOFT_FREEZE, "role": "operator"}, "A101"),
        ({"name": "bob", "cause": Cause.HARD_FREEZE, "role": "operator", "environment": "staging"}, "A101"),
        ({"name": "ann", "cause": Cause.HARD_FREEZE}, "A301"),
        ({"name": "ann", "cause": Cause.LINE_STOPPED}, "A301"),
        ({"name": "ann", "cause": Cause.BOOKED}, "A301"),
    ],
)
def test_an_override_without_the_right_is_refused(fields: dict[str, Any], code: str) -> None:
    """An entry that names a role needs that role; a hard freeze without one cannot be passed."""
    with pytest.raises(OrchestratorError, match=code):
        override(**fields)


def test_the_role_that_an_entry_names_passes_it() -> None:
    """A hard freeze too."""
    assert override("bob", Cause.HARD_FREEZE, "operator").entry == "f"
