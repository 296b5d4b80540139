"""The command line itself: quick to start, clear when it is used wrongly, the same for people and programs."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from orchestrator.cli import NAMES, cli, main

HEAVY = {"pulumi", "ansible_runner", "sqlalchemy", "dbos", "pydantic", "yaml", "rich", "jinja2", "pytest", "asyncio"}
CODE = """
import sys
sys.argv = ["orchestrator", *sys.argv[1:]]
from orchestrator.cli import main
try:
    main()
finally:
    print("|", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def _loaded(*words: str, env: dict[str, str] | None = None) -> set[str]:
    done = subprocess.run([sys.executable, "-c", CODE, *words], env=env, capture_output=True, text=True, check=False)
    return set(done.stderr.rpartition("|")[2].split())


@pytest.mark.parametrize("words", [("--help",), ("--version",), *((name, "--help") for name in NAMES)])
def test_help_imports_little(words: tuple[str, ...]) -> None:
    """Neither `--help` nor any command's help imports an engine, a model or a YAML reader."""
    assert _loaded(*words) & HEAVY == set()


def test_completion_imports_little() -> None:
    """Completing a command's name imports nothing heavy."""
    import os

    env = {**os.environ, "_ORCHESTRATOR_COMPLETE": "bash_complete", "COMP_WORDS": "orchestrator pro", "COMP_CWORD": "1"}
    code = CODE.replace("main()", "import orchestrator.cli; orchestrator.cli.cli.main(prog_name='orchestrator')", 1)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert "promote" in done.stdout
    assert set(done.stderr.rpartition("|")[2].split()) & HEAVY == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_command_helps(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command explains itself and ends well."""
    assert main([name, "--help"]) == 0
    assert "Usage: orchestrator" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_help_is_whole_on_a_narrow_terminal(name: str) -> None:
    """On 80 columns, no help of a command or subcommand is wider, cuts a sentence, or shows a type of click as a value."""
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    pending = [(name, found)]
    for path, command in pending:
        help_ = command.get_help(click.Context(command, info_name=f"orchestrator {path}", terminal_width=80))
        assert max(map(len, help_.splitlines())) <= 80, help_
        assert not re.search(r"\.\.\.$", help_.partition("\n")[2], re.MULTILINE), help_
        assert not re.search(r"%Y| RANGE\b|\(required\).*\[required\]", " ".join(help_.split())), help_
        if isinstance(command, click.Group):
            pending += [(f"{path} {sub}", each) for sub, each in command.commands.items()]


def test_a_wrong_name_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped command is a usage error that names the nearest one."""
    assert main(["promte"]) == 2
    assert "did you mean 'promote'?" in capsys.readouterr().err


def test_a_command_that_was_renamed_names_its_new_name(capsys: pytest.CaptureFixture[str]) -> None:
    """The old name of a command is a usage error that gives the new one."""
    assert main(["accept", "staging", "web1", "--release", "none", "-m", "it is new"]) == 2
    assert "the command 'accept' is now 'environment override'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [
        (("promote", "shop-1.0.0"), "--again", "--allow-rolled-back"),
        (("rollback", "staging"), "--no-return", "--skip-irreversible"),
        (("restore", "staging"), "--no-return", "--skip-irreversible"),
    ],
)
def test_an_option_that_was_renamed_names_its_new_name(
    command: tuple[str, ...], old: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The old name of an option is a usage error that gives the new one; another command has never had it."""
    assert main([*command, old]) == 2
    assert f"the option '{old}' is now '{new}'" in capsys.readouterr().err
    assert main(["status", old]) == 2
    assert new not in capsys.readouterr().err


def test_outside_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A command that needs a project says that there is none, and how to make one; as JSON too."""
    monkeypatch.chdir(tmp_path)
    code = main(["status"])
    assert code == main(["status", "--json"]) != 0
    said = capsys.readouterr()
    assert "orchestrator init makes one" in said.err
    error = json.loads(said.out)["errors"][0]
    assert (error["code"], error["hint"]) == ("F130", "orchestrator init makes one")


def test_all_errors_of_a_file_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`validate` shows every error of a file with its code, place, line and caret, and ends with 2."""
    file = tmp_path / "release.yaml"
    file.write_text(
        "apiVersion: orchestrator/v1\nkind: Release\nname: Shop\nversion: 1.10\nenvironments: [staging]\nstep: []\n"
    )
    assert main(["validate", str(file)]) == 2
    said = capsys.readouterr().err
    assert "release.yaml:4:10" in said
    assert "4 | version: 1.10\n  |          ^^^^" in said
    assert 'write version: "1.10"' in said
    for line in (3, 4, 6):
        assert f"release.yaml:{line}:" in said


def test_a_broken_project_file_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`validate` tells the errors of all files of a project, also where `orchestrator.yaml` is one of the broken ones."""
    monkeypatch.chdir(tmp_path)
    for name in ("orchestrator.yaml", "environments/staging/environment.yaml", "releases/shop/release.yaml"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("apiVersion: orchestrator/v1\nkind: wrong\n")
    assert main(["validate"]) == 2
    said = capsys.readouterr().err
    for name in ("orchestrator.yaml:2:7", "environment.yaml:2:7", "release.yaml:2:7"):
        assert name in said


def test_explain_knows_every_code(capsys: pytest.CaptureFixture[str]) -> None:
    """`explain` tells why and what to do for a code, lists all, and says so when there is none."""
    assert main(["explain", "r105"]) == 0
    assert "Exit status: 3" in capsys.readouterr().out
    assert main(["explain"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 90
    assert main(["explain", "X999"]) == 6


@pytest.mark.parametrize("kind", ["release", "environment", "project", "status", "matrix", "run", "plan"])
def test_schemas_are_schemas(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each schema is a valid JSON Schema."""
    import jsonschema

    assert main(["schema", kind]) == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each shell gets its script."""
    assert main(["completion", shell]) == 0
    assert "_ORCHESTRATOR_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("explain",), ("--help",), ("promote", "--help")])
def test_a_reader_that_goes_away_is_no_error(words: tuple[str, ...]) -> None:
    """A closed pipe ends a command that only shows something quietly, with 141 as it ends any program."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as said:
        assert said.read() == b""
    assert process.wait(timeout=60) == 141


def test_what_changes_something_goes_on_without_a_reader() -> None:
    """Once a command has said that it outlasts its readers, writing to a closed pipe does nothing, on either stream."""
    code = (
        "import sys\nfrom orchestrator.cli import output, report\n"
        "def work():\n    output.ignore_broken_pipe()\n"
        "    for _ in range(3):\n        output.note('progress')\n        output.out('data')\n    return 4\n"
        "raise SystemExit(report.run_guarded(work, []))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=60) == 4


def test_what_init_makes_for_its_owner(tmp_path: Path) -> None:
    """The state folder that `init` makes can be read by its owner only."""
    assert main(["init", str(tmp_path / "shop")]) == 0
    assert oct((tmp_path / "shop/.orchestrator").stat().st_mode & 0o777) == "0o700"


def _leaves(command: click.Command, context: click.Context) -> Iterator[click.Command]:
    if not isinstance(command, click.Group):
        yield command
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _leaves(found, click.Context(found, parent=context, info_name=name))


def test_help_names_the_default_of_each_option() -> None:
    """An option that has a value without being given says which, except for `--wait`, which is off."""
    options = [
        (command.name, option)
        for command in _leaves(cli, click.Context(cli))
        for option in command.params
        if isinstance(option, click.Option) and not option.is_flag and not option.multiple and option.name != "wait"
    ]
    assert len(options) > 300
    silent = [
        (command, option.opts[0])
        for command, option in options
        if isinstance(option.default, str | int | float)
        and option.default != ""
        and not option.show_default
        and "default" not in (option.help or "")
    ]
    assert silent == []
