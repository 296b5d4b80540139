"""The language check finds what the rules forbid, and nothing else."""

from collections import Counter
from pathlib import Path

import pytest

from tools import language, language_texts

RULES = language.read_rules()
CODE = language_texts.CODE


def _phrases(text: str) -> list[str]:
    return [
        finding.problem.split('"')[1] for finding in language.check_phrases("page", language_texts.Block(text), RULES)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two? Three!", ["One.", "Two?", "Three!"]),
        ("Version 1.4.0 runs. It stays.", ["Version 1.4.0 runs.", "It stays."]),
        ("Use a host, e.g. a router. Or none.", ["Use a host, e.g. a router.", "Or none."]),
        ("Files, roles, etc. are read.", ["Files, roles, etc. are read."]),
        ('It prints "done." Then it stops.', ['It prints "done."', "Then it stops."]),
        ("After 1, 2, 4 … 60 seconds it ends.", ["After 1, 2, 4 … 60 seconds it ends."]),
        ("Wait… Go.", ["Wait…", "Go."]),
        ("Edit .gitignore and run.", ["Edit .gitignore and run."]),
        ("It ends with 130. No effect.", ["It ends with 130.", "No effect."]),
        ("1. Stop it. 2. Start it.", ["1. Stop it.", "2. Start it."]),
        ("no full stop", ["no full stop"]),
        ("", []),
    ],
)
def test_text_is_split_at_the_ends_of_its_sentences(text: str, expected: list[str]) -> None:
    """A full stop ends a sentence, but not within a word, after an abbreviation or after a space."""
    assert language_texts.sentences(text) == expected


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("# A title\n\nA line\nand another.\n", ["A title", "A line and another."]),
        ("```sh\nsay something.\n```\n\nText.\n", ["Text."]),
        ("    indented code that is told\n\nText.\n", ["Text."]),
        ("Run `orchestrator plan. x` now.\n", [f"Run {CODE} now."]),
        ("See [the files](files.md#a.b). More.\n", ["See the files. More."]),
        ("| a | b |\n| --- | --- |\n| one. two | `c` |\n", ["a", "b", "one. two", CODE]),
        ("- one\n  still one\n- two\n  - inner\n", ["one still one", "two", "inner"]),
        ("<!-- somebody told it -->\n\nText.\n", ["Text."]),
        ("An *italic* **bold** word.\n", ["An italic bold word."]),
    ],
)
def test_a_page_is_read_as_blocks_of_text(page: str, expected: list[str]) -> None:
    """Paragraphs, headings, items and cells are blocks; code blocks and comments are none; code is one word."""
    assert [block.text for block in language_texts.markdown_blocks(page)] == expected


def test_a_block_has_the_line_it_starts_on() -> None:
    """A finding names the line of the page."""
    assert [block.line for block in language_texts.markdown_blocks("# A\n\ntext\n\n- item\n")] == [1, 3, 5]


@pytest.mark.parametrize(
    ("text", "number"),
    [("one two-three", 2), ("a → b — c", 3), (f"Run {CODE} (twice).", 3), (f"Set {CODE}, {CODE} and {CODE}.", 2)],
)
def test_words_are_counted(text: str, number: int) -> None:
    """Code, or a list of it, counts as one word, dashes and arrows as none."""
    assert language_texts.count_words(text) == number


def test_the_documentation_of_a_plugin_is_read() -> None:
    """Every description of a plugin is read, at any depth, and nothing else of its file."""
    source = 'A = 1\nDOCUMENTATION = r"""\nmodule: x\nshort_description: One\ndescription: [Two, Three]\n'
    source += 'options: {root: {description: Four, type: path}}\n"""\nRETURN = "did: {description: Five, type: list}"\n'
    assert list(language_texts.plugin_texts(source)) == ["One", "Two", "Three", "Four", "Five"]


def test_the_texts_of_a_module_are_read() -> None:
    """Each text of more than one word is read with a mark for each value; docstrings and single words are not."""
    source = (
        '"""A module."""\nraise OrchestratorError("R101", f"{run} is lost")\nprint("it was told" if a else "told")\n'
    )
    assert sorted(language_texts.messages(source)) == [(2, f"{CODE} is lost"), (3, "it was told")]


def test_a_help_text_is_read_as_paragraphs() -> None:
    """Line breaks within a paragraph are spaces, code in backticks is one word, and examples are left out."""
    blocks = language_texts.plain_blocks("Roll back ENV\nto `the last. one`.\n\n\b\nExamples.")
    assert [block.text for block in blocks] == [f"Roll back ENV to {CODE}."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("This is no failure.", ["is no"]),
        ("There is no release, which is no longer verified.", []),
        ("The run is told so.", ["told", "so"]),
        ("It goes on with the step.", ["goes on"]),
        ("Nobody asks a person.", ["asks", "Nobody", "a person"]),
        ("Look up the code; the host looks like a router.", []),
        ("The run looks at the host.", ["looks"]),
        ("It runs by itself, for ever.", ["by itself", "for ever"]),
        ("Two people wait.", ["people"]),
        ("The run was canceled.", ["canceled"]),
        ("The run resumes automatically and waits in the queue.", []),
    ],
)
def test_forbidden_phrases_are_found(text: str, expected: list[str]) -> None:
    """Each phrase of the table is found, and what only resembles one is not."""
    assert sorted(_phrases(text)) == sorted(expected)


def test_long_sentences_and_chains_are_found() -> None:
    """A sentence has at most 30 words, and at most one semicolon or colon."""
    block = language_texts.Block("word " * 30 + "end. One; two; three. At 10:30: fine.")
    problems = [finding.problem for finding in language.check_sentences("page", block, RULES)]
    assert problems == ["a sentence of 31 words (at most 30)", "a chain (at most one semicolon or colon in a sentence)"]


