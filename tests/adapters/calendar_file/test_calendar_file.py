"""Calendar files are read and written with values: in the forms of several programs, and with bad input."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.adapters.calendar_file.reader import read_calendar
from orchestrator.adapters.calendar_file.writer import write_calendar
from orchestrator.domain.calendar.calendar_import import import_difference
from orchestrator.domain.calendar.import_options import ImportOptions
from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.calendar.rules import CalendarRule, RuleKind, occurrences
from orchestrator.domain.errors import OrchestratorError

OPTIONS = ImportOptions("team.ics", owner="ann", zone="Europe/Zurich")
YEAR = Interval(datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 11, 1, tzinfo=UTC))
AT = datetime(2026, 11, 29, tzinfo=UTC)
OUTLOOK = """BEGIN:VEVENT
UID:040000008200E00074C5B7101A82E008
SEQUENCE:1
SUMMARY:Freeze\\, Fridays
DTSTART;TZID="W. Europe Standard Time":20261127T180000
DTEND;TZID="W. Europe Standard Time":20261127T230000
RRULE:FREQ=WEEKLY;UNTIL=20261218T170000Z;INTERVAL=1;BYDAY=FR;WKST=MO
EXDATE;TZID="W. Europe Standard Time":20261211T180000
X-MICROSOFT-CDO-BUSYSTATUS:BUSY
BEGIN:VALARM
TRIGGER:-PT15M
ACTION:DISPLAY
DESCRIPTION:Reminder
END:VALARM
END:VEVENT
BEGIN:VEVENT
UID:040000008200E00074C5B7101A82E008
SEQUENCE:2
SUMMARY:Freeze\\, Fridays
RECURRENCE-ID;TZID="W. Europe Standard Time":20261204T180000
DTSTART;TZID="W. Europe Standard Time":20261205T100000
DTEND;TZID="W. Europe Standard Time":20261205T120000
END:VEVENT
"""


def file(events: str) -> str:
    whole = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n{events}END:VCALENDAR\n"
    return whole.replace("\n", "\r\n")


def event(*lines: str, uid: str = "1") -> str:
    return "\n".join(["BEGIN:VEVENT", f"UID:{uid}", "SUMMARY:Freeze", *lines, "END:VEVENT", ""])


def read(events: str, **fields: Any) -> tuple[CalendarRule, ...]:
    return read_calendar(file(events), ImportOptions(**{**vars(OPTIONS), **fields}))


def times(rule: CalendarRule) -> list[str]:
    return [f"{found.interval.start:%m-%dT%H:%M}/{found.interval.end:%m-%dT%H:%M}" for found in occurrences(rule, YEAR)]


def test_a_file_in_the_form_of_outlook_is_read() -> None:
    """Windows zone names, an alarm, an exception and a moved date; two events of one UID are one rule."""
    (rule,) = read(OUTLOOK)
    assert (rule.title, rule.zone, rule.sequence, rule.kind) == (
        "Freeze, Fridays",
        "Europe/Berlin",
        2,
        RuleKind.HARD_FREEZE,
    )
    assert times(rule) == ["11-27T17:00/11-27T22:00", "12-05T09:00/12-05T11:00", "12-18T17:00/12-18T22:00"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261227"], "12-24T23:00/12-26T23:00"),
        (["DTSTART;VALUE=DATE:20261225"], "12-24T23:00/12-25T23:00"),
        (["DTSTART:20261225T180000", "DURATION:PT2H"], "12-25T17:00/12-25T19:00"),
        (["DTSTART:20261225T180000Z", "DTEND:20261225T190000Z"], "12-25T18:00/12-25T19:00"),
        (
            ["DTSTART;TZID=America/New_York:20261225T180000", "DTEND;TZID=Europe/Zurich:20261226T010000"],
            "12-25T23:00/12-26T00:00",
        ),
    ],
    ids=["whole days", "one day", "without a zone", "in UTC", "in two zones"],
)
def test_times_of_every_form_are_read(lines: list[str], expected: str) -> None:
    """A whole day and a time without a zone are in the zone of the import."""
    (rule,) = read(event(*lines))
    assert times(rule) == [expected]


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        (["DTSTART;TZID=Mars/Olympus:20261225T180000", "DURATION:PT2H"], 7, "unknown time zone Mars/Olympus"),
        (["DTSTART:20261225T180000Z"], 7, "neither DTEND nor DURATION"),
        (["DTSTART:20261225T180000Z", "DTEND:20261225T180000Z"], 7, "not after its start"),
        (["DTSTART:20261225T180000Z", "DURATION:PT2H", "RRULE:FREQ=SECONDLY"], 9, "must have FREQ"),
        (
            ["DTSTART:20261225T180000Z", "DURATION:PT2H", "RRULE:FREQ=WEEKLY;BYDAY=MO"],
            7,
            "a time that its rule does not give",
        ),
        (["DTSTART:20261225T180000Z", "DURATION:PT2H", "RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"], 9, "at most one rule"),
        (["DTSTART:20261225T180000Z", "DURATION:PT2H", "X-ORCHESTRATOR-KIND:maybe"], 9, "Input should be"),
        (["DTSTART:yesterday", "DURATION:PT2H"], 7, "DTSTART"),
        (["DURATION:PT2H"], 4, "no DTSTART"),
        (["DTSTART:20261225T180000Z", "DURATION:PT2H", "DTSTART:20261226T180000Z"], 7, "DTSTART"),
        (["DTSTART:20261225T180000Z", "DURATION:-PT2H"], 7, "not after its start"),
        (
            ["DTSTART:20261225T180000Z", "DURATION:PT2H", "RDATE;VALUE=PERIOD:20270101T000000Z/PT1H"],
            9,
            "RDATE with periods",
        ),
        (["DTSTART:20261225T180000Z", "DURATION:PT2H", "SEQUENCE:many"], 9, "SEQUENCE"),
    ],
)
def test_one_invalid_event_refuses_the_whole_file_with_its_line(lines: list[str], line: int, message: str) -> None:
    """Nothing is imported when a component is invalid."""
    good = event("DTSTART:20261225T180000Z", "DURATION:PT2H", uid="2")
    with pytest.raises(OrchestratorError, match="A303") as caught:
        read(event(*lines) + good)
    assert message in caught.value.message
    assert caught.value.where is not None
    assert (caught.value.where.file, caught.value.where.line) == ("team.ics", line)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no calendar",
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VCALENDAR\r\n",
        file(event("DTSTART:20261225", uid="")),
    ],
)
def test_what_is_not_a_calendar_is_refused(text: str) -> None:
    """With an error, and not with a traceback."""
    with pytest.raises(OrchestratorError, match="A303"):
        read_calendar(text, OPTIONS)


def test_a_date_of_a_series_that_the_file_does_not_have_is_refused() -> None:
    """A moved date alone means nothing."""
    with pytest.raises(OrchestratorError, match="a series that the file does not have"):
        read(event("RECURRENCE-ID:20261225T180000Z", "DTSTART:20261225T190000Z", "DURATION:PT1H"))


def test_cancelled_events_close_nothing() -> None:
    """A cancelled date is left out of its series, a cancelled event is skipped."""
    series = event("DTSTART:20261225T180000Z", "DURATION:PT2H", "RRULE:FREQ=DAILY;COUNT=3")
    cancelled = event("RECURRENCE-ID:20261226T180000Z", "DTSTART:20261226T180000Z", "DURATION:PT2H", "STATUS:CANCELLED")
    (rule,) = read(series + cancelled)
    assert times(rule) == ["12-25T18:00/12-25T20:00", "12-27T18:00/12-27T20:00"]
    assert read(event("DTSTART:20261225T180000Z", "DURATION:PT2H", "STATUS:CANCELLED")) == ()


def test_what_is_written_is_read_with_the_same_occurrences() -> None:
    """Kind, environments, exceptions, moved dates and the end of a rule survive."""
    (rule,) = read(OUTLOOK, kind=RuleKind.SOFT_FREEZE, environments=("prod-*", "staging"))
    days = CalendarRule.from_json({
        "id": "w", "kind": "window", "title": "Weekdays; äöü", "zone": "America/New_York", "start": "2026-11-02T09:00:00",
        "end": "2026-11-02T17:00:00", "rule": "FREQ=WEEKLY;BYDAY=MO,TU;UNTIL=20261231", "also": ["2026-12-24T09:00:00"],
    })  # fmt: skip
    text = write_calendar([rule, days], AT)
    back = read_calendar(text, OPTIONS)
    assert [times(each) for each in back] == [times(rule), times(days)]
    assert [(each.kind, each.environments, each.title) for each in back] == [
        (r.kind, r.environments, r.title) for r in (rule, days)
    ]
    assert "BEGIN:VTIMEZONE" in text
    assert write_calendar(read_calendar(write_calendar(back, AT), OPTIONS), AT) == write_calendar(back, AT)


def test_an_import_is_idempotent_by_uid_and_sequence() -> None:
    """The same file changes nothing, a newer one changes, an older one is skipped."""
    old = read(event("DTSTART:20261225T180000Z", "DURATION:PT2H", "SEQUENCE:2"))
    newer = read(event("DTSTART:20261225T180000Z", "DURATION:PT3H", "SEQUENCE:3"))
    older = read(event("DTSTART:20261225T180000Z", "DURATION:PT1H", "SEQUENCE:1"))
    assert import_difference([], old).added == old
    assert import_difference(old, old).skipped == (("Freeze", "unchanged"),)
    assert import_difference(old, newer).changed == newer
    assert import_difference(old, older).skipped == (("Freeze", "older (SEQUENCE 1, imported is 2)"),)
