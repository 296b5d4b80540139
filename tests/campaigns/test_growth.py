"""The short form of `make growth`, and a prune of a project whose journal is on Postgres."""

from pathlib import Path

from orchestrator.domain.retention import Retention
from tests.campaigns import growth
from tests.postgres import Server


def test_the_state_folder_does_not_grow_with_promotions() -> None:
    """After 30 promotions the state folder is at most 1.2 times its size after 10, without journal and evidence."""
    assert growth.main(["--promotions", "30", "--first", "10", "--runs", "9d", "--keep", "3"]) == 0


def test_a_prune_with_a_journal_on_postgres(tmp_path: Path, postgres: Server) -> None:
    """On Postgres a prune removes what old runs left as on SQLite, keeps the journal, and a second one finds nothing."""
    rule, kept = Retention(runs="2d", keep_per_environment=1), list[set[str]]()
    for url in (postgres.fresh(), ""):
        folder = tmp_path / (url and "postgres")
        folder.mkdir(exist_ok=True)
        project = growth.Project(folder, rule, url=url)
        for number in range(6):
            project.promote(number)
        runs = {run.id: len(project.store.records(run.id)) for run in project.store.runs()}
        project.prune()
        after = {path.name for name in ("jobs", "records", "logs") for path in (folder / name).iterdir()}
        project.prune()
        assert {path.name for name in ("jobs", "records", "logs") for path in (folder / name).iterdir()} == after
        assert {run.id: len(project.store.records(run.id)) for run in project.store.runs()} == runs
        kept.append(after)
        project.store.close()
    assert kept[0] == kept[1]
    assert 0 < len([name for name in kept[0] if "." in name and name.endswith("deploy.1")]) < 6
