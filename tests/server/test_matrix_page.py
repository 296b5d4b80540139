"""*What runs where*: a cell answers whether a release is deployed, is being deployed and is broken, with three marks."""

import re

from tests.cli.memory_project import MemoryProject, project
from tests.server.site import Site

__all__ = ["project"]  # the fixture


def test_a_cell_answers_three_questions_with_three_marks(project: MemoryProject) -> None:
    """A cell has the hosts, since when and by whom, a sign and a word for each mark, and the three answers as text."""
    project.go("staging", "1.0.0")
    project.world.serves = {"s1": "1.0.0"}
    project.go("staging", None, "observe")
    ann = Site(project).user("ann", "release-manager")
    page = ann.get("/matrix").text
    cell = re.sub(r"<svg.*?</svg>", "", page.partition('data-at="staging"')[2].partition("</td>")[0], flags=re.DOTALL)
    text = " ".join(re.sub("<[^>]*>", " ", cell.partition(">")[2]).split())
    assert re.fullmatch(
        r"1/1 host current, verified \d\d \w+ \d{4} \d\d:\d\d UTC by ann declared seen serves "
        r"Deployed: yes\. Being deployed: no\. Broken: no\.",
        text,
    ), text
    assert 'title="the services of 1 of 1 host report it"' in page
    board = ann.get("/releases/shop-1.0.0").text
    assert 'title="the services of 1 of 1 host report it"' in board
    assert ", by ann" in board


def test_a_cell_names_drift_and_what_is_under_way(project: MemoryProject) -> None:
    """A host whose service reports another version is drift, and a queued run leads to its page."""
    project.go("production", "1.0.0")
    project.world.serves = {"p2": "0.9.0"}
    project.go("production", None, "observe")
    queued = project.request("production", "1.1.0", queue="eu")
    page = Site(project).user("ann", "release-manager").get("/matrix").text
    assert "Deployed: on 2 of 3 hosts." in page
    assert f'href="/runs/{queued.id}"' in page
    assert f"queued: {queued.id}" in page
