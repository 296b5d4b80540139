"""Secrets: what they are called, which values are ordinary, and which variables hold some.

Standard library only, as all that the supervisor of jobs uses.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

TYPE_CHECKING = False  # as `typing` has it, which takes milliseconds to import
if TYPE_CHECKING:
    from typing import Any

MASK = "[secret]"
SHORTEST = 6
"""Bytes of the shortest value that is masked wherever it occurs."""
ORDINARY = frozenset({"true", "false", "yes", "no", "root", "admin"})
SMALL = 10_000
"""Numbers below this one are ordinary."""
VARIABLE = re.compile(
    r"TOKEN|PASSW|PASSPHRASE|SECRET|CREDENTIAL|_PASS$|_PWD$|^SSHPASS$|API_?KEY"
    r"|_(ACCESS|PRIVATE|APP|AUTH|SIGNING|ENCRYPTION|MASTER|STORAGE|ACCOUNT)_?KEY$"
)
"""Variables of the environment whose values are secret, by their names."""
NO_VALUE = re.compile(r"_FILE$|_PATH$|_ID$|_URL$|_URI$|_HELPER$|ASKPASS")
"""Variables that only name a file or an account."""


class Secret:
    """One secret: what it is called, and its value. *key* is its own name, without that of what contains it."""

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: bytes) -> None:
        self.key, self.value = key, value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self.key, self.value) == (other.key, other.value)

    def __hash__(self) -> int:
        return hash((self.key, self.value))

    def __repr__(self) -> str:
        return f"Secret({self.key!r})"


def is_ordinary(value: bytes, names: Collection[str] = ()) -> bool:
    """Whether *value* is too short or too common to be masked everywhere, or one of *names*."""
    text = value.decode("utf-8", "replace").strip()
    if len(text.encode()) < SHORTEST or text.lower() in ORDINARY or text in MASK:
        return True
    with_number = re.fullmatch(r"[+-]?0*(\d+)(\.0*)?", text)
    return (with_number is not None and len(with_number[1]) < len(str(SMALL))) or text in names


def secrets_of(key: str, value: "Any") -> Iterator[Secret]:
    """Every secret in *value*, which may be a list or a mapping; each is called as the nearest name above it."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from secrets_of(str(name), item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from secrets_of(key, item)
    elif isinstance(value, bytes):
        yield Secret(key, value)
    elif value is not None:
        yield Secret(key, (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass"))


def is_secret_variable(name: str) -> bool:
    """Whether the name of an environment variable indicates that its value is secret."""
    return bool(VARIABLE.search(name.upper())) and not NO_VALUE.search(name.upper())


def secret_variables(environ: Mapping[str, str], declared: Iterable[str] = ()) -> list[Secret]:
    """The secrets in *environ*: the *declared* variables, and those whose names indicate a secret."""
    named = {name for name in environ if is_secret_variable(name)} | set(declared)
    return [Secret(name, environ[name].encode("utf-8", "surrogateescape")) for name in sorted(named & set(environ))]


def secrets_in_urls(urls: Iterable[str | None]) -> list[Secret]:
    """The passwords in *urls*, as they are written there and decoded."""
    found = []
    for url in urls:
        match = re.match(r"[a-z0-9+.-]+://[^/@\s]*?:([^/\s]+)@", url or "")
        if match is not None:
            from urllib.parse import unquote

            found += [Secret("password", text.encode()) for text in dict.fromkeys((match[1], unquote(match[1])))]
    return found
