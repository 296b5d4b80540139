"""What `history`, `matrix` and `store rebuild` print of long lists."""

from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]


def test_history_is_read_page_by_page(project: MemoryProject) -> None:
    """Each page of `history` names the cursor of the next one; together they are all runs, newest first."""
    made = [project.go("staging", f"1.{number}.0").id for number in range(3)]
    first = project.json("history", "-n", "2")
    second = project.json("history", "-n", "2", "--cursor", first["cursor"])
    assert [run["id"] for run in (*first["runs"], *second["runs"])] == made[::-1]
    assert second["cursor"] is None
    assert "1.2.0" in project.say("history", "staging", "-n", "1")
    project.say("history", "--cursor", "later", code=2)


def test_matrix_shows_what_is_chosen(project: MemoryProject) -> None:
    """`matrix` shows the newest releases, up to the limit, of the chosen name, in the chosen environments."""
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        project.go("staging", version)
    chosen = project.json("matrix", "--environment", "staging", "-n", "2")
    assert [row["release"]["version"] for row in chosen["releases"]] == ["1.2.0", "1.1.0"]
    assert [list(row["in"]) for row in chosen["releases"]] == [["staging"], ["staging"]]
    assert chosen["environments"] == ["staging"]
    assert project.json("matrix", "--name", "other")["releases"] == []
    assert len(project.json("matrix")["releases"]) == 3


def test_a_rebuild_counts_the_runs(project: MemoryProject) -> None:
    """`store rebuild` reports the number of runs whose rows it wrote."""
    project.go("staging", "1.0.0")
    assert project.json("store", "rebuild")["runs"] == 1
    assert "1 run" in project.say("store", "rebuild")


def test_the_matrix_is_read_page_by_page(project: MemoryProject) -> None:
    """The pages of `matrix` together have each release once: first those that no run was for, then the newest first."""
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        project.go("staging", version)
    for version in ("2.0.0", "2.1.0"):
        project.packages.put(project.release(version))
    for limit in (1, 2, 3, 5, 9):
        found: list[str] = []
        cursor: str | None = None
        while not found or cursor is not None:
            words = ("--cursor", cursor) if cursor is not None else ()
            page = project.json("matrix", "-n", str(limit), *words)
            assert len(page["releases"]) == min(limit, 5 - len(found))
            found += [row["release"]["version"] for row in page["releases"]]
            cursor = page["cursor"]
        assert found == ["2.0.0", "2.1.0", "1.2.0", "1.1.0", "1.0.0"]
    project.say("matrix", "--cursor", "later", code=2)
