"""From a source file to a model: every error at once, each with its place and a hint."""

import difflib
import functools
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from orchestrator.config.source import Path_, Source
from orchestrator.domain.error_codes import KEY_MISSING
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.model import NAME, Model, fault_text
from orchestrator.domain.release import VERSION
from orchestrator.domain.stored_words import KEYS

M = TypeVar("M", bound=Model)
Checks = Callable[[Source], Iterable[OrchestratorError]]

KEY = "[key]"  # pydantic's word for a mapping's key
KINDS = {  # the start of pydantic's name for what is wrong with a value's kind, and what to write
    "tuple": "write a list: [first, second]",
    "list": "write a list: [first, second]",
    "model": "write a mapping, with one key: value in each line below",
    "dict": "write a mapping, with one key: value in each line below",
    "int": "write a whole number, without quotes",
    "bool": "write true or false, without quotes",
    "string": "write one text, in double quotes",
}
RULES = {  # the start of the message of a rule that is broken, and what to write
    "must be a duration": "write a number with its unit, such as 250ms, 30s, 1.5m, 1h or 2d",
    "must be a size": "write a whole number with its unit: B, KiB, MiB, GiB or TiB",
    "must be a count": "write for example 1, 10 or 25%",
    "must be at least 1": "write for example 1, 10 or 25%",
    "must be a relative path": "write it with / between its parts, without .. and without / or ~ at its start",
    "must be a host pattern": "name groups and hosts as Ansible's --limit does, such as web, web:&eu or db[0]",
    "must be an issuer": "write it as its discovery document does, for example https://login.example.com",
    "must have either a variable or a file": "write client_secret: {variable: NAME} or client_secret: {file: PATH}",
    "must have the scope openid": "add openid to scopes",
    "must be a variable name": "start with a letter, and use lower-case letters, digits and underscores",
    "names that start with ansible_": "set it in the environment's inventory, or choose another name",
}
LIMITS = {
    "greater_than_equal": "write {ge} or more",
    "less_than_equal": "write {le} or less",
    "too_short": "write at least {min_length}",
    "string_too_short": "write at least {min_length} character",
    "string_too_long": "write at most {max_length} characters",
}


SECRET_KEYS = frozenset({"client_secret"})
"""The keys that name the place of a secret. What is written there in place of it is never shown."""
SECRET_LINE = re.compile(rf"(?:{'|'.join(sorted(SECRET_KEYS))})[\"']?\s*:")
MOST = 200  # problems of one file that are explained


def build(source: Source, model: type[M], checks: Checks = lambda _source: ()) -> M:
    """The value of *model* that *source* describes. Raises `OrchestratorErrors` with everything that is wrong.

    That is what the reader refused, what *model* refuses, and what *checks* find in the plain data.
    """
    made, errors = None, []
    if source.means_nothing(()):
        pass
    elif not isinstance(source.data, dict):
        hint = f"start with apiVersion: orchestrator/v1 and kind: {model.__name__}"
        message = "the file must be a mapping of keys to values"
        errors.append(OrchestratorError("F120", message, where=source.where(()), hint=hint))
    else:
        try:
            made = model.model_validate_json(json.dumps(source.data))
        except ValidationError as error:
            problems = [item for item in error.errors(include_url=False) if not _echo(item)][:MOST]
            errors += _once(
                [_explain(source, model, problem) for problem in problems if not _about_nothing(source, problem["loc"])]
            )
        errors += checks(source)
    errors += source.problems
    if errors or made is None:
        raise OrchestratorErrors(sorted(map(_without_secret, errors), key=_line_and_column))
    return made


def _about_nothing(source: Source, location: tuple[Any, ...]) -> bool:
    """Whether a problem at *location* exists only because something was refused."""
    path = _path(source, location)
    return source.means_nothing(path[:-1] if location and location[-1] == KEY else path)


def _line_and_column(error: OrchestratorError) -> tuple[int, int]:
    return (error.where.line or 0, error.where.column or 0) if error.where else (0, 0)


def _once(errors: list[OrchestratorError]) -> list[OrchestratorError]:
    """Each place once: a union reports one wrong value for each of its members. Each missing key stays."""
    best: dict[tuple[object, ...], OrchestratorError] = {}
    for error in errors:
        best.setdefault((*_line_and_column(error), error.message if error.code == KEY_MISSING else ""), error)
    return list(best.values())


def _echo(problem: Any) -> bool:
    """Whether this only repeats that a list's members are wrong: pydantic calls such a list too short."""
    return problem["type"] == "too_short" and bool(problem["input"])


def _without_secret(error: OrchestratorError) -> OrchestratorError:
    """*error* without the line of the file, if that may have a secret."""
    if error.where is not None and SECRET_LINE.search(error.where.text or ""):
        error.where = replace(error.where, text=None)
    return error


