"""The inputs of a task as fields of a form, from their JSON Schema. The server checks them again."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.task_inputs import input_text, is_text
from orchestrator.management.implementation_plans.model import Task

PREFIX = "input."
LONG_TEXT = 200
NUMBER_LIMITS = {"minimum": "min", "maximum": "max"}
TEXT_LIMITS = {"minLength": "minlength", "maxLength": "maxlength"}


@dataclass(frozen=True)
class InputField:
    """One field: its *name* and *label*, how it is entered (*kind*), and what is *possible* as attributes of HTML.

    *kind* is `text`, `long`, `number`, `choice` or `json`. *value* is its default.
    """

    name: str
    label: str
    kind: str
    required: bool
    about: str
    value: str
    choices: tuple[str, ...]
    possible: Mapping[str, str]


def input_fields(task: Task) -> tuple[InputField, ...]:
    """The fields of the inputs of *task*."""
    return tuple(_fields(task.inputs)) if task.inputs is not None else ()


def _fields(schema: Mapping[str, Any]) -> Iterator[InputField]:
    for name, described in schema["properties"].items():
        about = described if isinstance(described, dict) else {}
        kind = _kind(about)
        yield InputField(
            name=name,
            label=str(about.get("title") or name),
            kind=kind,
            required=name in schema.get("required", ()) and "default" not in about,
            about=str(about.get("description") or ""),
            value=input_text(about["default"]) if "default" in about else "",
            choices=_choices(about) if kind == "choice" else (),
            possible=dict(_possible(about, kind)),
        )


def _kind(about: Mapping[str, Any]) -> str:
    if "enum" in about or about.get("type") == "boolean":
        return "choice"
    if about.get("type") in {"integer", "number"}:
        return "number"
    if about.get("type") == "string":
        return "long" if about.get("maxLength", 0) > LONG_TEXT else "text"
    return "json"


def _choices(about: Mapping[str, Any]) -> tuple[str, ...]:
    if "enum" in about:
        return tuple(each if is_text(about) and isinstance(each, str) else json.dumps(each) for each in about["enum"])
    return ("true", "false")


def _possible(about: Mapping[str, Any], kind: str) -> Iterator[tuple[str, str]]:
    if kind == "number":
        yield "step", "1" if about.get("type") == "integer" else "any"
    limits = NUMBER_LIMITS if kind == "number" else TEXT_LIMITS if kind in {"text", "long"} else {}
    yield from ((attribute, str(about[name])) for name, attribute in limits.items() if name in about)


def given_inputs(form: Mapping[str, str]) -> dict[str, str]:
    """The inputs that *form* has; an empty field is not given."""
    return {
        name.removeprefix(PREFIX): value.replace("\r\n", "\n")
        for name, value in form.items()
        if name.startswith(PREFIX) and value.strip()
    }
