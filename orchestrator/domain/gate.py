"""What must hold while a release goes out and afterwards: gates, canaries, the rule for what is flaky, the probe."""

from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, FiniteFloat, StringConstraints, WithJsonSchema, model_validator

from orchestrator.domain import patterns
from orchestrator.domain.model import Model, Name, RelativePath, text_schema
from orchestrator.domain.quantities import SHARE, Duration, HostPattern, seconds

TEMPLATED_URL = r"^(https?://|\{\{)[^\r\n\u0000-\u001f]+$"

TemplatedUrl = Annotated[str, StringConstraints(pattern=TEMPLATED_URL, max_length=2000)]
"""A URL that may contain `{{ variable }}`."""


def _measured(duration: str) -> str:
    if seconds(duration) <= 0:
        raise ValueError("must be longer than 0")
    return duration


Span = Annotated[
    Duration, AfterValidator(_measured), WithJsonSchema(text_schema(r"^(?!0+(\.0+)?[a-z])\d+(\.\d+)?(ms|s|m|h|d)$"))
]
"""A duration that is longer than nothing."""


class HttpGate(Model):
    """A request to *url* that must be answered with *status*, by a text that has *contains* in it, within *timeout*."""

    url: TemplatedUrl
    status: int = Field(default=200, ge=100, le=599)
    contains: str = Field(default="", max_length=1000)
    timeout: Span = "5s"


USER = r"^[^:\u0000-\u001f\u007f]{1,200}$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,199}$"

EnvironmentName = Annotated[str, StringConstraints(pattern=VARIABLE)]
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s?#@{}]+$", max_length=300)]
"""A server: scheme, host and port, without a path."""

"""The name of a variable in the environment of the orchestrator."""


def _unless_none() -> Any:
    """A field that may be left out, and is not written in that case."""
    return Field(default=None, exclude_if=lambda value: value is None)


class PrometheusGate(Model):
    """A PromQL *query* to the *server*; every value of its result must be *below* the one and *above* the other.

    *token_from* is the orchestrator's environment variable with a bearer token. *user* and *password_from* are for
    basic authentication. *ca* is a file with the trusted certificates for the server. For a gate of an environment it
    is a file of the project, for a gate of a release a file of the package.
    """

    server: TemplatedUrl
    query: Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
    timeout: Span = "10s"
    above: FiniteFloat | None = None
    below: FiniteFloat | None = None
    token_from: EnvironmentName | None = _unless_none()
    user: Annotated[str, StringConstraints(pattern=USER)] | None = _unless_none()
    password_from: EnvironmentName | None = _unless_none()
    ca: RelativePath | None = _unless_none()

    @model_validator(mode="after")
    def _with_a_threshold(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("needs a threshold: below, above, or both")
        if (self.user is None) != (self.password_from is None):
            raise ValueError("needs both user and password_from, or neither")
        if self.token_from is not None and self.user is not None:
            raise ValueError("may have token_from, or user and password_from, not both")
        return self

    @property
    def secret_from(self) -> str | None:
        """The variable that holds what is secret; None where nothing is."""
        return self.token_from or self.password_from

    def holds(self, value: float) -> bool:
        """Whether *value* is on the right side of each threshold."""
        return (self.below is None or value < self.below) and (self.above is None or value > self.above)


class Gate(Model):
    """One condition: a suite (*tests*), a request (*http*), a query (*prometheus*), or a *command*.

    *hosts* selects among the observed hosts. *command* is the words of a program that is run on the controller,
    without a shell, for at most *timeout*, like a suite; 0 means success.
    """

    name: Name
    tests: RelativePath | None = None
    http: HttpGate | None = None
    prometheus: PrometheusGate | None = None
    command: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    hosts: HostPattern = "all"
    timeout: Span = "1m"

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if len([kind for kind in KINDS if getattr(self, kind) is not None]) != 1:
            raise ValueError(f"must have exactly one of {', '.join(KINDS)}")
        return self

    @property
    def kind(self) -> str:
        """Which of the four it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def about(self) -> str:
        """What it checks, in a few words."""
        if self.http is not None:
            wanted = f" has {self.http.contains!r}" if self.http.contains else ""
            return f"{self.http.url} answers {self.http.status}{wanted}"
        if self.prometheus is not None:
            bounds = {"above": self.prometheus.above, "below": self.prometheus.below}
            text = " and ".join(f"{word} {value:g}" for word, value in bounds.items() if value is not None)
            return f"{self.prometheus.query} is {text}, by {self.prometheus.server}"
        return self.tests if self.tests is not None else f"{' '.join(self.command or ())} ends with 0"


def origin(url: str) -> str:
    """The server of *url*: scheme, host and port, alike however a URL is written; empty if it has none."""
    parts = urlsplit(url)
    try:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme.lower()]
    except (KeyError, ValueError):
        return ""
    return f"{parts.scheme.lower()}://{(parts.hostname or '').rstrip('.')}:{port}"


KINDS = ("tests", "http", "prometheus", "command")


def distinct(gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
    """*gates*, when each has a name of its own. Raises `ValueError`."""
    names = [gate.name for gate in gates]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"has two gates named {twice}")
    return gates


class Flaky(Model):
    """A failure is repeated, *retries* times over *within*: it is *flaky* when it then passes, otherwise it counts."""

    retries: int = Field(default=2, ge=1, le=20)
    within: Duration = "30s"


def _canary_hosts(hosts: int | str) -> int | str:
    if isinstance(hosts, int):
        if hosts < 1:
            raise ValueError("must be at least 1")
    elif not SHARE.fullmatch(hosts):
        patterns.valid_pattern(hosts, "must be a count, a share from 1% to 100%, or a host pattern")
    return hosts


CanaryHosts = Annotated[
    int | str,
    AfterValidator(_canary_hosts),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                text_schema(SHARE.pattern),
                text_schema(patterns.PATTERN, maxLength=patterns.LONGEST),
            ]
        }
    ),
]


class Canary(Model):
    """The hosts of a step that get the release first. For the time *observe*, *gates* are checked every *every*."""

    hosts: CanaryHosts = 1
    observe: Span = "5m"
    every: Span = "10s"
    gates: Annotated[tuple[Gate, ...], AfterValidator(distinct)] = ()
    flaky: Flaky | None = None


class Probe(Model):
    """The requests that measure the downtime of a service during a rollout.

    *url* is requested for each host of *hosts*; *service* is one URL of the whole service. Every *every* each of them
    must respond with a status below 400 within *timeout*.
    """

    url: TemplatedUrl | None = None
    service: TemplatedUrl | None = None
    hosts: HostPattern = "all"
    every: Span = "100ms"
    timeout: Span = "2s"

    @model_validator(mode="after")
    def _something_to_ask(self) -> Self:
        if self.url is None and self.service is None:
            raise ValueError("needs url, service, or both")
        return self
