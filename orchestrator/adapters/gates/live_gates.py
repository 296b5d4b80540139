"""The `Gates` port: requests, queries and commands."""

import base64
import contextlib
import json
import math
import os
import re
import ssl
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator.adapters.archive.working_copy import copy_content
from orchestrator.adapters.gates.web import Answer, fetch_url
from orchestrator.adapters.views import Views
from orchestrator.domain.context import Context
from orchestrator.domain.credentials import MissingCredential, missing_variable
from orchestrator.domain.error_codes import GATE_CERTIFICATES_UNREADABLE, GATE_VALUE_MISSING, GATE_VARIABLE_UNKNOWN
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import HttpGate, PrometheusGate, origin
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import PlannedGate
from orchestrator.domain.quantities import seconds
from orchestrator.domain.release import Package
from orchestrator.domain.secret import Secret
from orchestrator.domain.step import HostResult, Outcome, StepResult, worst
from orchestrator.domain.templating import filled, known_variables, url_filled
from orchestrator.domain.text import clean_text
from orchestrator.domain.view import View
from orchestrator.file_system import read_end
from orchestrator.ports import Emit, Job, Jobs
from orchestrator.secret_values import SecretValues
from orchestrator.trees import discard

PASSED = (
    "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSH_AUTH_SOCK", "http_proxy", "https_proxy",
    "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE",
)  # fmt: skip
UNSAID = {75, 126, 127}  # "not now", as in sendmail; and what a shell returns for a program that cannot be started
SHOWN = 300  # characters of an answer, or of a command's output, that are shown


@dataclass(frozen=True)
class Shown:
    """The credential of a query (a bearer token, or the password of *user*), and the certificates that it trusts.

    *servers* are those to which it may be shown; None: any.
    """

    secret: str = field(default="", repr=False)
    user: str | None = None
    ca: Path | None = None
    servers: frozenset[str] | None = None

    def check(self, url: str) -> None:
        """Raise E160 if the secret may not be shown to the server of *url*."""
        if self.secret and self.servers is not None and origin(url) not in self.servers - {""}:
            message = f"a gate of a release may not show its secret to {origin(url)}"
            hint = "name the server under credentials in environment.yaml, or declare the gate in that file"
            raise OrchestratorError("E160", message, hint=hint)

    @property
    def authorization(self) -> str:
        """The header of that name; empty where nothing is shown."""
        if not self.secret:
            return ""
        if self.user is None:
            return f"Bearer {self.secret}"
        return f"Basic {base64.b64encode(f'{self.user}:{self.secret}'.encode()).decode()}"

    def masked(self, text: str) -> str:
        """*text* without the secret, also if a server repeats it."""
        for word in (self.authorization.partition(" ")[2], self.secret):
            text = text.replace(word, "[secret]") if word else text
        return text


PRINTED = 4000  # bytes at the end of what a command printed
NOBODY = Shown()


