"""What users are told is what is there."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import click
import pytest
import yaml
from pydantic import BaseModel

from orchestrator.cli import cli, main
from orchestrator.config import load_environment, load_project, load_release
from orchestrator.config.implementation import load_implementation
from orchestrator.config.schema import MODELS
from orchestrator.domain.configuration import CODE, TRANSPORT, TRANSPORT_SECTIONS
from orchestrator.domain.errors import Exit, catalogue
from orchestrator.domain.facts import Activity
from orchestrator.domain.journal import Kind
from orchestrator.domain.plan import HostState
from orchestrator.domain.promotion import State
from orchestrator.domain.step import Outcome

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
SOURCES = [path for path in sorted((ROOT / "orchestrator").rglob("*.py")) if "ansible_collections" not in path.parts]
COLLECTION = ROOT / "orchestrator/ansible/ansible_collections/orchestrator/release"


HEADINGS = {"project": "orchestrator.yaml", "implementation": "implementation/NAME.yaml"}


def _fields(model: type[BaseModel]) -> Iterator[str]:
    """The names of all fields that a file of *model* may have, at any depth."""
    schema = model.model_json_schema(by_alias=True)
    for part in [schema, *schema.get("$defs", {}).values()]:
        yield from part.get("properties", {})


def test_generated_pages_are_up_to_date() -> None:
    """The reference of commands and errors, the diagram and the schemas are those that the program makes."""
    done = subprocess.run(
        [sys.executable, "tools/docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", MODELS)
def test_every_field_is_documented(kind: str) -> None:
    """Each field of the files has its place in the reference."""
    page = (DOCS / "reference/files.md").read_text()
    section = page.split(f"## {HEADINGS.get(kind, f'{kind}.yaml')}")[1].split("\n## ")[0]
    missing = {field for field in _fields(MODELS[kind]) if not re.search(rf"\b{re.escape(field)}\b", section)}
    assert not missing


@pytest.mark.parametrize("kind", MODELS)
def test_examples_of_files_are_valid(kind: str, tmp_path: Path) -> None:
    """The example of each file is read without an error."""
    page = (DOCS / "reference/files.md").read_text()
    name = "orchestrator" if kind == "project" else kind
    heading = re.escape(HEADINGS.get(kind, f"{kind}.yaml"))
    example = re.search(rf"## {heading}.*?```yaml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    folder = tmp_path / str(yaml.safe_load(example[1]).get("name", kind))
    folder.mkdir()
    (folder / f"{name}.yaml").write_text(example[1])
    readers: dict[str, Callable[[], object]] = {
        "project": lambda: load_project(folder),
        "environment": lambda: load_environment(folder / "environment.yaml"),
        "release": lambda: load_release(folder / "release.yaml"),
        "implementation": lambda: load_implementation(folder / "implementation.yaml", folder),
    }
    readers[kind]()


@pytest.mark.parametrize("name", sorted({*TRANSPORT, *CODE, *TRANSPORT_SECTIONS}))
def test_every_setting_in_the_two_lists_is_documented(name: str) -> None:
    """The page about the configuration names each transport setting, each code setting, and each section."""
    assert f"`{name}`" in (DOCS / "reference/configuration.md").read_text()


def _named(command: click.Command) -> Iterator[str]:
    """The names of a command's subcommands and long options."""
    yield from (word for option in command.params for word in (*option.opts, *option.secondary_opts) if "--" in word)
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            assert found is not None
            yield name
            yield from _named(found)


def test_every_term_of_users_is_in_the_glossary() -> None:
    """Each command, option, state, outcome, activity, kind of run and field of a file is a term of the glossary."""
    states = [
        *State,
        *Outcome,
        *get_args(Activity),
        *get_args(Kind),
        *get_args(HostState.model_fields["truth"].annotation),
    ]
    fields = (field for model in MODELS.values() for field in _fields(model))
    terms = {*_named(cli), *map(str, states), *fields}
    text = (DOCS / "glossary.md").read_text()
    assert {term for term in terms if f"`{term}`" not in text} == set()


def test_every_code_that_is_raised_is_in_the_catalogue() -> None:
    """No error can come up that `explain` does not know, and none is listed that cannot come up."""
    text = "\n".join(path.read_text() for path in SOURCES if "codes" not in path.parts)
    used = set(re.findall(r'"([AFGNPEDVRSIM]\d{3})"', text)) - {"S256"}  # a method of PKCE
    assert used - set(catalogue()) == set()
    assert set(catalogue()) - used == set()


def test_every_kind_of_record_is_documented() -> None:
    """Each kind of entry that is written to the journal is on its page."""
    text = "\n".join(path.read_text() for path in SOURCES)
    used = set(re.findall(r'Entry\(\s*kind="([a-z.]+)"', text)) | {"resource"}
    page = (DOCS / "reference/journal.md").read_text()
    assert {kind for kind in used if f"| `{kind}` |" not in page} == set()


def test_exit_codes_are_documented() -> None:
    """Each exit code has its line."""
    page = (DOCS / "reference/exit-codes.md").read_text()
    assert [code.name for code in Exit if f"| {int(code)} |" not in page] == []


