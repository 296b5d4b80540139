"""The comparison of what hosts have with what a release requires: one `Check` for each host and requirement."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from orchestrator.domain.model import Digest, Model
from orchestrator.domain.moments import Moment, minute_text
from orchestrator.domain.quantities import size_bytes
from orchestrator.domain.requirements.comparisons import has_version, holds, wanted_name, wanted_version
from orchestrator.domain.requirements.measured import SHOWN, Measured
from orchestrator.domain.requirements.model import CertificateRequirement, FactRequirement, Requirement
from orchestrator.domain.text import first_line

Verdict = Literal["met", "not met", "unknown"]
DAY = 86_400
NAMED = 3
"""Requirements that are not met, which a phrase names."""


class Check(Model):
    """One requirement of one host: *what* is required, the value that is *required*, and the one *measured*.

    It is *unknown* if nothing could be measured, for the *reason*.
    """

    what: str
    required: str
    measured: str = ""
    state: Verdict
    reason: str = ""

    @property
    def text(self) -> str:
        """Why it is not met, in a phrase."""
        if self.state == "unknown":
            return f"{self.what} is unknown: {self.reason}"
        return f"{self.what} is {self.measured or 'missing'}, required is {self.required}"


class CheckedHost(Model):
    """Every check of one *host*. *hosts* are those of its environment that have no requirement too."""

    host: str
    checks: tuple[Check, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that block a promotion."""
        return tuple(check for check in self.checks if check.state != "met")


class RequirementReport(Model):
    """The requirements of one release in one environment: a row for each host, at the time *at*."""

    environment: str
    release: str
    digest: Digest
    at: Moment
    by: str = ""
    hosts: tuple[CheckedHost, ...] = ()

    @property
    def is_met(self) -> bool:
        """Whether every requirement is met on every host."""
        return not any(host.failed for host in self.hosts)

    @property
    def unmet(self) -> str:
        """What its hosts do not have, in a phrase with the time of the check; empty if every requirement is met."""
        failed = [f"{host.host}: {check.text}" for host in self.hosts for check in host.failed]
        if not failed:
            return ""
        more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        return f"{self.release} requires {'; '.join(failed[:NAMED])}{more}, checked {minute_text(self.at)}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every requirement once, in the order in which hosts have them."""
        return tuple(dict.fromkeys(check.what for host in self.hosts for check in host.checks))


def report_key(environment: str, digest: str) -> str:
    """The key of the report of a package in an environment."""
    return f"{environment} {digest}"


def checked(requirements: Iterable[Requirement], found: Measured) -> tuple[Check, ...]:
    """The checks of one host with the measurements *found*."""
    return tuple(check for requirement in requirements for check in _checks(requirement, found))


def unchecked(requirements: Iterable[Requirement], reason: str) -> tuple[Check, ...]:
    """The checks of a host that could not be measured, each unknown for *reason*."""
    return tuple(
        check.model_copy(update={"state": "unknown", "measured": "", "reason": reason})
        for check in checked(requirements, Measured())
    )