def test_a_cell_of_a_table_may_be_a_list() -> None:
    """Semicolons in a table cell divide items, each of which is as short as a sentence."""
    cells = ["Octopus: task; AWX: job; Kargo: run", "word " * 20 + "; " + "word " * 20, "word " * 31]
    page = "| a |\n| --- |\n" + "".join(f"| {cell} |\n" for cell in cells) + "\nOne; two; three.\n"
    found = [
        f for block in language_texts.markdown_blocks(page) for f in language.check_sentences("page", block, RULES)
    ]
    assert [(finding.line, finding.problem.split(" (")[0]) for finding in found] == [
        (5, "a sentence of 31 words"),
        (7, "a chain"),
    ]


def test_an_entry_of_the_changelog_is_short() -> None:
    """An entry has at most 2 sentences and 40 words in all, its inner items included."""
    page = "# Changelog\n\n- " + "word " * 41 + "\n- One. Two. Three.\n- One.\n  - Two.\n"
    entries = list(language_texts.changelog_entries(page))
    assert [entry.line for entry in entries] == [3, 4, 5]
    problems = [f.problem for entry in entries for f in language.check_entry("CHANGELOG.md", entry, RULES)]
    assert problems == ["41 words (at most 40 in an entry)", "3 sentences (at most 2 in an entry)"]


@pytest.mark.parametrize(
    ("title", "number"),
    [
        ("host requirements not met", 0),
        ("cannot resolve this resource", 0),
        ("unreachable", 1),
        ("it cannot be rehearsed", 1),
        ("an environment that is not in the project", 2),
    ],
)
def test_titles_of_errors_are_noun_phrases(title: str, number: int) -> None:
    """A title has 2 to 6 words, and a noun where a pronoun would be."""
    assert len(list(language.check_title("codes", title, RULES))) == number


def test_public_functions_of_one_name_are_found(tmp_path: Path) -> None:
    """A name in two modules is found; methods, private functions and subcommands are not counted."""
    (tmp_path / "one.py").write_text("def read(): ...\ndef _own(): ...\n@group.command('show')\ndef show(): ...\n")
    (tmp_path / "two.py").write_text(
        "def read(): ...\ndef _own(): ...\ndef show(): ...\nclass A:\n    def run(self): ...\n"
    )
    assert [finding.text for finding in language.name_findings(tmp_path)] == ["read: one.py, two.py"]


def test_names_of_another_vocabulary_are_found(tmp_path: Path) -> None:
    """Modules, functions, classes, parameters and fields that have a listed name are found, with or without underscores."""
    (tmp_path / "trail.py").write_text("class Walk:\n    told: str\n\ndef _tell(asked: str, name: str) -> None: ...\n")
    names = [(finding.line, finding.text) for finding in language.word_findings(RULES, tmp_path)]
    assert sorted(names) == [(0, "trail"), (1, "Walk"), (2, "told"), (4, "_tell"), (4, "asked")]


def test_an_exception_covers_its_findings_and_an_unused_one_is_named() -> None:
    """A finding that an exception names is left out; an exception that covers none is returned."""
    used = language.ListedException("page", "is none", "a quotation")
    unused = language.ListedException("page", "never written", "nothing")
    rules = language.Rules(RULES.phrases, {}, (used, unused), {})
    found = list(language.check_phrases("page", language_texts.Block("This is none. It was told."), rules))
    left, idle = language.apply_exceptions([*found, language.Finding("other", 1, "a problem", "is none")], rules)
    assert ([finding.source for finding in left], idle) == (["other"], [unused])


def test_a_count_may_only_fall(tmp_path: Path) -> None:
    """More findings than the backlog allows are named, fewer too; an update writes lower numbers and never higher ones."""
    counts, backlog = Counter({"a": 3, "b": 1, "new": 1}), {"a": 2, "b": 4, "clean": 1}
    assert language.compare(counts, backlog) == (["a", "new"], ["b", "clean"])
    data = tmp_path / "language.yaml"
    data.write_text("exceptions: []\n\nbacklog:\n  a: 2\n  b: 4\n  clean: 1\n")
    language.update_backlog(counts, data)
    assert data.read_text() == "exceptions: []\n\nbacklog:\n  a: 2\n  b: 1\n"


MODULE = '''"""What nobody asked for."""

WORDS = ("told",)  # told here
"""What is told of *told*; `told` is None."""
_OWN = "# told"
"""What is told of it."""


def shown(path: str) -> str:
    """Tell `path`.

    Args:
        told: the text.
    """
    # Nothing ends
    # well for ever.

    def inner() -> None:
        """Tell it."""

    return path  # noqa: RET504


class _Hidden:
    """Tell it."""
'''


def test_docstrings_and_comments_are_checked(tmp_path: Path) -> None:
    """A forbidden phrase is found in every docstring, also of private names, and in every comment."""
    (tmp_path / "module.py").write_text(MODULE)
    found = [(finding.line, finding.problem.split('"')[1]) for finding in language.code_findings(RULES, tmp_path)]
    assert sorted(found) == [
        (1, "asked"),
        (1, "nobody"),
        (3, "told"),
        (4, "told"),
        (6, "told"),
        (10, "Tell"),
        (15, "ends well"),
        (15, "for ever"),
        (19, "Tell"),
        (25, "Tell"),
    ]


def test_none_as_a_value_is_not_a_phrase() -> None:
    """A value that is None is named; a thing that is none of a kind is not."""
    assert _phrases("The path is None without one.") == []
    assert _phrases("It is none of these.") == ["is none"]