class LiveGates:
    """Gates as their authors wrote them.

    Args:
        jobs: runs commands.
        root: the project, in which the commands of environments are run.
        environ: the user's environment variables.
        views: what commands find of this machine; by default nothing but what they are given.
    """

    def __init__(
        self,
        jobs: Jobs,
        root: Path,
        environ: Mapping[str, str],
        secrets: SecretValues | None = None,
        views: Views | None = None,
    ) -> None:
        self._jobs, self._root, self._environ = jobs, root, environ
        self._secrets = secrets or SecretValues()
        self._views = views or Views(root, root / ".orchestrator", environ)

    def ask(
        self,
        gate: PlannedGate,
        hosts: tuple[str, ...],
        package: Package,
        inventory: Inventory,
        context: Context,
        job: str,
        emit: Emit,
    ) -> StepResult:
        """Check the gate once, for *hosts*."""
        del emit
        try:
            if gate.gate.http is not None:
                return _http(gate.gate.http, hosts, package, inventory, context)
            if gate.gate.prometheus is not None:
                variables = {**known_variables(package, inventory, context), "hosts": "|".join(map(re.escape, hosts))}
                return _prometheus(gate.gate.prometheus, variables, self._shown(gate, package, context))
            return self._command(gate, hosts, package, context, job)
        except OrchestratorError as error:
            if error.code not in {GATE_VARIABLE_UNKNOWN, GATE_VALUE_MISSING, GATE_CERTIFICATES_UNREADABLE}:
                raise
            return StepResult(outcome=Outcome.UNKNOWN, message=error.message, data={"code": error.code})

    def missing_credential(self, gate: PlannedGate, context: Context) -> MissingCredential | None:
        """The variable of the query that is not set; None for one that the gate may not use, which `check` refuses."""
        address = gate.gate.prometheus
        name = address.secret_from if address is not None else None
        if address is None or name is None or self._environ.get(name, "").strip():
            return None
        if not gate.own and name not in context.credentials:
            return None
        return missing_variable(name, f"the gate {gate.gate.name} shows it to {address.server}", "gates")

    def check(self, gate: PlannedGate, package: Package, context: Context) -> None:
        """Return when the secret and the certificates that a query needs are here. Raises E160 and E161."""
        shown, query = self._shown(gate, package, context), gate.gate.prometheus
        if query is not None and "{{" not in query.server:  # what a template gives is checked before each query
            shown.check(query.server)

    def _shown(self, gate: PlannedGate, package: Package, context: Context) -> Shown:
        """The credential of a query, and the certificates that it trusts. Raises E160 and E161."""
        address = gate.gate.prometheus
        if address is None:
            return NOBODY
        secret = self._secret(gate, address.secret_from, context) if address.secret_from is not None else ""
        trusted = (self._root if gate.own else Path(str(package.root))) / address.ca if address.ca is not None else None
        if trusted is not None:
            try:
                ssl.create_default_context(cafile=str(trusted))
            except OSError as error:  # an SSLError is one
                why = error.strerror or "it has no certificates"
                raise OrchestratorError("E161", f"gate {gate.gate.name}: {address.ca}: {why}") from error
        named = context.credentials.get(address.secret_from or "", ())
        servers = None if gate.own else frozenset(map(origin, named))
        return Shown(secret=secret, user=address.user, ca=trusted, servers=servers)

    def _secret(self, gate: PlannedGate, name: str, context: Context) -> str:
        """The value of the variable *name*. A release may only name those in the environment's credentials."""
        if not gate.own and name not in context.credentials:
            message = f"gate {gate.gate.name}: a release may not use {name} in {context.environment}"
            hint = "name it with its servers under credentials in environment.yaml, or declare the gate in that file"
            raise OrchestratorError("E160", message, hint=hint)
        secret = self._environ.get(name, "").strip()
        if not secret or not (secret.isascii() and secret.isprintable()):
            what = "cannot be shown to a server: it is not plain text" if secret else "is not set"
            raise OrchestratorError("E160", f"gate {gate.gate.name}: {name} {what}")
        self._secrets.learn("gates", [Secret(name, secret.encode())])
        return secret

    def _seen(self, package: Package, copy: Path) -> Path:
        """The path at which a command of *package* finds the *copy* of its content."""
        return copy if _of_format_1(package) else self._views.seen(copy)

    def _view(self, gate: PlannedGate, package: Package, copy: Path, context: Context) -> View:
        """The view of the command: the project for an environment's gate, the copy for a release's. Raises I103."""
        if gate.own:
            return self._views.of(context.settings, read=[self._root])
        if _of_format_1(package):
            return self._views.of(context.settings, write=[copy])
        return self._views.of(context.settings, copy=copy)

    def _command(
        self, gate: PlannedGate, hosts: tuple[str, ...], package: Package, context: Context, job: str
    ) -> StepResult:
        folder = self._jobs.folder(job)
        copy = folder / "content"
        if not gate.own and not (folder / "job.json").exists():  # otherwise it was started before
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            copy_content(package, copy)
        view = self._view(gate, package, copy, context)
        wanted = Job(
            key=job,
            argv=tuple(gate.gate.command or ()),
            env=self._env(hosts, package, context),
            cwd=self._root if gate.own else self._seen(package, copy),
            timeout=seconds(gate.gate.timeout),
            view=view,
        )
        done = self._jobs.run(wanted)
        discard(copy)
        output = _last(done.folder)
        about: dict[str, Any] = {"log": str(done.folder), "seconds": done.seconds}
        if done.how == "exited" and done.code == 0:
            return StepResult(outcome=Outcome.SUCCEEDED, message=output, **about)
        if done.how == "exited" and (done.code or 0) > 0 and done.code not in UNSAID:
            where = f"the environment.yaml of {context.environment}"
            advice = self._views.refused(_printed(done.folder), view, context.settings, where)
            text = "; ".join(filter(None, (f"ended with {done.code}" + (f": {output}" if output else ""), advice)))
            return StepResult(outcome=Outcome.FAILED, message=text, data={"code": "V140"}, **about)
        text = {"timeout": f"did not end within {gate.gate.timeout}", "exited": f"ended with {done.code}"}.get(
            done.how, "was stopped"
        )
        data = {"code": "V141"} | ({"how": "lost"} if done.how == "lost" else {})
        return StepResult(outcome=Outcome.UNKNOWN, message=text + (f": {output}" if output else ""), data=data, **about)

    def _env(self, hosts: tuple[str, ...], package: Package, context: Context) -> dict[str, str]:
        allowed = self._views.passed(PASSED, context.settings.environment)
        return {name: value for name, value in self._environ.items() if name in allowed} | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), self._environ.get("PATH", os.defpath)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ORCHESTRATOR_RELEASE": package.ref.name,
            "ORCHESTRATOR_VERSION": package.ref.version,
            "ORCHESTRATOR_DIGEST": package.digest,
            "ORCHESTRATOR_ENVIRONMENT": context.environment,
            "ORCHESTRATOR_RUN_ID": context.run,
            "ORCHESTRATOR_HOSTS": json.dumps(list(hosts)),
        }


