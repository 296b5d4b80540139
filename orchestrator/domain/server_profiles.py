"""Servers that a user has signed in to: the address of each with its token."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model

SERVER, PROFILE, CA_CERT = "ORCHESTRATOR_SERVER", "ORCHESTRATOR_PROFILE", "ORCHESTRATOR_CA_CERT"
"""The variables that choose a server, a profile, and a file with certificates."""


PROJECT_PATH = re.compile(r"(?:/p/[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)?")
"""The path of a project at a server of several; none at a server of one."""


class ServerProfile(Model):
    """A server called *name* at *url*. *ca_cert* is a file with certificates in place of those of the system."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    url: str
    token: str = Field(repr=False)
    ca_cert: str | None = None


class ServerProfiles(Model):
    """The file with all *profiles*."""

    profiles: tuple[ServerProfile, ...] = ()

    def called(self, name: str) -> ServerProfile | None:
        """The profile *name*."""
        return next((each for each in self.profiles if each.name == name), None)

    def at(self, url: str) -> ServerProfile | None:
        """The first profile with the address *url*."""
        return next((each for each in self.profiles if each.url == url), None)

    def with_profile(self, profile: ServerProfile) -> "ServerProfiles":
        """These profiles with *profile*, in place of one with its name."""
        others = tuple(each for each in self.profiles if each.name != profile.name)
        return ServerProfiles(profiles=(*others, profile))

    def without(self, name: str) -> "ServerProfiles":
        """These profiles without *name*."""
        return ServerProfiles(profiles=tuple(each for each in self.profiles if each.name != name))


def server_address(text: str) -> str:
    """The address of a server as it is kept: scheme, host and port, and the path of a project. Raises N133.

    Plain HTTP is possible on loopback only: a token would be readable in the network.
    """
    parts = urlsplit(text)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise OrchestratorError("N133", f"{text!r} is not the address of a server: {error}") from error
    path = parts.path.rstrip("/")
    if parts.scheme not in {"http", "https"} or not host or not PROJECT_PATH.fullmatch(path) or parts.query:
        raise OrchestratorError("N133", f"{text!r} is not the address of a server")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise OrchestratorError("N133", "the address of a server has no user, password or fragment")
    if parts.scheme == "http" and not _is_loopback(host):
        raise OrchestratorError("N133", f"{text} is not encrypted, and {host} is another machine")
    place = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, place if port is None else f"{place}:{port}", path, "", ""))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def profile_name(url: str) -> str:
    """The name of a profile for the server at *url*, if none is given: its host, its port and its project."""
    parts = urlsplit(url)
    host = (parts.hostname or "").replace(":", "-").strip("-") or "server"
    project = parts.path.rpartition("/")[2]
    return "-".join(str(each) for each in (host, parts.port, project) if each)
