"""The contract of the `DefinitionArchives` port, kept by every adapter of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator.adapters.database.definition_archives import TABLE, DatabaseDefinitionArchives
from orchestrator.adapters.database.engine import open_database
from orchestrator.adapters.database.masking import mask_databases
from orchestrator.adapters.memory.definition_archives import MemoryDefinitionArchives
from orchestrator.domain.secret import Secret
from orchestrator.register_ports import DefinitionArchives
from orchestrator.secret_values import SecretValues, process_secrets, use

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def archives(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DefinitionArchives]:
    made: DefinitionArchives = MemoryDefinitionArchives()
    if request.param == "sqlite":
        made = DatabaseDefinitionArchives(f"sqlite:///{tmp_path}/state.db", "shop")
    if request.param == "postgres":
        made = DatabaseDefinitionArchives(request.getfixturevalue("postgres").fresh(), "shop")
    yield made
    made.close()


def test_an_archive_is_kept_until_it_is_removed(archives: DefinitionArchives) -> None:
    """An archive is fetched byte for byte, is not replaced by a second one, and is gone after its removal."""
    data = bytes(range(256)) * 4096
    assert (archives.fetch(ONE), archives.digests()) == (None, frozenset())
    archives.keep(ONE, data)
    archives.keep(TWO, b"two")
    archives.keep(ONE, b"another")
    assert (archives.fetch(ONE), archives.fetch(TWO)) == (data, b"two")
    assert archives.digests() == {ONE, TWO}
    archives.remove(ONE)
    archives.remove(ONE)
    assert (archives.fetch(ONE), archives.digests()) == (None, frozenset({TWO}))


def test_of_many_writers_of_one_archive_each_succeeds(archives: DefinitionArchives) -> None:
    """Eight processes that keep the same archive at the same moment all succeed, and it is kept once."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: archives.keep(ONE, b"the same"), range(8)))
    assert (archives.digests(), archives.fetch(ONE)) == (frozenset({ONE}), b"the same")


def test_the_filter_of_secrets_changes_no_archive(archives: DefinitionArchives) -> None:
    """An archive with a text that is a secret of this process is kept byte for byte."""
    mask_databases()
    before, known = process_secrets(), SecretValues()
    known.learn("test", [Secret("TOKEN", b"a-password-of-this-test")])
    use(known)
    try:
        archives.keep(ONE, b"before a-password-of-this-test after")
        assert archives.fetch(ONE) == b"before a-password-of-this-test after"
    finally:
        use(before)


def test_a_project_has_its_own_archives_and_a_damaged_row_is_no_archive(tmp_path: Path) -> None:
    """In one database each project finds its own archives, and a row that was changed gives no bytes of an archive."""
    url = f"sqlite:///{tmp_path}/state.db"
    shop, bank = DatabaseDefinitionArchives(url, "shop"), DatabaseDefinitionArchives(url, "bank")
    shop.keep(ONE, b"shop")
    assert (bank.fetch(ONE), bank.digests()) == (None, frozenset())
    engine = open_database(url)
    with engine.begin() as db:
        db.execute(sa.update(TABLE).values(data=b"changed"))
    engine.dispose()
    assert shop.fetch(ONE) == b""
    shop.close()
    bank.close()
