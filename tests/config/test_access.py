"""`access.yaml` is a strict document: each problem has its line and column, a code and a hint."""

from pathlib import Path

import pytest

from orchestrator.config.access import load_access
from orchestrator.domain.access.directory import Access
from orchestrator.domain.access.principals import User
from orchestrator.domain.errors import OrchestratorErrors

GOOD = """\
apiVersion: orchestrator/v1
kind: Access
people:
  - {name: ann, team: web, zone: Europe/Zurich}
groups:
  - {name: managers, members: [ann]}
service_accounts:
  - name: ci
    trust:
      - {issuer: "https://ci.example", audience: orchestrator, claims: {repository: shop}}
roles:
  - {name: dba, actions: [view, approve]}
bindings:
  - {role: administrator, to: "user:ann"}
  - {role: dba, to: "group:managers", environment: "prod*", until: "2027-01-01T00:00:00Z", reason: audit}
"""


def load(folder: Path, text: str, known: Access | None = None) -> list[tuple[str, int | None, int | None, str | None]]:
    file = folder / "access.yaml"
    file.write_text(text, encoding="utf-8")
    try:
        load_access(file, known)
    except OrchestratorErrors as errors:
        return [
            (e.code, e.where.line if e.where else None, e.where.column if e.where else None, e.hint)
            for e in errors.errors
        ]
    return []


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    """Users, groups, service accounts with their trust, roles and bindings."""
    assert load(tmp_path, GOOD) == []
    access = load_access(tmp_path / "access.yaml")
    assert access.bindings[1].until is not None
    assert access.roles[0].actions == ("view", "approve")


def test_unknown_names_have_their_place(tmp_path: Path) -> None:
    """A role and a user that do not exist, each with a hint."""
    text = GOOD.replace("role: administrator", "role: administrater").replace("members: [ann]", "members: [ann, bob]")
    assert load(tmp_path, text) == [
        ("A104", 6, 37, "there are: ann"),
        ("A104", 14, 12, "did you mean 'administrator'?"),
    ]
    assert [code for code, *_ in load(tmp_path, text, Access(users=(User(name="bob"),)))] == ["A104"]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("people:", "persons:", 3),
        ("zone: Europe/Zurich", "zone: Europe/Zuerich", 4),
        ("actions: [view, approve]", "actions: [view, fly]", 12),
        ("2027-01-01T00:00:00Z", "tomorrow", 15),
        ("user:ann", "ann", 14),
    ],
)
def test_anything_else_is_refused_at_its_line(tmp_path: Path, old: str, new: str, line: int) -> None:
    """Unknown fields, zones, actions, times and principals."""
    found = load(tmp_path, GOOD.replace(old, new, 1))
    assert [place for _, place, *_ in found] == [line]
