"""The dossier of a run, and the export of the audit stream from its page."""

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest

from tests.cli.request_project import PLACE, RequestProject, office
from tests.server.release_scene import EVIL
from tests.server.site import HTML, Site

__all__ = ["office"]  # the fixture
PERIOD = {"start": "2020-01-01T00:00", "end": "2100-01-01T00:00"}


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project whose promotions into production need one approval, with an auditor."""
    made = Site(office, office.app())
    made.user("kim", "auditor")
    return made


def promoted(office: RequestProject) -> str:
    """A promotion that bob approved with a comment, up to its end; its id."""
    asked = office.ask("1.0.0")["request"]
    office.by("bob", "approve", asked["id"], "-m", f"looks good {EVIL}", "--yes")
    office.duties()
    assert office.execute(asked["id"]).ended
    return str(asked["id"])


def test_a_dossier_has_every_part_of_a_run(office: RequestProject, site: Site) -> None:
    """Votes, the plan as it was shown, steps with hosts and tests, the rollback plan and the audit entries are on one page."""
    run = promoted(office)
    kim, vic = site.signed_in("kim"), site.signed_in("vic")
    page = kim.get(f"/runs/{run}/dossier", **HTML).text.split("<main")[1]
    story = vic.get(f"/api/v1/runs/{run}").json()
    for words in ("looks good", "Plan: promote shop 1.0.0", "Rollback plan", "Hosts after the run", "vote", PLACE):
        assert words in page, words
    for step in story["steps"]:
        for host in step["hosts"]:
            assert host["host"] in page
    assert ("<img" in page, "<script>" in page) == (False, False)
    assert f"run:{run}" in page
    plain = vic.get(f"/runs/{run}/dossier", **HTML).text
    assert ("audit:read" in plain, f"run:{run}" in plain) == (True, False)
    assert f'href="/runs/{run}/dossier"' in vic.get(f"/runs/{run}").text


def test_a_dossier_of_a_run_without_request_and_plan_is_whole(office: RequestProject, site: Site) -> None:
    """A run that nobody had to approve, and whose entries are few among many, has a dossier too."""
    for number in range(12):
        office.by("root", "group", "add", f"g{number}")
    run = office.go("staging", "1.0.0").id
    for number in range(12):
        office.by("root", "group", "remove", f"g{number}")
    page = site.signed_in("kim").get(f"/runs/{run}/dossier", **HTML)
    assert (page.status_code, "without a request" in page.text) == (200, True)
    assert site.signed_in("vic").get("/runs/moon/dossier", **HTML).status_code == 404


def test_an_auditor_exports_the_files_of_the_command(office: RequestProject, site: Site, tmp_path: Path) -> None:
    """The archive has the files of `audit export`, entry by entry, and the sample; others do not find the form."""
    promoted(office)
    kim, root = site.signed_in("kim"), site.signed_in("root")
    assert 'action="/audit/export"' in kim.get("/audit").text
    assert 'action="/audit/export"' not in root.get("/audit").text
    refused = root.form("/audit/export", **PERIOD)
    assert (refused.status_code, "A101" in refused.text) == (403, True)
    answer = kim.form("/audit/export", **PERIOD, format="csv", sample="1", seed="7")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert "attachment" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name).decode() for name in archive.namelist()}
    statement = json.loads(found["statement.json"])
    rows = list(csv.DictReader(io.StringIO(found["entries.csv"])))
    assert len(rows) == statement["population"]
    assert [int(row["index"]) for row in rows] == list(range(1, len(rows) + 1))
    (drawn,) = statement["sample"]["objects"]
    assert f"{drawn.replace(':', '-')}/entries.csv" in found
    assert "audit:export" in kim.get("/audit").text
    plain = kim.form("/audit/export", **PERIOD, format="json", environment=PLACE)
    with zipfile.ZipFile(io.BytesIO(plain.content)) as archive:
        assert sorted(archive.namelist()) == ["entries.json", "statement.json"]
        assert {each["environment"] for each in json.loads(archive.read("entries.json"))} == {PLACE}
    for fields, word in (
        ({"start": "soon", "end": "2100-01-01T00:00"}, "start:"), ({"start": "2020-01-01T00:00"}, "end:"),
        ({**PERIOD, "format": "xml"}, "format:"), ({**PERIOD, "sample": "0"}, "sample:"), ({**PERIOD, "sample": "1e99"}, "sample:"),
    ):  # fmt: skip
        assert word in kim.form("/audit/export", **fields).text, fields
