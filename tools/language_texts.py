"""The texts that the language check reads: blocks and sentences of pages, messages in code, documents of plugins."""

import ast
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

CODE = "\N{WHITE SQUARE}"  # replaces a piece of code in a text: one word, with nothing to check in it
ABBREVIATIONS = {"e.g.", "i.e.", "etc.", "vs.", "cf.", "approx.", "fig.", "incl."}
END = re.compile(r"""(?<=\S)[.!?…]["'”’)\]]*(?=\s|$)""")
WORD = re.compile(rf"[{CODE}]|[^\W_]")
LISTED_CODE = re.compile(rf"{CODE}(?:(?:,| and| or|, and|, or) {CODE})+")
FIELD = re.compile(r"\*[\w.]+\*")  # *name*, as docstrings and descriptions write fields and states
PARAMETER = re.compile(r"(?m)^(\s+)[a-z_]+(?=: )")  # as Google's style of docstrings lists them
MARKUP = re.compile(r"\b[CVO]\([^)]*\)")
BACKTICKS = re.compile(r"(`+)(?:(?!\1).)+?\1", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A paragraph, heading, list item, table cell or help text: *text* with each piece of code as one character."""

    text: str
    line: int = 0
    is_cell: bool = False


def markdown_blocks(text: str) -> Iterator[Block]:
    """The blocks of a Markdown *text*, without code blocks and comments."""
    outer = ""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "inline":
            yield Block(inline_text(token), (token.map or [-1])[0] + 1, is_cell=outer in {"th_open", "td_open"})
        outer = token.type


def inline_text(token: Token) -> str:
    """The text of an inline *token*: links by their text, code as one character."""
    parts = []
    for child in token.children or []:
        if child.type == "code_inline":
            parts.append(CODE)
        elif child.type in {"softbreak", "hardbreak"}:
            parts.append(" ")
        elif child.type in {"text", "image"}:
            parts.append(child.content)
    return "".join(parts)


def plain_blocks(text: str) -> Iterator[Block]:
    """The paragraphs of a help text or a text of the error catalogue, without those that click prints as they are."""
    for paragraph in re.split(r"\n\s*\n", text):
        if (words := " ".join(paragraph.split())) and not words.startswith("\b"):
            yield Block(FIELD.sub(CODE, BACKTICKS.sub(CODE, words)))


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Every docstring of a module, also of private names, with its line. Names of parameters are left out."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)  # that of a lambda or a condition is not a list
        for part in body if isinstance(body, list) else ():
            if (
                isinstance(part, ast.Expr)
                and isinstance(part.value, ast.Constant)
                and isinstance(part.value.value, str)
            ):
                yield part.lineno, PARAMETER.sub(rf"\1{CODE}", part.value.value)


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Every comment of a module with its line; the lines of a comment that has lines of its own are one text."""
    text, first, last = "", 0, 0
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, is_own = token.start[0], token.line.lstrip().startswith("#")
        if text and not (is_own and line == last + 1):
            yield first, text
            text = ""
        text, first = f"{text} {token.string.lstrip('# ')}".strip(), first if text else line
        last = line if is_own else 0
    if text:
        yield first, text


def sentences(text: str) -> list[str]:
    """The sentences of a block. A full stop within a word or after an abbreviation does not end one."""
    found, start = [], 0
    for end in END.finditer(text):
        sentence = text[start : end.end()].strip()
        last = sentence.rsplit(maxsplit=1)[-1].strip("\"'(“‘[").lower()
        if last in ABBREVIATIONS or re.fullmatch(r"\d+\.", sentence):
            continue
        found.append(sentence)
        start = end.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def count_words(text: str) -> int:
    """The number of words in *text*; a piece of code, or a list of them, is one, and dashes and arrows do not count."""
    return sum(1 for word in LISTED_CODE.sub(CODE, text).split() if WORD.search(word))


def changelog_entries(text: str) -> Iterator[Block]:
    """Each entry of a changelog as one block."""
    depth, line = 0, 0
    parts: list[str] = []
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "list_item_open":
            depth += 1
            if depth == 1:
                parts, line = [], (token.map or [-1])[0] + 1
        elif token.type == "list_item_close":
            depth -= 1
            if depth == 0:
                yield Block(" ".join(parts), line)
        elif token.type == "inline" and depth:
            parts.append(inline_text(token))


def messages(source: str) -> Iterator[tuple[int, str]]:
    """Each text of more than one word in a module, with its line: messages, hints, labels; not its docstrings.

    A value in an f-string is one character.
    """
    tree = ast.parse(source)
    left_out = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            left_out.update(map(id, node.values))
            text = "".join(str(value.value) if isinstance(value, ast.Constant) else CODE for value in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            text = node.value
        else:
            continue
        if " " in text.strip():
            yield node.lineno, text


def plugin_texts(source: str) -> Iterator[str]:
    """Every description in the documentation of a plugin."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {"DOCUMENTATION", "RETURN"}:
            yield from descriptions(yaml.safe_load(ast.literal_eval(node.value)))


def descriptions(value: object, *, described: bool = False) -> Iterator[str]:
    """Every text below a key `description` or `short_description`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from descriptions(inner, described=key in {"description", "short_description"})
    elif isinstance(value, list):
        for inner in value:
            yield from descriptions(inner, described=described)
    elif isinstance(value, str) and described:
        yield value
