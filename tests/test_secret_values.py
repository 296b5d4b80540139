"""The secrets that a process knows, and the filter in front of what it writes."""

import json
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.masking import mask_databases
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.promotion import State
from orchestrator.domain.secret import Secret, is_secret_variable, secret_variables, secrets_in_urls
from orchestrator.domain.step import Outcome
from orchestrator.file_system import write_whole
from orchestrator.secret_values import SURROUNDINGS, SecretValues, process_secrets, use

CANARY = "canary-4711\nof two lines"


@pytest.fixture
def secrets() -> Iterator[SecretValues]:
    before, mine = process_secrets(), SecretValues()
    mine.learn("here", [Secret("password", CANARY.encode())])
    use(mine)
    yield mine
    use(before)


def test_secrets_are_only_added() -> None:
    """A source that is read again adds what is new; a value that it has no longer is still masked."""
    values = SecretValues()
    values.learn("one", [Secret("a", b"first-value")])
    values.learn("one", [Secret("a", b"second-value")])
    assert values.text("first-value second-value") == "[secret] [secret]"
    before = values.redactor
    values.learn("one", [Secret("a", b"first-value")])
    assert values.redactor is before


def test_ordinary_secrets_are_named() -> None:
    """A short value is reported with its source and key, but for variables that are secret by their names only."""
    values = SecretValues()
    values.learn("outputs of staging", [Secret("pin", b"1234"), Secret("password", b"long-enough")])
    values.learn(SURROUNDINGS, [Secret("TOKEN", b"abc")])
    values.learn_names(["web1.example"])
    values.learn("here", [Secret("host", b"web1.example")])
    assert values.ordinary() == [("here", "host"), ("outputs of staging", "pin")]
    assert values.text("TOKEN=abc abc") == "TOKEN=[secret] abc"


def test_words_of_the_journal_are_ordinary() -> None:
    """A plan can warn of each secret that is one of the words that records are read by."""
    words = {*map(str, (*Outcome, *State)), "step.finished", "rollback", "deploy", "inventory_digest"}
    values = SecretValues()
    values.learn("here", [Secret("name", word.encode()) for word in words])
    assert {secret.value.decode() for secret in values.redactor.weak} == words
    assert values.data(sorted(words)) == sorted(words)
    assert values.text("go to rollback now") == "go to [secret] now"
    time = "2026-11-28T22:51:00+00:00"
    values.learn("here", [Secret("day", b"2026-11-28"), Secret("part", b"abcdef")])
    digest = f"sha256:{'abcdef' * 10}abcd"
    assert values.data({"at": time, "digest": digest}) == {"at": time, "digest": digest}
    assert values.text("on 2026-11-28") == "on [secret]"


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    """A document is written as a whole, and for its owner only."""
    write_whole(tmp_path / "plan.json", json.dumps({"size": 3}))
    assert json.loads((tmp_path / "plan.json").read_text()) == {"size": 3}
    assert stat.S_IMODE((tmp_path / "plan.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


@pytest.mark.usefixtures("secrets")
def test_the_journal_has_no_secret(tmp_path: Path) -> None:
    """Whatever is written to the journal passes the filter, and can be read again."""
    mask_databases()
    store = DatabaseStore(f"sqlite:///{tmp_path}/state.db", SystemClock())
    store.create(Run(id="r1", root="r1", kind="promotion", environment="staging", by=CANARY))
    entries = [Entry(kind="notice", data={"text": f"it is {CANARY}", CANARY: CANARY.encode().hex(), "size": 4711})]
    store.append("r1", entries)
    (record,) = store.records("r1")
    assert record.data == {"text": "it is [secret]", "[secret]": "[secret]", "size": 4711}
    assert store.run("r1").by == "[secret]"
    store.close()
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"canary" not in files
    assert b"two lines" not in files


@pytest.mark.usefixtures("secrets")
def test_every_statement_of_the_process_is_masked(tmp_path: Path) -> None:
    """Each engine of SQLAlchemy is behind the filter, with one set of parameters or with many."""
    mask_databases()
    engine = sa.create_engine(f"sqlite:///{tmp_path}/other.db")
    with engine.begin() as db:
        db.execute(sa.text("CREATE TABLE t (a TEXT, b BLOB)"))
        db.execute(sa.text("INSERT INTO t VALUES (:a, :b)"), {"a": CANARY, "b": CANARY.encode()})
        db.execute(sa.text("INSERT INTO t VALUES (:a, :b)"), [{"a": f'["{n}"]', "b": None} for n in range(3)])
    engine.dispose()
    rows = sqlite3.connect(tmp_path / "other.db").execute("SELECT a, b FROM t").fetchall()
    assert rows == [("[secret]", b"[secret]"), ('["0"]', None), ('["1"]', None), ('["2"]', None)]


@pytest.mark.parametrize(
    "name",
    [
        "DB_PASSWORD",
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "VAULT_TOKEN",
        "ADMIN_PASS",
        "api_key",
        "MYSQL_PWD",
        "SSHPASS",
        "DD_APP_KEY",
    ],
)
def test_variables_that_are_secret_by_their_names(name: str) -> None:
    """A variable whose name says that it holds a secret is one, declared or not."""
    assert is_secret_variable(name)


@pytest.mark.parametrize(
    "name",
    ["PATH", "PULUMI_CONFIG_PASSPHRASE_FILE", "AWS_ACCESS_KEY_ID", "SSH_ASKPASS", "TOKEN_URL", "KEYBOARD", "OLDPWD"],
)
def test_variables_that_are_not(name: str) -> None:
    """A variable that names a file, an account or an address is none."""
    assert not is_secret_variable(name)


def test_declared_variables_and_addresses() -> None:
    """Declared variables are secret by whatever name; the password in an address is secret as it is written and decoded."""
    assert secret_variables({"LICENCE": "lic-4711", "HOME": "/root"}, ["LICENCE", "GONE"]) == [
        Secret("LICENCE", b"lic-4711")
    ]
    found = secrets_in_urls(["postgresql://me:p%40ssw0rd@host/db", "sqlite:///a.db", None, "s3://bucket"])
    assert [secret.value for secret in found] == [b"p%40ssw0rd", b"p@ssw0rd"]