@pytest.mark.parametrize(("kind", "folder"), [("module", "modules"), ("inventory", "inventory")])
def test_every_plugin_of_the_collection_is_documented(kind: str, folder: str) -> None:
    """Each module and inventory plugin is on the collection's page, and `ansible-doc` has its documentation."""
    names = sorted(f"orchestrator.release.{path.stem}" for path in (COLLECTION / "plugins" / folder).glob("[a-z]*.py"))
    page = (DOCS / "reference/collection.md").read_text()
    assert [name for name in names if f"`{name}`" not in page] == []
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "orchestrator/ansible")}
    words = [str(Path(sys.executable).parent / "ansible-doc"), "-j", "-t", kind, *names]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout)
    assert [
        name for name in names if not described[name]["doc"]["description"] or not described[name]["examples"]
    ] == []


def test_links_lead_somewhere() -> None:
    """Every relative link of every page leads to a file that is there."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
        if not re.match(r"^[a-z]+:", target) and not (page.parent / target).exists()
    ]
    assert not broken


FENCES = re.compile(r"^```[a-z]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
CALL = re.compile(r"(?:\$ )?(?:\S+/)?orchestrator ")
INLINE = re.compile(r"`((?:\S+/)?orchestrator [^`\n]+)`")


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCES.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def test_links_to_headings_lead_to_a_heading() -> None:
    """Every anchor of a relative link is that of a heading of the page."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}#{anchor}"
        for page in PAGES
        for target, anchor in re.findall(r"\]\(([^)#\s:]*\.md|)#([^)\s]+)\)", page.read_text())
        if anchor not in _anchors(page.parent / target if target else page)
    ]
    assert not broken


def _commands(lines: str) -> Iterator[list[str]]:
    """The words of every call of ours among the *lines* of a shell."""
    for line in lines.splitlines():
        for part in re.split(r"; | \| | &&? ", line.split(" #")[0]):
            if CALL.match(part):
                yield shlex.split(part.removeprefix("$ "))[1:]


def _understood(words: list[str], folder: Path) -> None:
    """See that the command line is one, without running anything. Raises what click raises."""
    if words[:1] == ["-C"]:
        words = ["-C", str(folder), *words[2:]]
    command: click.Command = cli
    context = cli.make_context("orchestrator", words)
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command, context = found, found.make_context(name, rest, parent=context)


def _no_such_file(error: click.ClickException) -> bool:
    """Whether only a file of the example is not there."""
    if not isinstance(error, click.BadParameter) or isinstance(error, click.MissingParameter):
        return False
    return error.param is not None and isinstance(error.param.type, click.Path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_of_examples_can_be_typed(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command line in a page's examples has a command, options and arguments that there are, and none too few."""
    monkeypatch.chdir(tmp_path)
    wrong = []
    for fence in FENCES.findall(page.read_text()):
        for words in _commands(fence.replace("\\\n", " ")):
            try:
                _understood(words, tmp_path)
            except click.exceptions.Exit:
                pass  # help, or the version
            except click.ClickException as error:
                if not _no_such_file(error):
                    wrong.append((" ".join(words), error.format_message()))
    assert not wrong


def test_options_that_are_named_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command that a sentence or an error's remedy names in passing is one, and has the options it is named with."""
    monkeypatch.chdir(tmp_path)
    texts = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
    texts |= {f"explain {entry.code}": f"{entry.why} {entry.remedy}" for entry in catalogue().values()}
    wrong = []
    for where, text in texts.items():
        for line in INLINE.findall(FENCES.sub("", text)):
            for words in _commands(re.sub(r"\|\S+|…|COMMAND", "", line)):
                try:
                    _understood(words, tmp_path)
                except (click.BadParameter, click.exceptions.NoArgsIsHelpError, click.exceptions.Exit):
                    pass  # in passing, it need not have all that it wants, and may have a word for a value
                except click.ClickException as error:
                    wrong.append((where, " ".join(words), error.format_message()))
    assert not wrong


def test_the_quick_start_with_own_machines_is_a_valid_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files of the quick start, laid down as the page says, are a project without errors or warnings."""
    page = (ROOT / "docs" / "guides" / "own-machines.md").read_text(encoding="utf-8")
    for name, text in re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "site.yml").write_text("- hosts: web\n  tasks: []\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_smoke.py").write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0])
    monkeypatch.chdir(tmp_path)
    assert main(["validate"]) == 0, capsys.readouterr().err
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("file", ["github/promote.yml", "gitlab/.gitlab-ci.yml"])
def test_ci_examples_use_commands_that_exist(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of the CI examples has a command, options and arguments that exist."""
    text = (ROOT / "examples" / "ci" / file).read_text(encoding="utf-8")
    assert isinstance(yaml.safe_load(text), dict)
    monkeypatch.chdir(tmp_path)
    found = re.findall(r"(?:- |run: )(orchestrator [^\n]+)", text)
    assert len(found) >= 5
    for line in found:
        _understood(shlex.split(line)[1:], tmp_path)
