"""Requests with an end: an answer's status and text, or which of two things went wrong."""

import http.client
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.adapters.gates.addresses import AddressRefusedError, check_literal, connected

LONGEST = 60.0  # seconds for a connection, where no other limit is given
LARGEST = 1 << 20  # bytes of an answer that are read
REACHED = (ConnectionRefusedError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


@dataclass(frozen=True)
class Answer:
    """An answer's *status* and *text*; or *trouble*, in a sentence.

    *is_reachable* means that the machine was reached, and its service did not respond: that is an answer too.
    """

    status: int = 0
    text: str = ""
    trouble: str = ""
    is_reachable: bool = True


def fetch_url(
    url: str,
    timeout: float,
    authorization: str = "",
    ca: Path | None = None,
    *,
    redirects: bool = True,
    form: Mapping[str, str] | None = None,
) -> Answer:
    """Request *url*, for *timeout* seconds at most. Only http and https are spoken, also after a redirect.

    Addresses that no gate connects to are refused, also after a redirect (see `addresses.py`). *authorization* is shown
    to the server that is requested, and to none that it leads to. A server is trusted by the
    certificates in *ca*, instead of those of this machine. Without *redirects* a redirect is an answer like any other.
    A *form* is sent with POST.
    """
    end = time.monotonic() + timeout
    body = urllib.parse.urlencode(form).encode() if form is not None else None
    headers = {"User-Agent": "orchestrator"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - the opener checks it
    if authorization:
        request.add_unredirected_header("Authorization", authorization)
    try:
        with _opener(ca, redirects=redirects).open(request, timeout=timeout) as answer:
            return Answer(answer.status, _text(answer, end))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _text(error, end))
    except urllib.error.URLError as error:
        return _trouble(error.reason if isinstance(error.reason, Exception) else error, timeout, connected=False)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _trouble(error, timeout, connected=True)


def _text(answer: Any, end: float) -> str:
    """The answer's text, up to `LARGEST` bytes. Raises `TimeoutError` after *end*."""
    found = b""
    while len(found) < LARGEST:
        if time.monotonic() > end:
            raise TimeoutError
        piece = answer.read1(min(65536, LARGEST - len(found)))
        if not piece:
            break
        found += piece
    return found.decode("utf-8", errors="replace")


def _trouble(error: Exception, timeout: float, *, connected: bool) -> Answer:
    """Why there is no answer. If the machine was not reached, the state of the service is not known."""
    if isinstance(error, TimeoutError):
        what = "no answer" if connected else "no connection"
        return Answer(trouble=f"{what} within {timeout:g} s", is_reachable=connected)
    if isinstance(error, socket.gaierror):
        return Answer(trouble="its name cannot be resolved", is_reachable=False)
    if isinstance(error, AddressRefusedError):
        return Answer(trouble=str(error), is_reachable=False)
    is_reachable = connected or isinstance(error, REACHED) or type(error).__name__.startswith("SSL")
    return Answer(trouble=_why(error), is_reachable=is_reachable)


def _why(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class _Http(http.client.HTTPConnection):
    """A connection to an address that was checked."""

    def connect(self) -> None:
        self.sock = connected(self.host, self.port, _limit(self.timeout))
        if self._tunnel_host:  # type: ignore[attr-defined]
            self._tunnel()  # type: ignore[attr-defined]


class _Https(http.client.HTTPSConnection):
    """The same with TLS; the certificate is for the host's name."""

    def __init__(self, host: str, *, context: ssl.SSLContext, **more: Any) -> None:
        super().__init__(host, context=context, **more)
        self._trust = context

    def connect(self) -> None:
        plain = connected(self.host, self.port, _limit(self.timeout))
        self.sock = plain
        if self._tunnel_host:  # type: ignore[attr-defined]
            self._tunnel()  # type: ignore[attr-defined]
        self.sock = self._trust.wrap_socket(plain, server_hostname=self._tunnel_host or self.host)  # type: ignore[attr-defined]


def _limit(timeout: Any) -> float:
    return float(timeout) if isinstance(timeout, int | float) else LONGEST


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens http and https, for each request and each redirect anew."""

    def __init__(self, ca: Path | None) -> None:
        urllib.request.HTTPHandler.__init__(self)
        self._ca = ca

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        check_literal(urllib.parse.urlsplit(request.full_url).hostname or "")
        return self.do_open(_Http, request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        check_literal(urllib.parse.urlsplit(request.full_url).hostname or "")
        trust = ssl.create_default_context(cafile=str(self._ca) if self._ca is not None else None)
        return self.do_open(_Https, request, context=trust)  # type: ignore[arg-type]

    https_request = urllib.request.HTTPHandler.do_request_


def _opener(ca: Path | None, *, redirects: bool) -> urllib.request.OpenerDirector:
    """An opener for http and https, with the proxies of the environment variables: not for files or ftp."""
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _Handler(ca),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        *((urllib.request.HTTPRedirectHandler(),) if redirects else ()),
    ):
        director.add_handler(handler)
    return director
