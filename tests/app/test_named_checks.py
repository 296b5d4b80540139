"""Names in the files that users edit: what there is not is an error or a warning with its line, column and a hint."""

from pathlib import Path

import pytest

import orchestrator.config as files
from orchestrator.__main__ import open_real_machine, open_real_project
from orchestrator.app import opening
from orchestrator.app.file_checks import check_paths, check_project
from orchestrator.app.opening import compose
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Role
from orchestrator.domain.audit.chain import record_by
from orchestrator.domain.environment import Project
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.register import ROLES
from orchestrator.register_ports import Changes
from orchestrator.wiring import App

HEAD = "apiVersion: orchestrator/v1\nkind: {kind}\n"
PROJECT = HEAD.format(kind="Project") + "name: shop\n"
ENVIRONMENT = HEAD.format(kind="Environment") + "name: {name}\nprogram: null\n"
RELEASE = (
    HEAD.format(kind="Release")
    + """name: shop
version: "1.0.0"
environments: [staging]
steps: [{name: deploy, playbook: playbooks/deploy.yml}]
verify: [{name: smoke, tests: tests/smoke}]
"""
)
ACCESS = (
    HEAD.format(kind="Access")
    + """people: [{name: ann, zone: Europe/Zurich}]
groups: [{name: managers, members: [ann]}]
roles: [{name: dba, actions: [view, approve]}]
bindings:
  - {role: dba, to: "group:managers", environment: "prod*"}
"""
)
WINDOW = "windows: [{{title: w, start: '2026-01-05T09:00', end: '2026-01-05T16:00', zone: {zone}, rule: {rule}, override_role: {role}}}]\n"


def window(zone: str = "Europe/Zurich", rule: str = "FREQ=DAILY", role: str = "approver") -> str:
    """The calendar of an environment, with one entry."""
    return WINDOW.format(zone=zone, rule=rule, role=role)


@pytest.fixture(autouse=True)
def composed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real program, as its command composes it."""
    for name in ("ORCHESTRATOR_STATE", "ORCHESTRATOR_STORE", "ORCHESTRATOR_SERVER", "ORCHESTRATOR_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(opening, "_openers", [])
    monkeypatch.setattr(opening, "_machines", [])
    compose(open_real_project, open_real_machine)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two environments, a release and an access file, in which nothing is wrong."""
    for name in ("staging", "production"):
        write(tmp_path / f"environments/{name}/environment.yaml", ENVIRONMENT.format(name=name))
    write(tmp_path / "releases/1.0.0/release.yaml", RELEASE)
    write(tmp_path / "playbooks/deploy.yml", "")
    write(tmp_path / "tests/smoke/test_it.py", "")
    write(tmp_path / "orchestrator.yaml", PROJECT)
    write(tmp_path / "access.yaml", ACCESS)
    return tmp_path


def write(file: Path, text: str) -> None:
    """Write *file*, in a folder that is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def record_role(project: Path, name: str) -> None:
    """Record a role of the project's own."""
    app = App(project)

    def work(changes: Changes) -> None:
        role = Role(name=name, actions=(Action.VIEW, Action.APPROVE))
        changes.put(ROLES, role)
        at = parse_moment("2026-11-29T12:00:00Z")
        changes.record(record_by(app.actor, project="shop", at=at, action="access:manage", object=f"role:{name}"))

    app.register.changing("root", work)
    app.close()


def places(found: list[OrchestratorError]) -> list[tuple[str, str, int | None, str]]:
    """The code, the file, the line and the words that the caret is below, of each."""
    seen = []
    for error in found:
        assert error.where is not None
        assert error.where.text is not None
        assert error.where.column is not None
        assert error.hint
        below = error.where.text[error.where.column - 1 :][: error.where.width]
        seen.append((error.code, Path(error.where.file).name, error.where.line, below.strip("\"'")))
    return seen


STAGING, FILE, RIGHTS = "environments/staging/environment.yaml", "orchestrator.yaml", "access.yaml"


