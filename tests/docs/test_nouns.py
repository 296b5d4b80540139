"""Each noun of release management has its page in the reference."""

import re
from pathlib import Path

import pytest

from orchestrator.management.projects import onboarding
from orchestrator.management.projects.model import ProjectHealth

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
FOLDERS = sorted(
    each.name for each in (ROOT / "orchestrator" / "management").iterdir() if (each / "__init__.py").is_file()
)
PAGES = {
    **{name: name.replace("_", "-") for name in FOLDERS},
    "trains": "release-trains",
    "notifications": "notifications",
    "requirements": "requirements",
    "project_definitions": "project-definitions",
}
GROUPS = {
    "bookings": "book",
    "change_requests": "request",
    "hooks": "hook",
    "implementation_plans": "implementation",
    "measures": "measures",
    "notifications": "notifications",
    "planned_releases": "release",
    "project_definitions": "project",
    "projects": "projects",
    "requirements": "requirements",
    "reviews": "review",
    "trains": "train",
}
"""The command of each noun."""


@pytest.mark.parametrize("noun", sorted(PAGES))
def test_each_noun_has_a_page_that_shows_its_command(noun: str) -> None:
    """The reference has a page for each noun, and the page shows the command of the noun."""
    text = (REFERENCE / f"{PAGES[noun]}.md").read_text()
    assert re.search(rf"orchestrator (--server \S+ )?{GROUPS[noun]}\b", text), f"{PAGES[noun]}.md"


def test_the_page_of_projects_has_each_health_and_item() -> None:
    """The page of projects explains each health, and each item of the onboarding in its order."""
    text = (REFERENCE / "projects.md").read_text()
    assert [f"`{health}`" for health in ProjectHealth if f"`{health}`" not in text] == []
    source = Path(onboarding.__file__).read_text()
    items = list(dict.fromkeys(re.findall(r'name(?:, command)? ?= ?"([a-z ]+)"', source)))
    assert re.findall(r"^\| `([a-z ]+)` \|", text, re.MULTILINE) == items
