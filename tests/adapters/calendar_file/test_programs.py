"""Calendar files that other programs made on this machine are read with the right times, and written back."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.adapters.calendar_file.reader import read_calendar
from orchestrator.adapters.calendar_file.writer import write_calendar
from orchestrator.domain.calendar.calendar_import import import_difference
from orchestrator.domain.calendar.import_options import ImportOptions
from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.calendar.rules import CalendarRule, occurrences

FILES = Path(__file__).parent / "files"
REACH = Interval(datetime(2026, 11, 1, tzinfo=UTC), datetime(2037, 1, 1, tzinfo=UTC))
AT = datetime(2026, 11, 29, tzinfo=UTC)
EXPECTED: dict[str, dict[str, list[str]]] = {
    "vobject": {
        "Nights; closed, every weekday": [
            "2027-03-25T21:00/03-26T05:00",
            "2027-03-27T21:00/03-28T04:00",
            "2027-03-28T20:00/03-29T04:00",
            "2027-03-29T20:00/03-30T04:00",
            "2027-03-30T20:00/03-31T04:00",
        ],
        "Year end": ["2026-12-23T23:00/01-02T23:00"],
    },
    "ical-generator": {
        "Leap day audit – naïve café with a long title that has to be folded over more than one line of the file": [
            "2028-02-29T08:00/02-29T16:00",
            "2032-02-29T08:00/02-29T16:00",
            "2036-02-29T08:00/02-29T16:00",
        ],
        "Month end": [
            f"2027-{day}T17:00/{day}T23:00" for day in ("01-31", "03-31", "07-31", "08-31", "10-31", "12-31")
        ],
    },
    "golang-ical": {
        "Fridays": [
            "2027-01-01T17:00/01-01T23:00",
            "2027-01-08T17:00/01-08T23:00",
            "2027-01-16T10:00/01-16T12:00",
            "2027-01-22T17:00/01-22T23:00",
        ],
        "New year": ["2026-12-31T23:00/01-01T23:00"],
    },
    "outlook": {
        "Backup night": [
            "2027-03-22T21:00/03-22T22:00",
            "2027-04-06T20:00/04-06T21:30",
            "2027-04-12T20:00/04-12T21:00",
        ],
        "Holidays": ["2026-12-23T23:00/12-27T23:00"],
    },
}


def read(text: str, name: str) -> tuple[CalendarRule, ...]:
    return read_calendar(text, ImportOptions(f"{name}.ics", zone="Europe/Berlin", owner="ann"))


def times(rule: CalendarRule) -> list[str]:
    return [f"{o.interval.start:%Y-%m-%dT%H:%M}/{o.interval.end:%m-%dT%H:%M}" for o in occurrences(rule, REACH)]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_of_another_program_is_read_with_its_times(name: str) -> None:
    """Each event has exactly these times, in UTC, where clocks change, on leap days and with exceptions."""
    found = read((FILES / f"{name}.ics").read_text(encoding="utf-8"), name)
    assert {rule.title: times(rule) for rule in found} == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_what_was_read_is_written_and_read_again(name: str) -> None:
    """The written file gives the same times, and importing it changes no entry in what it means."""
    found = read((FILES / f"{name}.ics").read_text(encoding="utf-8"), name)
    again = read(write_calendar(found, AT), name)
    assert {rule.uid: times(rule) for rule in again} == {rule.uid: times(rule) for rule in found}
    assert import_difference(found, found).skipped == tuple((rule.title, "unchanged") for rule in found)
    assert [(rule.uid, rule.sequence, rule.kind) for rule in again] == [
        (rule.uid, rule.sequence, rule.kind) for rule in found
    ]


@pytest.mark.parametrize("name", ["vobject", "ical-generator", "golang-ical"])
def test_each_file_has_the_command_that_made_it(name: str) -> None:
    """The program is kept beside the file, and its first lines name the version and the command."""
    [program] = [path for path in FILES.glob(f"{name}.*") if path.suffix == ".txt"]
    head = program.read_text(encoding="utf-8").splitlines()[:2]
    assert "Made with" in head[0]
    assert f"> {name}.ics" in head[1]
