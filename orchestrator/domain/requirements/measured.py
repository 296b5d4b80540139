"""What one host measured for requirements, read like every answer of a host: typed, within bounds, never an exception.

The host is not trusted. Each measurement is one line. A line that is not valid is left out, and what it is about
is then not measured.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from orchestrator.domain.host_answer import ANSWER, HostAnswer, answer_lines, read_object
from orchestrator.domain.model import Model
from orchestrator.domain.requirements.model import PORT
from orchestrator.domain.text import first_line

MOST = 1000  # lines of one kind
SHOWN = 200  # characters of a measured value
Label = Annotated[str, StringConstraints(max_length=500)]


class _Line(Model):
    model_config = ConfigDict(extra="ignore")

    name: Label
    error: Label = ""


L = TypeVar("L", bound=_Line)


class PackageLine(_Line):
    """The *versions* of the package *name* that are installed, of the *manager* `dpkg` or `rpm`."""

    manager: Annotated[str, StringConstraints(pattern=r"^(dpkg|rpm)$")] = "dpkg"
    versions: tuple[Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.+:~^_-]{1,100}$")], ...] = Field(
        default=(), max_length=50
    )


class CertificateLine(_Line):
    """The time in seconds that the certificate at *name* is still valid."""

    seconds_left: Annotated[int, Field(ge=-(10**12), le=10**12)] | None = None


class EndpointLine(_Line):
    """Whether the endpoint *name* was reached, with an HTTP *status* if it has one."""

    is_reached: bool = False
    status: Annotated[int, Field(ge=0, le=999)] | None = None


class FactLine(_Line):
    """The *value* of the expression *name*."""

    value: Any = None


class PortsLine(_Line):
    """The TCP ports on which a process listens."""

    listening: tuple[Annotated[int, Field(ge=0, le=PORT)], ...] = Field(default=(), max_length=MOST)


class Measured(Model):
    """All measurements of one host, by their names. *module_error* is why its module measured nothing."""

    cpu: int | None = None
    disk: int | None = None
    memory: int | None = None
    commands: frozenset[str] = frozenset()
    os: str = ""
    os_version: str = ""
    packages: Mapping[str, PackageLine] = Field(default_factory=dict)
    ports: PortsLine | None = None
    certificates: Mapping[str, CertificateLine] = Field(default_factory=dict)
    endpoints: Mapping[str, EndpointLine] = Field(default_factory=dict)
    facts: Mapping[str, FactLine] = Field(default_factory=dict)
    module_error: str = ""


def read_measured(answer: HostAnswer, text: str, limit: int = ANSWER) -> Measured:
    """What *text*, the answer of a host that was read as *answer*, has of requirements."""
    lines = answer_lines(text[:limit])
    name, _, version = next(iter(lines.get("os", ())), "").strip().partition(" ")
    return Measured(
        cpu=_count(next(iter(lines.get("cpu", ())), "").strip()),
        disk=answer.disk,
        memory=answer.memory,
        commands=answer.commands,
        os=first_line(name, 60).lower(),
        os_version=first_line(version.strip(), 60),
        packages=_by_name(PackageLine, lines.get("package", ())),
        ports=next(iter(_by_name(PortsLine, lines.get("ports", ())).values()), None),
        certificates=_by_name(CertificateLine, lines.get("certificate", ())),
        endpoints=_by_name(EndpointLine, lines.get("endpoint", ())),
        facts=_by_name(FactLine, lines.get("fact", ())),
        module_error=first_line(next(iter(lines.get("module_error", ())), ""), SHOWN),
    )


def _by_name(model: type[L], lines: Iterable[str]) -> dict[str, L]:
    found: dict[str, L] = {}
    for text in list(lines)[:MOST]:
        try:
            line = model.model_validate_json(_json(text))
        except ValidationError:
            continue
        found.setdefault(line.name, line)
    return found


def _json(text: str) -> str:
    """The object in *text* as JSON; an empty one if it is not an object."""
    return json.dumps(read_object(text))


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None
