"""What a release requires of hosts, as its author writes it."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, WithJsonSchema, field_validator

from orchestrator.domain.model import Model, text_schema
from orchestrator.domain.quantities import HostPattern, Size
from orchestrator.domain.requirements.comparisons import Comparison, VersionedName

URL = r"^(tcp|https?)://[^\s/?#@]+"
PORT = 65535
_HOST = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})$")


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is not an address: {error}") from error
    if not re.match(URL, text) or not parts.hostname or "@" in parts.netloc:
        raise ValueError("must be tcp://HOST:PORT, http://… or https://…, without a user")
    if parts.scheme == "tcp" and (port is None or parts.path or parts.query):
        raise ValueError("must be tcp://HOST:PORT")
    return text


def _address(text: str) -> str:
    found = _HOST.fullmatch(text)
    if not found or not 0 < int(found[2]) <= PORT:
        raise ValueError("must be HOST:PORT")
    return text


def _expression(text: str) -> str:
    found = next((mark for mark in ("{{", "}}", "{%", "%}", "{#", "\n") if mark in text), None)
    if found is not None:
        raise ValueError("must be an expression without {{ }}, in one line, such as ansible_facts.processor_vcpus")
    return text


Endpoint = Annotated[str, StringConstraints(max_length=500), AfterValidator(_url), WithJsonSchema(text_schema(URL))]
Address = Annotated[
    str, StringConstraints(max_length=300), AfterValidator(_address), WithJsonSchema(text_schema(_HOST.pattern))
]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_expression)]
Port = Annotated[int, Field(ge=1, le=PORT)]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[^\x00\n]{0,499}$")]


class PortRequirement(Model):
    """TCP ports of a host: those on which a process must be *listening*, and those that must be *free*."""

    listening: tuple[Port, ...] = ()
    free: tuple[Port, ...] = ()


class CertificateRequirement(Model):
    """The certificates in a *file* (PEM) of the host, or the one that an *address* presents, and its days left."""

    file: AbsolutePath | None = None
    days_left: int = Field(default=1, ge=1, le=10_000)
    address: Address | None = Field(default=None, validate_default=True)

    @field_validator("address")
    @classmethod
    def _one_of_both(cls, address: str | None, info: ValidationInfo) -> str | None:
        if (address is None) == (info.data.get("file") is None):
            raise ValueError("is required without `file`, and not allowed with it")
        return address

    @property
    def place(self) -> str:
        """Where the certificate is."""
        return self.file or str(self.address)


class FactRequirement(Model):
    """An expression of Ansible over the facts of a host, and what its value *is*; by default it must be true."""

    fact: Expression
    wanted: Comparison = Field(default="true", alias="is")


def _is_unset(value: Any) -> bool:
    return value is None or value == ()


class Requirement(Model):
    """The requirements for every host of *hosts*, checked before any change."""

    hosts: HostPattern = "all"
    cpu: int | None = Field(default=None, ge=1, exclude_if=_is_unset)
    disk_free: Size | None = None
    memory: Size | None = None
    commands: tuple[str, ...] = ()
    os: tuple[VersionedName, ...] = Field(default=(), exclude_if=_is_unset)
    packages: tuple[VersionedName, ...] = Field(default=(), exclude_if=_is_unset)
    ports: PortRequirement | None = Field(default=None, exclude_if=_is_unset)
    certificates: tuple[CertificateRequirement, ...] = Field(default=(), exclude_if=_is_unset)
    endpoints: tuple[Endpoint, ...] = Field(default=(), exclude_if=_is_unset)
    facts: tuple[FactRequirement, ...] = Field(default=(), exclude_if=_is_unset)

    @property
    def needs_python(self) -> bool:
        """Whether a module measures a part of it on the host; a shell is enough for the others."""
        return bool(self.packages or self.ports or self.certificates or self.endpoints or self.facts)
