"""Sends notifications. Each attempt has an end, follows no redirect, and connects to the address that was checked.

A webhook gets the same `webhook-id` with each retry, and a mail the same `Message-ID`: a receiver that removes
duplicates has each message once.
"""

import http.client
import json
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from orchestrator.adapters.gates.addresses import AddressRefusedError, connected, is_public
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import moment_text, parse_moment
from orchestrator.domain.notifications import ChannelKind, Fact, Notification, NotificationRule, Target
from orchestrator.domain.standard_webhooks import sign
from orchestrator.ports import Clock

PATIENCE_S = 10.0
LARGEST_ANSWER = 64 * 1024
SCHEMES = {ChannelKind.WEBHOOK: {"https", "http"}, ChannelKind.MAIL: {"smtp", "smtps"}}
PORTS = {"https": 443, "http": 80, "smtp": 25, "smtps": 465}


def check_target(channel: ChannelKind, address: str, *, private: bool) -> str:
    """What is shown of *address*: its scheme and host. Raises N161 if it cannot be used."""
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise _not_usable("it is not a URL") from error
    if channel is ChannelKind.CHAT:
        if not _apprise().Apprise().add(address):
            raise _not_usable("Apprise does not know this form")
        return f"{parts.scheme}://…"
    if parts.scheme not in SCHEMES[channel] or not host:
        raise _not_usable(f"it starts with {' or '.join(f'{each}://' for each in sorted(SCHEMES[channel]))}")
    if channel is ChannelKind.WEBHOOK and parts.scheme == "http" and not private:
        raise _not_usable("http:// is possible for private addresses only")
    if channel is ChannelKind.MAIL:
        _recipients(parts.query)
    if not private:
        _check_public(host, parts.port or PORTS[parts.scheme])
    return f"{parts.scheme}://{host}"


