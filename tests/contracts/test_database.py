"""What a database must keep beyond the contract of the store."""

import sqlite3
import stat
from pathlib import Path

import pytest

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.engine import SCHEMA, integrity, open_database, wal_is_safe
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.errors import OrchestratorError


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """A new database can be read by its owner only, and says that nothing is wrong with it."""
    url = f"sqlite:///{tmp_path}/deep/state.db"
    DatabaseStore(url, SystemClock()).close()
    assert stat.S_IMODE((tmp_path / "deep/state.db").stat().st_mode) == 0o600
    assert integrity(url) == []


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """A store that a newer program has made is not touched, and the error names both schemas."""
    file = tmp_path / "state.db"
    open_database(f"sqlite:///{file}").dispose()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(OrchestratorError) as caught:
        open_database(f"sqlite:///{file}")
    assert caught.value.code == "S115"
    assert "9999" in caught.value.message
    assert SCHEMA in caught.value.message


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """Something else in its place is an error that says so, and is left as it was."""
    file = tmp_path / "state.db"
    file.write_text("not a database, but long enough to look at twice" * 40)
    with pytest.raises(OrchestratorError) as caught:
        open_database(f"sqlite:///{file}")
    assert caught.value.code in {"S112", "S114"}
    assert file.read_text().startswith("not a database")


def test_an_unknown_store(tmp_path: Path) -> None:
    """A URL of another kind is an error that names it."""
    with pytest.raises(OrchestratorError) as caught:
        open_database("mysql://localhost/x")
    assert caught.value.code == "S110"


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
    ],
)
def test_versions_whose_log_keeps_its_word(version: tuple[int, int, int], safe: bool) -> None:
    """The write-ahead log is used only where SQLite's known fault is repaired."""
    assert wal_is_safe(version) is safe
