"""How a front end opens a project: the composition root (`orchestrator/__main__.py`) decides it, once a process."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orchestrator.domain.errors import OrchestratorError

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.app.machine import Machine
    from orchestrator.app.request_duties import Shows


class Opener(Protocol):
    """Opens the project around a folder."""

    def __call__(self, start: Path, environ: Mapping[str, str], *, restoring: bool) -> "Application":
        """The project around *start*. Raises F-codes, and S135 unless *restoring* when a restore was interrupted."""


@dataclass(frozen=True)
class ServerOptions:
    """Where and how a server accepts connections.

    *certificate* and *key* are files for TLS. Behind a proxy that ends TLS (*behind_proxy*), its headers about clients
    are used. One address has at most *connections_per_address* connections; a proxy has no such limit. *names* are
    further names under which users reach it. With *worker* it starts a worker of its own. Headers are used of *proxies*
    alone. After SIGTERM it accepts requests for *drain_s* seconds. With *log_json* it and its worker log JSON.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    behind_proxy: bool = False
    names: tuple[str, ...] = ()
    worker: bool = True
    proxies: tuple[str, ...] = ("127.0.0.1",)
    drain_s: float = 0.0
    log_json: bool = False
    connections_per_address: int = 500

    @property
    def address(self) -> str:
        """The address for users of this machine."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate is not None else 'http'}://{name}:{self.port}"


class Serving(Protocol):
    """Serves projects until it is stopped."""

    def __call__(self, applications: "Sequence[Application]", options: ServerOptions, shows: "Shows") -> None:
        """Serve *applications*; users sign in at the first one. Plans are shown to approvers by *shows*.

        Raises N-codes.
        """


class MachineOpener(Protocol):
    """Gives what front ends use of this machine."""

    def __call__(self, environ: Mapping[str, str]) -> "Machine":
        """This machine, for programs with the variables *environ*."""


_openers: list[Opener] = []
_servers: list[Serving] = []
_machines: list[MachineOpener] = []


def compose(opener: Opener, machine: MachineOpener, serving: Serving | None = None) -> None:
    """Let *opener* open projects from now on, *machine* give what there is beside them, and *serving* serve them."""
    _openers[:], _machines[:] = [opener], [machine]
    _servers[:] = [serving] if serving is not None else []


def serve_applications(applications: "Sequence[Application]", options: ServerOptions, shows: "Shows") -> None:
    """Serve *applications* until stopped; users sign in at the first one. Raises N101 and other N-codes."""
    if not _servers:
        raise OrchestratorError("N101", "this program has no server")
    _servers[0](applications, options, shows)


def open_application(start: Path, environ: Mapping[str, str] = os.environ, *, restoring: bool = False) -> "Application":
    """The application of the project around *start*.

    Raises F-codes, and S135 when a restore of its state was interrupted, unless it is *restoring*.
    """
    [opener] = _openers
    return opener(start, environ, restoring=restoring)


def open_local(start: Path, environ: Mapping[str, str] = os.environ) -> "Application":
    """The application of the project around *start*, also if a server is chosen. Raises F-codes and S135."""
    from orchestrator.domain.server_profiles import PROFILE, SERVER

    here = {name: value for name, value in environ.items() if name not in {SERVER, PROFILE}}
    return open_application(start, _without_token(here))


def _without_token(environ: Mapping[str, str]) -> Mapping[str, str]:
    from orchestrator.app.actor import VARIABLE

    return {name: value for name, value in environ.items() if name != VARIABLE}


def open_served(
    folders: Sequence[Path], environ: Mapping[str, str] = os.environ, *, given: bool
) -> "tuple[Application, ...]":
    """The applications of the projects in *folders*, which one server can serve.

    Folders that a user has *given* must be those of projects; otherwise the project is found from the folder upwards.
    A token in *environ* is for the first project only: every token is of one project.
    Raises F130 for another folder, N170 for projects that cannot be served together, and other F-codes.
    """
    found = list["Application"]()
    for folder in folders:
        app = open_application(folder, _without_token(environ) if found else environ)
        if given and app.home != folder.resolve():
            raise OrchestratorError("F130", f"{folder} is not the folder of a project: that is {app.home}")
        found.append(app)
    _check_apart(found)
    return tuple(found)


def _check_apart(applications: "Sequence[Application]") -> None:
    """Return if no two of *applications* have the same name, records or state. Raises N170."""
    for index, app in enumerate(applications):
        for other in applications[:index]:
            if app.home == other.home:
                raise OrchestratorError("N170", f"{app.home} is given twice")
            if app.project.name == other.project.name:
                raise OrchestratorError("N170", f"{other.home} and {app.home} are both called {app.project.name}")
            if app.records_at & other.records_at:
                raise OrchestratorError("N170", f"{other.home} and {app.home} keep their records in the same place")


def this_machine(environ: Mapping[str, str] = os.environ) -> "Machine":
    """What front ends use of this machine without a project."""
    [machine] = _machines
    return machine(environ)
