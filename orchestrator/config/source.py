"""A YAML file, read strictly: YAML 1.2 rules, and nothing that two readers could take for two things.

PyYAML is a YAML 1.1 reader, in which `on` is true, `010` is eight and `12:30` is 750. We take its parser, which
knows lines and columns, and give plain scalars the meaning of the YAML 1.2 core schema
(https://yaml.org/spec/1.2.2/#103-core-schema). Duplicate keys, anchors, aliases, tags and more documents are refused.

What is refused is recorded, and reading continues as if it did not exist, so that all errors of a file are reported at
once. Nothing that is refused is ever expanded or built.
"""

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from orchestrator.domain.error_codes import FILE_NOT_FOUND
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors, Where
from orchestrator.domain.text import hidden_characters

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_DIGITS = 1000
MAX_PROBLEMS = 100
REFUSED = "!refused"
_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")  # where PyYAML counts lines

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NULL = {"", "null", "Null", "NULL", "~"}
_TRUE, _FALSE = {"true", "True", "TRUE"}, {"false", "False", "FALSE"}
Path_ = tuple[str | int, ...]


@dataclass
class Source:
    """A file's text, its value as plain data, and the place of each part of it.

    *values* maps the path of a value (`("steps", 0, "name")`) to its place, *keys* that of a key. *problems* are what
    the reader refuses; *refused* are the paths whose values mean nothing because of it.
    """

    file: str
    text: str
    data: Any = None
    values: dict[Path_, Where] = field(default_factory=dict)
    keys: dict[Path_, Where] = field(default_factory=dict)
    literals: dict[Path_, str] = field(default_factory=dict)
    problems: list[OrchestratorError] = field(default_factory=list)
    refused: set[Path_] = field(default_factory=set)

    def where(self, path: Path_, *, key: bool = False) -> Where:
        """The place of *path*, or of the nearest part around it that is in the file."""
        places = self.keys if key and path in self.keys else self.values
        while path not in places and path:
            path = path[:-1]
            places = self.values
        return places.get(path, self.line(1, 1))

    def line(self, line: int, column: int, width: int = 1) -> Where:
        """A place by line and column, both from 1."""
        text = self._lines[line - 1] if 0 < line <= len(self._lines) else ""
        return Where(self.file, line, column, text, max(1, width))

    def means_nothing(self, path: Path_) -> bool:
        """Whether *path*, or something around it, was refused, so that its value means nothing."""
        return any(path[:length] in self.refused for length in range(len(path) + 1))

    @cached_property
    def _lines(self) -> list[str]:
        return _BREAK.split(self.text)