def _of_format_1(package: Package) -> bool:
    """Whether the tree of *package* differs from that of the project."""
    return package.manifest.format == 1


def _last(folder: Path) -> str:
    """The last line that a command has printed."""
    return next((line.strip() for line in reversed(_printed(folder).splitlines()) if line.strip()), "")[:SHOWN]


def _printed(folder: Path) -> str:
    """The end of what a command has printed."""
    return clean_text(read_end(folder / "output.log", PRINTED))


# -- requests ------------------------------------------------------------------------------------------------------


def _http(
    gate: HttpGate, hosts: tuple[str, ...], package: Package, inventory: Inventory, context: Context
) -> StepResult:
    """Request each resulting URL once, all side by side. A failure is reported for its host."""
    urls: dict[str, tuple[str, str]] = {}
    for host in hosts:
        variables = known_variables(package, inventory, context, host)
        urls[host] = url_filled(gate.url, variables), filled(gate.contains, variables)
    distinct = list(dict.fromkeys(urls.values()))
    timeout = seconds(gate.timeout)
    with ThreadPoolExecutor(max_workers=min(32, len(distinct))) as pool:
        answers = dict(zip(distinct, pool.map(lambda address: fetch_url(address[0], timeout), distinct), strict=True))
    judged = {host: _judged(gate, answers[address], address[1]) for host, address in urls.items()}
    found = tuple(
        HostResult(host=host, outcome=outcome, touched=False, message=message)
        for host, (outcome, message) in judged.items()
    )
    failed = any(host.outcome is Outcome.FAILED for host in found)  # a bad answer weighs more than no answer
    outcome = Outcome.FAILED if failed else worst(host.outcome for host in found)
    bad = [host for host in found if host.outcome is outcome]
    if outcome is Outcome.SUCCEEDED:
        return StepResult(outcome=outcome, message=f"{gate.url} answers {gate.status}", hosts=found)
    text = bad[0].message if len(distinct) == 1 else f"{', '.join(host.host for host in bad)}: {bad[0].message}"
    data = {"code": "V140" if outcome is Outcome.FAILED else "V141"}
    return StepResult(outcome=outcome, message=f"{gate.url}: {text}", hosts=found, data=data)


