"""The keys of a project."""

from collections.abc import Mapping
from typing import Protocol


class Keys(Protocol):
    """The keys of the project, with which it recognizes its own documents. Every method raises S150 and S151."""

    def authenticate(self, document: Mapping[str, object]) -> dict[str, object]:
        """*document* with an authentication code made with the current key."""

    def verify(self, document: Mapping[str, object]) -> None:
        """Return if a key of this project made the code of *document*. Raises R240, R241 and R242."""

    def keyed(self, digest: str, key: str | None = None) -> str:
        """*digest* of a value as a keyed digest, made with the key of that identifier (None: the current one).

        Raises R241 if the key is not known here, or has expired.
        """

    def current(self) -> str:
        """The identifier of the current key."""

    def encrypt(self, data: bytes, about: str) -> bytes:
        """*data* encrypted with a key derived from the current one; *about* is what it belongs to."""

    def decrypt(self, blob: bytes, about: str) -> bytes:
        """What :meth:`encrypt` was given, also after the key was rotated. Raises D170 and D171."""
