"""Release notes and the timeline by values."""

import xml.etree.ElementTree as ET
from datetime import timedelta

import pytest

from orchestrator.cli.release_notes import escaped, markdown_lines, note_lines
from orchestrator.domain.release import Commit, PackageRef
from orchestrator.management.planned_releases.model import Deferral
from orchestrator.management.planned_releases.notes import (
    ChangedFile,
    FileDifference,
    PackageDifference,
    ReleaseNotes,
    noted,
    write_notes,
)
from orchestrator.management.planned_releases.ports import PlaceState
from orchestrator.management.planned_releases.timeline import schedule_rows, timeline_html, timeline_svg
from tests.management.test_planned_releases import MONDAY, RELEASE, later, planned
from tests.management.test_release_use_cases import OTHER, Plan

COMMIT = Commit(change="added", commit="a" * 40, at="2026-11-30T08:00:00Z", author="Ann", subject="Sell *all*")
DIFFERENCE = PackageDifference(
    files=(
        FileDifference(ChangedFile(change="changed", path="tests/test_shop.py", area="content"),
                       ("+def test_new() -> None:", "-def test_old() -> None:", "-def test_same():", "+def test_same(x):")),
        FileDifference(ChangedFile(change="removed", path="tests.txt", area="content"), ("-def test_no():",)),
        FileDifference(ChangedFile(change="changed", path="tests/app.jar", area="artifacts"), ("+def test_jar():",)),
    ),
    fields=("version",), commits=(COMMIT,), suites=("tests",),
    infrastructure=(ChangedFile(change="added", path="environments/production/__main__.py", area="environment"),),
)  # fmt: skip


def notes_of(plan: Plan) -> ReleaseNotes:
    return write_notes(plan.acting("viewer"), "REL-1", plan.sources)


def test_the_change_list_has_each_kind_of_change() -> None:
    """Commits, infrastructure, files and tests are told apart; a test whose lines changed is neither added nor removed."""
    after = PackageRef(name="shop", version="1.5.0", digest=f"sha256:{'1' * 64}")
    found = noted(OTHER, after, DIFFERENCE)
    assert [(test.change, test.name) for test in found.tests] == [("added", "test_new"), ("removed", "test_old")]
    assert [file.path for file in found.infrastructure] == ["environments/production/__main__.py"]
    assert (len(found.files), found.commits) == (3, (COMMIT,))


def test_notes_stay_those_of_before_the_release() -> None:
    """Before the release the notes are against what runs, and after it against what ran before."""
    plan = Plan()
    plan.sources.found = DIFFERENCE
    assert "no other shop was verified in production" in notes_of(plan).packages[0].commits_unknown
    plan.confirm()
    plan.run(PlaceState.RUNNING, "a")
    before = notes_of(plan)
    plan.run(PlaceState.VERIFIED, "a")
    plan.sources.places.clear()
    after = notes_of(plan)
    assert (before.packages, before.requests[0].id) == (after.packages, "R-1")
    assert (before.state, after.state, after.requests[0].state) == ("in-progress", "released", "released")


def test_notes_are_text_and_markdown() -> None:
    """Both forms have every request, commit, file, test and deferral, and Markdown escapes what users have entered."""
    plan = Plan()
    plan.sources.found = DIFFERENCE
    plan.confirm()
    plan.run(PlaceState.RUNNING, "a")
    deferral = Deferral(item="bank 2.0.0", at=MONDAY, reason="it is not built")
    found = notes_of(plan).model_copy(update={"deferred": (deferral,), "title": "Advent <b>", "description": "*x*"})
    text, markdown = "\n".join(note_lines(found)), "\n".join(markdown_lines(found))
    for expected in ("R-1", "Sell gift cards", "aaaaaaaaaaaa", "test_new", "environments/production", "bank 2.0.0"):
        assert expected in text
        assert expected.replace("_", "\\_") in markdown
    assert "# REL-1: Advent \\<b\\>" in markdown
    assert escaped("a\nb `c`") == "a b \\`c\\`"


@pytest.mark.parametrize("days", [0, 1, 40, 4000])
def test_the_timeline_is_one_well_formed_file(days: int) -> None:
    """The SVG is well-formed, the page refers to nothing, and both have every phase and what users entered, escaped."""
    moved = planned(2, title="<script>alert(1)</script>").with_phases([later(planned(), "close", timedelta(days=days))])
    releases = [planned(), moved]
    svg, page = timeline_svg(releases, MONDAY), timeline_html(releases, RELEASE)
    root = ET.fromstring(svg)
    bars = [each for each in root.iter() if each.get("class") in {"bar", "completed"}]
    assert (len(bars), "<script" in svg + page) == (8, False)
    assert all(word not in page for word in ("http-equiv", "src=", "href=", "@import"))
    assert len(list(schedule_rows(releases))) == page.count("<tr>") - 1 == 8
    assert ET.fromstring(timeline_svg([], MONDAY)).tag.endswith("svg")
