"""Aliases of YAML are counted as what they stand for."""

from typing import Any

import pytest
import yaml

from orchestrator.domain.bounded import bounded


def bomb(levels: int, width: int = 9) -> str:
    """A text of few bytes whose aliases stand for *width* to the power of *levels* values."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]" for level in range(1, levels)]
    return "\n".join(lines)


def test_aliases_within_bounds_are_data() -> None:
    """Anchors are in common use: a value that several places share stays."""
    data = yaml.safe_load("a: &a {x: 1}\nb: *a\nc: [*a, *a]")
    assert bounded(data) == {"a": {"x": 1}, "b": {"x": 1}, "c": [{"x": 1}, {"x": 1}]}


@pytest.mark.parametrize("text", [bomb(8), bomb(60), "a: &a [*a]", "a: &a {b: *a}", "a: &a [b, [*a]]"])
def test_a_value_without_an_end_is_refused(text: str) -> None:
    """However many values the aliases stand for, each is looked at once."""
    with pytest.raises(ValueError, match=r"alias|itself"):
        bounded(yaml.safe_load(text))


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, (), {"a": {1, 2}}])
def test_plain_data_stays(value: Any) -> None:
    """The same value is returned."""
    assert bounded(value) is value