def _judged(gate: HttpGate, answer: Answer, contains: str) -> tuple[Outcome, str]:
    if answer.trouble:
        return (Outcome.FAILED if answer.is_reachable else Outcome.UNKNOWN), answer.trouble
    if answer.status != gate.status:
        return Outcome.FAILED, f"responds with {answer.status} and not {gate.status}"
    if contains not in answer.text:
        return Outcome.FAILED, f"answers without {contains!r}"
    return Outcome.SUCCEEDED, ""


# -- queries -------------------------------------------------------------------------------------------------------


def _prometheus(gate: PrometheusGate, variables: Mapping[str, Any], shown_as: Shown = NOBODY) -> StepResult:
    """Query the current value. Without an answer or a value, the result is *unknown*."""
    server = url_filled(gate.server, variables).rstrip("/")
    shown_as.check(server)
    query = urllib.parse.urlencode({"query": filled(gate.query, variables)})
    url = f"{server}/api/v1/query?{query}"
    answer = fetch_url(url, seconds(gate.timeout), shown_as.authorization, shown_as.ca)
    answer = replace(answer, text=shown_as.masked(answer.text))  # before anything of it is cut
    values = list(_values(answer))
    if not values or any(math.isnan(value) for value in values):
        none = "its value is not a number" if values else "there is no value for it"
        why = shown_as.masked(answer.trouble or _error(answer) or none)
        return StepResult(outcome=Outcome.UNKNOWN, message=f"{gate.server}: {why}", data={"code": "V141"})
    return _against_bounds(gate, values)


def _against_bounds(gate: PrometheusGate, values: list[float]) -> StepResult:
    """The result of *gate* for these *values*, all of which are numbers."""
    bad = [value for value in values if not gate.holds(value)]
    shown = bad or values
    text = f"{gate.query} is {shown[0]:g}" + (f" (and {len(shown) - 1} more)" if len(shown) > 1 else "")
    facts: dict[str, Any] = {"values": [value for value in values[:20] if math.isfinite(value)]}
    if not bad:
        return StepResult(outcome=Outcome.SUCCEEDED, message=text, data=facts)
    bounds = {"below": gate.below, "above": gate.above}
    wanted = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)
    message = f"{text}, and must be {wanted}"
    return StepResult(outcome=Outcome.FAILED, message=message, data={**facts, "code": "V140"})


def _values(answer: Answer) -> Iterator[float]:
    """The numbers in Prometheus's answer; none if it is not an answer to such a query."""
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        data = json.loads(answer.text)
        if answer.status != 200 or data["status"] != "success":
            return
        kind, result = data["data"]["resultType"], data["data"]["result"]
        pairs = [result] if kind == "scalar" else [item["value"] for item in result] if kind == "vector" else []
        yield from [float(pair[1]) for pair in pairs]


def _error(answer: Answer) -> str:
    """The error that Prometheus reports for the query, or a description of its answer."""
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        data = json.loads(answer.text)
        if data["status"] == "success":
            kind = data["data"]["resultType"]
            return "" if kind in {"scalar", "vector"} else f"the query returns a {kind}, not a current value"
        return clean_text(str(data["error"]), SHOWN)
    if answer.status in {401, 403}:
        return f"it responds with {answer.status}: access denied"
    return f"it responds with {answer.status}, and not in the form of Prometheus"
