"""What a job reports, read from text that code of a package may have written: each part has a type, or there is none.

A process that runs code of a package can write anything into the events and the answer of its job. Whatever it
writes, a reader gets a value of the shape that it states, or nothing.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

DEEPEST = 200  # levels of an object
LARGEST_NUMBER = 1e15
Shape = Mapping[str, "type | tuple[type, ...]"]
"""The fields of an object with their types; one that ends with a question mark may be absent."""

NUMBER = (int, float)


def parsed(text: str | bytes) -> Any:
    """The JSON *text*; None if it is not JSON, is nested too deeply, or has a number that other programs reject."""
    try:
        value = json.loads(text, parse_constant=_none, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return None if data.count(b"[") + data.count(b"{") > DEEPEST and _is_deep(value) else value


def has_shape(value: Any, shape: Shape) -> bool:
    """Whether *value* is an object with all fields of *shape*, of their types; further fields do not matter."""
    if not isinstance(value, dict):
        return False
    for name, kind in shape.items():
        field = name.removesuffix("?")
        if field not in value:
            if not name.endswith("?"):
                return False
        elif not isinstance(value[field], kind) or not _is_usual(value[field]):
            return False
    return True


def is_event(event: Mapping[str, Any], shapes: Mapping[str, Shape]) -> bool:
    """Whether *event* is of one of the kinds that *shapes* has, and has the shape of that kind."""
    kind = event.get("kind")
    return isinstance(kind, str) and kind in shapes and has_shape(dict(event), shapes[kind])


def are_counts(value: Any) -> bool:
    """Whether *value* is an object whose fields are all whole numbers, as counts of hosts or resources are."""
    return isinstance(value, dict) and all(isinstance(item, int) and _is_usual(item) for item in value.values())


def _is_deep(value: Any) -> bool:
    """Whether *value* has more levels than functions that call themselves for each level can follow."""
    level, depth = [value], 0
    while level:
        depth += 1
        parts = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list)))
        level = [inner for part in parts for inner in part]
        if depth > DEEPEST:
            return True
    return False


def _is_usual(value: Any) -> bool:
    return not isinstance(value, NUMBER) or abs(value) < LARGEST_NUMBER


def _none(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number
