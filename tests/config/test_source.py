"""YAML is read by the rules of version 1.2, and numbers are kept as they are written."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.source import parse
from orchestrator.domain.errors import OrchestratorErrors


def read(text: str) -> Any:
    source = parse(text, "file.yaml")
    if source.problems:
        raise OrchestratorErrors(source.problems)
    return source.data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1234567890123456789", 1234567890123456789),
        ("-9999999999999999999999999", -9999999999999999999999999),
        ("0xffffffffffffffffffff", 0xFFFFFFFFFFFFFFFFFFFF),
        ("0o17", 15),
        ("010", 10),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ('".inf"', ".inf"),
        ("1e", "1e"),
        ("~", None),
        ("TRUE", True),
    ],
)
def test_scalars_have_the_meaning_of_yaml_1_2(text: str, value: object) -> None:
    """Integers of any length are exact, and only what the core schema calls so is a number or a truth value."""
    found = read(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


@given(st.integers(min_value=-(10**900), max_value=10**900))
def test_integers_are_exact(number: int) -> None:
    """Whatever integer is written, that integer is read."""
    assert read(f"a: {number}") == {"a": number}


@pytest.mark.parametrize("number", ["9" * 1001, "0x" + "f" * 5000, "1e400", "-.inf", ".nan", "1" + "0" * 400 + ".5"])
def test_what_is_no_number_that_can_be_kept_is_refused(number: str) -> None:
    """Numbers without end, and those that become infinity, are F113."""
    with pytest.raises(OrchestratorErrors) as caught:
        read(f"a: {number}")
    assert [error.code for error in caught.value.errors] == ["F113"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a:\tb\n", {"a": "b"}),
        ("a:\t\t1\t# why\nb: 2\n", {"a": 1, "b": 2}),
        ("a: b\t\nc:\td\n", {"a": "b", "c": "d"}),
        ("-\tb\n-\t'c'\n", ["b", "c"]),
        ("a: {b:\t1,\tc: 2}\n", {"a": {"b": 1, "c": 2}}),
        ("a: [\n\t1,\n\t2]\n", {"a": [1, 2]}),
        ("a: 'x\ty'\n", {"a": "x\ty"}),
        ("a: x\ty\nb: 1\n", {"a": "x\ty", "b": 1}),
        ("a: x \t y\t\n", {"a": "x \t y"}),
        ("a: x\t\n  y\n", {"a": "x y"}),
        ("a: x\t# why\n", {"a": "x"}),
        ("a: [x\ty, z]\n", {"a": ["x\ty", "z"]}),
    ],
)
def test_a_tab_may_separate(text: str, value: object) -> None:
    """After a colon, a dash or a comma, and in braces and quotes, a tab is as good as a space."""
    assert read(text) == value


@pytest.mark.parametrize("text", ["a:\n\tb: 1\n", "\ta: 1\n", "-\ta: 1\n", "-\t- a\n", "a:\n \tb: 1\n"])
def test_a_tab_never_indents(text: str) -> None:
    """How deep a line is may not hang on the width of a tab."""
    with pytest.raises(OrchestratorErrors) as caught:
        read(text)
    assert [error.code for error in caught.value.errors] == ["F105"]


def test_lines_are_counted_as_they_are_read(tmp_path: Path) -> None:
    """Places are right in files with Windows line ends and with line separators in texts."""
    source = parse('a: "x\u2028 y"\r\nb: 1\r\n', "file.yaml")
    place = source.where(("b",))
    assert (place.line, place.column, place.text) == (3, 4, "b: 1")


def test_pictures_blanks_and_escapes_are_no_hidden_characters() -> None:
    """A sign with its selector, a blank that does not break, a letter that Python does not know and an escape are read."""
    text = 'a: "\u26a0\ufe0f \u00a0 \U0001fae8 \\u200b"\n'
    source = parse(text, "x.yaml")
    assert source.problems == []
    assert source.data == {"a": "\u26a0\ufe0f \u00a0 \U0001fae8 \u200b"}
    for hiding in ("\ufe0f", "a\ufe01", "\u26a0\ufe0f\ufe0f", "\U000e0100", "\u2060"):
        assert [
            error.code for error in parse(f"a: x{hiding if hiding[0] != chr(0xFE0F) else ' ' + hiding}y", "x").problems
        ] == ["F104"]