def _explain(source: Source, model: type[BaseModel], problem: Any) -> OrchestratorError:
    """What *problem* means. Of a place for a secret neither the line nor a part of the value is shown."""
    found = _explained(source, model, problem)
    if SECRET_KEYS.isdisjoint(_path(source, problem["loc"])):
        return found
    where = replace(found.where, text=None) if found.where is not None else None
    return OrchestratorError(
        found.code, found.message, where=where, hint=RULES["must have either a variable or a file"]
    )


def _explained(source: Source, model: type[BaseModel], problem: Any) -> OrchestratorError:
    location = problem["loc"]
    kind, name = problem["type"], str(location[-1]) if location else ""
    path = _path(source, location)
    if kind == "extra_forbidden":
        close = _suggestion(name, model, location)
        return OrchestratorError("F121", f"unknown key {name!r}", where=source.where(path, key=True), hint=close)
    if kind == "missing":
        where = source.where(path[:-1])
        return OrchestratorError("F122", f"the key {name!r} is missing", where=where, hint=_example(name, model))
    where = source.where(path, key=name == KEY)
    literal = source.literals.get(path)
    if kind == "string_type" and isinstance(problem["input"], (int, float, bool)):
        word = _type(problem["input"])
        hint = f'write "{literal}"' if isinstance(path[-1], int) else f'write {path[-1]}: "{literal}"'
        return OrchestratorError(
            "F123", f"{_label(path)} must be text; YAML reads this as {word}", where=where, hint=hint
        )
    message = fault_text(str(problem["msg"]))
    code, sentence, remedy = _wrong(kind, _label(path), message, problem)
    return OrchestratorError(code, sentence, where=where, hint=remedy)


def _wrong(kind: str, label: str, message: str, problem: Any) -> tuple[str, str, str]:
    """Code, sentence and hint for a value of a wrong kind, or one that breaks a rule."""
    described = "orchestrator schema prints what is allowed here"
    if kind.endswith("_type") or kind == "int_from_float":
        right = next((words for begin, words in KINDS.items() if kind.startswith(begin)), described)
        return "F124", f"{label}: {message[0].lower()}{message[1:]}", right
    context = problem.get("ctx", {})
    if kind in {"literal_error", "enum"}:
        expected = re.findall(r"'([^']*)'", context["expected"])
        close = difflib.get_close_matches(str(problem["input"]), expected, n=1) or expected[:1]
        return "F125", f"{label} must be {context['expected']}", f"write {close[0]}"
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return "F126", f"{label} has characters that are not allowed ({pattern})", _fitting(problem["input"], pattern)
    hint = next((words for begin, words in RULES.items() if message.startswith(begin)), None)
    hint = hint or LIMITS.get(kind, described).format(**context)
    return "F127", f"{label} {message}" if message.startswith("must") else f"{label}: {message}", hint


def _fitting(value: str, pattern: str) -> str:
    """What to write instead of *value*, as near to it as *pattern* lets it be."""
    if pattern == NAME.pattern:
        near = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:63].strip("-")
        rule = "use lower-case letters, digits and dashes, at most 63"
    elif pattern == VERSION:
        near = re.sub(r"[^0-9A-Za-z.+_-]+", "-", value).strip("-.+_")[:64]
        rule = "use letters, digits and .+_-, at most 64"
    else:
        return "orchestrator schema prints what is allowed here"
    return f"{rule}: {near}" if near else rule


def _example(name: str, model: type[BaseModel]) -> str:
    field = model.model_fields.get(name)
    fixed = getattr(field.annotation, "__args__", ()) if field else ()
    if fixed and isinstance(fixed[0], str):
        return f"write {name}: {fixed[0]}"
    return f"add {name}: here; orchestrator schema {model.__name__.lower()} describes it"


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
    location = location[:-1] if location and location[-1] == KEY else location
    for index, part in enumerate(location):
        if isinstance(part, int) and isinstance(data, list) and part < len(data):
            path, data = (*path, part), data[part]
        elif isinstance(part, str) and isinstance(data, dict) and (part in data or index == len(location) - 1):
            path, data = (*path, part), data.get(part)
    return path


def _suggestion(name: str, model: type[BaseModel], location: tuple[Any, ...]) -> str:
    known = _fields(model, location[:-1])
    if KEYS.get(name) in known:
        return f"the key was renamed to {KEYS[name]!r}"
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known keys: {', '.join(known)}" if known else "remove it"


@functools.cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def _fields(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys that the model at *location* knows, by its JSON Schema."""
    schema = _schema(model)
    node: Any = schema
    for part in location:
        node = _resolve(schema, _member(node, part))
        node = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part, node)
    return sorted(_resolve(schema, node).get("properties", {}))


def _member(node: Any, name: str | int) -> Any:
    """The member of a union that Pydantic has chosen by its *name*; *node* itself if it is another thing."""
    members = (option for option in node.get("oneOf", ()) if option.get("$ref", "").endswith(f"/{name}"))
    return next(members, node)


def _resolve(schema: Any, node: Any) -> Any:
    for option in node.get("anyOf", []):
        if "$ref" in option or "properties" in option or "items" in option:
            node = option
            break
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return node
