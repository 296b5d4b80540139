"""Comparisons as authors write them: an operator and a value, such as `>= 3.0`."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from orchestrator.domain.model import text_schema
from orchestrator.domain.requirements.versions import debian_order, named_part, rpm_order

OPERATORS: dict[str, Callable[[int], bool]] = {
    ">=": lambda order: order >= 0,
    "<=": lambda order: order <= 0,
    "==": lambda order: order == 0,
    "!=": lambda order: order != 0,
    ">": lambda order: order > 0,
    "<": lambda order: order < 0,
}
"""The operators, by the orders that they allow: -1, 0 or 1."""
_OPERATOR = "|".join(OPERATORS)
VERSIONED = re.compile(rf"^([a-z0-9][a-z0-9+._-]{{0,99}})(?: ({_OPERATOR}) ([0-9A-Za-z][0-9A-Za-z.+:~^_-]{{0,99}}))?$")
COMPARED = re.compile(rf"^(?:({_OPERATOR}) ?)?(\S(?:[^\n]{{0,199}}\S)?)$")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,9})?")


def _versioned(text: str) -> str:
    if not VERSIONED.fullmatch(text):
        raise ValueError("must be a name such as openssl, or a name with a version such as openssl >= 3.0")
    return text


def _compared(text: str) -> str:
    if not COMPARED.fullmatch(text):
        raise ValueError("must be a value such as enforcing, or an operator with a value such as >= 4")
    return text


VersionedName = Annotated[str, AfterValidator(_versioned), WithJsonSchema(text_schema(VERSIONED.pattern))]
"""`NAME`, or `NAME OPERATOR VERSION`."""
Comparison = Annotated[str, AfterValidator(_compared), WithJsonSchema(text_schema(COMPARED.pattern))]
"""`VALUE`, or `OPERATOR VALUE`."""


def wanted_name(text: str) -> str:
    """The name in a `VersionedName`."""
    return text.partition(" ")[0]


def wanted_version(text: str) -> str:
    """The operator and the version in a `VersionedName`; empty if it names none."""
    return text.partition(" ")[2]


def has_version(wanted: str, installed: str, *, rpm: bool = False) -> bool:
    """Whether the version *installed* is one that *wanted* (`>= 3.0`) allows. An empty one allows all.

    An epoch or revision that *wanted* does not name is left out.
    """
    if not wanted:
        return True
    operator, _, version = wanted.partition(" ")
    order = (rpm_order if rpm else debian_order)(named_part(installed, version), version)
    return OPERATORS[operator](order)


def holds(comparison: str, value: object) -> bool | None:
    """Whether *value* agrees with *comparison*; None if they cannot be compared.

    Numbers are compared as numbers, texts by their versions, or for `==` and `!=` as texts. True and false are equal to
    the words of Python and of YAML.
    """
    found = COMPARED.fullmatch(comparison)
    if found is None:
        return None
    operator, wanted = found[1] or "==", unquoted(found[2])
    is_equal = operator in {"==", "!="}
    if isinstance(value, bool):
        words = {"true": True, "false": False}
        known = words.get(wanted.lower())
        return None if known is None or not is_equal else OPERATORS[operator](0 if known is value else 1)
    if isinstance(value, int | float):
        if not NUMBER.fullmatch(wanted):
            return None
        number = float(wanted)
        return OPERATORS[operator]((value > number) - (value < number))
    if not isinstance(value, str):
        return None
    return OPERATORS[operator](int(value != wanted) if is_equal else debian_order(value, wanted))


def unquoted(text: str) -> str:
    """*text* without the quotes around it."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