def _checks(requirement: Requirement, found: Measured) -> Iterator[Check]:
    if requirement.cpu is not None:
        yield _number("cpu", found.cpu, requirement.cpu, str(requirement.cpu), str)
    for what, kib, size in (
        ("memory", found.memory, requirement.memory),
        ("disk_free", found.disk, requirement.disk_free),
    ):
        if size is not None:
            yield _number(what, kib, -(-size_bytes(size) // 1024), size, _size)
    if requirement.os:
        yield _os(requirement.os, found)
    for command in requirement.commands:
        state: Verdict = "met" if command in found.commands else "not met"
        measured = "present" if state == "met" else ""
        yield Check(what=f"command {command}", required="present", measured=measured, state=state)
    yield from (_package(wanted, found) for wanted in requirement.packages)
    yield from _ports(requirement, found)
    yield from (_certificate(wanted, found) for wanted in requirement.certificates)
    yield from (_endpoint(url, found) for url in requirement.endpoints)
    yield from (_fact(wanted, found) for wanted in requirement.facts)


def _number(what: str, measured: int | None, wanted: int, required: str, shown: Callable[[int], str]) -> Check:
    required = f">= {required}"
    if measured is None:
        return _unknown(what, required, "the host did not report it")
    return Check(what=what, required=required, measured=shown(measured), state=_verdict(measured >= wanted))


def _size(kib: int) -> str:
    """Rounded down, so that what is shown is never more than there is."""
    for unit, size in (("GiB", 2**20), ("MiB", 2**10)):
        if kib >= 10 * size:
            return f"{kib // size}{unit}"
    return f"{kib}KiB"


def _os(wanted: tuple[str, ...], found: Measured) -> Check:
    required = " or ".join(wanted)
    if not found.os:
        return _unknown("os", required, "the host has no /etc/os-release")
    met = any(
        wanted_name(each) == found.os and has_version(wanted_version(each), found.os_version or "0") for each in wanted
    )
    return Check(what="os", required=required, measured=f"{found.os} {found.os_version}".strip(), state=_verdict(met))


def _package(wanted: str, found: Measured) -> Check:
    name, version = wanted_name(wanted), wanted_version(wanted)
    what, required = f"package {name}", version or "installed"
    line = found.packages.get(name)
    if line is None or line.error:
        return _unknown(what, required, _why(line.error if line else "", found))
    met = any(has_version(version, each, rpm=line.manager == "rpm") for each in line.versions)
    measured = ", ".join(line.versions) or "not installed"
    return Check(what=what, required=required, measured=measured, state=_verdict(met))


def _ports(requirement: Requirement, found: Measured) -> Iterator[Check]:
    if requirement.ports is None:
        return
    wanted = (("listening", requirement.ports.listening), ("free", requirement.ports.free))
    for state, port in ((state, port) for state, ports in wanted for port in ports):
        what = f"port {port} {state}"
        if found.ports is None or found.ports.error:
            yield _unknown(what, state, _why(found.ports.error if found.ports else "", found))
            continue
        measured = "listening" if port in found.ports.listening else "free"
        yield Check(what=what, required=state, measured=measured, state=_verdict(measured == state))


def _certificate(wanted: CertificateRequirement, found: Measured) -> Check:
    what, required = f"certificate {wanted.place}", f">= {wanted.days_left} days left"
    line = found.certificates.get(wanted.place)
    if line is None or line.error or line.seconds_left is None:
        return _unknown(what, required, _why(line.error if line else "", found))
    days = line.seconds_left // DAY
    measured = f"{days} days left" if line.seconds_left >= 0 else f"expired {-days} days ago"
    met = line.seconds_left >= wanted.days_left * DAY
    return Check(what=what, required=required, measured=measured, state=_verdict(met))


def _endpoint(url: str, found: Measured) -> Check:
    what, line = f"endpoint {url}", found.endpoints.get(url)
    if line is None:
        return _unknown(what, "reachable", _why("", found))
    status = f", status {line.status}" if line.status else ""
    measured = f"reachable{status}" if line.is_reached else f"not reachable{status}"
    reason = "" if line.is_reached else first_line(line.error, SHOWN)
    if reason:
        measured = f"{measured}: {reason}"
    return Check(what=what, required="reachable", measured=measured, state=_verdict(line.is_reached))


def _fact(wanted: FactRequirement, found: Measured) -> Check:
    what, required, line = f"fact {wanted.fact}", wanted.wanted, found.facts.get(wanted.fact)
    if line is None or line.error:
        return _unknown(what, required, _why(line.error if line else "", found))
    met = holds(wanted.wanted, line.value)
    shown = line.value if isinstance(line.value, str) else json.dumps(line.value, ensure_ascii=False)
    if met is None:
        return _unknown(what, required, f"{first_line(shown, 60)} cannot be compared with it")
    return Check(what=what, required=required, measured=first_line(shown, SHOWN), state=_verdict(met))


def _why(error: str, found: Measured) -> str:
    return first_line(error, SHOWN) or found.module_error or "the host did not report it"


def _unknown(what: str, required: str, reason: str) -> Check:
    return Check(what=what, required=required, state="unknown", reason=reason)


def _verdict(met: bool) -> Verdict:
    return "met" if met else "not met"