def read_source(path: Path, shown: str) -> Source:
    """The file at *path*, called *shown* in messages. Raises `OrchestratorErrors` when nothing of it can be read."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        code = "F100" if isinstance(error, FileNotFoundError) else "F101"
        hint = "check the name" if code == FILE_NOT_FOUND else "check its type, its owner and its mode"
        message = f"cannot read {shown}: {error.strerror}"
        raise OrchestratorErrors([OrchestratorError(code, message, where=Where(shown), hint=hint)]) from error
    if len(raw) > MAX_BYTES:
        where = _place_of_byte(raw, MAX_BYTES, shown)
        hint = "put large data into an artifact or a file of its own"
        raise OrchestratorErrors([OrchestratorError("F102", f"{shown} is larger than 1 MiB", where=where, hint=hint)])
    return parse(_decode(raw, shown), shown)


def _decode(raw: bytes, shown: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        where = _place_of_byte(raw, error.start, shown)
        message = f"the file is not UTF-8: the byte 0x{raw[error.start]:02x} is here"
        hint = "save the file as UTF-8"
        raise OrchestratorErrors([OrchestratorError("F103", message, where=where, hint=hint)]) from error


def _place_of_byte(raw: bytes, at: int, shown: str) -> Where:
    """The place of a byte, by the line around it with bytes that are not UTF-8 replaced."""
    begin = raw.rfind(b"\n", 0, at) + 1
    line = raw[begin:].split(b"\n", 1)[0].decode("utf-8", "replace")
    column = len(raw[begin:at].decode("utf-8", "replace")) + 1
    return Where(shown, raw.count(b"\n", 0, at) + 1, column, line)


def parse(text: str, shown: str) -> Source:
    """YAML text as a `Source`. Raises `OrchestratorErrors` when there is no value in it at all."""
    source = Source(shown, text)
    readable = list(text)
    for place, char in hidden_characters(text):
        readable[place] = " "
        if len(source.problems) < MAX_PROBLEMS:
            source.problems.append(_hidden(source, place, char))
    root = None
    try:
        root = _Composer(_accepted(source, "".join(readable))).document()
    except yaml.MarkedYAMLError as error:
        source.problems.append(_grammar(source, error))
    if root is not None:
        source.data = _Reader(source).value(root, ())
        return source
    if not source.problems:
        hint = "orchestrator init writes working files"
        source.problems.append(OrchestratorError("F106", "the file is empty", where=source.line(1, 1), hint=hint))
    raise OrchestratorErrors(source.problems)


def _hidden(source: Source, place: int, char: str) -> OrchestratorError:
    """The problem of a character that acts or hides; as an escape it would be seen."""
    text, number = source.text, ord(char)
    line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
    kind = "control" if unicodedata.category(char) == "Cc" else "invisible"
    escape = f"\\u{number:04X}" if number < 2**16 else f"\\U{number:08X}"
    hint = f"remove it; it may be invisible. In double quotes, write {escape} in its place"
    message = f"the {kind} character U+{number:04X} is not allowed"
    return OrchestratorError("F104", message, where=source.line(line, column), hint=hint)


def _grammar(source: Source, error: yaml.MarkedYAMLError) -> OrchestratorError:
    mark = error.problem_mark or error.context_mark
    if mark and error.context_mark and mark.index >= len(source.text):  # the start of what is not closed
        mark = error.context_mark
    where = source.line(mark.line + 1, mark.column + 1) if mark else source.line(1, 1)
    problem = " ".join(part for part in (error.context, error.problem) if part)
    hint = "check for a missing space after a colon, a missing quote or bracket, or a wrong indentation"
    if "'\\t'" in problem:
        hint = "indent with spaces, not with tabs"
    if "unknown escape character" in problem:
        hint = "in double quotes a backslash starts an escape: use single quotes, or two backslashes"
    return OrchestratorError("F105", f"this is not YAML: {problem}", where=where, hint=hint)


def _accepted(source: Source, text: str) -> Iterator[yaml.Event]:
    """The events of the first document, without what is refused in them: found before anything is built.

    The data cannot grow without limit: an alias has no value, and reading ends at a limit.
    """
    depth = nodes = documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        mark = event.start_mark
        place = source.line(mark.line + 1, mark.column + 1) if mark else source.line(1, 1)
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            message = "the file is nested too deeply or has too many values"
            hint = f"at most {MAX_DEPTH} levels and {MAX_NODES} values"
            source.problems.append(OrchestratorError("F107", message, where=place, hint=hint))
            raise OrchestratorErrors(source.problems)
        if len(source.problems) >= MAX_PROBLEMS:
            raise OrchestratorErrors(source.problems)
        if documents > 1:
            hint = "put it into a file of its own"
            source.problems.append(OrchestratorError("F108", "a second document starts here", where=place, hint=hint))
            return
        yield _plain(source, event, place) if isinstance(event, yaml.NodeEvent) else event


def _plain(source: Source, event: yaml.NodeEvent, place: Where) -> yaml.Event:
    """*event* without anchor and tag, or a mark in the place of an alias."""
    tag = getattr(event, "tag", None)
    if isinstance(event, yaml.AliasEvent) or event.anchor:
        name = f"alias *{event.anchor}" if isinstance(event, yaml.AliasEvent) else f"anchor &{event.anchor}"
        hint = "write the value out at each place"
        source.problems.append(OrchestratorError("F109", f"the {name} is not allowed", where=place, hint=hint))
    if tag is not None:
        hint = "remove the tag; put secrets into the environment's own inventory or vault files"
        source.problems.append(OrchestratorError("F110", f"the tag {tag} is not allowed", where=place, hint=hint))
    if isinstance(event, yaml.AliasEvent):
        return yaml.ScalarEvent(None, REFUSED, (False, False), "", event.start_mark, event.end_mark)
    event.anchor = None
    if tag is not None:
        event.tag = REFUSED  # type: ignore[attr-defined]
    return event


class _Loader(yaml.SafeLoader):
    """PyYAML's scanner with one rule of YAML 1.2: a tab may separate, also the words of a text, though never indent."""

    def scan_to_next_token(self) -> None:
        """As PyYAML's, and over the tabs that follow something on their line."""
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or self.prefix_of_line().strip(" ")):
            self.forward()
            self.allow_simple_key = self.allow_simple_key and bool(self.flow_level)
            super().scan_to_next_token()

    def scan_plain_spaces(self, indent: int, start_mark: yaml.Mark) -> list[str]:
        """As PyYAML's; tabs between words are part of the text, before the line's end they are not."""
        length = 0
        while self.peek(length) in " \t":
            length += 1
        blanks = str(self.prefix(length))
        if "\t" not in blanks:
            return list(super().scan_plain_spaces(indent, start_mark) or ())
        at_end = self.peek(length) in "\0\r\n\x85\u2028\u2029"
        self.forward(length)
        return list(super().scan_plain_spaces(indent, start_mark) or ()) if at_end else [blanks]

    def prefix_of_line(self) -> str:
        """The text before this place on its line."""
        return str(self.buffer[self.pointer - self.column : self.pointer])


