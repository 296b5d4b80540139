"""The `PasswordHashes` port by argon2id, with the library's defaults: 64 MiB, three passes, four lanes."""

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

AT_ONCE = 2
"""How many hashes are made at the same time: each needs 64 MiB and a processor for a second."""


class Argon2Passwords:
    """Hashes of passwords, in a small pool of threads so that sign-ins do not delay other requests."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")

    def hashed(self, password: str) -> str:
        """The hash of *password*."""
        return self._pool.submit(self._hasher.hash, password).result()

    def fits(self, stored: str | None, password: str) -> bool:
        """Whether *password* has the hash *stored*."""
        fits = self._pool.submit(self._fits, stored or self._nothing, password).result()
        return fits and stored is not None

    def _fits(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    @cached_property
    def _nothing(self) -> str:
        """The hash that the password of an unknown user is compared with."""
        return self._hasher.hash("no password has this hash")
