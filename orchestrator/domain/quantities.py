"""Small words that several files share: durations, sizes, shares of hosts, and host patterns."""

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from orchestrator.domain import patterns
from orchestrator.domain.model import text_schema

DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)$", re.ASCII)
SIZE = re.compile(r"^(\d+)(B|KiB|MiB|GiB|TiB)$", re.ASCII)
SHARE = re.compile(r"^([1-9][0-9]?|100)%$")
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


LONGEST_S = 36_525 * 86_400.0
"""The longest duration, in seconds: 100 years. A time that is so far from now can still be counted to."""


def seconds(duration: str) -> float:
    """`90s`, `1.5m`, `2h`, `7d` or `250ms` in seconds. Raises `ValueError` on anything else."""
    found = DURATION.fullmatch(duration)
    if not found:
        raise ValueError("must be a duration such as 30s, 5m, 1h or 2d")
    length = float(found[1]) * _SECONDS[found[2]]
    if length > LONGEST_S:
        raise ValueError("must be at most 100 years, 36525d")
    return length


def duration_of(value: int) -> str:
    """*value* in seconds as `seconds` reads it, in the largest unit that divides it: `90m`, `2h`, `1d`."""
    unit = next((unit for unit in ("d", "h", "m") if value % _SECONDS[unit] == 0), "s")
    return f"{value // _SECONDS[unit]:.0f}{unit}"


def _duration(text: str) -> str:
    seconds(text)
    return text


def size_bytes(size: str) -> int:
    """`500MiB` in bytes. Raises `ValueError` on anything else."""
    found = SIZE.fullmatch(size)
    if not found:
        raise ValueError("must be a size such as 500MiB or 2GiB")
    return int(found[1]) * _BYTES[found[2]]


def _size(text: str) -> str:
    size_bytes(text)
    return text


Duration = Annotated[str, AfterValidator(_duration), WithJsonSchema(text_schema(DURATION.pattern))]
HostPattern = Annotated[
    str,
    AfterValidator(patterns.valid_pattern),
    WithJsonSchema(text_schema(patterns.PATTERN, maxLength=patterns.LONGEST)),
]
Size = Annotated[str, AfterValidator(_size), WithJsonSchema(text_schema(SIZE.pattern))]
