"""A train of three packages in the memory world, whose third package fails in production: all of them are rolled back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.domain.release import Release
from tests.cli.request_project import RequestProject, office
from tests.flow.test_promotion import release

__all__ = ["office"]  # the fixture
NAMES = ("database", "shop", "website")
STOPS = ("staging", "production")
FILE = "apiVersion: orchestrator/v1\nkind: Environment\nname: {name}\n{after}"
START = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")


def package(name: str, version: str) -> Release:
    """A version of one of the packages, which has environments of its own."""
    return release(version, name=name, environments=[f"{name}-{stop}" for stop in STOPS])


@pytest.fixture
def station(office: RequestProject) -> RequestProject:
    """A project in which version 1.0.0 of each package runs, and a train to which 2.0.x of each is to board."""
    for name in NAMES:
        for stop in STOPS:
            office.world.stacks[f"{name}-{stop}"] = [f"{name}-{stop}-1"]
            folder = office.folder / "environments" / f"{name}-{stop}"
            folder.mkdir()
            after = f"after: {name}-staging\n" if stop == "production" else ""
            (folder / "environment.yaml").write_text(FILE.format(name=f"{name}-{stop}", after=after))
    for number, name in enumerate(NAMES, 1):
        office.packages.put(package(name, "1.0.0"))
        for stop in STOPS:
            office.by("ann", "promote", f"{name}-1.0.0", "--to", f"{name}-{stop}")
        office.packages.put(package(name, f"2.0.{number}"))
    stops = [word for stop in STOPS for word in ("--stop", ",".join(f"{name}-{stop}" for name in NAMES))]
    office.by("ann", "train", "line", "add", "weekly", *stops, "--start", START)
    office.by("ann", "train", "create", "weekly")
    return office


def settle(project: RequestProject) -> None:
    """Workers do what is due, and execute each run, until nothing happens any more."""
    for _ in range(60):
        told = project.duties()
        places = [f"{name}-{stop}" for name in NAMES for stop in STOPS]
        runs = [run for place in places for run in project.store.runs(place, limit=50) if not run.ended]
        for run in runs:
            project.execute(run.id)
        if not told and not runs:
            return
    raise AssertionError("it does not settle")


def train(project: RequestProject) -> Any:
    return project.by("vic", "train", "show", "T-1")["train"]


def versions(project: RequestProject, stop: str) -> list[str]:
    """The version of each package on the host of its environment at a stop."""
    digests = [project.world.releases(f"{name}-{stop}")[0] for name in NAMES]
    refs = [project.packages.ref(digest) for digest in digests if digest is not None]
    return [ref.version for ref in refs if ref is not None]


def depart(project: RequestProject) -> None:
    """The three packages board in their order, and the train departs."""
    for number, (name, after) in enumerate({"database": "", "shop": "database", "website": "shop"}.items(), 1):
        more = ("--after", after) if after else ()
        project.by("ann", "train", "board", "T-1", f"{name}-2.0.{number}", *more)
    told = project.by("vic", "train", "prognosis", "weekly")["prognosis"]
    assert [member["obstacles"] for member in told["members"]] == [[]] * 3
    project.by("ann", "train", "depart", "T-1", "--yes")
    settle(project)


def test_a_train_brings_its_set_to_production(station: RequestProject) -> None:
    """Three packages depart with one train, are verified together in staging, and arrive together in production."""
    depart(station)
    found = train(station)
    assert (found["state"], found["stops_completed"]) == ("arrived", 2), found
    assert versions(station, "production") == ["2.0.1", "2.0.2", "2.0.3"]
    assert "arrived" in station.tells("vic", "train", "list", "--all")


def test_the_third_package_fails_in_production_and_all_go_back(station: RequestProject) -> None:
    """The third package fails its tests in production: all are rolled back to the previous set, and staging keeps the new one."""
    station.world.faults.add(("verify", "website-production-1", "2.0.3"))
    depart(station)
    found = train(station)
    assert found["state"] == "rolled-back", found
    assert versions(station, "production") == ["1.0.0"] * 3
    assert versions(station, "staging") == ["2.0.1", "2.0.2", "2.0.3"]
    runs = [(run["kind"], run["package"]) for run in found["runs"] if run["environment"].endswith("production")]
    assert runs == [
        ("promotion", "database"), ("promotion", "shop"), ("promotion", "website"),
        ("rollback", "shop"), ("rollback", "database"),
    ]  # fmt: skip
    said = station.tells("vic", "train", "show", "T-1")
    assert "rollback of database in database-production: succeeded" in " ".join(said.split())