def _check_public(host: str, port: int) -> None:
    """Return unless *host* currently leads to a private address. Each connection checks it again. Raises N161."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:  # it may exist later
        return
    for item in found:
        if not is_public(str(item[4][0])):
            raise _not_usable(f"{host} leads to the private address {item[4][0]}; an administrator can allow it")


def deliver(rule: NotificationRule, target: Target, found: tuple[Notification, ...], clock: Clock) -> None:
    """Send *found*, which have one message, to *target*. Raises N162 with the reason."""
    try:
        match rule.channel:
            case ChannelKind.WEBHOOK:
                _post(rule, target, found, clock)
            case ChannelKind.MAIL:
                _mail(rule, target, found)
            case ChannelKind.CHAT:
                if not _apprise_with(target.address).notify(title=_title(found), body=_text(rule, found)):
                    raise _failed("the service did not accept it")
    except AddressRefusedError as error:
        raise _failed(str(error).replace("no gate or probe connects", "this rule may not connect")) from error
    except (OSError, http.client.HTTPException, smtplib.SMTPException, ValueError) as error:
        raise _failed(str(error) or type(error).__name__) from error


def _allowed(rule: NotificationRule) -> Callable[[str], bool]:
    return (lambda _address: True) if rule.private else is_public


def _post(rule: NotificationRule, target: Target, found: tuple[Notification, ...], clock: Clock) -> None:
    body, at = json.dumps(_document(rule, found)).encode(), parse_moment(clock.now())
    parts = urlsplit(target.address)
    headers = {"content-type": "application/json", "user-agent": "orchestrator", "connection": "close"}
    headers |= sign(target.secret, found[0].message, at, body)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    link = connected(host, port, PATIENCE_S, _allowed(rule))
    link.settimeout(PATIENCE_S)
    secured = link if parts.scheme == "http" else ssl.create_default_context().wrap_socket(link, server_hostname=host)
    with secured:
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
        connection.sock = secured
        path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read(LARGEST_ANSWER)
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise _failed(f"{host} responds with the status {answer.status}")


def _document(rule: NotificationRule, found: tuple[Notification, ...]) -> dict[str, Any]:
    """The body of a webhook: one fact, or a digest of several."""
    facts = [
        {
            "id": each.id,
            "event": each.fact.kind,
            "at": moment_text(each.fact.at),
            "about": each.fact.about,
            "environment": each.fact.environment,
            "user": each.fact.to,
            "by": each.fact.by,
            "text": each.fact.text,
            "state": each.fact.state,
            "cause": each.fact.cause,
            "link": f"{rule.link}{each.fact.path}",
        }
        for each in found
    ]
    if rule.digest == "none":
        return {"type": facts[0]["event"], "timestamp": facts[0]["at"], "data": facts[0]}
    return {"type": "digest", "timestamp": facts[-1]["at"], "data": {"facts": facts}}


def _title(found: tuple[Notification, ...]) -> str:
    first = found[0].fact.text.splitlines()[0][:100]
    return first if len(found) == 1 else f"{len(found)} notifications"


def _text(rule: NotificationRule, found: tuple[Notification, ...]) -> str:
    """What happened, where, by whom, and the link, of each of *found*."""
    return "\n\n".join("\n".join(_lines(rule, each.fact)) for each in found)


def _lines(rule: NotificationRule, fact: Fact) -> Iterator[str]:
    yield fact.text
    yield from (f"{name}: {value}" for name, value in (("environment", fact.environment), ("by", fact.by)) if value)
    if rule.link:
        yield f"{rule.link}{fact.path}"


# -- mail --------------------------------------------------------------------------------------------------------------


def _recipients(query: str) -> tuple[str, list[str]]:
    """The sender and the recipients in `?from=…&to=…`. Raises N161."""
    fields = parse_qs(query)
    sender, to = fields.get("from", [""])[0], [each for text in fields.get("to", []) for each in text.split(",")]
    if not sender or not to or any("@" not in each or not each.isprintable() for each in (sender, *to)):
        raise _not_usable("write it as smtp://HOST?from=ADDRESS&to=ADDRESS")
    return sender, to


class _Smtp(smtplib.SMTP):
    """A connection to an address that was checked."""

    allows: Callable[[str], bool] = staticmethod(is_public)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return connected(host, port, timeout, self.allows)


class _SmtpTls(_Smtp):
    """The same with TLS from the start."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = super()._get_socket(host, port, timeout)
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def _mail(rule: NotificationRule, target: Target, found: tuple[Notification, ...]) -> None:
    parts = urlsplit(target.address)
    sender, to = _recipients(parts.query)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(to), _title(found)
    message["Message-ID"] = f"<{found[0].message}@orchestrator>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_text(rule, found))
    client = _SmtpTls(timeout=PATIENCE_S) if parts.scheme == "smtps" else _Smtp(timeout=PATIENCE_S)
    client.allows = _allowed(rule)
    host = parts.hostname or ""
    client._host = host  # type: ignore[attr-defined]  # noqa: SLF001 - STARTTLS verifies this name
    client.connect(host, parts.port or PORTS[parts.scheme])
    with client:
        client.ehlo()
        if parts.scheme == "smtp" and client.has_extn("starttls"):
            client.starttls(context=ssl.create_default_context())
            client.ehlo()
        if parts.username:
            client.login(unquote(parts.username), unquote(parts.password or ""))
        client.send_message(message, sender, to)


# -- chat --------------------------------------------------------------------------------------------------------------


def _apprise() -> Any:
    try:
        import apprise
    except ModuleNotFoundError as error:
        raise OrchestratorError("N161", "Apprise is not installed: pip install 'orchestrator[notify]'") from error
    return apprise


def _apprise_with(address: str) -> Any:
    made = _apprise().Apprise()
    made.add(address)
    return made


def _not_usable(why: str) -> OrchestratorError:
    return OrchestratorError("N161", f"the target cannot be used: {why}")


def _failed(why: str) -> OrchestratorError:
    return OrchestratorError("N162", why)
