"""Data from YAML within bounds: an alias is one value in a file, and many where the value is written or compared."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
MOST_VALUES = 200_000


def bounded(value: T, most: int = MOST_VALUES) -> T:
    """*value* itself. Raises `ValueError` if it is more than *most* values when each alias is written out.

    Each value is inspected once, however often it is referred to. A value that contains itself has no end.
    """
    sizes: dict[int, int | None] = {}

    def size(part: Any) -> int:
        if not isinstance(part, (Mapping, list, tuple, set)):
            return 1
        known = sizes.get(id(part), 0)
        if known is None:
            raise ValueError("a value has itself in it")
        if not known:
            sizes[id(part)] = None
            known = 1 + sum(size(item) for item in _items(part))
            sizes[id(part)] = known
        if known > most:
            raise ValueError(f"its aliases expand to more than {most} values")
        return known

    size(value)
    return value


def _items(part: Any) -> Iterable[Any]:
    return (item for pair in part.items() for item in pair) if isinstance(part, Mapping) else part
