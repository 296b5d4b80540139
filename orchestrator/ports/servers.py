"""Servers of projects, as a client reaches them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from orchestrator.domain.server_profiles import ServerProfile, ServerProfiles


@dataclass(frozen=True)
class ServerReply:
    """A response: its HTTP *status*, its *media* type, and its *body*.

    About an upload, *offset* is where it continues, and *is_complete* whether the package is kept.
    """

    status: int
    media: str
    body: bytes
    offset: int = 0
    is_complete: bool = False


class ServerConnection(Protocol):
    """A connection to one server, with the token of its profile. Without a token, requests that need it raise N134."""

    @property
    def url(self) -> str:
        """The address of the server."""

    def post(self, path: str, body: bytes, key: str | None) -> ServerReply:
        """The response to a POST of the JSON text *body*; with *key* as the idempotency key.

        It is repeated while the server cannot be reached, or is busy. Raises N132, N135, N137 and N139.
        """

    def post_without_token(self, path: str, body: bytes) -> ServerReply:
        """The response to a POST that needs no token, repeated likewise. Raises N132, N135, N137 and N139."""

    def get(self, path: str) -> ServerReply:
        """The response to a GET, repeated likewise. Raises N132, N135, N137 and N139."""

    def put(self, path: str, data: bytes, place: str) -> ServerReply:
        """The response to a PUT of a part with the Content-Range *place*, repeated likewise. Raises N-codes."""

    def events(self, path: str, cursor: str | None) -> Iterator[str]:
        """The ids of the server-sent events at *path* after *cursor*, until the stream ends. Raises N-codes."""

    def close(self) -> None:
        """Close the connection."""


class ProfileStore(Protocol):
    """The profiles of the user of this machine."""

    def read(self) -> ServerProfiles:
        """All profiles. Raises N138."""

    def write(self, profiles: ServerProfiles) -> None:
        """Keep *profiles*, readable by the user only. Raises N138."""


class Connects(Protocol):
    """Makes connections."""

    def __call__(self, profile: ServerProfile) -> ServerConnection:
        """A connection to the server of *profile*. Raises N135 and N139."""
