"""Two servers of different versions on one Postgres: the later one brings the schema forward while the earlier one serves."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.adapters.database.engine import SCHEMA
from tests.postgres import Server
from tests.server.pair import Member, Pair, serving_pair, wait_for
from tests.server.test_process import answer

REVISION = f"""
from alembic import op
import sqlalchemy as sa

revision, down_revision = "9999", "{SCHEMA}"


def upgrade() -> None:
    op.add_column("runs", sa.Column("later", sa.String, nullable=False, server_default="x"))
"""
LATER = """
import sys
sys.path.insert(0, {root!r})
from orchestrator.adapters.database import engine

known = engine.alembic_config


def alembic_config():
    config = known()
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", config.get_main_option("script_location") + "/versions\\n" + {more!r})
    return config


engine.SCHEMA, engine.alembic_config = "9999", alembic_config
"""
"""What makes a process of this program one of a later version, with one more migration: Python imports it at its start."""


@pytest.fixture
def pair(postgres: Server, tmp_path: Path) -> Iterator[Pair]:
    """Two servers of this version."""
    with serving_pair(tmp_path, postgres.fresh()) as made:
        made.user("ann", "release-manager")
        yield made


def upgrade(member: Member, folder: Path) -> None:
    """Replace *member* by a server of the later version."""
    assert member.stop() == 0, member.log
    more, start = folder / "more", folder / "later"
    for made in (more, start):
        made.mkdir()
    (more / "9999_later.py").write_text(REVISION)
    root = str(Path(__file__).parents[2])
    (start / "sitecustomize.py").write_text(LATER.format(root=root, more=str(more)))
    member.environ = {**member.environ, "PYTHONPATH": str(start)}
    member.start()


def log_of(member: Member) -> str:
    """What the worker beside *member* has printed."""
    return (member.folder / "worker.log").read_text()


def problem(member: Member, method: str, path: str, token: str, body: str = "") -> tuple[int, str]:
    """The status of a response of *member*, and the code of its problem."""
    given = {"authorization": f"Bearer {token}", "host": "releases.test", "content_type": "application/json"}
    status, _, text = answer(member.port, method, path, body, **given)
    return status, str(json.loads(text).get("code", "")) if text.startswith("{") else text


@pytest.mark.long
def test_a_server_of_the_earlier_version_changes_nothing_after_an_upgrade(pair: Pair, tmp_path: Path) -> None:
    """After a server of a later version has brought the schema forward, the earlier one is unready, refuses changes (S115) and reads on; its worker ends."""
    one, two = pair.members
    order, token = json.dumps({"title": "later"}), pair.tokens["ann"]
    assert problem(one, "POST", "/api/v1/change-requests", token, order)[0] == 201
    words = [sys.executable, "-m", "orchestrator", "worker", "--as-system"]
    with (one.folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen(words, cwd=one.folder, env=one.environ, stdout=log, stderr=log)
    try:
        wait_for(lambda: worker.poll() is not None or "ready" in log_of(one), "the worker is not ready")
        assert worker.poll() is None, log_of(one)
        upgrade(two, tmp_path)
        assert problem(one, "GET", "/readyz", token) == (503, "S115")
        wait_for(lambda: not pair.is_up(one), "the proxy uses the earlier server")
        assert problem(one, "POST", "/api/v1/change-requests", token, order) == (503, "S115")
        assert problem(one, "GET", "/api/v1/change-requests", token) == (200, "")
        wait_for(lambda: pair.is_up(two), "the proxy does not use the later server")
        status, made = pair.send(token, "POST", "/api/v1/change-requests", {"title": "by the later one"})
        assert status == 201, made
        assert (worker.wait(60), "S115" in log_of(one)) == (2, True), log_of(one)
    finally:
        worker.kill()
        worker.wait(30)
    _, found = pair.send(token, "GET", "/api/v1/change-requests?state=draft")
    assert sorted(each["request"]["title"] for each in found["requests"]) == ["by the later one", "later"]
