"""`init` writes what is missing where the project reads it, all of it or nothing, and touches nothing else."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from orchestrator.cli import main
from orchestrator.config.scaffold import write_files
from orchestrator.domain.errors import OrchestratorError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "my-shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def _tree(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_symlink() or path.is_file()}


def _own(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_an_existing_projects_folders_are_used(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Environments and releases are written where the project's own `orchestrator.yaml` says, under its name."""
    text = "apiVersion: orchestrator/v1\nkind: Project\nname: mine\nenvironments: deploy/envs\nreleases: rel\n"
    _own(root, {"orchestrator.yaml": text})
    assert main(["init"]) == 0
    assert (root / "orchestrator.yaml").read_text() == text
    assert {"deploy/envs/staging/environment.yaml", "rel/mine/release.yaml"} < _tree(root)
    assert not (root / "environments").exists()
    assert main(["validate"]) == 0
    assert "4 files are valid" in capsys.readouterr().out
    assert main(["init", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == []


def test_schemas_are_found_from_every_file_and_in_a_clone(root: Path) -> None:
    """Each schema line leads to a file that version control takes, while the rest of the state folder is left out."""
    _own(root, {"orchestrator.yaml": "apiVersion: orchestrator/v1\nkind: Project\nname: m\nenvironments: a/b/c\n"})
    (root / "orchestrator.yaml").rename(root / "kept")
    assert main(["init"]) == 0
    (root / "kept").replace(root / "orchestrator.yaml")
    assert main(["init"]) == 0
    lines = 0
    for file in root.rglob("*.yaml"):
        found = re.match(r"# yaml-language-server: \$schema=(\S+)", file.read_text())
        if found:
            lines += 1
            assert (file.parent / found[1]).resolve().is_relative_to(root / ".orchestrator/schemas")
            assert (file.parent / found[1]).is_file()
    assert lines == 5
    assert ".orchestrator" not in (root / ".gitignore").read_text()
    assert (root / ".orchestrator/.gitignore").read_text().splitlines()[1:] == ["/*", "!/.gitignore", "!/schemas/"]
    assert (root / ".orchestrator").stat().st_mode & 0o777 == 0o700


def test_a_clones_state_folder_is_closed(root: Path) -> None:
    """The folder that a clone brings with the schemas is open to everybody, until a command keeps something in it."""
    assert main(["init"]) == 0
    (root / ".orchestrator").chmod(0o755)
    assert main(["package", "list"]) == 0
    assert (root / ".orchestrator").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["environments", "releases", "playbooks", ".orchestrator", "tests/smoke", "site"])
def test_a_file_in_the_way_is_named_and_nothing_is_written(
    root: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Where a folder must be and a file is, nothing is half written."""
    _own(root, {name: "mine"})
    assert main(["init"]) == 2
    said = capsys.readouterr().err
    assert "error[F139]" in said
    assert f"{name} is not a folder" in said
    assert _tree(root) == {name}


@pytest.mark.parametrize("name", ["orchestrator.yaml", "environments", "releases/my-shop/release.yaml", ".gitignore"])
@pytest.mark.parametrize("target", ["nowhere", "../outside/nowhere", "../outside"])
def test_no_link_is_followed_out_or_to_nothing(
    root: Path, capsys: pytest.CaptureFixture[str], name: str, target: str
) -> None:
    """Nothing is written through a link that dangles or leads out of the project."""
    (root.parent / "outside").mkdir()
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).symlink_to(os.path.relpath(root.parent / "my-shop" / target, (root / name).parent))
    assert main(["init"]) == 2
    assert "error[F139]" in capsys.readouterr().err
    assert _tree(root) == {name}
    assert list((root.parent / "outside").iterdir()) == []


def test_stacks_whose_names_fall_together_stay_apart(root: Path) -> None:
    """`Prod_EU` and `prod.eu` are two environments, each with its own stack, and the release is valid."""
    own = {"Pulumi.yml": "name: mine\nruntime: python\n"}
    own |= {f"Pulumi.{stack}.yml": "config: {}\n" for stack in ("Prod_EU", "prod.eu", "x" * 70, "---")}
    _own(root, own)
    assert main(["init"]) == 0
    assert main(["validate"]) == 0
    stacks = {
        file.parent.name: re.findall(r"^stack: (.*)$", file.read_text(), re.MULTILINE)[0]
        for file in root.glob("environments/*/environment.yaml")
    }
    assert set(stacks.values()) == {"Prod_EU", "prod.eu", "x" * 70, "---"}
    assert {"prod-eu", "prod-eu-2", "environment"} < set(stacks)


def test_what_fails_in_the_middle_leaves_nothing(root: Path) -> None:
    """When the second file cannot be written, the first one and its folders go away again."""
    with pytest.raises(OrchestratorError) as caught:
        write_files(root, [("a/b/one", b"1"), ("a/" + "x" * 300, b"2")])
    assert caught.value.code == "F139"
    assert list(root.iterdir()) == []


def test_the_running_service_can_be_checked_from_the_start(root: Path) -> None:
    """Environments that `init` writes for its own release say how the version of the running service is queried."""
    assert main(["init"]) == 0
    for name in ("staging", "production"):
        text = (root / f"environments/{name}/environment.yaml").read_text()
        assert yaml.safe_load(text)["ansible"]["serves"].startswith("{{ ansible_python_interpreter")


@pytest.mark.parametrize("name", ["Shop", "a b", "shop\n", ""])
def test_a_name_that_is_none_is_refused(root: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A project's name has the characters of all names; the hint has one that would do."""
    assert main(["init", "--name", name]) == 2
    assert "= hint: --name" in capsys.readouterr().err


@pytest.mark.parametrize("playbook", ["ansible/site.yml", "ansible/playbooks/deploy.yml", "deploy/site.yml"])
def test_a_playbook_in_a_usual_folder_is_found(root: Path, playbook: str) -> None:
    """`init` names the playbook that lies in `ansible/` or another usual folder as the step of the first release."""
    _own(root, {playbook: "- hosts: web\n  tasks: []\n"})
    assert main(["init"]) == 0
    assert f"playbook: {playbook}\n" in (root / "releases/my-shop/release.yaml").read_text()
