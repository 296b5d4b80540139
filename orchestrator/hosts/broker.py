"""Starts and ends loopback hosts for one isolated Pulumi operation, outside of its view.

The supervisor of the operation starts it at the first question, and it ends with that supervisor. It deals with the
hosts of one stack only, and for a preview it does not act. Standard library only.
"""

import contextlib
import json
import os
import select
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from orchestrator.domain.errors import OrchestratorError
from orchestrator.hosts import loopback
from orchestrator.hosts.asking import received
from orchestrator.processes import LISTENING

PATIENCE = 10.0  # seconds in which a question comes
AT_ONCE = 64


class Broker:
    """Answers questions about the hosts of *stack*; with *acts* it also starts and ends them."""

    def __init__(self, stack: str, *, acts: bool) -> None:
        self._stack, self._acts = stack, acts
        self._places = threading.Semaphore(AT_ONCE)
        self._answers: dict[str, Callable[..., Any]] = {"find": _find, "alive": _alive}
        if acts:
            self._answers |= {"start": _start, "stop": _stop}

    def serve(self, listening: socket.socket, until: int) -> None:
        """Serve connections to *listening*, until nothing can come from *until* any more."""
        listening.settimeout(PATIENCE)
        while until not in select.select([listening.fileno(), until], [], [])[0]:
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                self._places.acquire()
                threading.Thread(target=self._handle, args=(connection,)).start()

    def _handle(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(PATIENCE)
                connection.sendall(json.dumps(self.answer(received(connection))).encode() + b"\n")
        finally:
            self._places.release()

    def answer(self, question: bytes) -> dict[str, Any]:
        """The answer to *question*, which may be anything."""
        try:
            query = json.loads(question)
            what, stack, name = (query.pop(key) for key in ("what", "stack", "name"))
            self._check(what, stack, name)
            loopback.check(name, query.get("address"), query.get("port"))
            return {"answer": self._answers[what](stack, name, **query)}
        except OrchestratorError as error:
            return {"error": [error.code, error.message]}
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
            return {"error": ["I111", "the request is not valid"]}
        except OSError as error:  # with timeouts
            return {"error": ["E203", str(error)]}

    def _check(self, what: str, stack: str, name: str) -> None:
        if stack != self._stack:
            raise OrchestratorError("I111", f"the host {name} belongs to the stack {stack}, not to {self._stack}")
        if what not in self._answers:
            why = "that is not known" if self._acts else "a preview starts and ends none"
            raise OrchestratorError("I111", f"{what} a loopback host: {why}")


def _start(stack: str, name: str, address: str | None = None, port: int | None = None) -> dict[str, Any]:
    return asdict(loopback.start(stack, name, address=address, port=port))


def _find(stack: str, name: str) -> dict[str, Any] | None:
    host = loopback.find_host(stack, name)
    return asdict(host) if host is not None else None


def _alive(stack: str, name: str) -> bool:
    host = loopback.find_host(stack, name)
    return host is not None and loopback.alive(host)


def _stop(stack: str, name: str) -> None:
    host = loopback.find_host(stack, name)
    if host is not None:
        loopback.remove_host(host)


def main(stack: str, how: str) -> None:
    """Serve the socket that this process was given, until its standard input ends; *how* is `acts` or `reads`."""
    with socket.socket(fileno=int(os.environ.pop(LISTENING))) as listening:
        Broker(stack, acts=how == "acts").serve(listening, sys.stdin.fileno())
