"""The records of durable execution of complete requests are listed, and removed with those of their parts."""

import sqlite3
from pathlib import Path
from typing import Any

from orchestrator.engine.records import complete_requests, remove_request
from orchestrator.ports import Parallel
from tests.engine.test_durable import engine_in

LATER = "2100-01-01T00:00:00.000Z"


def rows(folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / "engine.db") as db:
        tables = ("workflow_status", "operation_outputs")
        return {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def test_records_of_a_complete_request_are_removed(tmp_path: Path) -> None:
    """A complete request is listed with nothing else, and after its removal no record of it or of a part is there."""

    def walk(durable: Parallel, _tenure: object, data: dict[str, Any]) -> dict[str, Any]:
        if "part" in data:
            return {"answer": durable.step("inner", lambda: 1)}
        return durable.together({"root1-staging": {"number": 1}})

    engine = engine_in(tmp_path, walk)
    url = f"sqlite:///{tmp_path}/engine.db"
    assert complete_requests(url, LATER) == set()
    assert engine.begin("root1", {})() == {"root1-staging": {"answer": 1}}
    engine.close()
    assert complete_requests(url, LATER) == {"root1"}
    assert complete_requests(url, "2000-01-01T00:00:00.000Z") == set()
    assert rows(tmp_path)["workflow_status"] == 2
    with engine.alone("root1") as free:
        assert free
        remove_request(url, "root1")
    assert rows(tmp_path) == {"workflow_status": 0, "operation_outputs": 0}
    assert not list((tmp_path / "executors").glob("root1.*"))


def test_a_request_with_a_process_is_left_alone(tmp_path: Path) -> None:
    """While a process has a request, nobody else is alone with it, and its lock stays."""
    engine, other = engine_in(tmp_path, lambda _d, _t, _a: {}), engine_in(tmp_path, lambda _d, _t, _a: {})
    engine.reserve("root1")
    with other.alone("root1") as free:
        assert not free
    assert (tmp_path / "executors" / "root1.lock").is_file()
    engine.close()
