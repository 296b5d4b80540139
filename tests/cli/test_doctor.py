"""What `doctor` says of a project's databases."""

import os
import sqlite3
from pathlib import Path

import pytest

from orchestrator.adapters.database.driver import driver, journal_mode
from orchestrator.adapters.database.engine import SCHEMA, engine_url, sqlite_path
from orchestrator.app.diagnosis import examine_project
from orchestrator.cli import main
from orchestrator.domain.diagnosis import Check
from tests.postgres import Server


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with nothing but its file."""
    (tmp_path / "orchestrator.yaml").write_text("apiVersion: orchestrator/v1\nkind: Project\nname: shop\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _said() -> dict[str, Check]:
    return {check.name: check for check in examine_project(Path.cwd(), os.environ)}


def test_how_the_journal_is_kept(project: Path) -> None:
    """It names SQLite's version, the journal mode, with the reason when it is the slower one, and the schema."""
    store = _said()["store"]
    assert store.level == "ok"
    for words in (driver().sqlite_version, f"journal mode {journal_mode()}", f"schema {SCHEMA}"):
        assert words in store.says
    assert ("known fault" in store.says) is (journal_mode() == "DELETE")


@pytest.mark.parametrize("which", ["journal", "engine"])
def test_a_damaged_database_is_found(project: Path, which: str) -> None:
    """A page that was overwritten in the journal or in the engine's database is a problem that names the file."""
    url = f"sqlite:///{project}/.orchestrator/state.db"
    assert _said()["database files"].level == "ok"
    file = sqlite_path(url if which == "journal" else engine_url(url))
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE big (x TEXT)")
        database.executemany("INSERT INTO big VALUES (?)", [("x" * 500,)] * 200)
    database.close()
    data = bytearray(file.read_bytes())
    data[-8192:-4096] = b"\xff" * 4096
    file.write_bytes(bytes(data))
    found = _said()["database files"]
    assert found.level == "problem"
    assert file.name in found.says
    assert "restore" in found.remedy


def test_a_postgres_store(project: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a Postgres store it names the kind and the schema, and the reason when it cannot be reached."""
    monkeypatch.setenv("ORCHESTRATOR_STORE", postgres.fresh())
    assert _said()["store"].says == f"postgresql (a server), schema {SCHEMA}, 0 runs"
    monkeypatch.setenv("ORCHESTRATOR_STORE", f"postgresql://ann@/shop?host={project}")
    found = _said()["store"]
    assert found.level == "problem"
    assert str(project) in found.says


def test_the_artifact_store(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where artifacts are shared, and of a place that cannot be used what is wrong and what would help."""
    assert _said()["artifacts"].says == "kept on this machine only"
    (project / "shared").mkdir()
    with (project / "orchestrator.yaml").open("a") as file:
        file.write("artifacts: shared\n")
    assert _said()["artifacts"] == Check(name="artifacts", level="ok", says=f"shared in {project}/shared")
    for wrong, words in {"not-mounted": "S143", "https://secret@host/": "S140"}.items():
        monkeypatch.setenv("ORCHESTRATOR_ARTIFACTS", wrong)
        found = _said()["artifacts"]
        assert found.level == "problem"
        assert words in found.remedy
        assert "secret" not in found.says


def test_the_main_limit_of_local_mode_is_printed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`doctor` and `whoami` say that a user who can write the state folder can bypass all rights."""
    del project
    for words in (["doctor"], ["whoami"]):
        main(words)
        assert "another user who can write the state folder can bypass all rights" in capsys.readouterr().out, words
