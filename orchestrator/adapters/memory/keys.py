"""The `Keys` port in memory: one key, the same in every process of a test."""

from collections.abc import Mapping, Sequence

from orchestrator.adapters import encryption
from orchestrator.domain import authentication
from orchestrator.domain.audit.chain import AuditEntry, AuditHead, AuditRecord, Finding, appended, verify_chain
from orchestrator.domain.errors import OrchestratorError

TEST_KEY = bytes(range(authentication.KEY_BYTES))


class MemoryKeys:
    """A project with the one key *key*."""

    def __init__(self, key: bytes = TEST_KEY) -> None:
        self._key = key

    def authenticate(self, document: Mapping[str, object]) -> dict[str, object]:
        """*document* with an authentication code."""
        return authentication.authenticated(document, self._key)

    def verify(self, document: Mapping[str, object]) -> None:
        """Return if the code of *document* was made with this key. Raises R240, R241 and R242."""
        named = authentication.named_key(document)
        if named is None:
            raise OrchestratorError("R240", "the document has no authentication code of this project")
        if named != authentication.key_id(self._key):
            raise OrchestratorError("R241", f"it was made with the key {named}, which is not known here")
        authentication.verify(document, self._key)

    def keyed(self, digest: str, key: str | None = None) -> str:
        """*digest* as a keyed digest. Raises R241."""
        if key not in {None, self.current()}:
            raise OrchestratorError("R241", f"it was made with the key {key}, which is not known here")
        return authentication.keyed_digest(digest, self._key)

    def current(self) -> str:
        """The identifier of the key."""
        return authentication.key_id(self._key)

    def encrypt(self, data: bytes, about: str) -> bytes:
        """*data* encrypted with a key derived from this one."""
        return encryption.encrypt(data, about, self._key)

    def decrypt(self, blob: bytes, about: str) -> bytes:
        """What was encrypted with this key. Raises D170 and D171."""
        named = encryption.encryption_key(blob)
        if named != authentication.key_id(self._key):
            raise OrchestratorError("D170", f"the controller files {about} are encrypted with the key {named}")
        return encryption.decrypt(blob, about, self._key)

    def chained(self, head: AuditHead, record: AuditRecord) -> AuditEntry:
        """The audit entry that *record* becomes after *head*."""
        return appended(head, record, self._key)

    def broken(
        self, entries: Sequence[AuditEntry], *, head: AuditHead | None = None, start: AuditHead | None = None
    ) -> Finding | None:
        """The first fault of *entries* by this key."""
        return verify_chain(entries, (self._key,), head=head, start=start)