class _Composer(yaml.composer.Composer, yaml.resolver.BaseResolver):
    """PyYAML's composer over events that are already parsed."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        yaml.composer.Composer.__init__(self)
        yaml.resolver.BaseResolver.__init__(self)
        self._events = events
        self._next: yaml.Event | None = None

    def document(self) -> yaml.Node | None:
        """The only document; None when there is none. All events are read."""
        self.get_event()
        if self.check_event(yaml.StreamEndEvent):
            return None
        node = self.compose_document()
        for _ in self._events:
            pass
        return node

    def peek_event(self) -> yaml.Event:
        """The next event, which stays."""
        if self._next is None:
            self._next = next(self._events)
        return self._next

    def get_event(self) -> yaml.Event:
        """The next event."""
        event, self._next = self.peek_event(), None
        return event

    def check_event(self, *kinds: type[yaml.Event]) -> bool:
        """Whether the next event is one of *kinds*."""
        return isinstance(self.peek_event(), kinds)


class _Reader:
    """Builds plain data from nodes, and notes the place of each part."""

    def __init__(self, source: Source) -> None:
        self._source, self._problems = source, source.problems

    def value(self, node: yaml.Node, path: Path_) -> Any:
        self._source.values[path] = self._place(node)
        if node.tag == REFUSED:
            self._source.refused.add(path)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        self._source.literals[path] = node.value
        quoted = isinstance(node, yaml.ScalarNode) and node.style
        return node.value if quoted else self._scalar(node, path)

    def _scalar(self, node: yaml.Node, path: Path_) -> Any:
        try:
            return scalar(node.value)
        except ValueError as error:
            hint = "write a finite number of at most 1000 digits, or put the value in double quotes"
            self._problems.append(OrchestratorError("F113", str(error), where=self._place(node), hint=hint))
            self._source.refused.add(path)
            return None

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                hint = "write a plain word as the key; text that starts with { or [ needs double quotes"
                self._problems.append(OrchestratorError("F111", "a key must be text", where=place, hint=hint))
                self._source.refused.add(path)
                continue
            key = key_node.value
            if key_node.tag == REFUSED and not key:  # an alias
                continue
            if key in result:
                first = self._source.keys[(*path, key)]
                message = f"the key {key!r} appears twice (first in line {first.line})"
                hint = f"remove one of the two; the first is in line {first.line}"
                self._problems.append(OrchestratorError("F112", message, where=place, hint=hint))
                continue
            self._source.keys[(*path, key)] = place
            result[key] = self.value(value_node, (*path, key))
        return result

    def _place(self, node: yaml.Node) -> Where:
        start, end = node.start_mark, node.end_mark
        width = end.column - start.column if end.line == start.line else 1
        return self._source.line(start.line + 1, start.column + 1, width)


def scalar(text: str) -> Any:
    """A plain scalar by the YAML 1.2 core schema: null, true, false, a number, or the text itself.

    Integers are exact. Raises `ValueError` for a number that is not finite or has more than 1000 digits.
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(f"a number of {len(text)} digits is too long")
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text, 10)
    if _FLOAT.fullmatch(text):
        number = float(re.sub(r"\.(?=[inIN])", "", text))
        if not math.isfinite(number):
            raise ValueError(f"{text} is not a finite number")
        return number
    return text
