"""The inputs of tasks: schemas that are refused, values that are typed and checked, and references to them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.task_inputs import is_text, schema_faults, typed_values, value_references, with_values

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "backup": {"type": "string", "pattern": "^b-"},
        "rows": {"type": "integer", "minimum": 1},
        "kind": {"enum": ["full", "partial"], "default": "full"},
        "clean": {"type": "boolean"},
        "hosts": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["backup", "kind"],
}


def faults(properties: Any, **more: Any) -> str:
    return "; ".join(text for _, text in schema_faults({"type": "object", "properties": properties, **more}))


def test_a_schema_of_inputs_has_its_faults_named() -> None:
    """A schema is that of an object, without secrets, without references out of it, and is a JSON Schema."""
    assert list(schema_faults(SCHEMA)) == []
    assert "type: object" in next(schema_faults({"type": "string"}))[1]
    assert "type: object" in next(schema_faults({"type": "object", "properties": {}}))[1]
    for name in ("password", "api-token", "DB_PASSWORD"):
        assert "is a secret" in faults({name: {"type": "string"}}), name
    assert "is a secret" in faults({"x": {"type": "string", "format": "password"}})
    assert "is a secret" in faults({"x": {"writeOnly": True}})
    assert "is not the name" in faults({"a b": {}})
    assert "refers only to itself" in faults({"x": {"$ref": "https://example.org/x.json"}})
    assert "refers only to itself" in faults({"x": {"anyOf": [{"$ref": "file:///etc/passwd"}]}})
    assert faults({"x": {"$ref": "#/$defs/y"}}, **{"$defs": {"y": {"type": "string"}}}) == ""
    assert "is not a JSON Schema" in faults({"x": {"type": "text"}})
    assert "at most 50" in faults({f"x{n}": {} for n in range(51)})
    assert "at most 20000" in faults({"x": {"description": "y" * 20_000}})


def test_values_are_typed_and_checked() -> None:
    """A text is read as the type of its input, a default counts, and what the schema does not allow is refused by name."""
    given_ = {"backup": "b-1", "rows": "7", "clean": "true", "hosts": '["web1"]'}
    assert typed_values(SCHEMA, given_) == {
        "backup": "b-1", "rows": 7, "clean": True, "hosts": ["web1"], "kind": "full"
    }  # fmt: skip
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "'backup' is a required property"), ({"backup": "x"}, "backup: 'x' does not match"),
        ({"backup": "b-1", "rows": "seven"}, "rows: 'seven' is not a value of the type integer"),
        ({"backup": "b-1", "rows": "0"}, "rows: 0 is less than"), ({"backup": "b-1", "rows": "NaN"}, "rows: 'NaN'"),
        ({"backup": "b-1", "kind": "none"}, "kind: 'none' is not one of"), ({"backup": 3}, "backup: 3 is not of type"),
        ({"backup": "b-1", "row": "1"}, "row is not an input"), ({"backup": "b-" + "x" * 20_000}, "at most 20000"),
    )  # fmt: skip
    for values, text in wrong:
        with pytest.raises(ValueError, match=text):
            typed_values(SCHEMA, values)
    lost = {"type": "object", "properties": {"x": {"$ref": "#/$defs/nothing"}}}
    with pytest.raises(ValueError, match="refers to what it does not have"):
        typed_values(lost, {"x": "1"})


def test_which_inputs_are_texts() -> None:
    """An input is a text if its type is string, or if it has a choice of texts; every other one is given as JSON."""
    texts = ({"type": "string"}, {"type": ["string", "null"]}, {"enum": ["a"]}, {"const": "a"})
    others: tuple[Any, ...] = ({"type": "integer"}, {"enum": ["a", 1]}, {}, True, {"enum": []})
    assert [is_text(each) for each in (*texts, *others)] == [True] * 4 + [False] * 5


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.text() | st.integers() | st.lists(st.booleans())))
def test_a_reference_has_its_value_or_stays(values: dict[str, Any]) -> None:
    """Each reference is replaced by its value and by nothing that a value contains, and stays if it has none."""
    text = "x ${{ tasks.measure.a }} y ${{tasks.measure.b}} z ${{ tasks.other.a }}"
    found = with_values(text, {"measure": values})
    assert found.endswith("${{ tasks.other.a }}")
    assert value_references(text) == (("measure", "a"), ("measure", "b"), ("other", "a"))
    if "a" not in values:
        assert "${{ tasks.measure.a }}" in found
    elif isinstance(values["a"], str):
        assert f"x {values['a']} y " in found
