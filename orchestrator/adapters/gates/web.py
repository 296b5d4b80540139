"""Requests with an end: an answer's status and text, or which of two things went wrong."""

import http.client
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LARGEST = 1 << 20  # bytes of an answer that are read
REACHED = (ConnectionRefusedError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


@dataclass(frozen=True)
class Answer:
    """An answer's *status* and *text*; or *trouble*, in a sentence.

    *there* says that the machine was reached, and what should serve on it did not: that is an answer too.
    """

    status: int = 0
    text: str = ""
    trouble: str = ""
    there: bool = True


def fetch(url: str, timeout: float, authorization: str = "", ca: Path | None = None) -> Answer:
    """Ask for *url*, for *timeout* seconds at the longest. Only http and https are spoken, also after a redirection.

    *authorization* is shown to who is asked, and to nobody that it leads to. The certificates in *ca* say who may vouch
    for a server, instead of those of this machine.
    """
    end = time.monotonic() + timeout
    request = urllib.request.Request(url, headers={"User-Agent": "orchestrator"})  # noqa: S310 - the opener sees to it
    if authorization:
        request.add_unredirected_header("Authorization", authorization)
    try:
        with _opener(ca).open(request, timeout=timeout) as answer:
            return Answer(answer.status, _text(answer, end))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _text(error, end))
    except urllib.error.URLError as error:
        return _trouble(error.reason if isinstance(error.reason, Exception) else error, timeout, connected=False)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _trouble(error, timeout, connected=True)


def _text(answer: Any, end: float) -> str:
    """What is read of the answer's text until *end*; the rest is left."""
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
    """Why there is no answer. Where nobody was reached, nobody can say how the service is."""
    if isinstance(error, TimeoutError):
        what = "no answer" if connected else "no connection"
        return Answer(trouble=f"{what} within {timeout:g} s", there=connected)
    if isinstance(error, socket.gaierror):
        return Answer(trouble="its name is not known here", there=False)
    there = connected or isinstance(error, REACHED) or type(error).__name__.startswith("SSL")
    return Answer(trouble=_why(error), there=there)


def _why(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _opener(ca: Path | None) -> urllib.request.OpenerDirector:
    """What opens http and https, by the proxies of the environment, and nothing else: no files, no ftp."""
    director = urllib.request.OpenerDirector()
    trust = ssl.create_default_context(cafile=str(ca)) if ca is not None else None
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=trust),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        director.add_handler(handler)
    return director
