"""Check the language of pages, changelog, `--help`, errors, `ansible-doc`, schemas, names, docstrings and comments.

The phrases, the exceptions and the files that are not yet rewritten are in `language.yaml`. `--list [SOURCE...]` prints
every finding, with those that the backlog allows; `--update` writes lower numbers into the backlog.
"""

import ast
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools.language_texts import (
    BACKTICKS,
    CODE,
    MARKUP,
    Block,
    changelog_entries,
    comments,
    count_words,
    descriptions,
    docstrings,
    markdown_blocks,
    messages,
    plain_blocks,
    plugin_texts,
    sentences,
)

ROOT = Path(__file__).resolve().parents[1]
RULES = Path(__file__).with_suffix(".yaml")
GENERATED = {"docs/reference/commands.md", "docs/reference/errors.md"}
GENERATED_PART = re.compile(r"<!-- diagram: made by.*?<!-- end of the diagram -->", re.DOTALL)

MAX_WORDS = 30
MAX_ENTRY_WORDS = 40
MAX_ENTRY_SENTENCES = 2
CHAIN = re.compile(r"(?<!\(default)[;:](?=\s)")
TITLE_WORDS = range(2, 7)
TITLE_PRONOUNS = re.compile(r"\b(it|that|they|them|so|what|who|whose)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Phrase:
    """A phrase that is not written: its *pattern*, the *reason*, and what to *write*."""

    pattern: re.Pattern[str]
    reason: str
    write: str


@dataclass(frozen=True)
class ListedException:
    """A finding in *source* whose text contains *text* and that is right, for the *reason*."""

    source: str
    text: str
    reason: str


@dataclass(frozen=True)
class Rules:
    """What `language.yaml` contains."""

    phrases: tuple[Phrase, ...]
    names: dict[str, str]
    exceptions: tuple[ListedException, ...]
    backlog: dict[str, int]


@dataclass(frozen=True)
class Finding:
    """A *text* in a *source* that does not follow the rules, and the *problem*."""

    source: str
    line: int
    problem: str
    text: str

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        return f"{place}: {self.problem}\n    {self.text}"


def read_rules(path: Path = RULES) -> Rules:
    """The rules in *path*."""
    data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return Rules(
        tuple(Phrase(re.compile(p["phrase"], re.IGNORECASE), p["reason"], p["write"]) for p in data["phrases"]),
        {name: entry["write"] for entry in data["names"] for name in entry["names"].split()},
        tuple(ListedException(**entry) for entry in data["exceptions"]),
        dict(data["backlog"]),
    )


# -- Checks


def check_sentences(source: str, block: Block, rules: Rules) -> Iterator[Finding]:
    """The sentences of *block* that are too long, chains of clauses, or contain a forbidden phrase."""
    for sentence in sentences(block.text):
        # A table cell may be a list, whose items are divided by semicolons.
        words = max(map(count_words, sentence.split("; ") if block.is_cell else [sentence]))
        if words > MAX_WORDS:
            yield Finding(source, block.line, f"a sentence of {words} words (at most {MAX_WORDS})", sentence)
        if len(CHAIN.findall(sentence)) > 1 and not block.is_cell:
            yield Finding(source, block.line, "a chain (at most one semicolon or colon in a sentence)", sentence)
        yield from check_phrases(source, Block(sentence, block.line), rules)


def check_phrases(source: str, block: Block, rules: Rules) -> Iterator[Finding]:
    """Each forbidden phrase in *block*."""
    for phrase in rules.phrases:
        for match in phrase.pattern.finditer(block.text):
            words = match[0].strip(" .;")
            yield Finding(source, block.line, f'"{words}": {phrase.reason}; write {phrase.write}', block.text)


def check_entry(source: str, block: Block, rules: Rules) -> Iterator[Finding]:
    """What is wrong with an entry of the changelog."""
    number, words = len(sentences(block.text)), count_words(block.text)
    if number > MAX_ENTRY_SENTENCES:
        yield Finding(source, block.line, f"{number} sentences (at most {MAX_ENTRY_SENTENCES} in an entry)", block.text)
    if words > MAX_ENTRY_WORDS:
        yield Finding(source, block.line, f"{words} words (at most {MAX_ENTRY_WORDS} in an entry)", block.text)
    yield from check_phrases(source, block, rules)


def check_title(source: str, title: str, rules: Rules) -> Iterator[Finding]:
    """What is wrong with the *title* of an error."""
    text = BACKTICKS.sub(CODE, title)
    if count_words(text) not in TITLE_WORDS:
        yield Finding(source, 0, f"a title of {count_words(text)} words (2 to 6)", title)
    if TITLE_PRONOUNS.search(text):
        yield Finding(source, 0, "a title without a noun (not: it, that, so, what, who)", title)
    yield from check_phrases(source, Block(text), rules)


# -- Sources


def pages() -> list[Path]:
    """The pages that are checked: all of Markdown but those that are generated, and the projects of tests."""
    names = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    found = [*(ROOT / name for name in names), *sorted((ROOT / "docs").rglob("*.md"))]
    found += sorted((ROOT / "examples").rglob("README.md"))
    return [page for page in found if page.relative_to(ROOT).as_posix() not in GENERATED]


def page_findings(rules: Rules) -> Iterator[Finding]:
    """The findings in all pages."""
    for page in pages():
        source = page.relative_to(ROOT).as_posix()
        text = GENERATED_PART.sub(lambda part: "\n" * part[0].count("\n"), page.read_text(encoding="utf-8"))
        check = check_entry if page.name == "CHANGELOG.md" else check_sentences
        for block in (changelog_entries if page.name == "CHANGELOG.md" else markdown_blocks)(text):
            yield from check(source, block, rules)


def help_findings(rules: Rules) -> Iterator[Finding]:
    """The findings in the `--help` texts of all commands."""
    from orchestrator.cli import COMMANDS

    for text in (text for section, names in COMMANDS.items() for text in (section, *names.values())):
        yield from check_sentences("orchestrator/cli/__init__.py", Block(text), rules)
    for name in (name for names in COMMANDS.values() for name in names):
        source = f"orchestrator/cli/commands/{name}.py"
        for text in help_texts(import_module(f"orchestrator.cli.commands.{name.replace('-', '_')}").command):
            for block in plain_blocks(text):
                yield from check_sentences(source, block, rules)


def help_texts(command: click.Command) -> Iterator[str]:
    """The help of *command*, of its options and of its subcommands."""
    yield command.help or ""
    for option in command.params:
        if isinstance(option, click.Option):
            yield option.help or ""
    if isinstance(command, click.Group):
        for sub in command.commands.values():
            yield from help_texts(sub)


def catalogue_findings(rules: Rules) -> Iterator[Finding]:
    """The findings in the error catalogue."""
    from orchestrator.domain.errors import FAMILIES

    for family in FAMILIES:
        source = f"orchestrator/domain/codes/{family}.py"
        for entry in import_module(f"orchestrator.domain.codes.{family}").CODES:
            label = f"{entry.code} "
            found = [*check_title(source, entry.title, rules)]
            for block in (block for text in (entry.why, entry.remedy) for block in plain_blocks(text)):
                found += check_sentences(source, block, rules)
            yield from (Finding(source, 0, one.problem, label + one.text) for one in found)


def message_findings(rules: Rules, package: Path = ROOT / "orchestrator") -> Iterator[Finding]:
    """The findings in the texts that modules contain. Scripts, migrations and templates contain no messages."""
    for path in sorted(package.rglob("*.py")):
        source = f"orchestrator/{path.relative_to(package).as_posix()}"
        if {"ansible_collections", "templates", "versions", "codes"} & {*path.parts}:
            continue
        for line, text in messages(path.read_text(encoding="utf-8")):
            for sentence in (sentence for block in plain_blocks(text) for sentence in sentences(block.text)):
                yield from check_phrases(source, Block(sentence, line), rules)


def code_findings(rules: Rules, package: Path = ROOT / "orchestrator") -> Iterator[Finding]:
    """The forbidden phrases in docstrings and comments. Our collection is left out: packages have it sealed."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).parts
        if not {"ansible_collections", "templates"} & {*parts}:
            source = path.read_text(encoding="utf-8")
            for line, text in (*docstrings(source), *comments(source)):
                for block in plain_blocks(text):
                    yield from check_phrases(f"orchestrator/{'/'.join(parts)}", Block(block.text, line), rules)


def schema_findings(rules: Rules) -> Iterator[Finding]:
    """The findings in the descriptions of the schemas, each once."""
    known: set[str] = set()
    for path in sorted((ROOT / "docs" / "schemas").glob("*.json")):
        for text in descriptions(json.loads(path.read_text(encoding="utf-8"))):
            for block in plain_blocks(text) if text not in known else ():
                yield from check_sentences(path.relative_to(ROOT).as_posix(), block, rules)
            known.add(text)


def plugin_findings(rules: Rules) -> Iterator[Finding]:
    """The findings in the documentation of the collection's plugins, as `ansible-doc` prints it."""
    for path in sorted((ROOT / "orchestrator/ansible/ansible_collections").rglob("plugins/*/[a-z]*.py")):
        for text in plugin_texts(path.read_text(encoding="utf-8")):
            for block in plain_blocks(MARKUP.sub(CODE, text)):
                yield from check_sentences(path.relative_to(ROOT).as_posix(), block, rules)


def public_functions(package: Path) -> dict[str, set[str]]:
    """The names of the public functions of modules in *package*, each with the modules that define one."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).parts
        if {"ansible_collections", "templates"} & {*parts}:
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_public(node):
                found[node.name].add("/".join(parts))
    return dict(found)


def is_public(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether other modules may call *function*: it is neither private nor a subcommand."""
    return not function.name.startswith("_") and not any(map(is_subcommand, function.decorator_list))


def is_subcommand(decorator: ast.expr) -> bool:
    """Whether *decorator* makes a function a command, whose name is the word that is typed."""
    call = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(call, ast.Attribute) and call.attr in {"command", "group"}


def name_findings(package: Path = ROOT / "orchestrator") -> Iterator[Finding]:
    """The public functions of one name in several modules."""
    for name, modules in sorted(public_functions(package).items()):
        if len(modules) > 1:
            yield Finding("names", 0, f"one name in {len(modules)} modules", f"{name}: {', '.join(sorted(modules))}")


def names_in(source: str) -> Iterator[tuple[int, str]]:
    """The names of the functions, classes, parameters and annotated fields in the Python *source*, with their lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.lineno, node.target.id


def word_findings(rules: Rules, package: Path = ROOT / "orchestrator") -> Iterator[Finding]:
    """The names of modules, functions, classes, parameters and fields in *package* that are not the field's words."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).parts
        if {"ansible_collections", "templates", "versions"} & {*parts}:
            continue
        source = f"orchestrator/{'/'.join(parts)}"
        for line, name in [(0, path.stem), *names_in(path.read_text(encoding="utf-8"))]:
            if write := rules.names.get(name.strip("_").lower()):
                yield Finding(source, line, f"the name {name}; write {write}", name)


# -- The result


def apply_exceptions(findings: Iterable[Finding], rules: Rules) -> tuple[list[Finding], list[ListedException]]:
    """The *findings* that no exception covers, and the exceptions that cover none."""
    left, used = [], set()
    for finding in findings:
        covering = [e for e in rules.exceptions if e.source == finding.source and e.text in finding.text]
        used.update(covering)
        if not covering:
            left.append(finding)
    return left, [exception for exception in rules.exceptions if exception not in used]


def compare(counts: Counter[str], backlog: dict[str, int]) -> tuple[list[str], list[str]]:
    """The sources with more findings than the *backlog* allows, and those with fewer."""
    higher = [source for source in sorted(counts) if counts[source] > backlog.get(source, 0)]
    return higher, [source for source in sorted(backlog) if counts[source] < backlog[source]]


def update_backlog(counts: Counter[str], path: Path = RULES) -> None:
    """Write lower numbers of findings into the backlog of *path*."""
    before, _, rest = path.read_text(encoding="utf-8").partition("\nbacklog:")
    backlog: dict[str, int] = yaml.safe_load(f"backlog:{rest}")["backlog"]
    lower = {source: min(number, counts[source]) for source, number in backlog.items() if counts[source]}
    lines = "".join(f"\n  {source}: {number}" for source, number in sorted(lower.items()))
    path.write_text(f"{before}\nbacklog:{lines or ' {}'}\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Check everything and print what is wrong. The exit code is 1 if anything is."""
    rules = read_rules()
    checks = (page_findings, help_findings, catalogue_findings, message_findings, plugin_findings, schema_findings)
    every = [finding for check in (*checks, code_findings) for finding in check(rules)]
    every += [*name_findings(), *word_findings(rules)]
    left, unused = apply_exceptions(every, rules)
    counts = Counter(finding.source for finding in left)
    higher, lower = compare(counts, rules.backlog)
    if "--update" in arguments:
        update_backlog(counts)
    if "--list" in arguments:
        sources = [argument for argument in arguments if not argument.startswith("-")]
        print("\n".join(str(finding) for finding in left if not sources or finding.source in sources))
        return 0
    for source in higher:
        print("\n".join(str(finding) for finding in left if finding.source == source))
        print(f"language: {source} has {counts[source]} findings, {rules.backlog.get(source, 0)} are allowed")
    for exception in unused:
        print(f"language: no finding needs the exception {exception.text!r} of {exception.source}: remove it")
    if lower and "--update" not in arguments:
        print(f"language: fewer findings in {', '.join(lower)}: `tools/language.py --update` writes that down")
    print(f"language: {len(left)} findings in {len(counts)} files that are not yet rewritten")
    return 1 if higher or unused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
