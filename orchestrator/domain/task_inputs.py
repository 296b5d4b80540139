"""The typed inputs of a task: a JSON Schema, the values that a user gives, and references of later tasks to them."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.domain.model import fault_text
from orchestrator.domain.secret import is_secret_variable

VALUE_REFERENCE = re.compile(r"\$\{\{\s*tasks\.([a-z0-9][a-z0-9-]{0,62})\.([A-Za-z][A-Za-z0-9_-]{0,62})\s*\}\}")
"""A reference in a text: `${{ tasks.measure.rows }}`."""
INPUT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
MOST_INPUTS = 50
LONGEST_SCHEMA = 20_000
LONGEST_VALUE = 20_000
"""Characters of a schema, and of all values of one task, as JSON."""
Schema = dict[str, Any]
Where = tuple[str | int, ...]


def schema_faults(schema: Schema) -> Iterator[tuple[Where, str]]:
    """What is wrong with the schema of inputs: the place in it, and a text."""
    if len(json.dumps(schema)) > LONGEST_SCHEMA:
        yield (), f"a schema of inputs has at most {LONGEST_SCHEMA} characters"
        return
    properties = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(properties, dict) or not properties:
        yield (), "inputs are a JSON Schema with type: object and properties"
        return
    if len(properties) > MOST_INPUTS:
        yield ("properties",), f"a task has at most {MOST_INPUTS} inputs"
    for name, about in properties.items():
        yield from _property_faults(str(name), about)
    yield from _reference_faults(schema)
    yield from _schema_error(schema)


def _property_faults(name: str, about: Any) -> Iterator[tuple[Where, str]]:
    where: Where = ("properties", name)
    if not INPUT_NAME.fullmatch(name):
        yield where, f"{name!r} is not the name of an input: it is letters, digits, _ and -, and starts with a letter"
    secret = isinstance(about, dict) and (about.get("format") == "password" or about.get("writeOnly") is True)
    if secret or is_secret_variable(name.replace("-", "_")):
        yield where, f"the input {name} is a secret: inputs are recorded and shown, so no secret is given in them"


def _reference_faults(data: Any, where: Where = ()) -> Iterator[tuple[Where, str]]:
    """References out of the schema: nothing is read from another file or server."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key in {"$ref", "$dynamicRef"} and not str(value).startswith("#"):
                yield (*where, key), f"{key} leads to {value}: a schema of inputs refers only to itself"
            else:
                yield from _reference_faults(value, (*where, str(key)))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _reference_faults(value, (*where, index))


def _schema_error(schema: Schema) -> Iterator[tuple[Where, str]]:
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        yield tuple(error.absolute_path), f"is not a JSON Schema: {error.message}"


def typed_values(schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the inputs of *schema*: *given* ones, and defaults for others. Raises `ValueError` with the fault.

    A text for an input of another type is read as JSON, as a command or a form has it.
    """
    properties = schema["properties"]
    unknown = next((name for name in given if name not in properties), None)
    if unknown is not None:
        raise ValueError(f"{unknown} is not an input: there are {', '.join(properties)}")
    values = {name: _typed(properties[name], name, value) for name, value in given.items()}
    for name, about in properties.items():
        if name not in values and isinstance(about, dict) and "default" in about:
            values[name] = about["default"]
    if len(json.dumps(values)) > LONGEST_VALUE:
        raise ValueError(f"the inputs of a task have at most {LONGEST_VALUE} characters")
    _validate(schema, values)
    return values


def is_text(about: Any) -> bool:
    """Whether the input that the schema *about* describes is given as it is, and not as JSON."""
    if not isinstance(about, dict):
        return False
    kind = about.get("type")
    if kind is None:
        choices = about.get("enum", [about["const"]] if "const" in about else [])
        return bool(choices) and all(isinstance(each, str) for each in choices)
    return kind == "string" or (isinstance(kind, list) and "string" in kind)


def _typed(about: Any, name: str, value: Any) -> Any:
    if not isinstance(value, str) or is_text(about):
        return value
    try:
        return json.loads(value, parse_constant=_no_constant)
    except ValueError as error:
        kind = about.get("type", "JSON") if isinstance(about, dict) else "JSON"
        raise ValueError(f"{name}: {value[:60]!r} is not a value of the type {kind}") from error


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def _validate(schema: Schema, values: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator, ValidationError
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    checks = Draft202012Validator(
        schema, registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER
    )  # an empty registry: nothing is fetched
    try:
        faults: list[ValidationError] = sorted(checks.iter_errors(values), key=lambda each: list(map(str, each.path)))
    except (Unresolvable, RecursionError) as error:
        raise ValueError("the schema of the inputs refers to what it does not have") from error
    if faults:
        where = ".".join(str(part) for part in faults[0].path)
        raise ValueError(fault_text(f"{where}: {faults[0].message}" if where else faults[0].message)[:500])


def input_text(value: Any) -> str:
    """A value as it is written into a text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def value_references(text: str) -> tuple[tuple[str, str], ...]:
    """The tasks and inputs to which *text* refers."""
    return tuple((match[1], match[2]) for match in VALUE_REFERENCE.finditer(text))


def with_values(text: str, values: Mapping[str, Mapping[str, Any]]) -> str:
    """*text* with the *values* of its references, by task and input. A reference without a value stays."""

    def value(match: re.Match[str]) -> str:
        found = values.get(match[1], {})
        return input_text(found[match[2]]) if match[2] in found else match[0]

    return VALUE_REFERENCE.sub(value, text)
