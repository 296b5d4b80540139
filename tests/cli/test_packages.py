"""`build` and `package`: what is sealed is proved, kept, and can be named, shown, verified and compared."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import main
from orchestrator.domain.journal import Entry, Run, Verified
from orchestrator.domain.promotion import State
from orchestrator.wiring import open_app

FILES = {
    "orchestrator.yaml": "apiVersion: orchestrator/v1\nkind: Project\nname: shop\n",
    "ansible.cfg": "[defaults]\nroles_path = provision/roles\n",
    "playbooks/deploy.yml": "- hosts: all\n  gather_facts: false\n  roles: [web]\n",
    "provision/roles/web/tasks/main.yml": "- ansible.builtin.debug: {msg: one}\n",
    "tests/smoke/test_it.py": "def test_it(host): pass\n",
}
RELEASE = """apiVersion: orchestrator/v1
kind: Release
name: shop
version: "{version}"
environments: [staging]
steps:
- {{name: deploy, playbook: playbooks/deploy.yml, timeout: {timeout}}}
verify:
- {{name: smoke, tests: tests/smoke}}
"""
Say = Callable[..., tuple[int, str, str]]


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of which two versions have been built; the source of the second is there."""
    root = tmp_path_factory.mktemp("built")
    _write(root, {**FILES, "releases/shop/release.yaml": RELEASE.format(version="1.0.0", timeout="30m")})
    assert main(["-C", str(root), "build", "shop"]) == 0
    _write(root, {"releases/shop/release.yaml": RELEASE.format(version="1.1.0", timeout="1d")})
    _write(root, {"provision/roles/web/tasks/main.yml": "- ansible.builtin.debug: {msg: two}\n"})
    assert main(["-C", str(root), "build", "shop"]) == 0
    return root


