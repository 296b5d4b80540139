"""What a shell is offered behind a command's words."""

import pytest
from click.shell_completion import CompletionItem, ShellComplete

from orchestrator.cli import cli
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]


def offered(*words: str) -> list[str]:
    """What is offered for the last of *words*."""
    found: list[CompletionItem] = ShellComplete(cli, {}, "orchestrator", "_X").get_completions(
        list(words[:-1]), words[-1]
    )
    return [item.value for item in found]


def test_names_of_the_project_are_completed(project: MemoryProject) -> None:
    """Environments, runs, steps of a run, releases and error codes are completed where a command takes one."""
    run = project.go("production", "1.1.0")
    assert offered("status", "prod") == ["production"]
    assert offered("rollback", "") == ["production", "staging"] or offered("rollback", "") == ["staging", "production"]
    assert offered("show", run.id[:4]) == [run.id]
    assert "deploy.1" in offered("logs", run.id, "--step", "dep")
    assert offered("promote", "shop-") == ["shop-1.1.0"]
    assert offered("promote", "--to", "st") == ["staging"]
    assert "R134" in offered("explain", "R13")


def test_a_broken_project_completes_nothing(project: MemoryProject, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the project's file is wrong nothing is offered, and nothing is printed."""
    (project.folder / "orchestrator.yaml").write_text("kind: wrong\n")
    for words in (("status", ""), ("show", ""), ("promote", ""), ("logs", "x", "--step", "")):
        assert offered(*words) == []
    assert capsys.readouterr() == ("", "")
