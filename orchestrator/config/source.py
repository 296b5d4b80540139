"""A YAML file, read strictly: YAML 1.2 rules, and nothing that two readers could take for two things.

PyYAML is a YAML 1.1 reader, in which `on` is true, `010` is eight and `12:30` is 750. We take its parser, which
knows lines and columns, and give plain scalars the meaning of the YAML 1.2 core schema
(https://yaml.org/spec/1.2.2/#103-core-schema). Duplicate keys, anchors, aliases, tags and more documents are refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors, Where

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 100_000

_INT = re.compile(r"^[-+]?[0-9]{1,18}$|^0o[0-7]{1,21}$|^0x[0-9a-fA-F]{1,16}$")
_FLOAT = re.compile(
    r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
)
_NULL = {"", "null", "Null", "NULL", "~"}
_TRUE, _FALSE = {"true", "True", "TRUE"}, {"false", "False", "FALSE"}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")

Path_ = tuple[str | int, ...]


@dataclass
class Source:
    """A file's text, its value as plain data, and where each part of it stands.

    *values* maps the path of a value (`("steps", 0, "name")`) to its place, *keys* that of a key.
    """

    file: str
    text: str
    data: Any = None
    values: dict[Path_, Where] = field(default_factory=dict)
    keys: dict[Path_, Where] = field(default_factory=dict)
    literals: dict[Path_, str] = field(default_factory=dict)

    def where(self, path: Path_, *, key: bool = False) -> Where:
        """The place of *path*, or of the nearest part around it that is in the file."""
        places = self.keys if key and path in self.keys else self.values
        while path not in places and path:
            path = path[:-1]
            places = self.values
        return places.get(path, self.line(1, 1))

    def line(self, line: int, column: int, width: int = 1) -> Where:
        """A place by line and column, both from 1."""
        lines = self.text.splitlines()
        text = lines[line - 1] if 0 < line <= len(lines) else ""
        return Where(self.file, line, column, text, max(1, width))


def read(path: Path, shown: str) -> Source:
    """The file at *path*, called *shown* in messages. Raises `OrchestratorErrors` with all that is wrong with it."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        code = "F100" if isinstance(error, FileNotFoundError) else "F101"
        raise OrchestratorErrors([OrchestratorError(code, f"cannot read {shown}: {error.strerror}")]) from error
    if len(raw) > MAX_BYTES:
        raise OrchestratorErrors([OrchestratorError("F102", f"{shown} is larger than 1 MiB", where=Where(shown))])
    return parse(_decode(raw, shown), shown)


def _decode(raw: bytes, shown: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise OrchestratorErrors(
            [OrchestratorError("F103", "the file is not UTF-8", where=Where(shown, line))]
        ) from error


def parse(text: str, shown: str) -> Source:
    """YAML text as a `Source`. Raises `OrchestratorErrors`."""
    source = Source(shown, text)
    if found := _CONTROL.search(text):
        line, column = text.count("\n", 0, found.start()) + 1, found.start() - text.rfind("\n", 0, found.start())
        message = f"the control character U+{ord(found[0]):04X} is not allowed"
        raise OrchestratorErrors([OrchestratorError("F104", message, where=source.line(line, column))])
    try:
        errors = list(_refused(source, yaml.parse(text, Loader=yaml.SafeLoader)))
        if errors:
            raise OrchestratorErrors(errors)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = source.line(mark.line + 1, mark.column + 1) if mark else Where(shown)
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise OrchestratorErrors([OrchestratorError("F105", f"this is not YAML: {problem}", where=where)]) from error
    if root is None:
        raise OrchestratorErrors([OrchestratorError("F106", "the file is empty", where=Where(shown))])
    problems: list[OrchestratorError] = []
    source.data = _Reader(source, problems).value(root, ())
    if problems:
        raise OrchestratorErrors(problems)
    return source


def _refused(source: Source, events: Iterator[yaml.Event]) -> Iterator[OrchestratorError]:
    """What a stream of events may not contain: found before anything is built, so that nothing can blow up."""
    depth = nodes = documents = 0
    for event in events:
        mark = event.start_mark
        place = source.line(mark.line + 1, mark.column + 1) if mark else Where(source.file)
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            yield OrchestratorError("F107", "the file is too deep or has too many values", where=place)
            return
        if documents > 1:
            yield OrchestratorError("F108", "a second document begins here", where=place)
            return
        if isinstance(event, yaml.AliasEvent):
            yield OrchestratorError("F109", f"the alias *{event.anchor} is not allowed", where=place)
        elif isinstance(event, yaml.NodeEvent) and event.anchor:
            yield OrchestratorError("F109", f"the anchor &{event.anchor} is not allowed", where=place)
        tag = getattr(event, "tag", None)
        if tag is not None:
            yield OrchestratorError("F110", f"the tag {tag} is not allowed", where=place)


class _Reader:
    """Builds plain data from nodes, and notes where each part stands."""

    def __init__(self, source: Source, problems: list[OrchestratorError]) -> None:
        self._source, self._problems = source, problems

    def value(self, node: yaml.Node, path: Path_) -> Any:
        self._source.values[path] = self._place(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        self._source.literals[path] = node.value
        quoted = isinstance(node, yaml.ScalarNode) and node.style
        return node.value if quoted else scalar(node.value)

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._problems.append(OrchestratorError("F111", "a key must be text", where=place))
                continue
            key = key_node.value
            if key in result:
                first = self._source.keys[(*path, key)]
                message = f"the key {key!r} is there twice (first in line {first.line})"
                self._problems.append(OrchestratorError("F112", message, where=place))
                continue
            self._source.keys[(*path, key)] = place
            result[key] = self.value(value_node, (*path, key))
        return result

    def _place(self, node: yaml.Node) -> Where:
        start, end = node.start_mark, node.end_mark
        width = end.column - start.column if end.line == start.line else 1
        return self._source.line(start.line + 1, start.column + 1, width)


def scalar(text: str) -> Any:
    """A plain scalar by the YAML 1.2 core schema: null, true, false, a number, or the text itself."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.match(text):
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text, 10)
    if _FLOAT.match(text):
        return float(text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf").replace(".nan", "nan"))
    return text
