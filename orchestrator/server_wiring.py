"""The only place that joins a client of a server: a command gets its application here, if a server is chosen."""

from collections.abc import Mapping
from pathlib import Path

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.oidc import OidcTokens
from orchestrator.adapters.profile_file import ProfileFile
from orchestrator.adapters.server_connection import HttpConnection
from orchestrator.app.actor import VARIABLE
from orchestrator.config import find_project
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.server_profiles import (
    CA_CERT,
    PROFILE,
    SERVER,
    ServerProfile,
    profile_name,
    server_address,
)
from orchestrator.domain.text import nearest
from orchestrator.management.remote_application import (
    ClientParts,
    RemoteApplication,
    RemoteUseCases,
    remote_application,
)
from orchestrator.management_wiring import LocalImportFiles


def open_remote(environ: Mapping[str, str]) -> RemoteApplication:
    """The project at the server that the variables *environ* choose. Raises N132 to N139."""
    connection = HttpConnection(chosen_profile(environ))
    return remote_application(RemoteUseCases(connection), SystemClock(), client_parts(environ))


def client_parts(environ: Mapping[str, str]) -> ClientParts:
    """What a command on this machine uses of it: of Git the clone in the current folder."""
    return ClientParts(environ, OidcTokens(), LocalImportFiles(_own_folder(), environ))


def _own_folder() -> Path:
    """The folder of the project around the current folder, or the current folder."""
    try:
        return find_project(Path.cwd())
    except OrchestratorError:
        return Path.cwd()


def chosen_profile(environ: Mapping[str, str]) -> ServerProfile:
    """The server with its token: of the named profile, or at the given address. Raises N133 and N138.

    A token in ORCHESTRATOR_TOKEN is used in place of that of the profile. It is empty if there is none.
    """
    name, url = environ.get(PROFILE), environ.get(SERVER)
    if name and url:
        raise OrchestratorError("N133", "a profile and an address are both given")
    profiles = ProfileFile(environ).read()
    if name:
        found = profiles.called(name)
        if found is None:
            known = [each.name for each in profiles.profiles]
            raise OrchestratorError("N138", f"there is no profile {name!r}", hint=nearest(name, known))
    else:
        address = server_address(url or "")
        found = profiles.at(address) or ServerProfile(name=profile_name(address), url=address, token="")
    token = environ.get(VARIABLE, found.token).strip()
    return found.model_copy(update={"token": token, "ca_cert": environ.get(CA_CERT) or found.ca_cert})


class RealServers:
    """The servers that the user of this machine has signed in to, with the variables *environ*."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def login(self, url: str, token: str, name: str | None, ca_cert: Path | None) -> tuple[ServerProfile, str, str]:
        """Check *token* at the server, and keep it in a profile; with the actor and the project. Raises N-codes."""
        address = server_address(url)
        profile = ServerProfile(
            name=name or profile_name(address),
            url=address,
            token=token,
            ca_cert=str(ca_cert.absolute()) if ca_cert is not None else None,
        )
        connection = HttpConnection(profile)
        app = remote_application(RemoteUseCases(connection), SystemClock(), client_parts(self._environ))
        facts = app.facts
        app.close()
        store = ProfileFile(self._environ)
        store.write(store.read().with_profile(profile))
        return profile, str(facts.actor), facts.name

    def logout(self, name: str) -> ServerProfile:
        """Remove the profile *name*. Raises N138."""
        store = ProfileFile(self._environ)
        profiles = store.read()
        found = profiles.called(name)
        if found is None:
            known = [each.name for each in profiles.profiles]
            raise OrchestratorError("N138", f"there is no profile {name!r}", hint=nearest(name, known))
        store.write(profiles.without(name))
        return found

    def profiles(self) -> tuple[ServerProfile, ...]:
        """The profiles. Raises N138."""
        return ProfileFile(self._environ).read().profiles
