"""The short form of `make growth`, and a prune of a project whose journal is on Postgres."""

from pathlib import Path

from orchestrator.domain.retention import Retention
from tests.campaigns import growth
from tests.postgres import Server


def test_the_state_folder_does_not_grow_with_promotions() -> None:
    """After 18 promotions the state folder is at most 1.2 times its size after 6, without journal and evidence."""
    assert growth.main(["--promotions", "18", "--first", "6", "--runs", "5d", "--keep", "2"]) == 0


def test_a_prune_with_a_journal_on_postgres(tmp_path: Path, postgres: Server) -> None:
    """On Postgres a prune removes what old runs left, keeps the journal and the newest runs, and a second finds nothing."""
    project = growth.Project(tmp_path, Retention(runs="1d", keep_per_environment=1), url=postgres.fresh())
    for number in range(4):
        project.promote(number)
    runs = {run.id: len(project.store.records(run.id)) for run in project.store.runs()}
    for _ in range(2):
        project.prune()
        kept = {path.name.partition(".")[0] for path in (tmp_path / "jobs").iterdir()}
        assert kept == {"000002-staging", "000003-production"}
        assert {path.stem for path in (tmp_path / "records").iterdir()} == {"000002", "000003"}
    assert {run.id: len(project.store.records(run.id)) for run in project.store.runs()} == runs
    project.store.close()
