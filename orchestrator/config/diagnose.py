"""From a source file to a model: every error at once, each with its place and a hint."""

import difflib
import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from orchestrator.config.source import Path_, Source
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.model import Model

M = TypeVar("M", bound=Model)


def build(source: Source, model: type[M]) -> M:
    """The value of *model* that *source* describes. Raises `OrchestratorErrors` with everything that is wrong."""
    if not isinstance(source.data, dict):
        where = source.where(())
        raise OrchestratorErrors(
            [OrchestratorError("F120", "the file must be a mapping of keys to values", where=where)]
        )
    try:
        return model.model_validate_json(json.dumps(source.data))
    except ValidationError as error:
        problems = [item for item in error.errors(include_url=False) if not _echo(item)]
        found = [_explain(source, model, problem) for problem in problems]
        raise OrchestratorErrors(_once(found)) from error


def _once(errors: list[OrchestratorError]) -> list[OrchestratorError]:
    """Each place once, in the file's order: a union reports one wrong value for each of its members."""
    best: dict[tuple[int, int], OrchestratorError] = {}
    for error in errors:
        place = (error.where.line or 0, error.where.column or 0) if error.where else (0, 0)
        best.setdefault(place, error)
    return [best[place] for place in sorted(best)]


def _echo(problem: Any) -> bool:
    """Whether this only says again that a list's members are wrong: pydantic calls such a list too short."""
    return problem["type"] == "too_short" and bool(problem["input"])


def _explain(source: Source, model: type[BaseModel], problem: Any) -> OrchestratorError:
    path = _path(source, problem["loc"])
    kind, name = problem["type"], str(problem["loc"][-1]) if problem["loc"] else ""
    if kind == "extra_forbidden":
        hint = _suggestion(name, model, problem["loc"][:-1])
        return OrchestratorError("F121", f"unknown key {name!r}", where=source.where(path, key=True), hint=hint)
    if kind == "missing":
        return OrchestratorError("F122", f"the key {name!r} is missing", where=source.where(path[:-1]))
    where = source.where(path)
    literal = source.literals.get(path)
    if kind == "string_type" and isinstance(problem["input"], (int, float, bool)):
        word = _type(problem["input"])
        hint = f'write {path[-1]}: "{literal}"' if literal is not None else None
        return OrchestratorError(
            "F123", f"{_label(path)} must be text; YAML reads this as {word}", where=where, hint=hint
        )
    message = str(problem["msg"]).removeprefix("Value error, ")
    return OrchestratorError(*_wrong(kind, _label(path), message, problem), where=where)


def _wrong(kind: str, label: str, message: str, problem: Any) -> tuple[str, str]:
    if kind.endswith("_type") or kind in {"model_attributes_type", "dict_type"}:
        return "F124", f"{label}: {message[0].lower()}{message[1:]}"
    if kind == "literal_error":
        return "F125", f"{label} must be {problem['ctx']['expected']}"
    if kind == "string_pattern_mismatch":
        return "F126", f"{label} has characters that are not allowed ({problem['ctx']['pattern']})"
    return "F127", f"{label} {message}" if message.startswith("must") else f"{label}: {message}"


def _type(value: object) -> str:
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    return f"the number {value}"


def _label(path: Path_) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the file"


def _path(source: Source, location: tuple[Any, ...]) -> Path_:
    """Pydantic's location without the words that it adds for the members of a union."""
    path: Path_ = ()
    data = source.data
    for index, part in enumerate(location):
        if isinstance(part, int) and isinstance(data, list) and part < len(data):
            path, data = (*path, part), data[part]
        elif isinstance(part, str) and isinstance(data, dict) and (part in data or index == len(location) - 1):
            path, data = (*path, part), data.get(part)
    return path


def _suggestion(name: str, model: type[BaseModel], location: tuple[Any, ...]) -> str | None:
    known = _fields(model, location)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known keys: {', '.join(known)}" if known else None


def _fields(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys that the model at *location* knows, by its JSON Schema."""
    schema = model.model_json_schema(by_alias=True)
    node: Any = schema
    for part in location:
        node = _resolve(schema, node)
        node = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part, node)
    return sorted(_resolve(schema, node).get("properties", {}))


def _resolve(schema: Any, node: Any) -> Any:
    for option in node.get("anyOf", []):
        if "$ref" in option or "properties" in option or "items" in option:
            node = option
            break
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return node