@pytest.mark.parametrize(
    ("file", "old", "new", "code", "wrong"),
    [
        (STAGING, "", "approvals: {count: 1, roles: [aprover]}\n", "F140", "aprover"),
        (STAGING, "", "approvals: {count: 1, by_kind: {emergency: {count: 1, roles: [sre]}}}\n", "F140", "sre"),
        (STAGING, "", "approvals: {count: 1, by_risk: {high: {count: 1, roles: [sre]}}}\n", "F140", "sre"),
        (STAGING, "", "approvals: {count: 1, by_kind: {hurried: {count: 1}}}\n", "F125", "hurried"),
        (STAGING, "", "approvals: {count: 1, by_risk: {huge: {count: 1}}}\n", "F125", "huge"),
        (STAGING, "", "approvals: {count: 1, separate: [tester]}\n", "F125", "tester"),
        (STAGING, "", window(role="sre"), "F140", "sre"),
        (STAGING, "", window(zone="Europe/Zuerich"), "F127", "Europe/Zuerich"),
        (STAGING, "", window(rule="FREQ=OFTEN"), "F127", "FREQ=OFTEN"),
        (STAGING, "", "depends_on: [databse]\n", "F141", "databse"),
        (STAGING, "", "parity: {with: prodution}\n", "F141", "prodution"),
        (STAGING, "", "after: prodution\n", "F132", "prodution"),
        (FILE, "", "policy: [{name: p, then: {count: 1, roles: [aprover]}}]\n", "F140", "aprover"),
        (FILE, "", "policy: [{name: p, when: {level: [huge]}, then: {count: 1}}]\n", "F125", "huge"),
        (FILE, "", "policy: [{name: p, when: {kind: [hurried]}, then: {count: 1}}]\n", "F125", "hurried"),
        (FILE, "", "policy: [{name: p, then: {kind: hurried}}]\n", "F125", "hurried"),
        (FILE, "", "waves: [{name: all, environments: [[stagin]]}]\n", "F150", "stagin"),
        (RIGHTS, "members: [ann]", "members: [anne]", "A104", "anne"),
        (RIGHTS, "role: dba", "role: dbaa", "A104", "dbaa"),
        (RIGHTS, "group:managers", "group:manager", "A104", "group:manager"),
        (RIGHTS, "group:managers", "user:bob", "A104", "user:bob"),
        (RIGHTS, "[view, approve]", "[view, aprove]", "F125", "aprove"),
        (RIGHTS, "Europe/Zurich", "Europe/Zuerich", "F127", "Europe/Zuerich"),
    ],
)
def test_what_there_is_not_is_an_error_at_its_place(
    project: Path, file: str, old: str, new: str, code: str, wrong: str
) -> None:
    """An unknown role, environment, user, group, zone, rule, kind or action is one error, with file, line, caret and hint."""
    if code == "F140":  # it is an error where the records can be read
        record_role(project, "deputy")
    assert check_project(project)[1:] == ([], [])
    changed = project / file
    text = changed.read_text()
    changed.write_text(text.replace(old, new, 1) if old else text + new)
    line = next(number for number, each in enumerate(changed.read_text().split("\n"), start=1) if wrong in each)
    _, errors, warnings = check_project(project)
    assert places(errors) == [(code, changed.name, line, wrong)]
    assert warnings == []


@pytest.mark.parametrize(
    ("file", "old", "new", "wrong"),
    [
        (FILE, "", 'policy: [{name: p, when: {packages: ["shopp*"]}, then: {count: 1}}]\n', "shopp*"),
        (FILE, "", 'policy: [{name: p, when: {environments: ["live*"]}, then: {count: 1}}]\n', "live*"),
        (RIGHTS, "prod*", "live-*", "live-*"),
    ],
)
def test_a_pattern_that_matches_nothing_is_a_warning(project: Path, file: str, old: str, new: str, wrong: str) -> None:
    """A pattern of a policy or a binding without any match is a warning at its place, and the file is valid."""
    changed = project / file
    text = changed.read_text()
    changed.write_text(text.replace(old, new, 1) if old else text + new)
    _, errors, warnings = check_project(project)
    assert errors == []
    [(code, name, _, below)] = places(warnings)
    assert (code, name, below) == ("F142", changed.name, wrong)


def test_a_pattern_that_matches_is_none(project: Path) -> None:
    """Patterns that match a release or an environment, and `*`, are not warned of."""
    rule = 'policy: [{name: p, when: {packages: ["shop*", "*"], environments: ["prod*", staging]}, then: {count: 1}}]\n'
    write(project / FILE, PROJECT + rule)
    assert check_project(project)[1:] == ([], [])


def test_a_role_of_the_project_is_known_by_its_records(project: Path) -> None:
    """A role that is not built in is valid where it is recorded, and a warning where there are no records, which are not made."""
    (project / RIGHTS).unlink()
    write(project / STAGING, ENVIRONMENT.format(name="staging") + "approvals: {count: 1, roles: [dba]}\n")
    _, errors, warnings = check_paths((project / STAGING,))
    assert (errors, [code for code, *_ in places(warnings)]) == ([], ["F140"])
    assert not (project / ".orchestrator" / "state.db").exists()
    record_role(project, "dba")
    assert check_paths((project / STAGING,))[1:] == ([], [])


def test_a_role_of_the_access_file_is_known_without_records(project: Path) -> None:
    """Where there are no records, a role that the access file of the project has is valid."""
    write(project / STAGING, ENVIRONMENT.format(name="staging") + "approvals: {count: 1, roles: [dba]}\n")
    assert check_project(project)[1:] == ([], [])
    record_role(project, "other")
    assert [code for code, *_ in places(check_project(project)[1])] == ["F140"]


def test_the_names_of_a_project_are_read_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of a project with many environments lists them once, and not for each of their files."""
    for number in range(5):
        folder = project / "environments" / f"e{number}"
        folder.mkdir(parents=True)
        (folder / "environment.yaml").write_text(ENVIRONMENT.format(name=folder.name))
    read = []
    declared = files.declared

    def counted(root: Path, found: Project) -> list[str]:
        read.append(root)
        return declared(root, found)

    monkeypatch.setattr(files, "declared", counted)
    checked, errors, _ = check_project(project)
    assert len(checked) > 5
    assert errors == []
    assert len(read) == 2  # for the project's file, and for all others
