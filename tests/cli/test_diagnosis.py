"""`doctor` names what keeps a promotion from working, and what puts it right."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.adapters import withheld
from orchestrator.app.diagnosis import examine, examine_project
from orchestrator.cli import main
from orchestrator.domain.diagnosis import Check


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A project that `init` has written."""
    monkeypatch.delenv("ORCHESTRATOR_STATE", raising=False)
    folder = tmp_path / "hello"
    assert main(["init", str(folder)]) == 0
    capsys.readouterr()
    return folder


def _environ(project: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRATOR_", "PULUMI_"))}
    return {**kept, "HOME": str(project.parent), **more}


def _bad(checks: list[Check]) -> dict[str, tuple[str, str, str]]:
    """What is not well, by its name."""
    return {check.name: (check.level, check.says, check.remedy) for check in checks if check.level != "ok"}


def test_a_project_that_is_well_has_no_problem(project: Path) -> None:
    """What `init` writes has nothing that `doctor` would complain of."""
    assert _bad(examine_project(project, _environ(project))) == {}


def test_a_state_folder_that_cannot_be_made(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder that cannot be made is named once, with the variable that names it; other commands say the same."""
    bad = _bad(examine_project(project, _environ(project, ORCHESTRATOR_STATE="/dev/null/x")))
    level, says, remedy = bad.pop("state folder")
    assert (level, bad) == ("problem", {})
    assert "/dev/null/x" in says
    assert "ORCHESTRATOR_STATE" in remedy
    monkeypatch.chdir(project)
    monkeypatch.setenv("ORCHESTRATOR_STATE", "/dev/null/x")
    assert main(["status"]) == 1


def test_secrets_that_a_restore_waits_for(project: Path) -> None:
    """A state that was restored without its secrets is a problem until they are in place."""
    (project / ".orchestrator").mkdir(mode=0o700, exist_ok=True)
    withheld.write_awaited(project / ".orchestrator", (withheld.Withheld(name="project.key", id="0" * 16),))
    level, says, remedy = _bad(examine_project(project, _environ(project)))["stack secrets"]
    assert (level, remedy) == ("problem", "orchestrator explain S193")
    assert str(project / ".orchestrator/project.key") in says


def test_an_engine_that_is_named_and_not_there(project: Path) -> None:
    """When `ORCHESTRATOR_PULUMI` names no program, the remedy is to correct it: installing another would change nothing."""
    bad = _bad(examine(project, _environ(project, ORCHESTRATOR_PULUMI="/nowhere/pulumi")))
    _, says, remedy = bad["Pulumi engine"]
    assert "/nowhere/pulumi" in says
    assert "ORCHESTRATOR_PULUMI" in remedy
    assert "engine install" not in remedy


def test_a_program_that_nothing_can_run_is_named(project: Path) -> None:
    """A program without a language host, or whose virtual environment does not exist, is named with its remedy."""
    program = project / "environments" / "staging" / "Pulumi.yaml"
    engine = project.parent / "bin" / "pulumi"
    engine.parent.mkdir()
    engine.write_text("#!/bin/sh\necho v3.259.0\n")
    engine.chmod(0o755)
    for runtime, said, remedy in (
        ("nodejs", "pulumi-language-nodejs, which is not installed", "Node.js"),
        ("yaml", "pulumi-language-yaml, which is not installed", "engine install"),
        ("{name: python, options: {virtualenv: .venv}}", "language-python", "engine install"),
    ):
        program.write_text(f"name: hello\nruntime: {runtime}\n")
        bad = _bad(examine_project(project, _environ(project, ORCHESTRATOR_PULUMI=str(engine), PATH="/usr/bin:/bin")))
        assert said in bad["Pulumi programs"][1]
        assert remedy in bad["Pulumi programs"][2]
    (engine.parent / "pulumi-language-python").symlink_to(engine)
    bad = _bad(examine_project(project, _environ(project, ORCHESTRATOR_PULUMI=str(engine), PATH="/usr/bin:/bin")))
    assert "staging/.venv does not exist" in bad["Pulumi programs"][1]
    assert "-m venv" in bad["Pulumi programs"][2]


def _open_to_all(project: Path) -> dict[str, str]:
    project.chmod(0o777)
    return {}


def _no_vault_file(project: Path) -> dict[str, str]:
    file = project / "environments/production/environment.yaml"
    text = file.read_text()
    assert "\nansible:\n" in text
    file.write_text(text.replace("\nansible:\n", "\nansible:\n  vault_ids: [prod@.vault-password]\n"))
    return {}


def _no_passphrase(project: Path) -> dict[str, str]:
    return {"PULUMI_BACKEND_URL": f"file://{project.parent}"}


def _no_passphrase_file(project: Path) -> dict[str, str]:
    return {**_no_passphrase(project), "PULUMI_CONFIG_PASSPHRASE_FILE": str(project / "nothing")}


def _no_login(_: Path) -> dict[str, str]:
    return {"PULUMI_BACKEND_URL": "https://pulumi.example"}


@pytest.mark.parametrize(
    ("spoil", "name", "level", "says", "remedy"),
    [
        (_open_to_all, "project folder", "warning", "ansible.cfg", "chmod o-w"),
        (_no_vault_file, "vault passwords", "problem", ".vault-password", "environments/production/environment.yaml"),
        (_no_passphrase, "stack secrets", "problem", "staging", "PULUMI_CONFIG_PASSPHRASE"),
        (_no_passphrase_file, "stack secrets", "problem", "nothing", "PULUMI_CONFIG_PASSPHRASE_FILE"),
        (_no_login, "stack secrets", "problem", "https://pulumi.example", "pulumi login https://pulumi.example"),
    ],
)
def test_what_is_wrong_is_named_with_a_remedy(
    project: Path, spoil: Callable[[Path], dict[str, str]], name: str, level: str, says: str, remedy: str
) -> None:
    """A folder that all may write to, and a password, passphrase or login that is not there, are named, each with its remedy."""
    bad = _bad(examine_project(project, _environ(project, **spoil(project))))
    assert list(bad) == [name]
    found = bad[name]
    assert found[0] == level
    assert says in found[1]
    assert remedy in found[2]


def test_isolation_is_reported(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What isolates processes is named. Without isolation there is a warning, and a problem where it is required."""
    from orchestrator.app.machine_diagnosis import check_isolation
    from orchestrator.isolation.isolator import Isolator

    environ, file = {"PATH": "/usr/bin"}, project / "orchestrator.yaml"
    monkeypatch.setattr("orchestrator.isolation.find.available", lambda _path: Isolator("namespaces"))
    assert (check_isolation(project, environ).level, "by namespaces" in check_isolation(project, environ).says) == (
        "ok",
        True,
    )
    off = check_isolation(project, {**environ, "ORCHESTRATOR_JOB_ISOLATION": "off"})
    assert (off.level, "can do what you can do" in off.says) == ("warning", True)
    monkeypatch.setattr("orchestrator.isolation.find.available", lambda _path: Isolator("none", reason="no namespaces"))
    assert check_isolation(project, environ).level == "warning"
    file.write_text(file.read_text() + "isolation: required\n")
    required = check_isolation(project, environ)
    assert (required.level, "no namespaces" in required.says, bool(required.remedy)) == ("problem", True, True)
