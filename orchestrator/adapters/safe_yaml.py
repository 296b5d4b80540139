"""Untrusted YAML, within bounds that hold before a value is made: aliases and merges count as what they repeat."""

from typing import Any

import yaml

from orchestrator.domain.bounded import MOST_VALUES, bounded

LONGEST = 1 << 20  # characters
DEEPEST = 64  # levels
LONGEST_NUMBER = 1000  # characters; in base sixty a short number has many digits
INTEGER = "tag:yaml.org,2002:int"


FAST: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
HARMLESS = 10_000  # levels that the fast reader survives: each level needs a character of `OPENING`
OPENING = "[{-?:"


def composed(text: str) -> yaml.Node | None:
    """The node of *text* by the fast reader, which a text of too many levels would end with the whole process.

    Raises `ValueError` for such a text, and `yaml.YAMLError`.
    """
    if sum(map(text.count, OPENING)) > HARMLESS:
        depth = 0
        for event in yaml.parse(text, Loader=FAST):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > HARMLESS:
                raise ValueError(f"it has more than {HARMLESS} levels")
    found: yaml.Node | None = yaml.compose(text, Loader=FAST)
    return found


def load_yaml(text: str) -> Any:
    """The value of *text*. Raises `ValueError` beyond the bounds, and `yaml.YAMLError`."""
    if len(text) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _count(node, {}, 0) > MOST_VALUES:
            raise ValueError(f"its aliases expand to more than {MOST_VALUES} values")
        return bounded(loader.construct_document(node))
    finally:
        loader.dispose()


def _count(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """The number of values of *node*. *known* has the counts of nodes; a node that is a part of itself has no end."""
    if depth > DEEPEST:
        raise ValueError(f"it has more than {DEEPEST} levels")
    if isinstance(node, yaml.ScalarNode) and node.tag == INTEGER and len(node.value) > LONGEST_NUMBER:
        raise ValueError(f"a number has more than {LONGEST_NUMBER} characters")
    if id(node) not in known:
        known[id(node)] = MOST_VALUES + 1
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        nodes = [part for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(_count(part, known, depth + 1) for part in nodes)
    return known[id(node)]
