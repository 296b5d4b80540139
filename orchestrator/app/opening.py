"""How a front end opens a project: the composition root (`orchestrator/__main__.py`) decides it, once a process."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orchestrator.domain.errors import OrchestratorError

if TYPE_CHECKING:
    from orchestrator.app.application import Application


class Opener(Protocol):
    """Opens the project around a folder."""

    def __call__(self, start: Path, environ: Mapping[str, str], *, restoring: bool) -> "Application":
        """The project around *start*. Raises F-codes, and S135 unless *restoring* when a restore was interrupted."""


class Serving(Protocol):
    """Serves a project until it is stopped."""

    def __call__(self, application: "Application", host: str, port: int) -> None:
        """Serve *application*. Raises N-codes."""


_openers: list[Opener] = []
_servers: list[Serving] = []


def compose(opener: Opener, serving: Serving | None = None) -> None:
    """Let *opener* open projects from now on, and *serving* serve them."""
    _openers[:] = [opener]
    _servers[:] = [serving] if serving is not None else []


def serve_application(application: "Application", host: str, port: int) -> None:
    """Serve *application* until it is stopped. Raises N101 if there is no server, and N-codes."""
    if not _servers:
        raise OrchestratorError("N101", "this program has no server")
    _servers[0](application, host, port)


def open_application(start: Path, environ: Mapping[str, str] = os.environ, *, restoring: bool = False) -> "Application":
    """The application of the project around *start*.

    Raises F-codes, and S135 when a restore of its state was interrupted, unless it is *restoring*.
    """
    [opener] = _openers
    return opener(start, environ, restoring=restoring)
