"""YAML of playbooks as plain values with their lines. Nothing is constructed: unknown and vaulted tags are harmless."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestrator.adapters import safe_yaml

LARGEST = 1024 * 1024  # bytes: a playbook stays far below
DEEPEST = 60
_YAML = "tag:yaml.org,2002:"
_TRUE = {"yes", "true", "on"}


class Text(str):
    """A text of a YAML file, with the *line* (from 1) on which it starts."""

    __slots__ = ("block", "line")
    line: int
    block: bool

    def line_of(self, position: int) -> int:
        """The line of the character at *position*; in a text that is folded or quoted, the first one."""
        return self.line + 1 + self.count("\n", 0, position) if self.block else self.line


class Mapped(dict[str, Any]):
    """A mapping of a YAML file, with its *line* and the *lines* of its keys. Keys are texts."""

    line: int = 1

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line, self.lines = line, dict[str, int]()


class Encrypted(str):
    """A value that a vault keeps, or another tag that only Ansible reads: it exists, and its content is not known."""

    __slots__ = ()


def load_playbook(path: Path) -> Any:
    """The content of the YAML file *path*: mappings, lists, texts, numbers, truth values and None.

    Raises `ValueError` when it cannot be read, also when it is encrypted as a whole or larger than 1 MiB.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST // 1024} KiB")
        text = path.read_text("utf-8")
        if text.startswith("$ANSIBLE_VAULT;"):
            raise ValueError("it is encrypted by a vault")
        return _value(safe_yaml.composed(text), {}, 0)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def source(path: Path) -> Text | None:
    """The text of a file that is not YAML, such as a template; None when it cannot be read."""
    try:
        if path.stat().st_size > LARGEST:
            return None
        text = Text(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    text.line, text.block = 0, True
    return text


def _value(node: yaml.Node | None, known: dict[int, Any], depth: int) -> Any:
    if node is None or id(node) in known:  # an alias
        return known.get(id(node)) if node is not None else None
    if depth > DEEPEST:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels")
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    line = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        known[id(node)] = items = list[Any]()
        items += [_value(item, known, depth + 1) for item in node.value]
        return items
    known[id(node)] = mapped = Mapped(line)
    merged = [pair for key, value in node.value if key.tag == f"{_YAML}merge" for pair in _pairs(value)]
    for key, value in (*merged, *(pair for pair in node.value if pair[0].tag != f"{_YAML}merge")):
        if isinstance(key, yaml.ScalarNode):
            mapped[key.value] = _value(value, known, depth + 1)
            mapped.lines[key.value] = key.start_mark.line + 1
    return mapped


def _pairs(node: yaml.Node) -> list[tuple[yaml.Node, yaml.Node]]:
    """What `<<` merges: the pairs of a mapping, or of several, of which the first counts."""
    nodes = node.value[::-1] if isinstance(node, yaml.SequenceNode) else [node]
    return [pair for item in nodes if isinstance(item, yaml.MappingNode) for pair in item.value]


def _scalar(node: yaml.ScalarNode) -> Any:
    tag = node.tag.removeprefix(_YAML)
    if tag == "null":
        return None
    if tag == "bool":
        return node.value.lower() in _TRUE
    if tag in {"int", "float"}:
        try:
            return float(node.value) if tag == "float" else int(node.value.replace("_", ""))
        except ValueError:
            tag = "str"
    if tag.startswith("!") and tag != "!unsafe":
        return Encrypted()
    text = Text(node.value)
    text.line, text.block = node.start_mark.line + 1, node.style == "|"
    return text


def texts(value: Any) -> Iterator[Text]:
    """Every text in *value*, each part of it once, however often it is referred to."""
    waiting, seen = [value], set[int]()
    while waiting:
        item = waiting.pop()
        if isinstance(item, Text):
            yield item
        elif isinstance(item, (Mapping, list)) and id(item) not in seen:
            seen.add(id(item))
            waiting += list(item.values() if isinstance(item, Mapping) else item)[::-1]


def truth(value: Any) -> bool | None:
    """Whether a keyword is on; None if that is only known at run time."""
    if isinstance(value, str):
        lowered = value.strip().lower()
        if lowered in {"", "no", "false", "off", "0"}:
            return False
        return True if lowered in {*_TRUE, "1"} else None
    return bool(value)