@pytest.fixture
def say(built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command in the project: its exit status, standard output and standard error."""
    monkeypatch.chdir(built)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def _data(answer: tuple[int, str, str]) -> Any:
    assert answer[0] == 0, answer
    return json.loads(answer[1])


@pytest.mark.engines
def test_what_is_built_is_kept(say: Say) -> None:
    """`package list` has each package that was built, and says so in words and as JSON."""
    refs = _data(say("package", "list", "--json"))["packages"]
    assert sorted(ref["version"] for ref in refs) == ["1.0.0", "1.1.0"]
    code, out, _ = say("package", "list")
    assert code == 0
    assert "1.1.0" in out


@pytest.mark.engines
@pytest.mark.parametrize("wanted", ["shop-1.0.0", "1.0.0", "dist/shop-1.0.0.release", "digest"])
def test_a_package_is_shown_by_each_of_its_names(say: Say, wanted: str) -> None:
    """By name and version, version, file, or the beginning of its digest."""
    refs = _data(say("package", "list", "--json"))["packages"]
    digest = next(ref["digest"] for ref in refs if ref["version"] == "1.0.0")
    shown = _data(say("package", "show", digest[7:17] if wanted == "digest" else wanted, "--json"))
    assert shown["digest"] == digest
    names = [file["path"] for file in shown["manifest"]["files"]]
    assert "provision/roles/web/tasks/main.yml" in names
    code, out, _ = say("package", "show", "shop-1.0.0")
    assert code == 0
    assert "step deploy: playbooks/deploy.yml on all" in out
    assert "content: 4 files" in out
    assert say("package", "show", "shop-9.9.9")[0] == 6


@pytest.mark.engines
def test_the_same_content_is_built_again_without_a_word(say: Say) -> None:
    """A second build gives the same digest, and does not change the file."""
    before = _data(say("build", "shop", "--json"))
    changed = Path(before["file"]).stat().st_mtime_ns
    assert _data(say("build", "shop", "--json")) == before
    assert Path(before["file"]).stat().st_mtime_ns == changed
    assert say("build", "shop")[2] == ""


@pytest.mark.engines
def test_differences_are_shown(say: Say) -> None:
    """`package diff` has fields of the release and lines of files; two equal packages have none."""
    found = _data(say("package", "diff", "shop-1.0.0", "dist/shop-1.1.0.release", "--json"))
    assert {field["field"]: field["after"] for field in found["fields"]} == {
        "version": "1.1.0",
        "steps.deploy.timeout": "1d",
    }
    assert [(file["path"], file["change"]) for file in found["files"]] == [
        ("provision/roles/web/tasks/main.yml", "changed")
    ]
    code, out, _ = say("package", "diff", "1.0.0", "1.1.0")
    assert code == 0
    assert "~ version: 1.0.0 → 1.1.0" in out
    assert "    +- ansible.builtin.debug: {msg: two}" in out.splitlines()
    assert "content: 1 file" in out.splitlines()
    assert "commits" not in out
    assert {file["area"] for file in found["files"]} == {"content"}
    assert "the packages are the same" in say("package", "diff", "1.0.0", "1.0.0")[1]
    assert say("package", "diff", "1.0.0", "none")[0] == 6


@pytest.mark.engines
def test_a_package_is_verified_where_no_project_is(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sealed file is read strictly anywhere; one changed byte is refused by its code, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "a.release"
    shutil.copy(built / "dist/shop-1.0.0.release", file)
    assert main(["package", "verify", "a.release"]) == 0
    assert "✔ shop 1.0.0" in capsys.readouterr().out
    assert main(["package", "verify", "a.release", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] is False
    data = bytearray(file.read_bytes())
    data[data.index(b"debug: {msg: one}")] ^= 1
    file.write_bytes(bytes(data))
    assert main(["package", "verify", "a.release"]) == 3
    assert "error[P211]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.engines
def test_a_package_from_elsewhere_is_kept(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`package verify --keep` puts a file into another project's store, where it has its name."""
    _write(tmp_path, {"orchestrator.yaml": FILES["orchestrator.yaml"]})
    assert main(["-C", str(tmp_path), "package", "verify", str(built / "dist/shop-1.0.0.release"), "--keep"]) == 0
    capsys.readouterr()
    assert main(["-C", str(tmp_path), "package", "list", "--json"]) == 0
    assert [ref["version"] for ref in json.loads(capsys.readouterr().out)["packages"]] == ["1.0.0"]


@pytest.mark.engines
def test_what_may_be_missing_is_shown(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`build` warns with the place in the playbook, and still builds; what cannot run is not built or kept."""
    shutil.copytree(built, tmp_path / "copy", ignore=shutil.ignore_patterns("dist", ".orchestrator"))
    root = tmp_path / "copy"
    playbook = "- hosts: all\n  roles: [web]\n  tasks:\n    - include_tasks: ../none.yml\n"
    _write(root, {"playbooks/deploy.yml": playbook})
    assert main(["-C", str(root), "build", "shop"]) == 0
    said = capsys.readouterr().err
    assert "warning[P111]" in said
    assert "--> playbooks/deploy.yml:4:22" in said
    (root / "dist/shop-1.1.0.release").unlink()
    _write(root, {"playbooks/deploy.yml": "- hosts: all\n  roles: [nowhere]\n"})
    assert main(["-C", str(root), "build", "shop"]) == 2
    assert "error[P113]" in capsys.readouterr().err
    assert not list((root / "dist").iterdir())


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A project with one release, of which nothing was built."""
    _write(tmp_path, {**FILES, "releases/shop/release.yaml": RELEASE.format(version="1.0.0", timeout="30m")})
    _write(tmp_path, {"environments/staging/environment.yaml": STAGING, "hosts.yml": "all: {hosts: {web1: {}}}\n"})
    return tmp_path


STAGING = (
    "apiVersion: orchestrator/v1\nkind: Environment\nname: staging\nprogram: null\ninventory: {files: [hosts.yml]}\n"
)


def _seen(root: Path, state: State) -> None:
    """A promotion of the built package into staging that ended in *state*."""
    app = open_app(root)
    run = Run(
        id=f"{state.name}-staging",
        root=state.name,
        release=app.packages.refs()[0],
        kind="promotion",
        environment="staging",
        state=state,
        requested_at="2026-11-28T12:00:00Z",
        ended_at="2026-11-28T12:01:00Z",
    )
    app.store.create(run)
    app.store.close()


@pytest.mark.engines
def test_planning_publishes_nothing_and_a_typo_is_corrected(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan leaves `dist/` alone, and what it built is replaced by the next build of the version."""
    words = ["-C", str(fresh), "plan", "shop", "--to", "staging", "--no-check"]
    main(words)
    first = open_app(fresh).packages.refs()
    assert (len(first), (fresh / "dist").exists()) == (1, False)
    _write(fresh, {"playbooks/deploy.yml": "- hosts: all\n  gather_facts: false\n  roles: [web]\n  tags: [x]\n"})
    main(words)
    second = open_app(fresh).packages.refs()
    assert (len(second), second != first) == (1, True)
    capsys.readouterr()
    assert main(["-C", str(fresh), "build", "shop"]) == 0
    _write(fresh, {"playbooks/deploy.yml": FILES["playbooks/deploy.yml"]})
    assert main(["-C", str(fresh), "build", "shop"]) == 0
    assert open_app(fresh).packages.refs() == first


@pytest.mark.engines
def test_a_version_that_an_environment_has_seen_stands_for_one_content(
    fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that failed before any effect burns nothing; one with an effect does, and the files are named."""
    build = ["-C", str(fresh), "build", "shop"]
    assert main(build) == 0
    _seen(fresh, State.FAILED)
    _write(fresh, {"notes.txt": "x"})
    assert main(build) == 0
    _seen(fresh, State.SUCCEEDED)
    _write(fresh, {"notes.txt": "y", "more.txt": "z"})
    capsys.readouterr()
    assert main(build) == 3
    said = capsys.readouterr().err
    assert "error[P106]" in said
    assert "more.txt, notes.txt differ" in said
    assert "package.exclude" in said
    _write(fresh, {"provision/roles/web/tasks/main.yml": "[]\n"})
    assert main(build) == 3
    said = capsys.readouterr().err
    assert "provision/roles/web/tasks/main.yml" in said
    assert "package.exclude" not in said.partition("hint:")[2].partition("docs:")[0]


@pytest.mark.engines
def test_a_package_is_removed_until_an_environment_has_seen_it(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`package remove` removes what is kept and its file in `dist/`; a package in use is refused by name."""
    remove = ["-C", str(fresh), "package", "remove", "shop-1.0.0", "--json"]
    assert main(["-C", str(fresh), "build", "shop"]) == 0
    capsys.readouterr()
    assert main(remove) == 0
    assert json.loads(capsys.readouterr().out)["published"] is True
    assert (open_app(fresh).packages.refs(), list((fresh / "dist").iterdir())) == ([], [])
    assert [path.name for path in (fresh / ".orchestrator/packages").iterdir()] == [".lock"]
    assert main(remove) == 6
    assert main(["-C", str(fresh), "build", "shop"]) == 0
    _seen(fresh, State.ROLLED_BACK)
    capsys.readouterr()
    assert main(remove) == 3
    assert "ROLLED_BACK-staging" in capsys.readouterr().out


def _commit(root: Path, subject: str) -> None:
    """Commit all of the project's files."""
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    for words in (("add", "--all"), ("commit", "--quiet", "-m", subject)):
        subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)


@pytest.mark.engines
def test_the_commits_since_production_are_shown(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`package diff ENVIRONMENT PACKAGE` lists the Git commits since the release that was verified last there, and says when they are not known."""
    subprocess.run(["git", "init", "--quiet"], cwd=fresh, check=True)
    _write(fresh, {".gitignore": ".orchestrator\ndist\n"})
    _commit(fresh, "Begin")
    assert main(["-C", str(fresh), "build", "shop"]) == 0
    app = open_app(fresh)
    ref = app.packages.refs()[0]
    _seen(fresh, State.SUCCEEDED)
    mark = Verified(environment="staging", release=ref, run="SUCCEEDED-staging", at="2026-11-28T12:01:00Z")
    app.store.append(mark.run, [Entry(kind="verified", data=mark.to_json(), key="verified")])
    app.store.close()
    _write(fresh, {"releases/shop/release.yaml": RELEASE.format(version="1.1.0", timeout="30m")})
    _commit(fresh, "Raise the version")
    _write(fresh, {"playbooks/deploy.yml": "- hosts: all\n  gather_facts: false\n  roles: [web]\n  tags: [x]\n"})
    assert main(["-C", str(fresh), "build", "shop"]) == 0
    capsys.readouterr()

    assert main(["-C", str(fresh), "package", "diff", "staging", "1.1.0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "shop 1.0.0 → shop 1.1.0"
    assert lines[1].startswith("! shop 1.1.0 was built with uncommitted changes on ")
    assert lines[2] == "commits: 1"
    assert lines[3].startswith("+ ")
    assert lines[3].endswith("  Ann  Raise the version")
    assert main(["-C", str(fresh), "package", "diff", "1.1.0", "staging", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(commit["change"], commit["subject"]) for commit in found["commits"]] == [("removed", "Raise the version")]

    assert main(["-C", str(fresh), "package", "diff", "production", "1.1.0"]) == 6
    shutil.rmtree(fresh / ".git")
    subprocess.run(["git", "init", "--quiet"], cwd=fresh, check=True)
    assert main(["-C", str(fresh), "package", "diff", "staging", "1.1.0"]) == 0
    assert "commits: unknown, because the repository does not have the commit " in capsys.readouterr().out


def test_a_misspelled_environment_is_found_before_anything_is_built(
    fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`plan` and `promote` report an unknown environment with the nearest name, and build no package."""
    for command in ("plan", "promote"):
        assert main(["-C", str(fresh), command, "shop", "--to", "stagin"]) == 6
        assert "did you mean 'staging'?" in capsys.readouterr().err
    assert open_app(fresh).packages.refs() == []
