"""The base of every value that is written to, or read from, a file, the journal or the command line."""

import hashlib
import json
import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError, WithJsonSchema

NAME = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")
RELATIVE = r"^(?![/~])(?!(?:[\s\S]*/)?\.\.(?:/|$))[^\\\u0000]+$"
LONGEST_PATH = 1024  # characters


class Model(BaseModel):
    """A frozen value; an unknown field is an error, and no text is turned into a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_inf_nan="constants", defer_build=True)

    def to_json(self) -> dict[str, Any]:
        """This value as plain JSON data (dicts, lists, strings, numbers)."""
        return self.model_dump(mode="json")

    def __deepcopy__(self, _memo: dict[int, Any] | None = None) -> Self:
        """This value itself: it is frozen. Pydantic copies a default as deep as it goes each time it is taken."""
        return self

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The value that :meth:`to_json` wrote. Raises `pydantic.ValidationError` on anything else."""
        return cls.model_validate_json(json.dumps(data))


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Where the first fault of *error* is (`phases.0.name`, empty for the whole value), and what it is."""
    first = error.errors()[0]
    return ".".join(str(part) for part in first["loc"]), fault_text(first["msg"])


def fault_text(message: str) -> str:
    """A *message* of Pydantic without the words that it puts before those of our own checks."""
    return message.removeprefix("Value error, ")


def text_schema(pattern: str, **more: Any) -> dict[str, Any]:
    """The JSON Schema of a text that *pattern* (ECMA-262) describes, for what only a function can check."""
    return {"type": "string", "pattern": pattern, **more}


def _relative(path: str) -> str:
    parts = path.split("/")
    if path.startswith(("/", "~")) or "\\" in path or "\0" in path or ".." in parts:
        raise ValueError("must be a relative path that stays inside the project")
    return path


Name = Annotated[str, StringConstraints(pattern=NAME.pattern)]
"""A name: lower-case letters, digits and dashes, at most 63 characters."""

Digest = Annotated[str, StringConstraints(pattern=DIGEST.pattern)]
"""`sha256:` and 64 hexadecimal digits."""

RelativePath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_PATH),
    AfterValidator(_relative),
    WithJsonSchema(text_schema(RELATIVE, minLength=1, maxLength=LONGEST_PATH)),
]
"""A path below the project, with `/` between its parts."""


def canonical_json(data: Any) -> bytes:
    """*data* as the one JSON text that represents it: sorted keys, no spaces, UTF-8, no NaN.

    The same idea as RFC 8785, for the values that we hash (no floats with an exponent are among them).
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(data: Any) -> str:
    """The digest of a JSON value: `sha256:` over its canonical text."""
    return "sha256:" + hashlib.sha256(canonical_json(data)).hexdigest()
