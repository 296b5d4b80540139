"""Machines that share a database, a Pulumi backend and an artifact store, and nothing else."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.conftest import Project, lay_small_shop
from tests.postgres import Server
from tests.s3 import Bucketeer

NAMES = ("desk", "first", "second")


@pytest.fixture
def machines(tmp_path: Path, postgres: Server, s3: Bucketeer) -> Iterator[dict[str, Project]]:
    """Three checkouts of one project, each with an empty state folder of its own."""
    shared = {
        "ORCHESTRATOR_STORE": postgres.fresh(),
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "for all of them",
        **s3.env(),
    }
    (tmp_path / "backend").mkdir()
    bucket = s3.fresh()
    made = {name: Project(tmp_path / name / "project", env=shared) for name in NAMES}
    try:
        made["desk"].root.mkdir(parents=True)
        lay_small_shop(made["desk"])
        made["desk"].replace("orchestrator.yaml", "\nname: shop", f"\nname: shop\nartifacts: s3://{bucket}/shop")
        for name in ("first", "second"):
            shutil.copytree(made["desk"].root, made[name].root)
            shutil.rmtree(made[name].root / "dist")
        yield made
    finally:
        for project in made.values():
            project.clean()


@pytest.mark.timeout(900)
def test_what_one_machine_packed_and_planned_another_promotes(machines: dict[str, Project]) -> None:
    """A release packed on one machine, and one planned there, are promoted by a worker on a second, a third lists both, and the first shows what was printed."""
    desk, first, second = (machines[name] for name in NAMES)
    assert "shared in s3://" in desk.run("doctor", code=None).out

    desk.run("build", "releases/1.0.0")
    run = desk.run("promote", "shop-1.0.0", "--to", "staging", "--queue", "default", "--json").json["run"]
    first.run("worker", "--once")
    assert set(desk.releases("staging").values()) == {"1.0.0"}
    assert not (desk.state / "jobs").exists() or not list((desk.state / "jobs").glob(f"{run}*"))
    printed = desk.run("logs", run, "--output").out
    assert "PLAY RECAP" in printed
    assert "passed" in printed
    assert "PLAY RECAP" not in desk.run("logs", run, "--output", "--step", "verify").out

    plan = desk.run("plan", "releases/1.1.0", "--to", "staging", "--json").json["digest"]
    desk.run("promote", "--plan", plan, "--queue", "default")
    first.run("worker", "--once")
    assert set(desk.releases("staging").values()) == {"1.1.0"}

    rows = second.run("package", "list", "--json").json["packages"]  # loopback hosts live with the first: it only reads
    assert {row["version"] for row in rows} == {"1.0.0", "1.1.0"}
    assert "for all of them" not in desk.run("logs", run, "--output").out
