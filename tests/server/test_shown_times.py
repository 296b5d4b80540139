"""Times as readers see them: in their zone, with the exact one, also in the texts of messages."""

import pytest

from orchestrator.domain.moments import minute_text, parse_moment
from orchestrator.web.pages.drawn_signs import texts_in
from orchestrator.web.pages.rendering import duration


def test_times_in_a_message_are_in_the_zone_of_the_reader() -> None:
    """Each time of a message is shown on the clocks of the reader, with the exact one; the rest of it stays text."""
    moment = minute_text(parse_moment("2026-12-05T18:00:00Z"))
    shown = texts_in("Europe/Berlin", f"<b>closed</b> until {moment}, opens {moment}")
    tag = '<time datetime="2026-12-05T18:00:00Z" title="2026-12-05T18:00:00Z">05 Dec 2026 19:00 CET</time>'
    assert shown == f"&lt;b&gt;closed&lt;/b&gt; until {tag}, opens {tag}"
    assert texts_in("UTC", "no time & no zone") == "no time &amp; no zone"


@pytest.mark.parametrize(
    ("seconds", "text"), [(5.017, "5.017 s"), (119, "119 s"), (5400, "90 min"), (14400, "4 h"), (14460, "4 h 1 min")]
)
def test_a_length_has_no_unit_that_is_zero(seconds: float, text: str) -> None:
    """A length is shown in seconds, minutes or hours; whole hours have no minutes."""
    assert duration(seconds) == text
