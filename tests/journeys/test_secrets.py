"""Runs that write secrets down leave none."""

import tempfile
from pathlib import Path

import pytest

from orchestrator.secret_values import SecretValues
from tests.journeys.conftest import Project
from tests.leak_scan.__main__ import UNFILTERED, Campaign
from tests.leak_scan.canaries import ENCODINGS, KINDS
from tests.leak_scan.scan import Processes


def test_a_failing_run_leaves_no_secret(project: Project) -> None:
    """A release that prints every secret of its environment in every encoding, and fails, leaves none of them in any file, on the terminal or in the words of a process; it is rolled back as any other."""
    with tempfile.TemporaryDirectory(prefix="leak-") as temporary:  # a short name: sockets of connections are below it
        project.env["TMPDIR"] = temporary
        campaign = Campaign(project, Path(temporary))
        campaign.prepare()
        with Processes() as processes:
            campaign.generate()
            campaign.fail()
            campaign.search("failure", processes)
    assert campaign.hits == set()
    assert project.releases("staging") == {"web1": "0.9.0"}


def test_the_search_finds_what_an_unfiltered_run_leaves(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a filter that knows no secret, the same search finds canaries in every place that it searches for those of a run."""
    with tempfile.TemporaryDirectory(prefix="leak-") as temporary:
        project.env["TMPDIR"], project.program, project.inside = temporary, UNFILTERED, True
        monkeypatch.setattr(SecretValues, "learn", lambda *_: None)
        campaign = Campaign(project, Path(temporary))
        campaign.prepare()
        with Processes() as processes:
            campaign.generate()
            campaign.plan()
            campaign.fail()
            campaign.search("failure", processes)
    assert campaign.blind_places() == []
    assert {(hit.kind, hit.encoding) for _, hit in campaign.hits} == {
        (kind, encoding) for kind in KINDS for encoding in ENCODINGS
    }
